"""POST /v3/backlinks/summary/live: from a posted task to its answer, its price and its refusals.

Only a call that reached the index is charged; an answer without data has reached it.
"""

from __future__ import annotations

import re
import time
from datetime import date
from typing import Any

from backlinks_assets.simulator.http.account import Account, Call
from backlinks_assets.simulator.http.envelope import OK, envelope, task
from backlinks_assets.simulator.http.reply import AdmittedCall
from backlinks_assets.simulator.http.validation import invalid_field, unknown_fields
from backlinks_assets.simulator.world.answers import result_of
from backlinks_assets.simulator.world.samples import is_vendor_sample_request, vendor_sample

MAX_TASKS = 100
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\||$)")


def bad_body(posted: Any) -> int | None:
    """Return the status code for a body that holds no tasks, or too many."""
    if posted is None or posted == []:
        return 40502
    if not isinstance(posted, list) or not all(isinstance(each, dict) for each in posted):
        return 40503
    return 40006 if len(posted) > MAX_TASKS else None


def note(call: Call, parameters: dict[str, Any]) -> None:
    """Write the request into the call, as far as it is text."""

    def text(name: str) -> str | None:
        value = parameters.get(name)
        return value if isinstance(value, str) else None

    call.parameters = parameters
    call.target, call.tag = text("target"), text("tag")
    call.status_type = text("backlinks_status_type") or "live"


def serve(
    account: Account, admitted: AdmittedCall, parameters: dict[str, Any], price_usd: float, today: date
) -> dict[str, Any]:
    """Return the envelope of a task: answered and charged, or refused for a field of it, for nothing."""
    call, data = admitted.call, {**admitted.data, **parameters}
    unknown, invalid = unknown_fields(parameters), invalid_field(parameters)
    if unknown or invalid:
        call.status_code = 40506 if unknown else 40501
        text = None if unknown else f"Invalid Field: '{invalid}'."
        return envelope([task(call.status_code, admitted.path, data, text=text)])
    call.status_code = OK
    day = _day(parameters.get("tag"))
    if day is None and is_vendor_sample_request(parameters):
        return _vendor(account, call, price_usd)
    found = result_of(parameters["target"], parameters, day or today)
    task_id = account.execute(call, price_usd)
    one = task(OK, admitted.path, data, cost_usd=price_usd, result=found, task_id=task_id)
    one["time"] = f"{time.monotonic() - call.started:.4f} sec."
    return {**envelope([one]), "time": one["time"]}


def _vendor(account: Account, call: Call, price_usd: float) -> dict[str, Any]:
    """Return the answer of the vendor's page, at its price then; a tag is repeated if one was sent."""
    sample = vendor_sample()
    one = sample["tasks"][0]
    if call.parameters.get("tag") is not None:
        one["data"]["tag"] = call.parameters["tag"]
    account.execute(call, one["cost"] if price_usd else 0.0, one["id"])
    return sample


def _day(tag: Any) -> date | None:
    """Return the day of a tag `YYYY-MM-DD|…`. Only the simulator answers for past days."""
    found = _DAY.match(tag) if isinstance(tag, str) else None
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
