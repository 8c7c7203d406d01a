"""What the replay found, gathered day by day as columns and made one table at the end; severities are set here."""

import datetime as dt
import math
import statistics

import numpy as np
import pandas as pd

from backlinks_assets.detection.index_moves import IndexMove, IndexWatch
from backlinks_assets.detection.matrices import Floats, History
from backlinks_assets.detection.metrics import COMPANIONS, LIVE, METRICS, Metric, Scale
from backlinks_assets.detection.reasons import down_sentence, fault_sentence, flag_sentence, index_sentence
from backlinks_assets.detection.rules import KINDS, NONE, Day
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.detection.target_down import Turn
from backlinks_assets.detection.vendor_faults import VendorFault

FLAPS_WITHIN_DAYS = 60

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
        self.turns: list[tuple[int, str]] = []  # row, direction
        self.rows = 0

    def add_day(self, metric: Metric, today: Day, moved: IndexWatch | None) -> None:
        """Every target read today, also those read for the first time. `moved` where the index moved lately."""
        series, day = today.series, today.day
        first = np.flatnonzero(np.isfinite(series.raw[:, day]) & (series.last < 0))
        first = first[series.owns(first, day)]
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
            self._flag(metric, today, int(at), moved)
        self.rows += len(rows)

    def _add(self, metric: Metric, day: int, row: Floats, **columns: Floats) -> None:
        numbers = {"metric": np.full(len(row), _NAMES.index(metric.name)), "day": np.full(len(row), day), "row": row}
        nothing = np.full(len(row), np.nan)
        self.parts.append({name: (numbers | columns).get(name, nothing) for name in _PARTS})

    def _flag(self, metric: Metric, today: Day, at: int, moved: IndexWatch | None) -> None:
        kind = str(KINDS[today.kind[at]])
        row, days = int(today.rows[at]), int(today.over_days[at])
        seen = {name: _before_and_now(self.past.values.get(name), row, today.day, days) for name in COMPANIONS}
        confirming = seen.get(metric.confirmed_by or "")
        fell = kind == "confirmed_loss" and confirming is not None and confirming[1] < confirming[0]
        with_it = {metric.confirmed_by: " with them"} if fell else {}
        flapped = self._flapped(row, today.day, days) if today.halved[at] else None
        value, baseline = float(today.value[at]), float(today.baseline[at])
        reason = flag_sentence(
            metric, kind=kind, value=value, baseline=baseline, score=float(today.score[at]),
            over_days=int(self.past.at[today.day] - self.past.at[today.day - days]), readings=int(today.readings[at]),
            gap_days=self._gap_days(today, at),
            companions=[
                (COMPANIONS[name].words + with_it.get(name, ""), numbers)
                for name in metric.told_with if (numbers := seen[name])
            ],
            index_move=self._taken_off(metric, today, row, moved) if moved else None,
            flapped=None if flapped is None else self.past.days[flapped],
        )  # fmt: skip
        critical = metric.is_critical(self.settings, value - baseline, baseline, seen[LIVE])
        self.flags.append((self.rows + at, kind, "critical" if critical and flapped is None else "warning", reason))

    def _gap_days(self, today: Day, at: int) -> int:
        """Days since the last reading where the next one did not come in time, else 1."""
        last = int(today.series.last[today.rows[at]])
        return int(self.past.at[today.day] - self.past.at[last]) if today.gap[at] >= 2 else 1

    def _taken_off(self, metric: Metric, today: Day, row: int, moved: IndexWatch) -> tuple[dt.date, float, float]:
        """The day of the index's move, its median, and what of it was taken off this target's reading, links or points."""
        scale, value = metric.scale, float(today.series.raw[row, today.day])
        taken = 0.0 if moved.taken is None else float(moved.taken[row])
        without = float(scale.reading(scale.level(np.array([value])) - taken)[0])
        move = moved.moves[-1]
        return self.past.days[move.day], _shown(move.median, scale), value - without

    def _flapped(self, row: int, day: int, days: int) -> int | None:
        """The day on which the links that are gone now were gone before and came back, within 60 days; None if never."""
        live, at = self.past.values[LIVE][row, :day], self.past.at
        there, now = live[day - days], self.past.values[LIVE][row, day]
        gone = there - now
        early = int(np.searchsorted(at, at[day] - FLAPS_WITHIN_DAYS))
        low = [k for k in range(early, day - days) if live[k] <= there - 0.8 * gone]
        earlier = [k for k in low if np.nanmax(live[early : k + 1], initial=-np.inf) >= there - 0.2 * gone]
        return earlier[-1] if earlier else None

    def add_move(self, metric: Metric, move: IndexMove) -> None:
        """One message for the day."""
        size, none = _shown(move.median, metric.scale), np.array([-1])
        self._add(metric, move.day, row=none, previous_day=none, value=np.array([float(move.moved)]))
        sentence = index_sentence(metric, move.moved, move.compared, move.usual_share, size)
        self.flags.append((self.rows, "index_move", "warning", sentence))
        self.moves.append((self.rows, size))
        self.rows += 1

    def add_turn(self, day: int, turn: Turn) -> None:
        """A target that went down, or came back."""
        columns = {"value": 0.0 if turn.is_down else turn.live, "previous": turn.seen}
        self._add(
            METRICS["target_down"], day, row=np.array([turn.row]), previous_day=np.array([turn.seen_day]),
            **{name: np.array([value]) for name, value in columns.items()},
        )  # fmt: skip
        sentence = down_sentence(
            turn.is_down, turn.live, turn.seen, self.past.days[turn.seen_day] if turn.seen_day >= 0 else None
        )
        self.flags.append((self.rows, "down", "critical" if turn.is_down else "warning", sentence))
        self.turns.append((self.rows, "down" if turn.is_down else "up"))
        self.rows += 1

    def add_fault(self, fault: VendorFault) -> None:
        """One message for a fault."""
        none = np.array([-1])
        self._add(
            METRICS["lost_backlinks"], fault.day, row=none, previous_day=none, value=np.array([float(fault.targets)])
        )
        self.flags.append(
            (self.rows, "vendor_fault", "critical", fault_sentence(fault.kind, fault.targets, fault.compared))
        )
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
        for at, way in self.turns:
            direction[place[at]] = way
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
