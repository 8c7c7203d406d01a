"""The two rules that say a reading is sharp, each over all targets of a day at once.

A rule first tests what is cheap (is the change large enough?), and only then what is usual for the targets that remain.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from backlinks_assets.detection.index_moves import confirmed_losses
from backlinks_assets.detection.matrices import Bools, Floats, Ints
from backlinks_assets.detection.metrics import Metric
from backlinks_assets.detection.series import Series, median, quantiles, robust_scale
from backlinks_assets.detection.settings import DetectionSettings, OwnThresholds

LOSS_READINGS = (1, 2, 3, 5, 7)
LOSS_DAYS_MAX = 7  # that several readings may span: seven of a weekly watch are no week
HALF, HALVED_LINKS_MIN = 0.5, 20.0
DRIFT_DAYS_MAX = 7
NEED_ROOTS, NEED_SHARE_MIN, NEED_SHARE_MAX = 15.0, 0.03, 0.15
NONE, STEP, LOSS = range(3)
KINDS: tuple[str | None, ...] = (None, "step", "confirmed_loss")


@dataclass(frozen=True)
class Limits:
    """One metric's thresholds, a value a target."""

    smallest: Floats  # change that is flagged, links or points
    percent: Floats  # of the baseline; NaN: the sliding default
    live_percent: Floats
    robust_z: Floats
    muted: Bools

    @classmethod
    def of(cls, metric: Metric, targets: list[str], settings: DetectionSettings, own: OwnThresholds) -> "Limits":
        """The settings for all, a target's own thresholds in their place where it has any."""

        def column(threshold: str, setting: str | None) -> Floats:
            default = None if setting is None else getattr(settings, setting)
            default = np.nan if default is None else default
            return np.array([own.get(target, {}).get(threshold, default) for target in targets], np.float64)

        return cls(
            smallest=column(metric.smallest, metric.smallest),
            percent=column(metric.percent or "", metric.percent),
            live_percent=column("live_percent", "live_percent"),
            robust_z=column("usual_swings", metric.robust_z),
            muted=column("mute_flags", None) > 0,
        )


@dataclass
class Day:
    """One metric's day: for each target read today, what it is compared to and what was found. Arrays of one length.

    `low` and `high` are the usual range, a reading between them is not unusual; NaN as `score` where it is not known.
    """

    series: Series
    day: int
    rows: Ints
    gap: Floats  # usual intervals since the last reading
    readings: Ints  # earlier readings
    value: Floats
    baseline: Floats  # the median of the last week's readings, in today's units
    drift: Floats  # a day, in level units
    last_change: Floats  # level units
    distance: Floats  # from the baseline and its drift, level units
    young: Floats  # how many times the limits are as high, the history being short or back-filled
    widened: Floats  # how many times for its being back-filled alone
    floor: Floats
    score: Floats  # robust z
    low: Floats
    high: Floats
    kind: Ints
    over_days: Ints  # reading days
    halved: Bools

    def only(self, at: Bools) -> "Day":
        """Return the same day of some of its rows."""
        arrays = [each.name for each in fields(self) if each.name not in ("series", "day")]
        return replace(self, **{name: getattr(self, name)[at] for name in arrays})


def open_day(series: Series, day: int, settings: DetectionSettings) -> Day:
    """Today's readings beside their baselines; no rule is applied yet."""
    rows = series.compared(day)
    gap, readings = series.gap(rows, day), series.readings[rows]
    drift = np.nan_to_num(median(series.change.before(rows, day, settings.usual_days)))
    drift = drift * readings / (readings + 10)
    base = median(series.last_week(rows))
    value, level = series.raw[rows, day], series.level[rows, day]
    last_change = level - series.level[rows, series.last[rows]] - drift * np.minimum(gap, DRIFT_DAYS_MAX)
    distance = level - base - drift * np.minimum(gap + 2, DRIFT_DAYS_MAX)
    widened = np.where(series.is_new(rows, day), settings.backfill_caution, 1.0)
    floor, blank = np.full(len(rows), series.scale.floor), np.full(len(rows), np.nan)
    if series.scale.log:
        floor = np.maximum(floor, 0.3 / np.sqrt(value + 10))
    return Day(
        series, day, rows, gap, readings, value, series.in_todays_units(base, rows, day), drift, last_change, distance,
        np.maximum(1 + settings.caution / readings, widened), widened, floor, blank, blank.copy(), blank.copy(),
        np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.bool_),
    )  # fmt: skip


def need(today: Day, limits: Limits) -> Floats:
    """The smallest change from the baseline that is worth a flag, links or points.

    For links the larger of the least number and a share of the baseline: what comes and goes is whole domains, so the noise
    of a sum grows with its root, and the share falls from 15 % at 10,000 links to 3 % at 250,000. Or the target's own share.
    """
    least = limits.smallest[today.rows]
    if today.series.scale.log:
        base = np.maximum(today.baseline, 1.0)
        share = np.clip(NEED_ROOTS / np.sqrt(base), NEED_SHARE_MIN, NEED_SHARE_MAX)
        own = limits.percent[today.rows] / 100
        least = np.maximum(least, np.where(np.isnan(own), share, own) * base)
    return np.where(today.readings < 7, least * today.young, least)


