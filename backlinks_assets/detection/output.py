"""What the replay found, gathered day by day as columns and made one table at the end; severities are set here."""

import math
import statistics

import numpy as np
import pandas as pd

from backlinks_assets.detection.index_moves import IndexMove
from backlinks_assets.detection.matrices import METRICS, Floats, History, Ints
from backlinks_assets.detection.reasons import flag_sentence, index_sentence
from backlinks_assets.detection.rules import KINDS, NONE, Day, Limits
from backlinks_assets.detection.series import Series
from backlinks_assets.detection.settings import DetectionSettings

ALL_TARGETS = "*"
COLUMNS = (
    "date", "target", "metric", "value", "previous", "previous_date", "baseline", "change", "score", "direction", "kind",
    "severity", "reason",
)  # fmt: skip


class Collected:
    """Columns of the days kept so far. Numbers of days and targets until the end, so that a long backtest stays small."""

    def __init__(self, past: History, limits: Limits, settings: DetectionSettings) -> None:
        """Empty columns over the history's days and targets."""
        self.past, self.limits, self.settings = past, limits, settings
        # metric, day, target, value, previous, its day, baseline, score; metrics, days and targets by number
        self.parts: list[tuple[Ints, Ints, Ints, Floats, Floats, Ints, Floats, Floats]] = []
        self.flags: list[tuple[int, str, str, str]] = []  # row, kind, severity, reason
        self.moves: list[tuple[int, float]] = []  # row, median move
        self.rows = 0

    def add_day(self, metric: str, today: Day, live: Series | None, move: IndexMove | None) -> None:
        """Every target read today, also those read for the first time."""
        series, day = today.series, today.day
        first = np.flatnonzero(np.isfinite(series.raw[:, day]) & (series.last < 0))
        rows = np.concatenate([today.rows, first])
        blank = np.full(len(first), np.nan)
        self.parts.append(
            (
                np.full(len(rows), METRICS.index(metric)),
                np.full(len(rows), day),
                rows,
                series.raw[rows, day],
                np.concatenate([series.raw[today.rows, series.last[today.rows]], blank]),
                series.last[rows].copy(),
                np.concatenate([today.baseline, blank]),
                np.concatenate([today.score, blank]),
            )
        )
        for at in np.flatnonzero(today.kind != NONE):
            self._flag(metric, today, int(at), live, move)
        self.rows += len(rows)

    def _flag(self, metric: str, today: Day, at: int, live: Series | None, move: IndexMove | None) -> None:
        kind = str(KINDS[today.kind[at]])
        row, days = int(today.rows[at]), int(today.over_days[at])
        before = _before_and_now(live.raw, row, today.day, days) if live else None
        domains = self.past.values.get("referring_main_domains")
        value, baseline = float(today.value[at]), float(today.baseline[at])
        reason = flag_sentence(
            metric=metric, kind=kind, value=value, baseline=baseline, score=float(today.score[at]), over_days=days,
            readings=int(today.readings[at]), gap_days=int(today.gap[at]), live=before if metric != "spam_score" else None,
            domains=None if domains is None else _before_and_now(domains, row, today.day, days),
            index_move=(self.past.days[move.day], _shown(move.median, log=today.series.log)) if move else None,
        )  # fmt: skip
        severity = self._severity(metric, value - baseline, baseline, before)
        self.flags.append((self.rows + at, kind, severity, reason))

    def _severity(self, metric: str, change: float, baseline: float, live: tuple[float, float] | None) -> str:
        if metric == "spam_score":
            critical = change >= self.settings.critical_spam_points
        elif live is not None and live[0] > 0:
            critical = change >= self.settings.critical_live_percent / 100 * live[0]
        else:
            critical = change >= self.settings.critical_lost_percent / 100 * baseline
        return "critical" if critical else "warning"

    def add_move(self, metric: str, move: IndexMove, *, log: bool) -> None:
        """One message for the day."""
        size = _shown(move.median, log=log)
        metric_number, day, everyone = (np.array([number]) for number in (METRICS.index(metric), move.day, -1))
        moved, blank, never = np.array([float(move.moved)]), np.array([np.nan]), np.array([-1])
        self.parts.append((metric_number, day, everyone, moved, blank, never, blank, blank))
        sentence = index_sentence(metric, move.moved, move.compared, move.usual_share, size)
        self.flags.append((self.rows, "index_move", "warning", sentence))
        self.moves.append((self.rows, size))
        self.rows += 1

    def as_frame(self) -> pd.DataFrame:
        """The table that `detect` returns, made column by column in its final order: it may have millions of rows."""
        days = np.array([*self.past.days, None], dtype=object)  # a day -1 is none
        names = np.array([*self.past.targets, ALL_TARGETS], dtype=object)  # a target -1 is all of them
        columns = [np.concatenate(column) for column in zip(*self.parts, strict=True)] or [np.empty(0)] * 8
        self.parts.clear()
        metric, day, row, value, previous, previous_day, baseline, score = columns
        metric, day, row, previous_day = (a.astype(np.int32) for a in (metric, day, row, previous_day))
        order = np.lexsort((metric, row, day))  # targets are numbered by name, and all of them come first
        columns.clear()
        change = (value - baseline)[order]
        direction, kind, severity, reason = (np.full(len(day), None, dtype=object) for _ in range(4))
        direction[change > 0], direction[change < 0] = "up", "down"
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
        for at, *words in self.flags:
            kind[place[at]], severity[place[at]], reason[place[at]] = words
        for at, size in self.moves:
            change[place[at]], direction[place[at]] = size, "up" if size > 0 else "down"
        return pd.DataFrame(
            {
                "date": days[day[order]],
                "target": pd.array(names[row[order]], dtype="str"),
                "metric": pd.array(np.array(METRICS, dtype=object)[metric[order]], dtype="str"),
                "value": value[order],
                "previous": previous[order],
                "previous_date": days[previous_day[order]],
                "baseline": baseline[order],
                "change": change,
                "score": score[order],
                "direction": pd.array(direction, dtype="str"),  # also where all are missing
                "kind": pd.array(kind, dtype="str"),
                "severity": pd.array(severity, dtype="str"),
                "reason": pd.array(reason, dtype="str"),
            },
            columns=list(COLUMNS),
            copy=False,
        )


def _before_and_now(matrix: Floats, row: int, day: int, days: int) -> tuple[float, float] | None:
    """The median of the week before the change, and today's value; None if either is not known."""
    start = max(0, day - days - 6)
    before = [value for value in matrix[row, start : day - days + 1].tolist() if not math.isnan(value)]
    now = float(matrix[row, day])
    return (statistics.median(before), now) if before and not math.isnan(now) else None


def _shown(level: float, *, log: bool) -> float:
    return float(100 * np.expm1(level)) if log else level
