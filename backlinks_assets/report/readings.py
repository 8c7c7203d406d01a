"""What is drawn of a flag: the readings of its last 60 days and what was usual on each of them.

From the parquet tables. The usual range is taken back from detection's own columns, so that the page shows what was
judged; how it is drawn is `charts.py`.
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

from backlinks_assets.report.summary import Change
from backlinks_assets.tables.history import detection_history
from backlinks_assets.tables.parquet import read_days

Floats = npt.NDArray[np.float64]

SHOWN_DAYS: Final = 60
BAND_SWINGS: Final = 2.0
"""The range drawn as usual, in usual swings either way: for a normal that is 19 readings in 20."""

SCORE_MIN: Final = 0.5
"""A score smaller than this says little of the swing that it is a multiple of: both are nearly nothing."""

LINKS_OFFSET: Final = 10.0
"""Detection compares lost backlinks as log(links + 10)."""

MOVED_LOG, MOVED_POINTS = 0.02, 1.5
MOVED_DAYS, MOVED_READINGS_MIN, MOVED_LINKS_MIN = 14, 3, 50
"""A target moved if its change is larger than these and than any of its last 14 days, as in detection's index moves."""


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
        self._judged: dict[tuple[str, str], tuple[Floats, Floats]] = {}
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
        baseline, score = self._judged.get(key, (self._blank(), self._blank()))
        low, high = usual_range(values, baseline, score, flag)
        return History(self.days, values, low, high)

    def _blank(self) -> Floats:
        return np.full(len(self.days), np.nan)

    def _take_values(self, history: pd.DataFrame) -> None:
        for target, rows in history.groupby("target"):
            at = [self._at[day.date()] for day in rows["date"]]
            for metric in ("spam_score", "lost_backlinks"):
                series = self._blank()
                series[at] = rows[metric].to_numpy()
                self._values[str(target), metric] = series

    def _take_changes(self, root: Path, flags: Collection[Change]) -> None:
        columns = ["date", "target", "metric", "value", "previous", "baseline", "score"]
        rows = read_days(root, "backlinks_changes", self.days[0], self.days[-1], columns)
        for metric in {flag.metric for flag in flags if flag.is_index_move}:
            self._take_shares(metric, rows.filter(pc.equal(rows["metric"], metric)))
        wanted = pa.array(sorted({flag.target for flag in flags}))
        for row in rows.filter(pc.is_in(rows["target"], wanted)).to_pylist():
            baseline, score = self._judged.setdefault((row["target"], row["metric"]), (self._blank(), self._blank()))
            at = self._at[row["date"]]
            baseline[at] = np.nan if row["baseline"] is None else row["baseline"]
            score[at] = np.nan if row["score"] is None else row["score"]

    def _take_shares(self, metric: str, rows: pa.Table) -> None:
        """Percent of a day's targets that rose, and that fell, further than on any of their last 14 days."""
        value, previous = (rows[name].to_numpy().astype(float) for name in ("value", "previous"))
        least = MOVED_POINTS
        move = value - previous
        if metric == "lost_backlinks":
            least = MOVED_LOG
            move = np.log(np.maximum(value, 0) + LINKS_OFFSET) - np.log(np.maximum(previous, 0) + LINKS_OFFSET)
            move[value < MOVED_LINKS_MIN] = np.nan
        long = pd.DataFrame({"date": rows["date"].to_pylist(), "target": rows["target"].to_pylist(), "move": move})
        by_day = long.pivot_table(index="date", columns="target", values="move").reindex(self.days)
        for up in (True, False):
            moves = by_day if up else -by_day
            furthest = moves.shift(1).rolling(MOVED_DAYS, min_periods=MOVED_READINGS_MIN).max()
            comparable = (moves.notna() & furthest.notna()).sum(axis=1)
            moved = (moves > furthest.clip(lower=least)).sum(axis=1)
            self._shares[metric, up] = (100 * moved / comparable.where(comparable > 0)).to_numpy(dtype=float)


def usual_range(values: Floats, baseline: Floats, score: Floats, flag: Change) -> tuple[Floats, Floats]:
    """Return the lower and upper edge of what was usual on each day: the baseline give or take two usual swings.

    Detection's score is the distance to the baseline over the usual swing, in points, or in log(links + 10) for lost
    backlinks: so the swing is the distance over the score. One swing is drawn for all days, the median of those of the
    last four weeks. On the day of a slide or a confirmed loss the baseline is that of the day before: its own is a
    single earlier reading.
    """
    log = flag.metric == "lost_backlinks"
    level, base = (np.log(np.maximum(v, 0) + LINKS_OFFSET) if log else v for v in (values, baseline.copy()))
    if flag.kind != "step":
        base[-1] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        swings = np.where(np.abs(score) >= SCORE_MIN, np.abs((level - base) / score), np.nan)[-29:]
    known = swings[np.isfinite(swings) & (swings > 0)]
    if not len(known):
        return np.full(len(values), np.nan), np.full(len(values), np.nan)
    swing = float(np.median(known))
    base = pd.Series(base).ffill(limit=7).to_numpy(copy=True)
    if np.isfinite(base).sum() == 1:  # only this day was judged: its baseline is the median of the week before
        base[-8:] = base[np.isfinite(base)][0]
    low, high = base - BAND_SWINGS * swing, base + BAND_SWINGS * swing
    if log:
        low, high = np.exp(low) - LINKS_OFFSET, np.exp(high) - LINKS_OFFSET
    ceiling = np.inf if log else 100.0
    return np.clip(low, 0, ceiling), np.clip(high, 0, ceiling)
