"""Which days' readings are left out of baselines and flags: by a person, or found by detection to be the vendor's fault.

For the charts of a target's page. What people said comes from the caller, since the report does not read the store.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backlinks_assets.report.file_query import query_days
from backlinks_assets.report.target_state import TargetFlag
from backlinks_assets.tables.parquet import days

_READINGS: Final = "SELECT date, count(*) FILTER (target <> '*') AS readings FROM days GROUP BY date"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A span of days; `target` and `metric` None: all of them."""

    first: dt.date
    last: dt.date
    by: str
    note: str = ""
    target: str | None = None
    metric: str | None = None

    def is_of(self, target: str) -> bool:
        """Whether it is about a target, among others."""
        return self.target in (None, target)


def faults(root: Path, vendors: Iterable[TargetFlag], last: dt.date) -> list[LeftOut]:
    """Return the vendor's faults up to a day: a flag has the first day, and the days after it gave no reading.

    Raises:
        TablesError: a parquet file can't be read; the message names it.
    """
    begins = {flag.date: flag for flag in vendors if flag.kind == "vendor_fault"}
    if not begins:
        return []
    known = [day for day in days(root, "backlinks_changes") if min(begins) <= day <= last]
    rows = query_days(root, "backlinks_changes", known, _READINGS)
    silent = set(known) - {row["date"] for row in rows if row["readings"]}
    found: list[LeftOut] = []
    for day in known:
        if day in begins:
            found.append(LeftOut(day, day, "detection", begins[day].reason))
        elif found and day in silent and known[known.index(day) - 1] == found[-1].last:
            found[-1] = LeftOut(found[-1].first, day, "detection", found[-1].note)
    return found


def spans_of(left_out: Sequence[LeftOut], target: str, metric: str | None) -> list[tuple[dt.date, dt.date]]:
    """Return the spans that are left out of a target's metric; for None those that are about all metrics."""
    return [(one.first, one.last) for one in left_out if one.is_of(target) and one.metric in (None, metric)]
