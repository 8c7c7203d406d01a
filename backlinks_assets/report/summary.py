"""What a report says, read from the parquet tables: the day's flags, coverage and cost, and the largest other moves.

Reading and counting only. Charts' histories are `readings.py`, breakdowns `breakdowns.py`.
"""

import datetime as dt
import functools
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc

from backlinks_assets.report.evidence import NO_EVIDENCE, DayEvidence, read_evidence
from backlinks_assets.report.incidents import Standing, read_incidents_of
from backlinks_assets.report.marks import ALL_TARGETS, Marked
from backlinks_assets.tables import parquet
from backlinks_assets.tables.parquet import days, read_days
from backlinks_assets.tables.schemas import TABLES
from backlinks_assets.targets.target import Target

NO_LABELS: Final[Mapping[str, Target]] = {}
MAX_OTHER_MOVES: Final = 8
"""So many of the largest moves that were not flagged, if their score is `OTHER_MOVES_MIN_SCORE` or more."""

OTHER_MOVES_MIN_SCORE: Final = 1.5


@dataclass(frozen=True, slots=True)
class Change(Marked):
    """A row of `backlinks_changes` or `backlinks_flags`; None is what is not known."""

    target: str
    metric: str
    value: float | None
    previous: float | None
    previous_date: dt.date | None
    baseline: float | None
    change: float | None
    score: float | None
    direction: str | None
    kind: str | None
    severity: str | None
    reason: str | None
    incident: str | None = None
    """The ID of its incident; of flags only."""

    @property
    def subject(self) -> str:
        """The target, or that all are meant."""
        return "All targets" if self.is_vendors else self.target

    @property
    def rank(self) -> tuple[bool, bool, float, str, str]:
        """Sorts the vendor's first, then critical before warning, then the most unusual: as `backlinks flags` does.

        A target that went down has no score, and comes before those that have one.
        """
        unusual = math.inf if self.score is None else abs(self.score)
        return (not self.is_vendors, self.severity != "critical", -unusual, self.target, self.metric)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The targets watched on the day, and those without the day's two answers, each with the reason."""

    watched: int
    answered: int
    unknown: list[str]
    missing: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Cost:
    """A row of `api_costs`."""

    calls: int
    cost_usd: float
    charged_without_answer: int


@dataclass(frozen=True)
class DayReport:
    """One day. `judged` is false if it has no `backlinks_changes`; `earlier_days` counts earlier days with answers.

    `readings` is how many of `backlinks_changes` are targets': none where the vendor's fault or a person has them left out.
    `made_from` is what `backlinks_flags` says that it was made from. `labels` are the lines of the targets file by target,
    `incidents` those of the flags by ID.
    """

    date: dt.date
    simulated: bool
    made_from: str
    judged: bool
    readings: int
    earlier_days: int
    flags: list[Change]
    other_moves: list[Change]
    coverage: Coverage
    cost: Cost | None
    labels: Mapping[str, Target] = field(default_factory=dict)
    evidence: DayEvidence = NO_EVIDENCE
    incidents: Mapping[str, Standing] = field(default_factory=dict)

    @property
    def is_grouped(self) -> bool:
        """Whether a flagged target has a group."""
        return any(self.group_of(flag.target) for flag in self.flags)

    def group_of(self, target: str) -> str:
        """Return a target's group in the targets file, empty where it has none."""
        return self.labels[target].group if target in self.labels else ""

    def group_number(self, target: str) -> int:
        """Return the place of a target's group among the groups by name; 0 for none."""
        return self.group_names.index(self.group_of(target))

    @functools.cached_property
    def group_names(self) -> list[str]:
        """The names of all groups; the first is empty, for the targets without one."""
        return sorted({"", *(one.group for one in self.labels.values())})

    @property
    def faults(self) -> list[Change]:
        """The vendor's faults that begin on this day."""
        return [flag for flag in self.flags if flag.is_fault]

    @property
    def index_moves(self) -> list[Change]:
        """The moves of the vendor's index."""
        return [flag for flag in self.flags if flag.is_vendors and not flag.is_fault]

    @property
    def target_flags(self) -> list[Change]:
        """The flags of targets, worst first."""
        return [flag for flag in self.flags if not flag.is_vendors]

    @property
    def none_counts(self) -> bool:
        """Whether the day has readings, and none of them counts."""
        known = self.coverage.answered - len(self.coverage.unknown)
        return self.judged and known > 0 and not self.readings


