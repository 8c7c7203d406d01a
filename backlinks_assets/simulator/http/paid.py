"""The paid endpoints: from a posted task to its answer, its price and its refusals.

Only a call that reached the index is charged: its call and its rows. An answer without data has reached it. What is
refused before is `validation` (a summary) and `many` (bulk calls and single links).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from backlinks_assets.simulator.http.account import Account, Call
from backlinks_assets.simulator.http.envelope import OK, envelope, task
from backlinks_assets.simulator.http.many import bulk_fault, links_fault
from backlinks_assets.simulator.http.reply import AdmittedCall
from backlinks_assets.simulator.http.validation import invalid_field, unknown_fields
from backlinks_assets.simulator.world import answers, listing
from backlinks_assets.simulator.world.bulk import BULK_FUNCTIONS, items
from backlinks_assets.simulator.world.samples import is_vendor_sample_request, vendor_sample

MAX_TASKS = 100
_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:\||$)")
Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Door:
    """One paid endpoint: the fault of a task on a day ("" for an unknown field, None for none), and its result with the
    rows that are charged.
    """

    fault: Callable[[Parameters, date], str | None]
    result: Callable[[Parameters, date], tuple[list[Any] | None, int]]


def _summary_fault(parameters: Parameters, _: date) -> str | None:
    return "" if unknown_fields(parameters) else invalid_field(parameters)


def _summary(parameters: Parameters, day: date) -> tuple[list[Any] | None, int]:
    return answers.result_of(parameters["target"], parameters, day), 1


def _bulk(function: str) -> Door:
    def result(parameters: Parameters, day: date) -> tuple[list[Any], int]:
        found = items(function, parameters, day)
        total = {"total_count": len(found)} if function == "bulk_pages_summary" else {}
        return [{**total, "items_count": len(found), "items": found}], sum(item is not None for item in found)

    return Door(lambda parameters, day: bulk_fault(function, parameters, day), result)


def _links(parameters: Parameters, day: date) -> tuple[list[Any] | None, int]:
    found = listing.result_of(parameters["target"], parameters, day)
    return found, found[0]["items_count"] if found and found[0] else 0


DOORS = {
    "summary": Door(_summary_fault, _summary),
    "backlinks": Door(lambda parameters, _: links_fault(parameters), _links),
    **{function: _bulk(function) for function in sorted(BULK_FUNCTIONS)},
}
"""By the function in the path `/v3/backlinks/<function>/live`."""


def bad_body(posted: Any) -> int | None:
    """Return the status code for a body that holds no tasks, or too many."""
    if posted is None or posted == []:
        return 40502
    if not isinstance(posted, list) or not all(isinstance(each, dict) for each in posted):
        return 40503
    return 40006 if len(posted) > MAX_TASKS else None


def note(call: Call, parameters: Parameters) -> None:
    """Write the request into the call, as far as it is text."""

    def text(name: str) -> str | None:
        value = parameters.get(name)
        return value if isinstance(value, str) else None

    call.parameters = parameters
    call.target, call.tag = text("target"), text("tag")
    call.status_type = text("backlinks_status_type") or ("" if "targets" in parameters else "live")


def serve(
    account: Account, admitted: AdmittedCall, parameters: Parameters, today: date, *, charged: bool = True
) -> dict[str, Any]:
    """Return the envelope of a task: answered and charged, or refused for a field of it, for nothing."""
    call, data, function = admitted.call, {**admitted.data, **parameters}, admitted.data["function"]
    door, day = DOORS[function], _day(parameters.get("tag"))
    if (invalid := door.fault(parameters, day or today)) is not None:
        call.status_code = 40501 if invalid else 40506
        text = f"Invalid Field: '{invalid}'." if invalid else None
        return envelope([task(call.status_code, admitted.path, data, text=text)])
    call.status_code = OK
    if day is None and function == "summary" and is_vendor_sample_request(parameters):
        return _vendor(account, call, charged=charged)
    found, rows = door.result(parameters, day or today)
    cost_usd = account.cost_usd(rows) if charged else 0.0
    task_id = account.execute(call, cost_usd)
    one = task(OK, admitted.path, data, cost_usd=cost_usd, result=found, task_id=task_id)
    one["time"] = f"{time.monotonic() - call.started:.4f} sec."
    return {**envelope([one]), "time": one["time"]}


def _vendor(account: Account, call: Call, *, charged: bool) -> dict[str, Any]:
    """Return the answer of the vendor's page, at its price then; a tag is repeated if one was sent."""
    sample = vendor_sample()
    one = sample["tasks"][0]
    if call.parameters.get("tag") is not None:
        one["data"]["tag"] = call.parameters["tag"]
    account.execute(call, one["cost"] if charged else 0.0, one["id"])
    return sample


def _day(tag: Any) -> date | None:
    """Return the day of a tag `YYYY-MM-DD|…`. Only the simulator answers for past days."""
    found = _DAY.match(tag) if isinstance(tag, str) else None
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
