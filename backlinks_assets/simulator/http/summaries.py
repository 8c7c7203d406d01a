"""POST /v3/backlinks/summary/live: from the posted tasks to the answer, its price and its refusals.

The order is the API's as far as it is known: the body, the balance, then the fields. Only a call that reached
the index is charged; an answer without data has reached it.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import date
from typing import Any

from backlinks_assets.simulator.http.envelope import OK, envelope, message, new_id, task
from backlinks_assets.simulator.http.faults import DELIVERS, is_charged
from backlinks_assets.simulator.http.misbehaviour import refusal, spoiled
from backlinks_assets.simulator.http.reply import Asked, Reply, json_reply
from backlinks_assets.simulator.http.validation import invalid_field, unknown_fields
from backlinks_assets.simulator.world.answers import result_of
from backlinks_assets.simulator.world.samples import asks_for_vendor_sample, vendor_sample

MOST_TASKS = 100
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\||$)")


def summaries(asked: Asked, posted: Any) -> Reply:
    """The reply to what was posted: one task is served, any further one refused with 40000."""
    asked.sim.pause(asked.sim.latency_s)
    if code := _not_tasks(posted):
        return asked.refused(code)
    parameters = posted[0]
    asked = replace(asked, data={**asked.data, **parameters})
    _note(asked, parameters)
    if reply := _without_money(asked):
        return reply
    sim, call = asked.sim, asked.call
    fault = sim.faults.next(call.target or "", call.status_type or "live")
    price = sim.price_usd if fault is None or is_charged(fault) else 0.0
    if fault is not None and fault.effect.kind not in DELIVERS:
        sim.ledger.charge(call, price)
        # A gateway's own reply means that the API never saw the call: such a call is in no list of tasks.
        if price or fault.effect.kind in ("code", "tasks_null", "http_402", "reset"):
            call.task_id = new_id(call.at)
        call.status_code = int(fault.effect.number) if fault.effect.kind in ("code", "tasks_null") else 0
        return refusal(fault.effect, asked.path, asked.data, price)
    served = _served(asked, parameters, price)
    for further in posted[1:]:
        served["tasks"].append(task(40000, asked.path, {**asked.data, **further}))
    served["tasks_count"] = len(posted)
    served["tasks_error"] = sum(each["status_code"] != OK for each in served["tasks"])
    return json_reply(served) if fault is None else spoiled(fault.effect, served)


def _not_tasks(posted: Any) -> int | None:
    """The status code for a body that holds no tasks, or too many."""
    if posted is None or posted == []:
        return 40502
    if not isinstance(posted, list) or not all(isinstance(each, dict) for each in posted):
        return 40503
    return 40006 if len(posted) > MOST_TASKS else None


def _note(asked: Asked, parameters: dict[str, Any]) -> None:
    """Write into the log what the call asks for, as far as it is text at all."""

    def text(name: str) -> str | None:
        value = parameters.get(name)
        return value if isinstance(value, str) else None

    call = asked.call
    call.parameters = parameters
    call.target, call.tag = text("target"), text("tag")
    call.status_type = text("backlinks_status_type") or "live"


def _without_money(asked: Asked) -> Reply | None:
    """Refused as insufficient funds while something is left, and by HTTP 402 when nothing is."""
    left = asked.sim.ledger.balance_usd
    if left is None or left >= asked.sim.price_usd:
        return None
    if left > 0:
        return asked.refused(40210)
    asked.call.status_code = 40200
    unpaid = {"status_code": 40200, "status_message": message(40200), "cost": 0, "result": None}
    return json_reply({"tasks": [unpaid]}, http_status=402)


def _served(asked: Asked, parameters: dict[str, Any], price_usd: float) -> dict[str, Any]:
    """The envelope of a task: answered and charged, or refused for a field of it, for nothing."""
    sim, call = asked.sim, asked.call
    unknown, invalid = unknown_fields(parameters), invalid_field(parameters)
    if unknown or invalid:
        call.status_code = 40506 if unknown else 40501
        text = None if unknown else f"Invalid Field: '{invalid}'."
        return envelope([task(call.status_code, asked.path, asked.data, text=text)])
    call.status_code = OK
    day = _day(parameters.get("tag"))
    if day is None and asks_for_vendor_sample(parameters):
        return _vendor(asked, parameters, price_usd)
    found = result_of(parameters["target"], parameters, day or sim.today())
    sim.ledger.charge(call, price_usd)
    call.task_id = new_id(call.at)
    one = task(OK, asked.path, asked.data, cost_usd=price_usd, result=found, task_id=call.task_id)
    one["time"] = f"{time.monotonic() - call.started:.4f} sec."
    return {**envelope([one]), "time": one["time"]}


def _vendor(asked: Asked, parameters: dict[str, Any], price_usd: float) -> dict[str, Any]:
    """The vendor page's answer as it stands there, at its price then; a tag is repeated if one was sent."""
    sample = vendor_sample()
    one = sample["tasks"][0]
    if parameters.get("tag") is not None:
        one["data"]["tag"] = parameters["tag"]
    asked.sim.ledger.charge(asked.call, one["cost"] if price_usd else 0.0)
    asked.call.task_id = one["id"]
    return sample


def _day(tag: Any) -> date | None:
    """The day that a tag `YYYY-MM-DD|…` asks for. The real API keeps no past days; only the simulator."""
    found = _DAY.match(tag) if isinstance(tag, str) else None
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
