"""A history as a table becomes one matrix per column, targets down and days across, so that no rule loops over targets.

Only the shape is made here: doubles, gaps and NULLs are settled, nothing is judged.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

METRICS = ("lost_backlinks", "spam_score")
OPTIONAL = ("live_backlinks", "referring_main_domains")


@dataclass(frozen=True)
class History:
    """`values[column]` is (targets, days), NaN where there is no reading; `request` numbers the request keys, -1 unknown."""

    days: list[dt.date]
    targets: list[str]
    values: dict[str, Floats]
    request: Ints | None


def as_matrices(history: pd.DataFrame) -> History:
    """The history as matrices. Of several rows of a target and day the latest wins: by `captured_at` where there is one.

    Raises ValueError if a column is missing or a date can't be read.
    """
    missing = [c for c in ("date", "target", *METRICS) if c not in history.columns]
    if missing:
        msg = f"The history lacks {', '.join(missing)}. It needs date, target, {', '.join(METRICS)}."
        raise ValueError(msg)
    if "captured_at" in history.columns:
        history = history.sort_values("captured_at", kind="stable", na_position="first")
    known = history["date"].notna() & history["target"].notna()
    history = history[known]
    day = _day_numbers(history["date"])
    target_codes, names = pd.factorize(history["target"].astype(str), sort=True)
    first = int(day.min()) if len(day) else 0
    shape = (len(names), int(day.max()) - first + 1 if len(day) else 0)
    at = (target_codes, day - first)  # numpy keeps the last of several values put in one place: the latest row
    values = {c: _matrix(history[c], at, shape) for c in (*METRICS, *OPTIONAL) if c in history.columns}
    request = None
    if "request_key" in history.columns:
        request = np.full(shape, -1, dtype=np.int64)
        request[at] = pd.factorize(history["request_key"])[0]
    epoch = dt.date(1970, 1, 1)
    days = [epoch + dt.timedelta(days=first + k) for k in range(shape[1])]
    return History(days, [str(n) for n in names], values, request)


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
