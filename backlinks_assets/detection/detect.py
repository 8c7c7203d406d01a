"""Detection as one call: a history in, its changes and flags out. Days are replayed in order, all targets at once.

What is sharp is in `rules.py`, what the vendor's index did in `index_moves.py`; here they meet, with the cooldown of flags.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from backlinks_assets.detection.index_moves import VOTE_READINGS, IndexWatch, follow_index
from backlinks_assets.detection.matrices import Bools, Floats, History, Ints, as_matrices
from backlinks_assets.detection.metrics import LIVE, LOG, LOST_DATE, SERIES, Metric
from backlinks_assets.detection.output import Collected
from backlinks_assets.detection.rules import NONE, Day, Limits, detect_halved, detect_losses, detect_steps, open_day
from backlinks_assets.detection.series import Series
from backlinks_assets.detection.settings import DetectionSettings, OwnThresholds, check_thresholds
from backlinks_assets.detection.target_down import Downs
from backlinks_assets.detection.vendor_faults import Faults, Verdict, exclude, find_faults, rows_apart

MOVE_TOLD_DAYS = 7
"""So many days after a move of the index a flag's sentence says what was taken off."""


def detect(
    history: pd.DataFrame | History,
    settings: DetectionSettings = DetectionSettings(),  # noqa: B008  frozen
    thresholds: OwnThresholds | None = None,
    since: dt.date | None = None,
    on_day: Callable[[dt.date], None] | None = None,
    *,
    days: Sequence[dt.date] | None = None,
    verdicts: Sequence[Verdict] = (),
    apart: Sequence[Verdict] = (),
) -> pd.DataFrame:
    """A row per day from `since`, target and metric that was read, and rows of target `*` for what the vendor did.

    `history` has `date`, `target`, a column for each metric (`metrics.py`) and companion, of which only the `NEEDED` must
    be there, and where known `request_key` (a change of it starts the target's history anew); rows in any order, of
    several a day the latest counts, NULL is no reading. Rows that are `backfilled`, where there is such a column, say what is
    usual and are neither flagged nor returned. Days before `since` are replayed for what they say is usual.
    `on_day` is called with each day that has been replayed. `days` are those of the history, sorted, where it may lack
    rows of some; `verdicts` are spans of days of which a person says whether they count, in the order in which that was
    said. Matrices are taken as well (`matrices.py`); excluded readings are taken out of them. `apart` are spans of one target
    and metric whose readings are judged as ever and stay out of the baselines of later days.

    Columns: `date, target, metric, value, previous, previous_date, baseline, usual_low, usual_high, change, score,
    direction, kind, severity, reason`, sorted by the first three. Flags are the rows with a `severity`. For an index move
    `value` is how many targets moved, `change` their median move (percent on a log scale, points otherwise).

    Raises ValueError if a column is missing, a date can't be read, or a threshold is unknown or out of range.
    """
    own = {} if thresholds is None else thresholds
    for target, values in own.items():
        check_thresholds(target, values)
    past = history if isinstance(history, History) else as_matrices(history, days)
    faults = find_faults(past, verdicts)
    exclude(past, faults, verdicts)
    replay = _Replay(past, settings, own, faults, rows_apart(past, apart))
    for day, date in enumerate(past.days):
        replay.play(day, wanted=since is None or date >= since)
        if on_day is not None:
            on_day(date)
    return replay.found.as_frame()


