"""The chart of one series over a target's whole history: the line, the usual range, the flags on it, the days left out.

Scales and ticks are those of `charts.py`. A year takes well under a millisecond, since a page has eight of them.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from backlinks_assets.formatting import MONTHS, counted, long_day, number, short_day
from backlinks_assets.report.charts import LEFT, Chart, Scale, room, round_numbers, short
from backlinks_assets.report.series import Floats
from backlinks_assets.report.target_state import TargetFlag

WIDTH, HEIGHT, RIGHT = 560, 180, 16
MAX_JOINED_DAYS: Final = 8
"""Readings so near to each other are joined by the line: a target may be read once a week."""

MAX_TICKS: Final = 8
SHORT_DAYS: Final = 70


def long_chart(
    first: dt.date,
    values: Floats,
    *,
    key: str,
    name: str,
    target: str,
    usual: tuple[Floats, Floats] | None = None,
    flags: Sequence[TargetFlag] = (),
    outs: Sequence[tuple[dt.date, dt.date]] = (),
) -> Chart:
    """Return the chart of a series, a value a day from `first`, NaN where there is none.

    `flags` are the series' own; `outs` are spans of days that are left out of baselines and flags.
    """
    count, at = len(values), np.flatnonzero(np.isfinite(values))
    read = values[at]
    low, high = _clipped(usual, read)
    scale = Scale(count, *room([*read.tolist(), *low.tolist(), *high.tolist()], fell=False), WIDTH - RIGHT, HEIGHT)
    last = first + dt.timedelta(days=count - 1)
    return Chart(
        key, f"{name} of {target}, {long_day(first)} to {long_day(last)}", _described(first, at, read, flags), WIDTH, HEIGHT,
        (LEFT, scale.right),
        numbers=[(scale.y(tick), short(tick)) for tick in round_numbers(scale, 4)],
        days=_ticks(first, count, scale),
        band=_band(low, high, scale),
        line=_line(at, read, scale),
        dots=_alone(at, read, scale),
        marks=[mark for flag in reversed(flags) if (mark := _mark(flag, first, values, scale))],
        outs=[out for begin, end in outs if (out := _out(begin, end, first, last, scale))],
    )  # fmt: skip


def _clipped(usual: tuple[Floats, Floats] | None, read: Floats) -> tuple[Floats, Floats]:
    """Return the usual range cut to twice the room of the readings, or it would leave the line no height."""
    if usual is None:
        return np.empty(0), np.empty(0)
    ends = (read.min(), read.max()) if len(read) else (0.0, 1.0)
    span = ends[1] - ends[0] or 1.0
    return usual[0].clip(ends[0] - span, ends[1] + span), usual[1].clip(ends[0] - span, ends[1] + span)


def _line(at: np.ndarray, read: Floats, scale: Scale) -> str:
    if len(at) < 2:  # most pages of a first day
        return ""
    x, y = scale.xs(at), scale.ys(read)
    cuts = np.flatnonzero(np.diff(at) > MAX_JOINED_DAYS) + 1
    parts = zip(np.split(x, cuts), np.split(y, cuts), strict=True)
    return "".join(f"M{_pairs(rights, downs)}" for rights, downs in parts if len(rights) > 1)


def _pairs(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> str:
    """Return points as a path has them. A list's own text is made in a tenth of the time of formatting number by number."""
    return str(np.column_stack((x, y)).ravel().tolist())[1:-1].replace(",", "")


def _band(low: Floats, high: Floats, scale: Scale) -> str:
    """Return the path around the range, a step a day: a slope would show a range between two days that was never known."""
    known = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
    if not len(known):
        return ""
    path = ""
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        x = scale.xs(np.repeat(run, 2) + np.tile([-0.5, 0.5], len(run)))
        upper, lower = scale.ys(np.repeat(high[run], 2)), scale.ys(np.repeat(low[run], 2))
        corners = np.rint(np.concatenate((x, x[::-1]))), np.rint(np.concatenate((upper, lower[::-1])))
        path += f"M{_pairs(*(ends.astype(int) for ends in corners))}z"
    return path


def _alone(at: np.ndarray, read: Floats, scale: Scale) -> list[tuple[float, float]]:
    gaps = np.diff(at, prepend=-np.inf, append=np.inf) > MAX_JOINED_DAYS
    alone = np.flatnonzero(gaps[:-1] & gaps[1:])
    return list(zip(scale.xs(at[alone]).tolist(), scale.ys(read[alone]).tolist(), strict=True))


def _mark(flag: TargetFlag, first: dt.date, values: Floats, scale: Scale) -> tuple[float, float, str, str] | None:
    day = (flag.date - first).days
    if not 0 <= day < len(values):
        return None
    value = values[day] if np.isfinite(values[day]) else flag.value
    if value is None:
        return None
    text = f"{flag.mark_name}, {long_day(flag.date)}: {number(float(value))}"
    return scale.x(day), scale.y(min(max(float(value), scale.low), scale.high)), flag.severity, text


def _out(begin: dt.date, end: dt.date, first: dt.date, last: dt.date, scale: Scale) -> tuple[float, float] | None:
    begin, end = max(begin, first), min(end, last)
    if begin > end:
        return None
    left, right = scale.x((begin - first).days - 0.5), scale.x((end - first).days + 0.5)
    return left, round(max(right - left, 2.0), 1)


def _ticks(first: dt.date, count: int, scale: Scale) -> list[tuple[float, str]]:
    """Return the beginnings of months, or of a short history its last day and every fourteenth before it."""
    if count <= SHORT_DAYS:
        days = range(count - 1, -1, -14)
        return [(scale.x(day), short_day(first + dt.timedelta(days=day))) for day in days]
    months = [(first.year + (first.month + more) // 12, (first.month + more) % 12) for more in range(count // 28 + 2)]
    step = -(-(count // 30 + 1) // MAX_TICKS)
    found = []
    for year, month in months[::step]:
        day = (dt.date(year, month + 1, 1) - first).days
        if 0 <= day < count:
            found.append((scale.x(day), f"{MONTHS[month][:3]} {year % 100:02}"))
    return found


def _described(first: dt.date, at: np.ndarray, read: Floats, flags: Sequence[TargetFlag]) -> str:
    """Return in words what the chart shows."""
    if not len(at):
        return "No reading is stored."
    begin, end = (long_day(first + dt.timedelta(days=int(day))) for day in (at[0], at[-1]))
    return (
        f"{counted(len(at), 'reading')}, from {number(float(read[0]))} on {begin} to {number(float(read[-1]))} on {end}. "
        f"Lowest {number(float(read.min()))}, highest {number(float(read.max()))}. {counted(len(flags), 'flag')}."
    )
