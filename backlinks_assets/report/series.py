"""The readings of many targets over many days as matrices, by one pass over the parquet files.

For the pages of targets and groups. What is drawn of a day's flags is `readings.py`.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from backlinks_assets.report.file_query import query_columns
from backlinks_assets.tables.parquet import days

Floats = npt.NDArray[np.float64]

PLACES: Final = {
    "spam_score": ("live", "backlinks_spam_score"),
    "lost_backlinks": ("lost", "backlinks"),
    "live_backlinks": ("live", "backlinks"),
    "main_domains": ("live", "referring_main_domains"),
    "referring_domains": ("live", "referring_domains"),
    "rank": ("live", "rank"),
    "broken_backlinks": ("live", "broken_backlinks"),
    "target_spam_score": ("live", "info_target_spam_score"),
}
"""Each series by name: the status type of the answer and the column in `backlinks_summary`."""

SCORES: Final = ("spam_score", "target_spam_score")
"""Series of 0 to 100 points."""

_WANTED: Final = "wanted AS (SELECT unnest(?::VARCHAR[]) AS target, unnest(range(?)) AS place)"
_OF_TARGETS: Final = "days.target BETWEEN ? AND ?"
"""Files are sorted by target, so DuckDB reads only a part of them."""


@dataclass(frozen=True)
class Series:
    """Matrices with a row a target and a column a calendar day from `first`; NaN where there is no plausible reading.

    `has_data` is 1 where the API knows the target, 0 where it answered that it does not, NaN without an answer.
    """

    targets: Sequence[str]
    first: dt.date
    last: dt.date
    values: Mapping[str, Floats]
    has_data: Floats

    @property
    def days(self) -> list[dt.date]:
        """The day of each column."""
        return [self.first + dt.timedelta(days=at) for at in range(self.has_data.shape[1])]


def read_series(
    root: Path, targets: Collection[str], first: dt.date, last: dt.date, names: Collection[str] = tuple(PLACES)
) -> Series:
    """Return the series `names` of some targets, sorted, from `first` to `last`, both included.

    Raises:
        TablesError: a parquet file can't be read; the message names it.
    """
    wanted, shape = sorted(targets), (len(targets), (last - first).days + 1)
    columns = sorted({PLACES[name][1] for name in names})
    found = (
        query_columns(
            root,
            "backlinks_summary",
            [day for day in days(root, "backlinks_summary") if first <= day <= last],
            f", {_WANTED} SELECT place, (date - ?::DATE)::INTEGER AS day, (status_type = 'live')::INTEGER AS live, "  # noqa: S608
            f"has_data::INTEGER AS has_data, {', '.join(columns)} FROM days JOIN wanted USING (target) "
            f"WHERE status_type IN ('live', 'lost') AND {_OF_TARGETS}",
            wanted,
            len(wanted),
            first,
            wanted[0],
            wanted[-1],
        )
        if wanted
        else {}
    )
    values = {name: np.full(shape, np.nan) for name in names}
    has_data = np.full(shape, np.nan)
    if found:
        at, day = found["place"].astype(np.intp), found["day"].astype(np.intp)
        of = {"live": found["live"] == 1, "lost": found["live"] == 0}
        has_data[at[of["live"]], day[of["live"]]] = found["has_data"][of["live"]]
        for name, matrix in values.items():
            kind, column = PLACES[name]
            read = found[column][of[kind]]
            highest = 100.0 if name in SCORES else np.inf
            matrix[at[of[kind]], day[of[kind]]] = np.where((read >= 0) & (read <= highest), read, np.nan)
    return Series(wanted, first, last, values, has_data)


def read_usual(root: Path, targets: Collection[str], first: dt.date, last: dt.date) -> dict[str, tuple[Floats, Floats]]:
    """Return the ends of the usual range of each watched metric, as matrices like those of `read_series`. Raises as it does."""
    wanted, shape = sorted(targets), (len(targets), (last - first).days + 1)
    ranges = {name: (np.full(shape, np.nan), np.full(shape, np.nan)) for name in ("spam_score", "lost_backlinks")}
    if not wanted:
        return ranges
    found = query_columns(
        root,
        "backlinks_changes",
        [day for day in days(root, "backlinks_changes") if first <= day <= last],
        f", {_WANTED} SELECT place, (date - ?::DATE)::INTEGER AS day, (metric = 'spam_score')::INTEGER AS spam, usual_low, "  # noqa: S608
        "usual_high FROM days JOIN wanted USING (target) WHERE metric IN ('spam_score', 'lost_backlinks') AND "
        f"usual_low IS NOT NULL AND {_OF_TARGETS}",
        wanted,
        len(wanted),
        first,
        wanted[0],
        wanted[-1],
    )
    if found:
        at, day = found["place"].astype(np.intp), found["day"].astype(np.intp)
        for name, ends in ranges.items():
            rows = (found["spam"] == 1) == (name == "spam_score")
            for end, column in zip(ends, ("usual_low", "usual_high"), strict=True):
                end[at[rows], day[rows]] = found[column][rows]
    return ranges


def last_known(values: Floats, column: int, within_days: int) -> Floats:
    """Return each row's last reading at a column or in the days before it; NaN where there is none."""
    found = np.full(values.shape[0], np.nan)
    for at in range(max(0, column - within_days), column + 1):
        found = np.where(np.isfinite(values[:, at]), values[:, at], found)
    return found


def or_none(value: float) -> float | None:
    """Return a number, or None for NaN, which is how a number that is not known is shown."""
    return value if np.isfinite(value) else None