def of_targets(report: DayReport, names: Collection[str]) -> DayReport:
    """Return a day as if only these targets were watched: no other's flags, moves and names, and no spend."""
    names = set(names)
    missing = [(target, why) for target, why in report.coverage.missing if target in names]
    return replace(
        report,
        flags=[flag for flag in report.flags if flag.is_vendors or flag.target in names],
        other_moves=[move for move in report.other_moves if move.target in names],
        coverage=Coverage(
            watched=len(names),
            answered=len(names) - len(missing),
            unknown=[target for target in report.coverage.unknown if target in names],
            missing=missing,
        ),
        cost=None,
        labels={target: line for target, line in report.labels.items() if target in names},
        evidence=report.evidence.of_targets(names),
        incidents={name: one for name, one in report.incidents.items() if one.target in names},
    )


def read_day_report(
    root: Path,
    date: dt.date,
    *,
    simulated: bool,
    expected_targets: Collection[str] = (),
    labels: Mapping[str, Target] = NO_LABELS,
) -> DayReport:
    """Return a day's report. A target is watched if it was expected or answered for.

    Raises:
        TablesError: a parquet file can't be read; the message names it.
    """
    made_from = parquet.made_from(root, "backlinks_flags", date) or ""  # first: the table may be replaced meanwhile
    changes = _changes(root, "backlinks_changes", date)
    targets = read_days(root, "backlinks_changes", date, date, ["target"])["target"]
    other = [row for row in changes if row.severity is None and abs(row.score or 0) >= OTHER_MOVES_MIN_SCORE]
    other.sort(key=lambda row: row.rank)
    flags = read_flags(root, date)
    return DayReport(
        date=date,
        simulated=simulated,
        made_from=made_from,
        judged=date in days(root, "backlinks_changes"),
        readings=pc.sum(pc.not_equal(targets, ALL_TARGETS)).as_py() or 0,
        earlier_days=sum(day < date for day in days(root, "backlinks_summary")),
        flags=flags,
        other_moves=other[:MAX_OTHER_MOVES],
        coverage=_coverage(root, date, set(expected_targets)),
        cost=_cost(root, date),
        labels=labels,
        evidence=read_evidence(root, date),
        incidents=read_incidents_of(root, date, {flag.incident for flag in flags if flag.incident}),
    )


def read_flags(root: Path, date: dt.date) -> list[Change]:
    """Return a day's flags, index moves first, then worst first; raises TablesError."""
    return sorted(_changes(root, "backlinks_flags", date), key=lambda row: row.rank)


def _changes(root: Path, table: str, date: dt.date) -> list[Change]:
    names = [name for name in Change.__dataclass_fields__ if name in TABLES[table].arrow.names]
    rows = read_days(root, table, date, date, names)
    if table == "backlinks_changes":  # tens of thousands of rows, of which a few are shown
        rows = rows.filter(pc.greater_equal(pc.abs(rows["score"]), OTHER_MOVES_MIN_SCORE))
    return [Change(**{name: _known(value) for name, value in row.items()}) for row in rows.to_pylist()]


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _coverage(root: Path, date: dt.date, expected: set[str]) -> Coverage:
    rows = read_days(root, "backlinks_summary", date, date, ["target", "status_type", "has_data"])
    answers: dict[str, dict[str, bool]] = {}
    columns = (rows[name].to_pylist() for name in ("target", "status_type", "has_data"))
    for target, status_type, has_data in zip(*columns, strict=True):
        answers.setdefault(target, {})[status_type] = has_data
    in_bulk = read_days(root, "backlinks_bulk", date, date, ["target", "has_data"])
    for target, has_data in zip(in_bulk["target"].to_pylist(), in_bulk["has_data"].to_pylist(), strict=True):
        answers[target] = dict.fromkeys(("live", "lost"), has_data)
    watched = expected | set(answers)
    whole = {target for target, kinds in answers.items() if {"live", "lost"} <= kinds.keys()}
    return Coverage(
        watched=len(watched),
        answered=len(whole),
        unknown=sorted(target for target in whole if not any(answers[target].values())),
        missing=[(target, _why_missing(answers.get(target))) for target in sorted(watched - whole)],
    )


def _why_missing(kinds: Mapping[str, bool] | None) -> str:
    if not kinds:
        return "No answer of this day is stored; the run's log says why."
    return f"Only the answer for {' and '.join(sorted(kinds))} backlinks is stored; the run's log says why."


def _cost(root: Path, date: dt.date) -> Cost | None:
    rows = read_days(root, "api_costs", date, date, ["calls", "cost_usd", "charged_without_answer"]).to_pylist()
    return Cost(**rows[0]) if rows else None
