"""A history as a table becomes one matrix per column, targets down and days across, so that no rule loops over targets.

Only days with a reading are columns, so that a watch on Mondays has its weeks side by side and a week is one interval of it.
Only the shape is made here, and what doubles, gaps and NULLs are; no rule is applied.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from backlinks_assets.detection.metrics import NEEDED, SOURCES

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class History:
    """`values[column]` is (targets, days), NaN where there is no reading; `at` are the days as numbers, in their order.

    `restarts` has, for the days on which any is, the targets whose request had other parameters than before.
    """

    days: list[dt.date]
    at: Ints
    targets: list[str]
    values: dict[str, Floats]
    restarts: Mapping[int, Ints]


def as_matrices(history: pd.DataFrame, days: Sequence[dt.date] | None = None) -> History:
    """The history as matrices. Of several rows of a target and day the latest wins: by `captured_at` where there is one.

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
    values = {c: _matrix(history[c], at, shape) for c in SOURCES if c in history.columns}
    restarts: Mapping[int, Ints] = {}
    if "request_key" in history.columns:
        request = np.full(shape, -1, dtype=np.int32, order="F")
        request[at] = pd.factorize(history["request_key"])[0]
        restarts = _restarts(request)
    dates = [_EPOCH + dt.timedelta(days=int(number)) for number in columns]
    return History(dates, columns, [str(n) for n in names], values, restarts)


def stacked(parts: Sequence[History]) -> History:
    """Return targets' histories as one that were read a part at a time, which takes the memory of one part's rows only.

    The parts have the same days, and are in the order of their targets' names. Their columns are taken out of them.
    """
    restarts, first = defaultdict(list), 0
    for part in parts:
        for day, changed in part.restarts.items():
            restarts[day].append(first + changed)
        first += len(part.targets)
    return History(
        parts[0].days,
        parts[0].at,
        [target for part in parts for target in part.targets],
        # Each column leaves the parts as it is put together, so that one is in memory twice, and not all.
        {name: np.concatenate([part.values.pop(name) for part in parts]) for name in list(parts[0].values)},
        {day: np.concatenate(rows) for day, rows in restarts.items()},
    )


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


def _matrix(column: pd.Series, at: tuple[Ints, Ints], shape: tuple[int, int]) -> Floats:
    filled = np.full(shape, np.nan, order="F")  # a day's values side by side, since days are gone through one by one
    numbers = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
    filled[at] = np.where(np.isfinite(numbers), numbers, np.nan)
    return filled
