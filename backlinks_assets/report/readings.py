"""What is drawn of a flag: the readings of its last 60 days and the usual range of each, as detection wrote it.

From the parquet tables; how it is drawn is `charts.py`.
"""

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from backlinks_assets.detection.metrics import METRICS, SERIES
from backlinks_assets.report.summary import Change
from backlinks_assets.tables.history import detection_history
from backlinks_assets.tables.parquet import read_days

Floats = npt.NDArray[np.float64]

SHOWN_DAYS: Final = 60
MOVED_DAYS, MOVED_READINGS_MIN = 14, 3
"""A target moved if its change is larger than on any of its last 14 days, as in detection's index moves."""


@dataclass(frozen=True, slots=True)
class History:
    """One series over `days`, the last of which is the flagged one; NaN is no reading, or no range known."""

    days: Sequence[dt.date]
    values: Floats
    low: Floats
    high: Floats

    def readings(self) -> list[tuple[dt.date, float, float | None, float | None]]:
        """Return (day, value, low, high) of the days with a reading, the latest first."""
        rows = zip(self.days, self.values, self.low, self.high, strict=True)
        known = [row for row in rows if np.isfinite(row[1])]
        return [
            (day, float(value), *(float(edge) if np.isfinite(edge) else None for edge in (low, high)))
            for day, value, low, high in reversed(known)
        ]


class Histories:
    """The last 60 days up to a date, read once for all flags of the day."""

    def __init__(self, root: Path, date: dt.date, flags: Collection[Change]) -> None:
        """Read what the flags need; nothing if there are none.

        Raises:
            TablesError: a parquet file can't be read; the message names it.
        """
        self.days = [date - dt.timedelta(days=back) for back in reversed(range(SHOWN_DAYS))]
        self._at = {day: at for at, day in enumerate(self.days)}
        self._values: dict[tuple[str, str], Floats] = {}
        self._ranges: dict[tuple[str, str], tuple[Floats, Floats]] = {}
        self._shares: dict[tuple[str, bool], Floats] = {}
        if flags:
            self._take_values(detection_history(root, date, SHOWN_DAYS, sorted({flag.target for flag in flags})))
            self._take_changes(root, flags)

    def of(self, flag: Change) -> History:
        """Return a flag's series: a target's readings, or of an index move the share of targets that moved its way."""
        if flag.is_index_move:
            share = self._shares.get((flag.metric, (flag.change or 0) > 0), self._blank())
            return History(self.days, share, self._blank(), self._blank())
        key = flag.target, flag.metric
        values = self._values.get(key, self._blank())
        return History(self.days, values, *self._ranges.get(key, (self._blank(), self._blank())))

    def _blank(self) -> Floats:
        return np.full(len(self.days), np.nan)

    def _take_values(self, history: pd.DataFrame) -> None:
        for target, rows in history.groupby("target"):
            at = [self._at[day.date()] for day in rows["date"]]
            for metric in SERIES:
                series = self._blank()
                series[at] = rows[metric].to_numpy()
                self._values[str(target), metric] = series

    def _take_changes(self, root: Path, flags: Collection[Change]) -> None:
        columns = ["date", "target", "metric", "value", "previous", "usual_low", "usual_high"]
        rows = read_days(root, "backlinks_changes", self.days[0], self.days[-1], columns)
        for metric in {flag.metric for flag in flags if flag.is_index_move}:
            self._take_shares(metric, rows.filter(pc.equal(rows["metric"], metric)))
        wanted = pa.array(sorted({flag.target for flag in flags}))
        for row in rows.filter(pc.is_in(rows["target"], wanted)).to_pylist():
            ends = self._ranges.setdefault((row["target"], row["metric"]), (self._blank(), self._blank()))
            for end, name in zip(ends, ("usual_low", "usual_high"), strict=True):
                end[self._at[row["date"]]] = np.nan if row[name] is None else row[name]

    def _take_shares(self, metric: str, rows: pa.Table) -> None:
        """Percent of a day's targets that rose, and that fell, further than on any of their last 14 days."""
        scale = METRICS[metric].scale
        value, previous = (rows[name].to_numpy().astype(float) for name in ("value", "previous"))
        move = np.where(value < scale.min_to_vote, np.nan, scale.level(value) - scale.level(previous))
        long = pd.DataFrame({"date": rows["date"].to_pylist(), "target": rows["target"].to_pylist(), "move": move})
        by_day = long.pivot_table(index="date", columns="target", values="move").reindex(self.days)
        for up in (True, False):
            moves = by_day if up else -by_day
            furthest = moves.shift(1).rolling(MOVED_DAYS, min_periods=MOVED_READINGS_MIN).max()
            comparable = (moves.notna() & furthest.notna()).sum(axis=1)
            moved = (moves > furthest.clip(lower=scale.smallest_move)).sum(axis=1)
            self._shares[metric, up] = (100 * moved / comparable.where(comparable > 0)).to_numpy(dtype=float)
