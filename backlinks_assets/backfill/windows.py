"""Which windows of lost links are still to be bought for the days before targets' first readings.

A window is what came and went from a day on until the day of the call; two that follow each other give what went on the day
between. Here belong the plan and the calls. How they are made is `collect/bulk.py`; the rows made of them are `rows.py`.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from backlinks_assets.collect.bulk_day import BulkCall, Make
from backlinks_assets.collect.chunks import thousands
from backlinks_assets.dataforseo.endpoint import BUILT_IN, Request, Tariff
from backlinks_assets.dataforseo.endpoints.bulk_new_lost_backlinks import BULK_NEW_LOST_BACKLINKS, NAME
from backlinks_assets.dataforseo.since import MAX_DAYS_BACK, SinceParameters
from backlinks_assets.store.answers import BACKFILL, Key
from backlinks_assets.store.bulk import BulkStore

DAYS: Final = 60
"""Days before the first reading that are bought unless another number is given."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The calls that are still to be made, and the keys of the stored answers that were read for it."""

    calls: list[BulkCall]
    known: frozenset[Key]

    @property
    def targets(self) -> int:
        return len({target for call in self.calls for target in call.targets})

    def price_usd(self, tariff: Tariff = BUILT_IN) -> float:
        """Return the most that the calls may cost."""
        return sum(
            call.endpoint.expected_price_usd(Request("", call.make(call.targets)), tariff) for call in self.calls
        )


def plan_of(store: BulkStore, today: dt.date, first: Mapping[str, dt.date], days: int = DAYS) -> Plan:
    """Return the calls that the days before targets' first readings still need, the newest windows first.

    `first` is each target's day of its first reading. A day's losses are the difference of two windows of one day of calls,
    so a day is done where one day of calls has both. Nothing is bought of days that the API no longer counts (365 back).
    """
    begin = today - dt.timedelta(days=MAX_DAYS_BACK)
    stored: dict[str, dict[dt.date, int]] = defaultdict(lambda: defaultdict(int))
    known: set[Key] = set()
    for counted_on in store.dates((NAME,), backfilled=True):
        for batch in store.batches(counted_on, NAME, BACKFILL):
            if counted_on == today:
                known.add(batch.key)
            since = dt.date.fromisoformat(orjson.loads(batch.variant)["date_from"])
            if since >= begin:
                for target in batch.targets:
                    stored[target][counted_on] |= 1 << (since - begin).days
    names: dict[int, list[str]] = defaultdict(list)
    for target, day in first.items():
        before = (min(day, today) - begin).days
        wanted = _days(max(0, before - days), before)
        for found in stored[target].values() if target in stored else ():
            wanted &= ~(found & found >> 1)
        windows = (wanted | wanted << 1) & ~(stored[target][today] if target in stored else 0)
        for number in _numbers(windows):
            names[number].append(target)
    calls = [
        BulkCall(today, BULK_NEW_LOST_BACKLINKS, make, part.since, BACKFILL)
        for number in sorted(names, reverse=True)
        for make in [_since(today, begin + dt.timedelta(days=number))]
        for part in thousands(names[number])
    ]
    return Plan(calls, frozenset(known))


def _days(first: int, end: int) -> int:
    """Return a set of days as bits, from `first` up to the one before `end`."""
    return (1 << max(first, end)) - (1 << first)


def _numbers(days: int) -> Iterator[int]:
    return (number for number in range(days.bit_length()) if days >> number & 1)


def _since(today: dt.date, since: dt.date) -> Make:
    return lambda targets: SinceParameters.on(today, since, targets)
