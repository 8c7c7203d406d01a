"""Checks of a day's tables: every target is there, values are plausible, columns are as declared.

Findings only. What Dagster shows of them is `defs/checks.py`; which changes are sharp is `detection/`.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from backlinks_assets.detection.metrics import METRICS
from backlinks_assets.formatting import counted
from backlinks_assets.paths import parquet_path
from backlinks_assets.tables.history import MAX_SPAM_SCORE
from backlinks_assets.tables.parquet import read_days
from backlinks_assets.tables.schemas import TABLES

MAX_LISTED: Final = 10

MAX_IMPLAUSIBLE_SHARE: Final = 0.05
"""Of the day's targets. Single values are read as missing; more of them mean that all answers may be wrong."""

# Columns, and the number or column that each may not exceed. True of every answer seen so far.
_UPPER_BOUNDS: Final[tuple[tuple[str, str | int], ...]] = (
    ("backlinks_spam_score", MAX_SPAM_SCORE),
    ("info_target_spam_score", MAX_SPAM_SCORE),
    ("rank", 1000),
    ("referring_pages", "backlinks"),
    ("referring_main_domains", "referring_domains"),
    ("referring_subnets", "referring_ips"),
)


@dataclass(frozen=True)
class Finding:
    """Whether a check holds. `rows` are the worst offenders, ten at most; `count` is the number of all.

    `blocks`: the day must not be evaluated.
    """

    holds: bool
    count: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    sentence: str = ""
    blocks: bool = False


def every_target_present(root: Path, day: dt.date, expected: Collection[str]) -> Finding:
    """Whether each watched target has its live and its lost row on a day, even if the API knows nothing of it."""
    table = read_days(root, "backlinks_summary", day, day, ["target", "status_type"])
    held: dict[str, set[str]] = {}
    for target, status in zip(table["target"].to_pylist(), table["status_type"].to_pylist(), strict=True):
        held.setdefault(target, set()).add(status)
    for target in read_days(root, "backlinks_bulk", day, day, ["target"])["target"].to_pylist():
        held.setdefault(target, set()).update(("live", "lost"))
    rows = [
        {"target": target, "missing": " and ".join(sorted(missing))}
        for target in sorted(expected)
        if (missing := {"live", "lost"} - held.get(target, set()))
    ]
    sentence = (
        f"{len(rows):,} of {counted(len(expected), 'target')} {'lacks' if len(rows) == 1 else 'lack'} an answer on {day}. "
        "Run summary_responses for the day again: only what is missing is requested."
        if rows
        else f"No answer is missing on {day}: {counted(len(expected), 'target')} watched."
    )
    return Finding(not rows, len(rows), rows[:MAX_LISTED], sentence)


def values_plausible(root: Path, day: dt.date) -> Finding:
    """Whether scores are 0 to 100, counts not negative, and parts no larger than their wholes.

    A score or count out of its range is a missing reading for detection (`history.py`).
    """
    counts = [item.name for item in TABLES["backlinks_summary"].arrow if pa.types.is_integer(item.type)]
    frame = read_days(root, "backlinks_summary", day, day, ["target", "status_type", *counts]).to_pandas()
    broken = [_offenders(frame, name, frame[name] < 0, "at least 0") for name in counts]
    for name, bound in _UPPER_BOUNDS:
        limit = frame[bound] if isinstance(bound, str) else bound
        broken.append(_offenders(frame, name, frame[name] > limit, f"at most {bound}"))
    rows = pd.concat(broken, ignore_index=True)
    if rows.empty:
        return Finding(True, sentence=f"All values of {day} are plausible.")
    wrong, targets = rows["target"].nunique(), frame["target"].nunique()
    blocks = wrong > MAX_IMPLAUSIBLE_SHARE * targets
    sentence = (
        f"{counted(len(rows), 'value')} of {day} {'is' if len(rows) == 1 else 'are'} not plausible, of {wrong:,} of "
        f"{counted(targets, 'target')}."
    )
    if blocks:
        sentence += f" More than {MAX_IMPLAUSIBLE_SHARE:.0%} of the targets: the day is not evaluated."
    listed = rows.head(MAX_LISTED).to_dict("records")
    named = [{str(key): value for key, value in row.items()} for row in listed]
    return Finding(False, len(rows), named, sentence, blocks)


def _offenders(frame: pd.DataFrame, name: str, wrong: "pd.Series[bool]", should: str) -> pd.DataFrame:
    found = frame.loc[wrong.fillna(False).astype(bool), ["target", "status_type"]]
    return found.assign(column=name, value=[str(value) for value in frame.loc[found.index, name]], should_be=should)


def schema_as_declared(root: Path, day: dt.date, tables: Collection[str]) -> Finding:
    """Whether the day's parquet files have the declared columns and types."""
    rows = []
    for name in tables:
        path = parquet_path(root, name, day)
        declared = TABLES[name].parquet_schema
        found = pq.read_schema(path) if path.exists() else pa.schema([])
        for item in declared:
            at = found.get_field_index(item.name)
            kind = found.field(at).type if at >= 0 else "not there"
            if kind != item.type:
                rows.append({"table": name, "column": item.name, "declared": str(item.type), "found": str(kind)})
    sentence = (
        f"{counted(len(rows), 'column')} of {day} {'is' if len(rows) == 1 else 'are'} not as declared."
        if rows
        else f"Columns of {day} are as declared: {', '.join(tables)}."
    )
    return Finding(not rows, len(rows), rows[:MAX_LISTED], sentence)


def sharp_changes(flags: pd.DataFrame, metric: str, day: dt.date) -> Finding:
    """Whether nothing was flagged in a metric; `flags` are one day's, worst first.

    A target that came back is flagged, and speaks against nothing.
    """
    is_state = METRICS[metric].is_state
    found = flags[(flags["metric"] == metric) & (flags["target"] != "*")]
    if is_state:
        found = found[found["direction"] == "down"]
    rows = [
        {"severity": row.severity, "target": row.target, "reason": row.reason}
        for row in found.head(MAX_LISTED).itertuples()
    ]
    did = "went down" if is_state else f"changed sharply in {metric.replace('_', ' ')}"
    critical = int((found["severity"] == "critical").sum())
    how = f", {critical:,} of them critically" if len(found) > 1 else ", critically" if critical else ""
    how = "" if is_state else how
    sentence = f"{counted(len(found), 'target')} {did} on {day}{how}." if rows else f"No target {did} on {day}."
    return Finding(not rows, len(found), rows, sentence)


def index_moves(flags: pd.DataFrame, day: dt.date) -> Finding:
    """Whether the vendor's index did not move."""
    rows = _of_kind(flags, "index_move")
    sentence = (
        f"The vendor's index moved on {day}: targets that only moved along are not flagged."
        if rows
        else f"The vendor's index did not move on {day}."
    )
    return Finding(not rows, len(rows), rows, sentence)


def vendor_faults(flags: pd.DataFrame, day: dt.date) -> Finding:
    """Whether the vendor's numbers can be right."""
    rows = _of_kind(flags, "vendor_fault")
    sentence = " ".join(row["reason"] for row in rows) or f"No fault of the vendor's began on {day}."
    return Finding(not rows, len(rows), rows, sentence)


def _of_kind(flags: pd.DataFrame, kind: str) -> list[dict[str, Any]]:
    return [{"metric": row.metric, "reason": row.reason} for row in flags[flags["kind"] == kind].itertuples()]
