"""The two rules that say a reading is sharp, each over all targets of a day at once.

A rule first asks what is cheap (is the change large enough?), and only then what is usual for the targets that remain.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backlinks_assets.detection.matrices import Bools, Floats, Ints
from backlinks_assets.detection.series import Series, median, quantiles, same_sign, usual_swing
from backlinks_assets.detection.settings import DetectionSettings

LOSS_DAYS = (1, 2, 3, 5, 7)
DRIFT_DAYS_MAX = 7
PRIOR_LOG, PRIOR_POINTS = 0.012, 0.5  # the usual swing before a target has shown its own
FLOOR_LOG, FLOOR_POINTS = 0.004, 0.5  # counts are whole: a swing smaller than this is a series that stood still
NEED_ROOTS, NEED_SHARE_MIN, NEED_SHARE_MAX = 15.0, 0.03, 0.15
NONE, STEP, LOSS = range(3)
KINDS: tuple[str | None, ...] = (None, "step", "confirmed_loss")


@dataclass(frozen=True)
class Limits:
    """The smallest changes that are flagged, a value a target."""

    spam_points: Floats
    links_min: Floats
    percent: Floats  # NaN: the sliding default
    live_percent: Floats
    lost_swings: Floats
    spam_swings: Floats
    muted: Bools

    @classmethod
    def of(
        cls, targets: list[str], settings: DetectionSettings, own: Mapping[str, Mapping[str, float | bool]]
    ) -> "Limits":
        """The settings for all, a target's own thresholds in their place where it has any."""

        def column(name: str, default: float | None) -> Floats:
            fallback = np.nan if default is None else default
            return np.array([own[t].get(name, fallback) if t in own else fallback for t in targets], dtype=np.float64)

        return cls(
            spam_points=column("spam_points", settings.spam_points),
            links_min=column("lost_links_min", settings.lost_links_min),
            percent=column("lost_percent", settings.lost_percent),
            live_percent=column("live_percent", settings.live_percent),
            lost_swings=column("usual_swings", settings.lost_swings),
            spam_swings=column("usual_swings", settings.spam_swings),
            muted=column("mute_flags", 0.0) > 0,
        )


@dataclass
class Day:
    """One metric's day: for each target read today, what it is compared to and what was found. Arrays of one length."""

    series: Series
    day: int
    rows: Ints
    gap: Ints  # days since the last reading
    readings: Ints  # earlier readings
    value: Floats
    baseline: Floats  # the median of the last week's readings, in today's units
    drift: Floats  # a day, in level units
    last_change: Floats  # level units
    swing: Floats  # distance to the baseline, level units
    caution: Floats
    floor: Floats
    score: Floats
    kind: Ints
    over_days: Ints


def open_day(series: Series, day: int, settings: DetectionSettings) -> Day:
    """Today's readings beside their baselines; nothing is judged yet."""
    rows = series.compared(day)
    gap, readings = day - series.last[rows], series.readings[rows]
    drift = np.nan_to_num(median(series.change[rows, max(0, day - settings.usual_days) : day]))
    drift = drift * readings / (readings + 10)
    base = median(series.last_week(rows))
    value, level = series.raw[rows, day], series.level[rows, day]
    last_change = level - series.level[rows, series.last[rows]] - drift * np.minimum(gap, DRIFT_DAYS_MAX)
    swing = level - base - drift * np.minimum(gap + 2, DRIFT_DAYS_MAX)
    floor = np.maximum(FLOOR_LOG, 0.3 / np.sqrt(value + 10)) if series.log else np.full(len(rows), FLOOR_POINTS)
    return Day(
        series, day, rows, gap, readings, value, series.in_todays_units(base, rows, day), drift, last_change, swing,
        1 + settings.caution / readings, floor, np.full(len(rows), np.nan),
        np.zeros(len(rows), dtype=np.int64), np.zeros(len(rows), dtype=np.int64),
    )  # fmt: skip


