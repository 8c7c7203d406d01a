"""Days on which the vendor's numbers can't be right, and spans that a person has excluded: their readings count for nothing.

A fault is told once and flags nobody. Found here, before any rule is applied: days on which most targets read near zero,
and days on which most have not changed at all where they usually do.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from backlinks_assets.detection.matrices import Bools, Floats, History, Ints
from backlinks_assets.detection.metrics import LIVE

MOST = 0.5  # of the targets that can be compared
TARGETS_MIN = 8
LINKS_MIN, NEAR_ZERO = 20.0, 0.1  # a target of 20 links or more that has a tenth of them left
UNCHANGED, USUALLY_UNCHANGED, UNCHANGED_READINGS = 0.95, 0.5, 3
USUAL_READINGS = 28


@dataclass(frozen=True)
class Verdict:
    """What a person says of a span of days, both included: its readings count, or they don't.

    `target` and `metric` None: all of them. Of several about a reading the last one holds.
    """

    first: dt.date
    last: dt.date
    counts: bool
    target: str | None = None
    metric: str | None = None


@dataclass(frozen=True)
class VendorFault:
    """The first day of one fault, as a number of the history's: how many of how many targets."""

    day: int
    kind: Literal["near zero", "unchanged"]
    targets: int
    compared: int


@dataclass(frozen=True)
class Faults:
    """`days` are all days of faults, as numbers of the history's; `told` are their first ones."""

    days: frozenset[int]
    told: dict[int, VendorFault]


def find_faults(past: History, verdicts: Sequence[Verdict] = ()) -> Faults:
    """Find the vendor's faults in what is known up to each day. A day that a person says counts is none."""
    trusted = {day for day, date in enumerate(past.days) if _held(verdicts, date) is True}
    size = LIVE if LIVE in past.values else "lost_backlinks"
    days: list[int] = []
    told: dict[int, VendorFault] = {}
    last: dict[str, Floats] = {name: np.full(len(past.targets), np.nan) for name in past.values}
    unchanged_shares: list[float] = []
    still = 0
    for day in range(len(past.days)):
        now = {name: values[:, day] for name, values in past.values.items()}
        low, compared = _near_zero(now[size], last[size])
        same, seen = _unchanged(now, last)
        share = same / seen if seen else 0.0
        usual = float(np.median(unchanged_shares[-USUAL_READINGS:])) if unchanged_shares else 1.0
        is_still = seen >= TARGETS_MIN and share >= UNCHANGED and usual <= USUALLY_UNCHANGED
        still = still + 1 if is_still else 0
        found = None
        if compared >= TARGETS_MIN and low >= MOST * compared:
            found = VendorFault(day, "near zero", low, compared)
        elif still >= UNCHANGED_READINGS:
            found = VendorFault(day, "unchanged", same, seen)
        if found and day not in trusted:
            if day - 1 not in days:
                told[day] = found
            days.append(day)
            continue
        if seen and not is_still:
            unchanged_shares.append(share)
        for name, values in now.items():
            last[name] = np.where(np.isfinite(values), values, last[name])
    return Faults(frozenset(days), told)


def exclude(past: History, faults: Faults, verdicts: Sequence[Verdict] = ()) -> None:
    """Take the readings of faults, and of the spans that a person has excluded, out of a history."""
    for day, date in enumerate(past.days):
        if day in faults.days:
            for values in past.values.values():
                values[:, day] = np.nan
        about = [verdict for verdict in verdicts if verdict.first <= date <= verdict.last]
        if not about:
            continue
        rows = {name: number for number, name in enumerate(past.targets)}
        for name, values in past.values.items():
            out: Bools = np.zeros(len(values), dtype=np.bool_)
            for verdict in about:  # in their order: the last one holds
                if verdict.metric in (None, name):
                    at = slice(None) if verdict.target is None else rows.get(verdict.target, slice(0, 0))
                    out[at] = not verdict.counts
            values[out, day] = np.nan


def rows_apart(past: History, spans: Sequence[Verdict]) -> dict[tuple[str, int], Ints]:
    """Return, by metric and number of a day, the targets whose readings are judged and stay out of baselines."""
    numbers = {name: number for number, name in enumerate(past.targets)}
    found: dict[tuple[str, int], set[int]] = {}
    for day, date in enumerate(past.days):
        for one in spans:
            if (
                one.first <= date <= one.last
                and one.metric is not None
                and (row := numbers.get(one.target or "")) is not None
            ):
                found.setdefault((one.metric, day), set()).add(row)
    return {key: np.array(sorted(rows), dtype=np.int64) for key, rows in found.items()}


def _held(verdicts: Sequence[Verdict], date: dt.date) -> bool | None:
    """Whether all readings of a day count by the last verdict about all of them; None without one."""
    about = [v for v in verdicts if v.target is None and v.metric is None and v.first <= date <= v.last]
    return about[-1].counts if about else None


def _near_zero(now: Floats, last: Floats) -> tuple[int, int]:
    comparable = np.isfinite(now) & (last >= LINKS_MIN)
    return int((comparable & (now <= NEAR_ZERO * last)).sum()), int(comparable.sum())


def _unchanged(now: dict[str, Floats], last: dict[str, Floats]) -> tuple[int, int]:
    """How many targets read as they did before in every series, and of how many that can be said."""
    read: Bools | None = None
    same: Bools | None = None
    for name, values in now.items():
        known = np.isfinite(values) & np.isfinite(last[name])
        read = known if read is None else read | known
        equal = ~known | (values == last[name])
        same = equal if same is None else same & equal
    if read is None or same is None:
        return 0, 0
    return int((same & read).sum()), int(read.sum())