class _Replay:
    """The state that one day hands to the next."""

    def __init__(
        self,
        past: History,
        settings: DetectionSettings,
        own: OwnThresholds,
        faults: Faults,
        apart: Mapping[tuple[str, int], Ints],
    ) -> None:
        self.past, self.settings, self.faults, self.apart = past, settings, faults, apart
        self.metrics = [metric for name, metric in SERIES.items() if name in past.values]
        looks_back = max(settings.usual_days, VOTE_READINGS)
        scales = {m.name: m.scale for m in self.metrics} | ({LIVE: LOG} if LIVE in past.values else {})
        self.series = {
            name: Series(
                past.values[name],
                past.at,
                scale,
                looks_back,
                flagged=name != LIVE,
                backfilled=past.backfilled.get(name),
                begins=past.begins if name in past.backfilled else None,
            )
            for name, scale in scales.items()
        }
        has_states = {LIVE, LOST_DATE} <= past.values.keys()
        self.downs = Downs(past.values[LIVE], past.values[LOST_DATE]) if has_states else None
        self.watch = {name: IndexWatch() for name in self.series}
        self.limits = {m.name: Limits.of(m, past.targets, settings, own) for m in self.metrics}
        targets = len(past.targets)
        self.flagged_on = {m.name: np.full(targets, -(10**6)) for m in self.metrics}
        self.flagged_size = {m.name: np.zeros(targets) for m in self.metrics}
        self.muted = next(iter(self.limits.values())).muted
        self.found = Collected(past, settings)

    def play(self, day: int, *, wanted: bool) -> None:
        self._restart_changed_requests(day)
        for name, series in self.series.items():
            live = self.series.get(SERIES[name].confirmed_by or "") if name in SERIES else None
            follow_index(series, self.watch[name], day, self.settings, live)
        for metric in self.metrics:
            today = open_day(self.series[metric.name], day, self.settings)
            self._detect(metric, today, score_all=wanted)
            self.series[metric.name].distance.record(today.rows, day, today.distance)
            if wanted:
                self._collect(metric, today)
        for name, series in self.series.items():
            series.learn(day, self.apart.get((name, day)))
        turns = self.downs.turns(day) if self.downs else []
        if wanted:
            for turn in turns:
                if not self.muted[turn.row]:
                    self.found.add_turn(day, turn)
            if day in self.faults.told:
                self.found.add_fault(self.faults.told[day])

    def _restart_changed_requests(self, day: int) -> None:
        changed = self.past.restarts.get(day)
        if changed is not None:
            for series in self.series.values():
                series.forget(changed, day)
            for flagged_on in self.flagged_on.values():
                flagged_on[changed] = -(10**6)
            if self.downs:
                self.downs.forget(changed)

    def _detect(self, metric: Metric, today: Day, *, score_all: bool) -> None:
        limits, confirming = self.limits[metric.name], metric.confirmed_by
        detect_steps(today, limits, self.settings, score_all=score_all)
        if confirming in self.series and self.settings.confirmed_loss_rule:
            detect_losses(today, self.series[confirming], limits, self.settings)
        if confirming in self.series and self.settings.halved_rule:
            detect_halved(today, self.series[confirming], limits, self.settings)
        self._cool_down(metric, today)

    def _cool_down(self, metric: Metric, today: Day) -> None:
        """A change that only repeats an open flag is not a new one."""
        on, size = self.flagged_on[metric.name], self.flagged_size[metric.name]
        flagged = (today.kind != NONE) & ~self.limits[metric.name].muted[today.rows]
        flagged &= today.series.owns(today.rows, today.day)
        at, before = self.past.at, on[today.rows]
        again: Bools = (before >= 0) & (at[today.day] - at[np.maximum(before, 0)] <= self.settings.quiet_days)
        now: Floats = np.abs(today.distance)
        flagged &= ~again | (now > self.settings.louder * size[today.rows]) | today.halved
        today.kind[~flagged] = NONE
        on[today.rows[flagged]], size[today.rows[flagged]] = today.day, now[flagged]

    def _collect(self, metric: Metric, today: Day) -> None:
        if move := self.watch[metric.name].move_of(today.day):
            self.found.add_move(metric, move)
        watch = self.watch[metric.name]
        is_recent = bool(watch.moves) and self.past.at[today.day] - self.past.at[watch.moves[-1].day] <= MOVE_TOLD_DAYS
        own = today if self.past.begins is None else today.only(today.series.owns(today.rows, today.day))
        self.found.add_day(metric, own, watch if is_recent else None)
