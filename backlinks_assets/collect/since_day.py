"""The day from which lost links are counted in bulk, and who needs two of them.

It is the same on all days of a month, so that the difference of two days is what was lost between them. Ten months back it is
at most 336 days old, and last month's can still be requested on any day: the API takes 365. Pure: nothing is requested here.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

MONTHS_BACK: Final = 10


def since_day(day: dt.date) -> dt.date:
    """Return the first of the month ten months before the day's."""
    months = day.year * 12 + day.month - 1 - MONTHS_BACK
    return dt.date(months // 12, months % 12 + 1, 1)


def former_since_day(day: dt.date) -> dt.date:
    """Return last month's."""
    return since_day(day.replace(day=1) - dt.timedelta(days=1))


def days_before(day: dt.date) -> Iterable[dt.date]:
    """Yield the days before one, newest first, back to the first of last month."""
    first = (day.replace(day=1) - dt.timedelta(days=1)).replace(day=1)
    return (day - dt.timedelta(days=back) for back in range(1, (day - first).days + 1))


def need_former(
    day: dt.date,
    targets: Collection[str],
    counted_since: Callable[[dt.date], Mapping[str, Collection[dt.date]]],
) -> list[str]:
    """Return the targets whose level goes on from last month's day: those not read yet this month that were last month.

    `counted_since` returns, for an earlier day, the days from which each target's losses were counted then.
    """
    now, former = since_day(day), former_since_day(day)
    left = set(targets)
    found: list[str] = []
    for earlier in days_before(day):
        if not left:
            break
        since = counted_since(earlier)
        there = left.intersection(since)
        found += [target for target in there if now not in since[target] and former in since[target]]
        left.difference_update(since)
    return sorted(found)
