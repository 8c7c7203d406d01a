"""One metric of all targets as it is known on a day: its readings, the same with index moves taken off, its past distances.

The robust statistics live here; what is unusual enough to be flagged is decided in `rules.py`.
"""

import numpy as np

from backlinks_assets.detection.matrices import Bools, Floats, Ints
from backlinks_assets.detection.metrics import Scale

WEEK = 7
NEW_READINGS = 14  # own ones, without which a back-filled target is new
INTERVALS = 14  # of which the median is the usual time between readings


class Recent:
    """A value for each target of today and of the last reading days; an older day's column is given to a new one."""

    def __init__(self, targets: int, looks_back: int) -> None:
        self._values = np.full((targets, looks_back + 1), np.nan, order="F")

    def record(self, rows: Ints, day: int, values: Floats) -> None:
        """Values of the targets read on a day."""
        column = day % self._values.shape[1]
        self._values[:, column] = np.nan
        self._values[rows, column] = values

    def before(self, rows: Ints, day: int, readings: int) -> Floats:
        """Values of the reading days before `day`, (rows, readings) in any order; NaN for a target not read."""
        columns = np.arange(max(0, day - readings), day) % self._values.shape[1]
        return self._values[rows[:, None], columns]

    def forget(self, rows: Ints) -> None:
        self._values[rows] = np.nan

    def drop(self, rows: Ints, day: int) -> None:
        """Values of a day that count no more."""
        self._values[rows, day % self._values.shape[1]] = np.nan


class Series:
    """A metric's matrices (targets, days) and what each target's last reading was.

    `level` is the reading on the metric's scale, less the index moves of its past; `change` is the change since the last
    reading over the root of the days between; `distance` is that to the median of the last week. Readings are NaN for none.
    Of the last two only as many reading days stay as anyone looks back on.
    """

    def __init__(
        self,
        values: Floats,
        at: Ints,
        scale: Scale,
        looks_back: int,
        *,
        flagged: bool = True,
        backfilled: Floats | None = None,
        begins: Ints | None = None,
    ) -> None:
        """`at` are the columns' days as numbers. A series that is not `flagged` itself has no distances.

        `backfilled` are values of days before each target's first reading, on `begins`. They say what is usual, and no more.
        """
        self.scale = scale
        self.at = at
        self.begins = begins
        self.raw = values if backfilled is None else np.where(np.isfinite(values), values, backfilled)
        self.level = scale.level(self.raw)
        self.change = Recent(len(values), looks_back)
        self.distance = Recent(len(values), looks_back if flagged else 0)
        self.last: Ints = np.full(len(values), -1, dtype=np.int64)
        self.readings: Ints = np.zeros(len(values), dtype=np.int64)
        self.pending = np.zeros(len(values))

    def forget(self, rows: Ints, day: int) -> None:
        """Their request changed: what was read before is another series."""
        self.level[rows, :day] = np.nan
        self.change.forget(rows)
        self.distance.forget(rows)
        self.last[rows], self.readings[rows], self.pending[rows] = -1, 0, 0.0

    def owns(self, rows: Ints, day: int) -> Bools:
        """Whether a day's value is the target's own reading, not a back-filled one."""
        return np.ones(len(rows), dtype=np.bool_) if self.begins is None else self.begins[rows] <= day

    def is_new(self, rows: Ints, day: int) -> Bools:
        """Whether what is usual for a target is known from before its first reading, and from few own readings."""
        if self.begins is None:
            return np.zeros(len(rows), dtype=np.bool_)
        begins = self.begins[rows]
        return (begins > 0) & (day - begins < NEW_READINGS)

    def compared(self, day: int) -> Ints:
        """The targets with a reading on this day and one before."""
        return np.flatnonzero(np.isfinite(self.raw[:, day]) & (self.last >= 0))

    def gap(self, rows: Ints, day: int) -> Floats:
        """Usual intervals since the last reading, 1 where the next one came in time: a week of a weekly watch is one."""
        steps = np.diff(self.at[max(0, day - INTERVALS) : day + 1])
        usual = max(1.0, float(np.median(steps))) if len(steps) else 1.0
        gap: Floats = np.maximum(1.0, (self.at[day] - self.at[self.last[rows]]) / usual)
        return gap

    def learn(self, day: int, apart: Ints | None = None) -> None:
        """The day's readings become the last ones; those of the rows `apart` are forgotten."""
        read = np.isfinite(self.raw[:, day])
        if apart is not None:
            read[apart] = False
            self.level[apart, day] = np.nan
            self.change.drop(apart, day)
            self.distance.drop(apart, day)
        self.last[read] = day
        self.readings[read] += 1

    def last_week(self, rows: Ints) -> Floats:
        """Levels of the seven reading days up to each target's last reading, (rows, 7)."""
        days = self.last[rows][:, None] - np.arange(WEEK)
        return np.where(days >= 0, self.level[rows[:, None], np.maximum(days, 0)], np.nan)

    def carried(self, rows: Ints, start: int, day: int) -> Floats:
        """Levels from `start` to `day`, a day without a reading carrying the one before."""
        window = self.level[rows, start : day + 1]
        known = np.where(np.isfinite(window), np.arange(window.shape[1]), 0)
        carried: Floats = np.take_along_axis(window, np.maximum.accumulate(known, axis=1), axis=1)
        return carried

    def in_todays_units(self, level: Floats, rows: Ints, day: int) -> Floats:
        """Levels as readings, with the index moves put back on: what they would read today."""
        shift = self.scale.level(self.raw[rows, day]) - self.level[rows, day]
        return self.scale.reading(level + (shift if level.ndim == 1 else shift[:, None]))


def quantiles(values: Floats, *shares: float) -> tuple[list[Floats], Ints]:
    """Quantiles of each row without its NaNs (NaN where nothing is left), and how many values each row has."""
    ordered = np.sort(values, axis=1)  # NaNs go last
    count = np.isfinite(ordered).sum(axis=1)
    if not ordered.shape[1]:
        return [np.full(len(values), np.nan) for _ in shares], count
    rows, found = np.arange(len(values)), []
    for share in shares:
        place = share * np.maximum(count - 1, 0)
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, np.maximum(count - 1, 0))
        found.append(ordered[rows, low] + (ordered[rows, high] - ordered[rows, low]) * (place - low))
    return found, count


def median(values: Floats) -> Floats:
    """The median of each row without its NaNs, NaN where nothing is left."""
    return quantiles(values, 0.5)[0][0]


def robust_scale(past: Floats, prior: float, floor: Floats, *, tail: bool) -> Floats:
    """The robust scale of each target's past values, (rows,), in their own unit.

    1.4826 times the median absolute deviation estimates a standard deviation that outliers don't widen (Hampel 1974). It
    is zero for a target that moves on few days only; with `tail` the 90th percentile of the deviations (over 1.645, what it
    is for a normal) counts beside it. Five values' worth of `prior` steadies short histories.
    """
    deviation = np.abs(past - median(past)[:, None])
    (middle, high), count = quantiles(deviation, 0.5, 0.9)
    own = 1.4826 * middle
    if tail:
        own = np.maximum(own, high / 1.645)
    own = np.nan_to_num(own)
    blended = np.sqrt((count * own**2 + 5 * prior**2) / (count + 5))
    return np.maximum(np.where(count < 3, 1.5 * prior, blended), floor)
