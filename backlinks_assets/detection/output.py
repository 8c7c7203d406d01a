"""What the replay found, gathered day by day as columns and made one table at the end; severities are set here."""

import math
import statistics

import numpy as np
import pandas as pd

from backlinks_assets.detection.index_moves import IndexMove
from backlinks_assets.detection.matrices import Floats, History
from backlinks_assets.detection.metrics import COMPANIONS, LIVE, METRICS, Metric, Scale
from backlinks_assets.detection.reasons import flag_sentence, index_sentence
from backlinks_assets.detection.rules import KINDS, NONE, Day
from backlinks_assets.detection.settings import DetectionSettings

ALL_TARGETS = "*"
_NAMES = list(METRICS)
_PARTS = ("metric", "day", "row", "previous_day", "value", "previous", "baseline", "usual_low", "usual_high", "score")
"""The columns that are gathered; the first four are numbers of metrics, days and targets, -1 is none or all of them."""


class Collected:
    """Columns of the days gathered so far. Numbers of days and targets until the end, so that a long backtest stays small."""

    def __init__(self, past: History, settings: DetectionSettings) -> None:
        """Empty columns over the history's days and targets."""
        self.past, self.settings = past, settings
        self.parts: list[dict[str, Floats]] = []
        self.flags: list[tuple[int, str, str, str]] = []  # row, kind, severity, reason
        self.moves: list[tuple[int, float]] = []  # row, median move
        self.rows = 0

    def add_day(self, metric: Metric, today: Day, move: IndexMove | None) -> None:
        """Every target read today, also those read for the first time."""
        series, day = today.series, today.day
        first = np.flatnonzero(np.isfinite(series.raw[:, day]) & (series.last < 0))
        rows = np.concatenate([today.rows, first])
        blank = np.full(len(first), np.nan)
        self._add(
            metric,
            day,
            row=rows,
            previous_day=series.last[rows].copy(),
            value=series.raw[rows, day],
            previous=np.concatenate([series.raw[today.rows, series.last[today.rows]], blank]),
            baseline=np.concatenate([today.baseline, blank]),
            usual_low=np.concatenate([today.low, blank]),
            usual_high=np.concatenate([today.high, blank]),
            score=np.concatenate([today.score, blank]),
        )
        for at in np.flatnonzero(today.kind != NONE):
            self._flag(metric, today, int(at), move)
        self.rows += len(rows)

    def _add(self, metric: Metric, day: int, row: Floats, **columns: Floats) -> None:
        numbers = {"metric": np.full(len(row), _NAMES.index(metric.name)), "day": np.full(len(row), day), "row": row}
        nothing = np.full(len(row), np.nan)
        self.parts.append({name: (numbers | columns).get(name, nothing) for name in _PARTS})

    def _flag(self, metric: Metric, today: Day, at: int, move: IndexMove | None) -> None:
        kind = str(KINDS[today.kind[at]])
        row, days = int(today.rows[at]), int(today.over_days[at])
        seen = {name: _before_and_now(self.past.values.get(name), row, today.day, days) for name in COMPANIONS}
        with_it = {metric.confirmed_by: " with them"} if kind == "confirmed_loss" else {}
        value, baseline = float(today.value[at]), float(today.baseline[at])
        reason = flag_sentence(
            metric, kind=kind, value=value, baseline=baseline, score=float(today.score[at]), over_days=days,
            readings=int(today.readings[at]), gap_days=int(today.gap[at]),
            companions=[
                (COMPANIONS[name].words + with_it.get(name, ""), numbers)
                for name in metric.told_with if (numbers := seen[name])
            ],
            index_move=(self.past.days[move.day], _shown(move.median, metric.scale)) if move else None,
        )  # fmt: skip
        critical = metric.is_critical(self.settings, value - baseline, baseline, seen[LIVE])
        self.flags.append((self.rows + at, kind, "critical" if critical else "warning", reason))

    def add_move(self, metric: Metric, move: IndexMove) -> None:
        """One message for the day."""
        size, none = _shown(move.median, metric.scale), np.array([-1])
        self._add(metric, move.day, row=none, previous_day=none, value=np.array([float(move.moved)]))
        sentence = index_sentence(metric, move.moved, move.compared, move.usual_share, size)
        self.flags.append((self.rows, "index_move", "warning", sentence))
        self.moves.append((self.rows, size))
        self.rows += 1

    def as_frame(self) -> pd.DataFrame:
        """The table that `detect` returns, made column by column in its final order: it may have millions of rows."""
        days = np.array([*self.past.days, None], dtype=object)  # a day -1 is none
        names = np.array([*self.past.targets, ALL_TARGETS], dtype=object)  # a target -1 is all of them
        found = {name: np.concatenate([part[name] for part in self.parts] or [np.empty(0)]) for name in _PARTS}
        self.parts.clear()
        metric, day, row, previous_day = (found.pop(name).astype(np.int32) for name in _PARTS[:4])
        order = np.lexsort((metric, row, day))  # targets are numbered by name, and all of them come first
        found = {name: column[order] for name, column in found.items()}
        change = found["value"] - found["baseline"]
        direction, kind, severity, reason = (np.full(len(day), None, dtype=object) for _ in range(4))
        direction[change > 0], direction[change < 0] = "up", "down"
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        for at, *words in self.flags:
            kind[place[at]], severity[place[at]], reason[place[at]] = words
        for at, size in self.moves:
            change[place[at]], direction[place[at]] = size, "up" if size > 0 else "down"
        texts = {"direction": direction, "kind": kind, "severity": severity, "reason": reason}
        return pd.DataFrame(
            {
                "date": days[day[order]],
                "target": pd.array(names[row[order]], dtype="str"),
                "metric": pd.array(np.array(_NAMES, dtype=object)[metric[order]], dtype="str"),
                "value": found["value"],
                "previous": found["previous"],
                "previous_date": days[previous_day[order]],
                "baseline": found["baseline"],
                "usual_low": found["usual_low"],
                "usual_high": found["usual_high"],
                "change": change,
                "score": found["score"],
                **{name: pd.array(column, dtype="str") for name, column in texts.items()},  # also where all are missing
            },
            copy=False,
        )


def _before_and_now(matrix: Floats | None, row: int, day: int, days: int) -> tuple[float, float] | None:
    """The median of the week before the change, and today's value; None if either is not known."""
    if matrix is None:
        return None
    start = max(0, day - days - 6)
    before = [value for value in matrix[row, start : day - days + 1].tolist() if not math.isnan(value)]
    now = float(matrix[row, day])
    return (statistics.median(before), now) if before and not math.isnan(now) else None


def _shown(level: float, scale: Scale) -> float:
    """A move as people read it: in percent on a log scale, in points otherwise."""
    return float(100 * np.expm1(level)) if scale.log else level
