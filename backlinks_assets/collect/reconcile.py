"""Reconciles the ledger with the vendor's own list of tasks: whether calls without an answer were charged.

A call that timed out, was cut off or died with its process counts as charged until the list says otherwise. So a list that
could not be read costs only room in the budget.
"""

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from backlinks_assets.account.limiter import Cancelled, LimiterError
from backlinks_assets.collect.caller import Caller
from backlinks_assets.dataforseo.endpoints.id_list import ID_LIST, MAX_ROWS_PER_CALL, ListedTask, Span
from backlinks_assets.dataforseo.errors import ApiError
from backlinks_assets.dataforseo.tag import request_tag
from backlinks_assets.store.database import StoreError
from backlinks_assets.store.responses import ResponseStore

MAX_PAGES: Final = 5
"""Pages of the list that are read each time: its limit is 10 calls per minute."""
LISTED_FOR: Final = dt.timedelta(days=25)
"""The vendor keeps tags for a month."""
CLOCKS_DIFFER: Final = dt.timedelta(minutes=10)
"""The largest assumed difference between this machine's clock and the vendor's, and the largest lag of the list."""

_log: Final = logging.getLogger(__name__)

ListTasks = Callable[[Span], list[ListedTask]]


def reconcile_within_limits(caller: Caller, billed_after: dt.timedelta) -> None:
    """Reconcile within the account's limits. Never raises, since a failure here must not hide the run's outcomes."""

    def listed(span: Span) -> list[ListedTask]:
        with caller.limiter.permit(caller.stop.is_set):
            return caller.client.send(ID_LIST, span)

    try:
        reconcile(caller.store, listed, caller.now(), billed_after)
    except (ApiError, LimiterError, Cancelled, StoreError):
        return  # the calls still count as charged, and the next run tries again
    except Exception as error:  # noqa: BLE001 - the run's outcomes come first
        said = f"{type(error).__name__}: {error}"
        _log.warning("What calls without an answer cost could not be looked up (%s); the next run tries again.", said)


def reconcile(store: ResponseStore, list_tasks: ListTasks, now: dt.datetime, billed_after: dt.timedelta) -> int:
    """Correct the ledger's unknown costs by the vendor's list; return how many calls were corrected.

    A listed task with a call's tag whose answer did not come is that call's: its cost is booked. A call that is not in the
    whole list was not charged, if it is older than `billed_after`: a younger one may be under way. Tasks of one tag have
    one date, so it does not matter which of them belongs to which call.

    Raises:
        ApiError: the list could not be read; nothing was changed.
    """
    unknown = store.unknown_calls(now - LISTED_FOR)
    if not unknown:
        return 0
    tasks, is_whole = _listed(list_tasks, Span(unknown[0].started_at - CLOCKS_DIFFER, now + CLOCKS_DIFFER))
    known = store.known_task_ids({call.date for call in unknown})
    by_tag: dict[str, list[ListedTask]] = defaultdict(list)
    for task in sorted(tasks, key=lambda task: (task.posted_at, task.task_id), reverse=True):
        if task.task_id not in known:
            by_tag[task.tag].append(task)
    found: list[tuple[str, float, str | None]] = []
    for call in unknown:
        mine = by_tag[request_tag(call.date, call.target, call.status_type, call.endpoint)]
        if mine:
            task = mine.pop()
            if task.cost_usd is not None:
                found.append((call.call_id, task.cost_usd, task.task_id))
        elif is_whole and now - call.started_at > billed_after:
            found.append((call.call_id, 0.0, None))
    if found:
        store.reconcile_calls(found)
    return len(found)


def _listed(list_tasks: ListTasks, span: Span) -> tuple[list[ListedTask], bool]:
    """Return the tasks of a span of time, and whether these are all of them."""
    tasks: list[ListedTask] = []
    for number in range(MAX_PAGES):
        rows = list_tasks(replace(span, offset=number * MAX_ROWS_PER_CALL))
        tasks += rows
        if len(rows) < MAX_ROWS_PER_CALL:
            return tasks, True
    return tasks, False
