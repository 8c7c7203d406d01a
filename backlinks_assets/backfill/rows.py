"""The rows of `lost_history`, made of stored windows: what went on each day before a target's first reading.

Pure: stored answers, first readings and live links in, rows out. Files are `files.py`.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import orjson

from backlinks_assets.dataforseo.answer import first_result
from backlinks_assets.dataforseo.endpoints.bulk_new_lost_backlinks import NewLostLinks, readings
from backlinks_assets.store.stored_answer import StoredAnswer

DAY = dt.timedelta(days=1)


@dataclass(slots=True)
class Counted:
    """A target's windows as they were counted on one day, by their first day, and what they cost."""

    windows: dict[dt.date, NewLostLinks] = field(default_factory=dict)
    cost_usd: float = 0.0
    captured_at: dt.datetime | None = None
    simulated: bool = False


Windows = Mapping[str, Mapping[dt.date, Counted]]
"""Of each target, by the day on which they were counted."""


def windows_of(answers: Iterable[StoredAnswer]) -> Windows:
    """Return what stored windows say. A target without an item in an answer has no such window, but its share of the cost."""
    found: dict[str, dict[dt.date, Counted]] = defaultdict(lambda: defaultdict(Counted))
    for answer in answers:
        targets = [str(each) for each in answer.parameters.get("targets", ())]
        since = dt.date.fromisoformat(answer.parameters["date_from"])
        try:
            counts = readings(first_result(orjson.loads(answer.body)), targets)
        except (orjson.JSONDecodeError, AttributeError):
            counts = {}
        for target in targets:
            one = found[target][answer.date]
            one.cost_usd += (answer.cost_usd or 0.0) / len(targets)
            one.captured_at = max(filter(None, (one.captured_at, answer.captured_at)))
            one.simulated = answer.simulated
            if target in counts:
                one.windows[since] = counts[target]
    return found


def refusal(counted: Mapping[dt.date, Counted]) -> str | None:
    """Return why a target's windows can't be used: a later one has more lost links than an earlier one that contains it."""
    for day, one in sorted(counted.items()):
        lost = [(since, each.lost_backlinks) for since, each in sorted(one.windows.items())]
        known = [(since, links) for since, links in lost if links is not None]
        for (earlier, more), (later, less) in pairwise(known):
            if less > more:
                return (
                    f"the windows counted on {day} do not nest: {less:,} links lost since {later}, but only {more:,} since "
                    f"{earlier}"
                )
    return None


def rows_of(
    target: str, counted: Mapping[dt.date, Counted], first: dt.date, live: Mapping[dt.date, int]
) -> list[dict[str, Any]]:
    """Return a target's rows, a day each, before its first reading.

    Of a day that was counted more than once the first counting is taken. `live` are its live links on the days of counting:
    those at the end of an earlier day are these, less what came since and plus what went.
    """
    rows: dict[dt.date, dict[str, Any]] = {}
    for counted_on, one in sorted(counted.items()):
        mine = {}
        for day, window in one.windows.items():
            after = one.windows.get(day + DAY)
            if after is None or day >= first or day in rows:
                continue
            mine[day] = {
                "date": day,
                "target": target,
                "lost_on_day": _less(window.lost_backlinks, after.lost_backlinks),
                "new_on_day": _less(window.new_backlinks, after.new_backlinks),
                "live_backlinks": _live(live.get(counted_on), after),
                "counted_on": counted_on,
                "captured_at": one.captured_at,
                "simulated": one.simulated,
            }
        rows |= {day: row | {"cost_usd": one.cost_usd / len(mine)} for day, row in mine.items()}
    return [rows[day] for day in sorted(rows)]


def _less(more: int | None, less: int | None) -> int | None:
    """Return a difference; None where either is missing, or where there are fewer new links in the longer window."""
    return None if more is None or less is None or less > more else more - less


def _live(now: int | None, since: NewLostLinks) -> int | None:
    if now is None or since.new_backlinks is None or since.lost_backlinks is None:
        return None
    before = now - since.new_backlinks + since.lost_backlinks
    return before if before >= 0 else None
