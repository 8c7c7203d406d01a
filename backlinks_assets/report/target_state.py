"""What is said of a target at a glance: its flags, newest first, and the state that follows from the last week's.

For the pages of targets and groups. A day's flags, with charts, are `summary.py` and `cards.py`.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backlinks_assets.formatting import short_day
from backlinks_assets.report.file_query import query_days
from backlinks_assets.report.marks import Marked
from backlinks_assets.tables.parquet import days

STATE_DAYS: Final = 7
"""A flag is a target's state for a week."""

_FLAGS: Final = """
SELECT date, target, metric, value, severity, kind, direction, reason FROM days
WHERE ? OR target IN (SELECT unnest(?::VARCHAR[])) ORDER BY target, date DESC, severity, metric
"""


@dataclass(frozen=True, slots=True)
class TargetFlag(Marked):
    """A row of `backlinks_flags`, as the pages list it."""

    date: dt.date
    target: str
    metric: str
    value: float | None
    severity: str
    kind: str
    direction: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    """A target's state: `key` as in the page's classes and filter, its name, and since when where that is known."""

    key: str
    name: str
    since: dt.date | None = None

    @property
    def rank(self) -> int:
        """Sorts the worst first."""
        return list(NAMES).index(self.key)

    @property
    def text(self) -> str:
        """For instance `Critical, 24 Nov`."""
        return f"{self.name}, {short_day(self.since)}" if self.since else self.name


NAMES: Final = {
    "down": "Down",
    "critical": "Critical",
    "warning": "Warning",
    "missing": "No answer",
    "unknown": "Unknown to the API",
    "quiet": "Quiet",
    "retired": "Watched no more",
}
"""The states, worst first. What people say of its incidents stands beside it (`incidents.py`)."""

RETIRED: Final = State("retired", NAMES["retired"])
Flags = Mapping[str, Sequence[TargetFlag]]


def read_target_flags(root: Path, first: dt.date, last: dt.date, targets: Collection[str] = ()) -> Flags:
    """Return the flags of some targets, or of all and the vendor's, of some days by target, newest first.

    Raises:
        TablesError: a parquet file can't be read; the message names it.
    """
    dates = [day for day in days(root, "backlinks_flags") if first <= day <= last]
    found: dict[str, list[TargetFlag]] = {}
    for row in query_days(root, "backlinks_flags", dates, _FLAGS, not targets, sorted(targets)):
        texts = {"kind": row["kind"] or "", "reason": row["reason"] or "", "severity": row["severity"] or "warning"}
        found.setdefault(row["target"], []).append(TargetFlag(**row | texts))
    return found


def state_of(flags: Sequence[TargetFlag], last: dt.date, *, answered: bool, known: bool) -> State:
    """Return a target's state on a day, by its flags up to it, newest first, and whether the day has an answer with data."""
    turn = next((flag for flag in flags if flag.kind == "down"), None)
    if turn is not None and not turn.is_back:
        return State("down", NAMES["down"], turn.date)
    recent = [flag for flag in flags if (last - flag.date).days < STATE_DAYS]
    for severity in ("critical", "warning"):
        if worst := next((flag for flag in recent if flag.severity == severity), None):
            return State(severity, NAMES[severity], worst.date)
    key = "missing" if not answered else "quiet" if known else "unknown"
    return State(key, NAMES[key])