def need(today: Day, limits: Limits) -> Floats:
    """The smallest change from the baseline that is worth a flag, links or points.

    For links the larger of the least number and a share of the baseline: what comes and goes is whole domains, so the noise
    of a sum grows with its root, and the share falls from 15 % at 10,000 links to 3 % at 250,000. Or the target's own share.
    """
    if not today.series.log:
        least = limits.spam_points[today.rows]
    else:
        base = np.maximum(today.baseline, 1.0)
        share = np.clip(NEED_ROOTS / np.sqrt(base), NEED_SHARE_MIN, NEED_SHARE_MAX)
        own = limits.percent[today.rows] / 100
        least = np.maximum(limits.links_min[today.rows], np.where(np.isnan(own), share, own) * base)
    return np.where(today.readings < 7, least * today.caution, least)


def judge_steps(today: Day, limits: Limits, settings: DetectionSettings, *, score_all: bool) -> None:
    """STEP: far from the last week's median, and today's own change is a sharp one in that direction."""
    change = today.value - today.baseline
    large = np.abs(change) >= need(today, limits)
    enough = today.readings >= settings.readings_min
    wanted = np.flatnonzero((large | score_all) & (today.readings >= 2))
    if not len(wanted):
        return
    log, series, past = today.series.log, today.series, slice(max(0, today.day - settings.usual_days), today.day)
    rows, gap, prior = today.rows[wanted], today.gap[wanted], PRIOR_LOG if log else PRIOR_POINTS
    usual = usual_swing(series.swing[rows, past], prior, today.floor[wanted], tail=log)
    today.score[wanted] = today.swing[wanted] / (usual * np.sqrt(np.minimum(1 + (gap - 1) / 3, 4)))
    if not settings.step_rule:
        return
    near = np.flatnonzero(large & enough)
    usual_change = usual_swing(series.change[today.rows[near], past], prior, today.floor[near], tail=True)
    last_step = today.last_change[near] / (usual_change * np.sqrt(np.minimum(today.gap[near], 9)))
    swings = (limits.lost_swings if log else limits.spam_swings)[today.rows[near]]
    sharp = (
        (np.abs(today.score[near]) > swings * today.caution[near])
        & same_sign(today.last_change[near], today.swing[near])
        & (np.abs(last_step) > settings.last_step_swings * np.sqrt(today.caution[near]))
    )
    today.kind[near[sharp]], today.over_days[near[sharp]] = STEP, 1


def judge_losses(today: Day, live: Series, limits: Limits, settings: DetectionSettings, *, live_moved: bool) -> None:
    """CONFIRMED LOSS: lost backlinks rose and live backlinks fell by the same links, more than they usually do.

    When a linking page or domain goes, its links leave the live ones and join the lost ones. A batch the vendor prunes
    from the lost ones, links that expire there, and a refresh of the lost ones alone leave the live ones as they were.
    """
    if live_moved:
        return  # on the days of a refresh that moves live backlinks too, they confirm nothing
    series, day = today.series, today.day
    lost_now, live_now = (s.in_todays_units(s.level[today.rows, day], today.rows, day) for s in (series, live))
    for days in LOSS_DAYS:
        start = max(0, day - settings.loss_days - days)
        if day - start <= days:
            break
        lost_then, here = (s.in_todays_units(s.level[today.rows, day - days], today.rows, day) for s in (series, live))
        moved = _confirmed(lost_then, lost_now, here, live_now)
        least = np.maximum(limits.links_min[today.rows], limits.live_percent[today.rows] / 100 * here)
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
        sharp = (known > 0) & (moved[near] >= settings.confirmed_loss_ratio * np.nan_to_num(usual))
        hit = near[sharp]
        today.kind[hit], today.over_days[hit] = LOSS, days
        today.baseline[hit] = lost_then[hit]


def _confirmed(lost_before: Floats, lost: Floats, live_before: Floats, live: Floats) -> Floats:
    """Links that joined the lost ones and left the live ones: the smaller of the two."""
    return np.minimum(lost - lost_before, live_before - live)
