"""One metric of all targets as it is known on a day: its readings, the same with index moves taken off, its past distances.

The robust statistics live here; what is unusual enough to be flagged is decided in `rules.py`.
"""

import numpy as np

from backlinks_assets.detection.matrices import Floats, Ints
from backlinks_assets.detection.metrics import Scale

WEEK = 7


class Series:
    """A metric's matrices (targets, days) and what each target's last reading was.

    `level` is the reading on the metric's scale, less the index moves of its past; `change` is the change since the last
    reading over the root of the days between; `distance` is that to the median of the last week. Readings are NaN for none.
    """

    def __init__(self, values: Floats, scale: Scale, *, flagged: bool = True) -> None:
        """A series that is not `flagged` itself has no distances."""
        self.scale = scale
        self.raw = values
        self.level = scale.level(values)
        self.change = np.full_like(values, np.nan)
        self.distance = np.full_like(values if flagged else values[:, :0], np.nan)
        self.last: Ints = np.full(len(values), -1, dtype=np.int64)
        self.readings: Ints = np.zeros(len(values), dtype=np.int64)
        self.pending = np.zeros(len(values))

    def forget(self, rows: Ints, day: int) -> None:
        """Their request changed: what was read before is another series."""
        for matrix in (self.level, self.change, self.distance):
            matrix[rows, :day] = np.nan
        self.last[rows], self.readings[rows], self.pending[rows] = -1, 0, 0.0

    def compared(self, day: int) -> Ints:
        """The targets with a reading on this day and one before."""
        return np.flatnonzero(np.isfinite(self.raw[:, day]) & (self.last >= 0))

    def learn(self, day: int) -> None:
        """The day's readings become the last ones."""
        read = np.isfinite(self.raw[:, day])
        self.last[read] = day
        self.readings[read] += 1

    def last_week(self, rows: Ints) -> Floats:
        """Levels of the seven days up to each target's last reading, (rows, 7)."""
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
