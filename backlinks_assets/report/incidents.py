"""What pages say of incidents: the state of each, since when, by whom, and what was done about it before.

Read from `backlinks_incidents`, as they stood at the end of a day. What changes an incident is `incidents/`; the words and
the commands to copy are `templates/incident.html.j2`.
"""

import datetime as dt
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from backlinks_assets.detection.metrics import moved
from backlinks_assets.incidents.incident import BACK, NEW_LEVEL, OPEN, RESOLVED, SNOOZED, STATES
from backlinks_assets.report.file_query import query_days
from backlinks_assets.tables.parquet import days

TOLD_DAYS: Final = 90
"""So far back is looked for when a state began: as long as a resolved incident stays in the table."""

REASONS: Final = {
    "real": "it happened, and was dealt with",
    "expected": "it was expected, such as a migration or a clean-up",
    "false": "nothing had happened",
    "vendor": "the vendor's numbers were wrong",
    "duplicate": "another incident is about it",
    BACK: "three readings in a row were usual again",
    NEW_LEVEL: "three readings in a row were at a new level, which is the usual one now",
}
"""Why an incident is resolved, in words."""

_STANDING: Final = """
SELECT incident, target, metric, direction, severity, state, opened, last_flag, resolved, reason, "by", note, snoozed_until
FROM days WHERE ? OR incident IN (SELECT unnest(?::VARCHAR[]))
"""
_STEPS: Final = """
SELECT date, incident, state, reason, "by", snoozed_until, lag(state) OVER (PARTITION BY incident ORDER BY date) AS before
FROM days WHERE incident IN (SELECT unnest(?)) QUALIFY before IS DISTINCT FROM state ORDER BY incident, date
"""


class Stated:
    """What an incident's states have in common, as pages name them."""

    __slots__ = ()

    state: str
    reason: str | None

    @property
    def ended_by_itself(self) -> bool:
        """Whether readings ended it, and no person."""
        return self.reason in {BACK, NEW_LEVEL}

    @property
    def state_name(self) -> str:
        """For instance `Acknowledged`, `Resolved (real)`, `Came back`."""
        if self.ended_by_itself:
            return "Came back" if self.reason == BACK else "Stays at a new level"
        return self.state.capitalize() + (f" ({self.reason})" if self.reason else "")

    @property
    def why(self) -> str:
        """Why it is resolved, in words; empty where it is not."""
        return REASONS.get(self.reason or "", "")


@dataclass(frozen=True, slots=True)
class Step(Stated):
    """What an incident's state became on a day."""

    date: dt.date
    state: str
    reason: str | None
    by: str | None
    snoozed_until: dt.date | None


@dataclass(frozen=True, slots=True)
class Standing(Stated):
    """An incident as it stood at the end of a day. `steps` are its states so far, as far as their days are known."""

    incident: str
    target: str
    metric: str
    direction: str
    severity: str
    state: str
    opened: dt.date
    last_flag: dt.date
    resolved: dt.date | None
    reason: str | None
    by: str | None
    note: str | None
    snoozed_until: dt.date | None
    steps: Sequence[Step] = ()

    @property
    def since(self) -> dt.date | None:
        """The day on which its state began, None where that is too long ago."""
        if self.is_resolved:
            return self.resolved
        return self.steps[-1].date if self.steps else None

    @property
    def is_resolved(self) -> bool:
        return self.state == RESOLVED

    @property
    def ended_its_snooze(self) -> bool:
        """Whether it was snoozed before, and nobody has said anything since."""
        return len(self.steps) > 1 and self.steps[-2].state == SNOOZED and self.steps[-2].by == self.by

    @property
    def done(self) -> Sequence[Step]:
        """What came after its first flag."""
        return self.steps[1:] if self.steps and self.steps[0].state == OPEN else self.steps

    @property
    def what(self) -> str:
        """The metric and its way, for instance `Spam score up`."""
        return moved(self.metric, self.direction)

    @property
    def rank(self) -> tuple[int, bool, int, str]:
        """Sorts what nobody looks into first, then critical ones, then the newest."""
        return STATES.index(self.state), self.severity != "critical", -self.last_flag.toordinal(), self.incident


Standings = Mapping[str, Sequence[Standing]]
"""Incidents by target, sorted by `rank`."""


def read_incidents(root: Path, last: dt.date) -> Standings:
    """Return the incidents that the last table up to a day has, by target.

    Raises:
        TablesError: a parquet file can't be read; the message names it.
    """
    known = [day for day in days(root, "backlinks_incidents") if day <= last]
    found: dict[str, list[Standing]] = {}
    for one in sorted(_read(root, known[-1]) if known else [], key=lambda one: one.rank):
        found.setdefault(one.target, []).append(one)
    return found


def read_incidents_of(root: Path, day: dt.date, names: Collection[str]) -> dict[str, Standing]:
    """Return some of a day's incidents by their ID. Raises as `read_incidents`."""
    there = names and day in days(root, "backlinks_incidents")
    return {one.incident: one for one in _read(root, day, names)} if there else {}


def _read(root: Path, day: dt.date, names: Collection[str] | None = None) -> list[Standing]:
    rows = query_days(root, "backlinks_incidents", [day], _STANDING, names is None, sorted(names or ()))
    # Of most nobody has said anything: their own row tells all.
    told = {row["incident"]: row["opened"] for row in rows if row["by"] is not None}
    steps = _steps(root, max(min(told.values()), day - dt.timedelta(days=TOLD_DAYS)), day, told) if told else {}
    return [Standing(**row, steps=steps.get(row["incident"], _by_itself(row))) for row in rows]


def _by_itself(row: Mapping[str, Any]) -> tuple[Step, ...]:
    """Return the steps of an incident of which nobody has said anything."""
    begin = Step(row["opened"], OPEN, None, None, None)
    return (begin, Step(row["resolved"], row["state"], row["reason"], None, None)) if row["resolved"] else (begin,)


def _steps(root: Path, first: dt.date, last: dt.date, opened: Mapping[str, dt.date]) -> dict[str, tuple[Step, ...]]:
    """Return the steps of incidents, given the day on which each was opened, from a day on."""
    known = [day for day in days(root, "backlinks_incidents") if first <= day <= last]
    rows = query_days(root, "backlinks_incidents", known, _STEPS, sorted(opened))
    return {
        name: tuple(
            Step(row["date"], row["state"], row["reason"], row["by"], row["snoozed_until"])
            for row in some
            # What was so before the first day that was read began on a day that is not known.
            if row["before"] is not None or row["date"] == opened[name]
        )
        for name, some in groupby(rows, key=itemgetter("incident"))
    }


def counts(found: Iterable[Standing]) -> str:
    """Return how many are in which state, for instance `3 open (1 critical), 1 snoozed`; empty where none is."""
    some = list(found)
    states = Counter("came back" if one.reason == BACK else one.state for one in some)
    critical = sum(one.state == OPEN and one.severity == "critical" for one in some)
    parts = [f"{states[state]:,} {state}" for state in (*STATES, "came back") if states[state]]
    if critical:
        parts[0] += f" ({critical:,} critical)"
    return ", ".join(parts)
