"""Detection as one call: a history in, its changes and flags out. Days are replayed in order, all targets at once.

What is sharp is in `rules.py`, what the vendor's index did in `index_moves.py`; here they meet, with the cooldown of flags.
"""

import datetime as dt
from collections.abc import Callable

import numpy as np
import pandas as pd

from backlinks_assets.detection.index_moves import IndexMove, IndexWatch, follow_index
from backlinks_assets.detection.matrices import Bools, Floats, History, as_matrices
from backlinks_assets.detection.metrics import LIVE, LOG, METRICS, Metric
from backlinks_assets.detection.output import Collected
from backlinks_assets.detection.rules import NONE, Day, Limits, detect_losses, detect_steps, open_day
from backlinks_assets.detection.series import Series
from backlinks_assets.detection.settings import DetectionSettings, OwnThresholds, check_thresholds


def detect(
    history: pd.DataFrame | History,
    settings: DetectionSettings = DetectionSettings(),  # noqa: B008  frozen
    thresholds: OwnThresholds | None = None,
    since: dt.date | None = None,
    on_day: Callable[[dt.date], None] | None = None,
) -> pd.DataFrame:
    """A row per day from `since`, target and metric that was read, and rows of target `*` for moves of the vendor's index.

    `history` has `date`, `target`, a column for each metric (`metrics.py`) and companion, of which only the `NEEDED` must
    be there, and where known `request_key` (a change of it starts the target's history anew); rows in any order, of
    several a day the latest counts, NULL is no reading. Days before `since` are replayed for what they say is usual.
    `on_day` is called with each day that has been replayed. Matrices are taken as well (`matrices.py`).

    Columns: `date, target, metric, value, previous, previous_date, baseline, usual_low, usual_high, change, score,
    direction, kind, severity, reason`, sorted by the first three. Flags are the rows with a `severity`. For an index move
    `value` is how many targets moved, `change` their median move (percent on a log scale, points otherwise).

    Raises ValueError if a column is missing, a date can't be read, or a threshold is unknown or out of range.
    """
    own = {} if thresholds is None else thresholds
    for target, values in own.items():
        check_thresholds(target, values)
    past = history if isinstance(history, History) else as_matrices(history)
    replay = _Replay(past, settings, own)
    for day, date in enumerate(past.days):
        replay.play(day, wanted=since is None or date >= since)
        if on_day is not None:
            on_day(date)
    return replay.found.as_frame()


class _Replay:
    """The state that one day hands to the next."""

    def __init__(self, past: History, settings: DetectionSettings, own: OwnThresholds) -> None:
        self.past, self.settings = past, settings
        self.metrics = [metric for name, metric in METRICS.items() if name in past.values]
        self.series = {m.name: Series(past.values[m.name], m.scale) for m in self.metrics}
        if LIVE in past.values:
            self.series[LIVE] = Series(past.values[LIVE], LOG, flagged=False)
        self.watch = {name: IndexWatch() for name in self.series}
        self.limits = {m.name: Limits.of(m, past.targets, settings, own) for m in self.metrics}
        targets = len(past.targets)
        self.flagged_on = {m.name: np.full(targets, -(10**6)) for m in self.metrics}
        self.flagged_size = {m.name: np.zeros(targets) for m in self.metrics}
        self.found = Collected(past, settings)

    def play(self, day: int, *, wanted: bool) -> None:
        self._restart_changed_requests(day)
        for name, series in self.series.items():
            follow_index(series, self.watch[name], day, self.settings)
        for metric in self.metrics:
            today = open_day(self.series[metric.name], day, self.settings)
            self._detect(metric, today, score_all=wanted)
            self.series[metric.name].distance[today.rows, day] = today.distance
            if wanted:
                self._collect(metric, today)
        for series in self.series.values():
            series.learn(day)

    def _restart_changed_requests(self, day: int) -> None:
        changed = self.past.restarts.get(day)
        if changed is not None:
            for series in self.series.values():
                series.forget(changed, day)
            for flagged_on in self.flagged_on.values():
                flagged_on[changed] = -(10**6)

    def _detect(self, metric: Metric, today: Day, *, score_all: bool) -> None:
        limits, confirming = self.limits[metric.name], metric.confirmed_by
        detect_steps(today, limits, self.settings, score_all=score_all)
        if confirming in self.series and self.settings.confirmed_loss_rule:
            moved = self.watch[confirming].moving(today.day, within=2) is not None
            detect_losses(today, self.series[confirming], limits, self.settings, live_moved=moved)
        self._cool_down(metric, today)

    def _cool_down(self, metric: Metric, today: Day) -> None:
        """A change that only repeats an open flag is not a new one."""
        on, size = self.flagged_on[metric.name], self.flagged_size[metric.name]
        flagged = (today.kind != NONE) & ~self.limits[metric.name].muted[today.rows]
        again: Bools = today.day - on[today.rows] <= self.settings.quiet_days
        now: Floats = np.abs(today.distance)
        flagged &= ~again | (now > self.settings.louder * size[today.rows])
        today.kind[~flagged] = NONE
        on[today.rows[flagged]], size[today.rows[flagged]] = today.day, now[flagged]

    def _collect(self, metric: Metric, today: Day) -> None:
        move: IndexMove | None = self.watch[metric.name].moving(today.day)
        if move:
            self.found.add_move(metric, move)
        recent = self.watch[metric.name].moving(today.day, within=7)
        self.found.add_day(metric, today, recent)