def detect_steps(today: Day, limits: Limits, settings: DetectionSettings, *, score_all: bool) -> None:
    """STEP: far from the last week's median, and today's own change is a sharp one in that direction."""
    change = today.value - today.baseline
    large = np.abs(change) >= need(today, limits)
    enough = today.readings >= settings.readings_min
    wanted = np.flatnonzero((large | score_all) & (today.readings >= 2))
    if not len(wanted):
        return
    series, scale, days = today.series, today.series.scale, settings.usual_days
    rows, gap = today.rows[wanted], today.gap[wanted]
    distances = series.distance.before(rows, today.day, days)
    usual = robust_scale(distances, scale.prior, today.floor[wanted], tail=scale.log)
    usual *= np.sqrt(np.minimum(1 + (gap - 1) / 3, 4))
    today.score[wanted] = today.distance[wanted] / usual
    needed_z = limits.robust_z[today.rows] * today.young
    _set_range(today, wanted, needed_z[wanted] * usual)
    if not settings.step_rule:
        return
    near = np.flatnonzero(large & enough)
    changes = series.change.before(today.rows[near], today.day, days)
    usual_change = robust_scale(changes, scale.prior, today.floor[near], tail=True)
    last_step = today.last_change[near] / (usual_change * np.sqrt(np.minimum(today.gap[near], 9)))
    sharp = (
        (np.abs(today.score[near]) > needed_z[near])
        & (np.sign(today.last_change[near]) == np.sign(today.distance[near]))
        & (np.abs(last_step) > settings.last_step_swings * np.sqrt(today.young[near]))
    )
    today.kind[near[sharp]], today.over_days[near[sharp]] = STEP, 1


def _set_range(today: Day, at: Ints, reach: Floats) -> None:
    """Set the usual range of some rows: the readings whose robust z would not have exceeded what a step needs.

    On the metric's scale it reaches, from where the baseline and its drift put today, robust scale × needed z × the factor
    of a gap either way; both ends are then put in the metric's unit, with the index moves back on.
    """
    series, rows = today.series, today.rows[at]
    middle = series.level[rows, today.day] - today.distance[at]
    today.low[at], today.high[at] = (
        np.clip(series.in_todays_units(end, rows, today.day), 0, series.scale.highest)
        for end in (middle - reach, middle + reach)
    )


def detect_halved(today: Day, live: Series, limits: Limits, settings: DetectionSettings) -> None:
    """CONFIRMED LOSS of half of the live links or more since the last reading, whatever is usual and whatever the index did."""
    there, gone = confirmed_losses(today.series, live, today.rows, today.day)
    share = np.maximum(HALF, limits.live_percent[today.rows] / 100)
    own = np.nan_to_num(limits.percent[today.rows] / 100) * today.baseline if settings.lost_percent is None else 0.0
    least = np.maximum(np.maximum(HALVED_LINKS_MIN, limits.smallest[today.rows]), np.maximum(own, share * there))
    today.halved = (today.readings >= settings.readings_min) & (np.nan_to_num(gone) >= np.nan_to_num(least, nan=np.inf))
    hit = np.flatnonzero(today.halved)
    then = np.minimum(today.series.last[today.rows[hit]], live.last[today.rows[hit]])
    today.kind[hit], today.over_days[hit] = LOSS, today.day - then
    today.baseline[hit] = today.low[hit] = today.series.raw[today.rows[hit], then]
    today.high[hit] = today.low[hit] + least[hit]


def detect_losses(today: Day, live: Series, limits: Limits, settings: DetectionSettings) -> None:
    """CONFIRMED LOSS: lost backlinks rose and live backlinks fell by the same links, more than they usually do.

    When a linking page or domain goes, its links leave the live ones and join the lost ones. A batch the vendor prunes
    from the lost ones, links that expire there, and a refresh of the lost ones alone leave the live ones as they were.
    It is looked for since the last reading, and over several readings within a week.
    """
    series, day = today.series, today.day
    lost_now, live_now = (s.in_todays_units(s.level[today.rows, day], today.rows, day) for s in (series, live))
    for days in LOSS_READINGS:
        start = max(0, day - settings.loss_days - days)
        if day - start <= days or (days > 1 and series.at[day] - series.at[day - days] > LOSS_DAYS_MAX):
            break
        lost_then, here = (s.in_todays_units(s.level[today.rows, day - days], today.rows, day) for s in (series, live))
        moved = _confirmed(lost_then, lost_now, here, live_now)
        least = np.maximum(limits.smallest[today.rows], limits.live_percent[today.rows] / 100 * here)
        own = limits.percent[today.rows] / 100
        least = np.maximum(least, np.where(np.isnan(own), 0.0, own) * today.baseline)
        near = np.flatnonzero((moved >= least) & (today.readings >= settings.readings_min) & (today.kind == NONE))
        if not len(near):
            continue
        rows = today.rows[near]
        gone, there = (s.in_todays_units(s.carried(rows, start, day - 1), rows, day) for s in (series, live))
        past = _confirmed(gone[:, :-days], gone[:, days:], there[:, :-days], there[:, days:])
        read = np.isfinite(series.level[rows, start + days : day])
        (usual,), known = quantiles(np.where(read, np.maximum(past, 0), np.nan), 0.95)
        usual_loss = settings.confirmed_loss_ratio * np.nan_to_num(usual) * today.widened[near]
        sharp = (known > 0) & (moved[near] >= usual_loss)
        hit = near[sharp]
        today.kind[hit], today.over_days[hit] = LOSS, days
        today.baseline[hit] = today.low[hit] = lost_then[hit]
        today.high[hit] = lost_then[hit] + usual_loss[sharp]


def _confirmed(lost_before: Floats, lost: Floats, live_before: Floats, live: Floats) -> Floats:
    """Links that joined the lost ones and left the live ones: the smaller of the two."""
    return np.minimum(lost - lost_before, live_before - live)
