"""A history as a table becomes one matrix per column, targets down and days across, so that no rule loops over targets.

Only days with a reading are columns, so that a watch on Mondays has its weeks side by side and a week is one interval of it.
Only the shape is made here, and what doubles, gaps and NULLs are; no rule is applied.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from backlinks_assets.detection.metrics import DOMAINS, LIVE, LOST_DATE, NEEDED, SOURCES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

TOLD = (DOMAINS, LOST_DATE)  # the rest is what the rules compute with

BACKFILLED = ("lost_backlinks", LIVE)
"""What can be back-filled; of the rest the vendor has no past."""

_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class History:
    """`values[column]` is (targets, days), NaN where there is no reading; `at` are the days as numbers, in their order.

    `TOLD`, with which no rule computes, takes half the memory (float32) where that loses nothing.
    `restarts` has, for the days on which any is, the targets whose request had other parameters than before.
    `backfilled` has, in matrices of the same shape, what was counted later for days before targets' first readings, and `begins`
    the first day that each target's readings are its own; both are empty where nothing is back-filled.
    """

    days: list[dt.date]
    at: Ints
    targets: list[str]
    values: dict[str, Floats]
    restarts: Mapping[int, Ints]
    backfilled: Mapping[str, Floats] = field(default_factory=dict)
    begins: Ints | None = None


def as_matrices(history: pd.DataFrame, days: Sequence[dt.date] | None = None) -> History:
    """The history as matrices. Of several rows of a target and day the latest wins: by `captured_at` where there is one.

    Rows of which `backfilled` is true, where there is this column, are no readings.

    Its days are those that have a row, or `days`, sorted; rows of other days are left out.

    Raises ValueError if a column is missing or a date can't be read.
    """
    missing = [c for c in ("date", "target", *NEEDED) if c not in history.columns]
    if missing:
        msg = f"The history lacks {', '.join(missing)}. It needs date, target, {', '.join(NEEDED)}."
        raise ValueError(msg)
    if "captured_at" in history.columns:
        history = history.sort_values("captured_at", kind="stable", na_position="first")
    known = history["date"].notna() & history["target"].notna()
    history = history[known]
    day = _day_numbers(history["date"])
    columns = np.unique(day) if days is None else np.array([(one - _EPOCH).days for one in days], dtype=np.int64)
    among = np.isin(day, columns)
    if not among.all():  # a day whose table came after the days were listed
        history, day = history[among], day[among]
    target_codes, names = pd.factorize(history["target"].astype(str), sort=True)
    shape = (len(names), len(columns))
    # Of several values put in one place numpy keeps the last: the latest row.
    at = (target_codes, np.searchsorted(columns, day))
    backfilled: dict[str, Floats] = {}
    begins = None
    if "backfilled" in history.columns:
        later = history["backfilled"].to_numpy(dtype=np.bool_)
        then, at = (at[0][later], at[1][later]), (at[0][~later], at[1][~later])
        counted, history = history[later], history[~later]
        backfilled = {c: _matrix(counted[c], then, shape, narrow=False) for c in BACKFILLED if c in history.columns}
        begins = np.full(len(names), len(columns))
        np.minimum.at(begins, at[0], at[1])
        begins[np.setdiff1d(at[0], then[0])] = 0
    values = {c: _matrix(history[c], at, shape, narrow=c in TOLD) for c in SOURCES if c in history.columns}
    restarts: Mapping[int, Ints] = {}
    if "request_key" in history.columns:
        request = np.full(shape, -1, dtype=np.int32, order="F")
        request[at] = pd.factorize(history["request_key"])[0]
        restarts = _restarts(request)
    dates = [_EPOCH + dt.timedelta(days=int(number)) for number in columns]
    return History(dates, columns, [str(n) for n in names], values, restarts, backfilled, begins)


def stacked(parts: Sequence[History]) -> History:
    """Return targets' histories as one that were read a part at a time, which takes the memory of one part's rows only.

    The parts have the same days, and are in the order of their targets' names. Their columns are taken out of them.
    """
    restarts, first = defaultdict(list), 0
    for part in parts:
        for day, changed in part.restarts.items():
            restarts[day].append(first + changed)
        first += len(part.targets)
    parts_of = sorted({name for part in parts for name in part.backfilled})
    return History(
        parts[0].days,
        parts[0].at,
        [target for part in parts for target in part.targets],
        # Each column leaves the parts as it is put together, so that one is in memory twice, and not all.
        {name: np.concatenate([part.values.pop(name) for part in parts]) for name in list(parts[0].values)},
        {day: np.concatenate(rows) for day, rows in restarts.items()},
        {name: np.concatenate([_backfilled(part, name) for part in parts]) for name in parts_of},
        np.concatenate([_begins(part) for part in parts]) if parts_of else None,
    )


def _backfilled(part: History, name: str) -> Floats:
    found = part.backfilled.get(name)
    return np.full((len(part.targets), len(part.days)), np.nan, order="F") if found is None else found


def _begins(part: History) -> Ints:
    return np.zeros(len(part.targets), dtype=np.int64) if part.begins is None else part.begins


def cut(past: History, last: dt.date) -> History:
    """Return a copy of a history up to a day."""
    many = int(np.searchsorted(past.at, (last - _EPOCH).days, side="right"))
    values = {name: np.copy(matrix[:, :many], order="F") for name, matrix in past.values.items()}
    backfilled = {name: matrix[:, :many] for name, matrix in past.backfilled.items()}
    return History(past.days[:many], past.at[:many], past.targets, values, past.restarts, backfilled, past.begins)


def _restarts(request: npt.NDArray[np.int32]) -> dict[int, Ints]:
    """Days and targets of another request than the last one known; requests are numbered, -1 is unknown."""
    restarts = {}
    before = np.full(len(request), -1, dtype=np.int32)
    for day in range(request.shape[1]):
        key = request[:, day]
        changed = np.flatnonzero((key >= 0) & (before >= 0) & (key != before))
        if len(changed):
            restarts[day] = changed
        before = np.where(key >= 0, key, before)
    return restarts


def _day_numbers(dates: pd.Series) -> Ints:
    if dates.dtype == object or isinstance(dates.dtype, pd.StringDtype):
        codes, seen = pd.factorize(dates)  # a few hundred days, however many rows
        try:
            parsed = np.array([np.datetime64(pd.Timestamp(d).date()) for d in seen], dtype="datetime64[D]")
        except (ValueError, TypeError) as e:
            msg = f"The history has a date that can't be read ({e}). Write dates as YYYY-MM-DD."
            raise ValueError(msg) from None
        return parsed[codes].astype(np.int64) if len(codes) else np.empty(0, np.int64)
    return pd.to_datetime(dates).to_numpy().astype("datetime64[D]").astype(np.int64)


def _matrix(column: pd.Series, at: tuple[Ints, Ints], shape: tuple[int, int], *, narrow: bool) -> Floats:
    numbers = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    with np.errstate(over="ignore"):
        exact = narrow and np.array_equal(numbers.astype(np.float32), numbers, equal_nan=True)
    # A day's values side by side, since days are gone through one by one.
    filled = np.full(shape, np.nan, order="F", dtype=np.float32 if exact else np.float64)
    filled[at] = np.where(np.isfinite(numbers), numbers, np.nan)
    return filled
