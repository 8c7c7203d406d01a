"""Where everything of a chart stands: scales, ticks and paths of a flag's history, and of the flags of many days.

What is drawn comes ready (`readings.py`); how it is drawn is `templates/chart.html.j2` and its colours `chart.css`. Points
are in units of the drawing.
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from backlinks_assets.formatting import number, short_day
from backlinks_assets.report.readings import Floats, History

WIDTH, HEIGHT = 400, 196
"""Small, so that the text is still read where the page is 360 px wide."""

WIDE_WIDTH, WIDE_HEIGHT = 720, 130
LEFT, RIGHT, TOP, BOTTOM = 48, 24, 22, 24
RIGHT_OF_COLUMNS: Final = 46
"""Room for the number beside the last column: above it, it would lie on the columns before."""

CHARACTER: Final = 5.2
"""Half the width of a digit of the flagged reading, where it is largest."""

DAYS_PER_TICK: Final = 14
STEPS: Final = (1, 2, 5, 10)

MIN_TOP_PERCENT: Final = 10.0
"""The least top of a scale of percent: one target in a hundred always moves, which must not look like a mountain."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Chart:
    """What the template draws. `key` makes its ids unique in a page; title and description are read aloud.

    `edges` are the ends of the plot, `numbers` (y, text) beside it, `days` (x, text) below it. `band`, `line` and those of
    `bars`, by class, are paths. `dots` are readings that have none beside them. `flagged` is the flagged reading, `value`
    its text with point and anchor. `marks` are flags of a long history: x, y, severity, text; `outs` (x, width) days left out.
    """

    key: str
    title: str
    description: str
    width: int
    height: int
    edges: tuple[int, int]
    numbers: Sequence[tuple[float, str]]
    days: Sequence[tuple[float, str]]
    band: str = ""
    line: str = ""
    dots: Points = ()
    bars: Mapping[str, str] = field(default_factory=dict)
    flagged: tuple[float, float] | None = None
    value: tuple[float, float, str, str] | None = None
    marks: Sequence[tuple[float, float, str, str]] = ()
    outs: Sequence[tuple[float, float]] = ()


def history_chart(history: History, *, key: str, title: str, description: str, height: int = HEIGHT) -> Chart:
    """Return a target's chart: its readings as a line, the usual range where known, the flagged reading marked."""
    values, read = history.values.tolist(), [value for _, value, _, _ in history.readings()] or [0.0]
    span = max(read) - min(read) or 1.0  # a range that reaches further is cut, or it would leave the line no height
    low, high = (edge.clip(min(read) - span, max(read) + span).tolist() for edge in (history.low, history.high))
    fell = _fell(values)
    scale = Scale(len(values), *room(values + low + high, fell=fell), WIDTH - RIGHT, height)
    points = [scale.point(*reading) for reading in enumerate(values)]
    known = [*zip([None, *points], points, [*points[1:], None], strict=False)]
    text, last, value = number(values[-1]), scale.point(len(values) - 1, values[-1]), None
    if last:  # above the reading, or below it if it fell: where the line does not come from
        x, y = min(last[0], WIDTH - CHARACTER * len(text)), last[1] + (18 if fell else -9)
        value = (round(x, 1), round(y, 1), text, "middle")
    return Chart(
        key, title, description, WIDTH, height, (LEFT, scale.right),
        numbers=[(scale.y(at), short(at)) for at in round_numbers(scale, 5)],
        days=_days(history.days, scale),
        band=_band(low, high, scale),
        line="".join(f"{'L' if before else 'M'}{at[0]:g} {at[1]:g}" for before, at, after in known if at and (before or after)),
        dots=[at for before, at, after in known if at and not before and not after],
        flagged=last,
        value=value,
    )  # fmt: skip


def shares_chart(history: History, *, key: str, title: str, description: str, height: int = HEIGHT) -> Chart:
    """Return an index move's chart: percent of targets, each day's on its own, as columns."""
    values = history.values.tolist()
    top = max([MIN_TOP_PERCENT, *filter(math.isfinite, values)])
    scale = Scale(len(values), 0.0, 1.08 * top, WIDTH - RIGHT_OF_COLUMNS, height)
    last = scale.point(len(values) - 1, values[-1])
    return Chart(
        key, title, description, WIDTH, height, (LEFT, scale.right),
        numbers=[(scale.y(at), f"{short(at)} %") for at in round_numbers(scale, 5)],
        days=_days(history.days, scale),
        bars={
            "before": scale.columns(values[:-1]),
            "today": scale.columns([math.nan] * (len(values) - 1) + values[-1:]),
        },
        value=last and (round(last[0] + 5, 1), round(last[1] + 4, 1), f"{number(values[-1])} %", "start"),
    )  # fmt: skip


def flags_chart(days: Sequence[dt.date], critical: Floats, warning: Floats, *, title: str, description: str) -> Chart:
    """Return the flags a day as columns, the critical ones at the foot and wider."""
    below, above = critical.tolist(), (critical + warning).tolist()
    scale = Scale(len(days), 0.0, max(4.0, *above) * 1.1, WIDE_WIDTH - RIGHT, WIDE_HEIGHT)
    return Chart(
        "days", title, description, WIDE_WIDTH, WIDE_HEIGHT, (LEFT, scale.right),
        numbers=[(scale.y(at), short(at)) for at in round_numbers(scale, 3)],
        days=_days(days, scale),
        bars={"critical": scale.columns(below), "warning": scale.columns(above, below)},
    )  # fmt: skip


class Scale:
    """Days and values as points; a day is in the middle of its share of the width."""

    def __init__(self, days: int, low: float, high: float, right: int, height: int) -> None:
        self.low, self.high, self.right = low, high, right
        self._day = (right - LEFT) / days
        self._bottom, self._unit = height - BOTTOM, (height - TOP - BOTTOM) / (high - low)

    def x(self, day: float) -> float:
        return round(LEFT + (day + 0.5) * self._day, 1)

    def y(self, value: float) -> float:
        return round(self._bottom - (value - self.low) * self._unit, 1)

    def xs(self, days: npt.NDArray[Any]) -> Floats:
        """Return many days at once."""
        return np.round(LEFT + (days + 0.5) * self._day, 1)

    def ys(self, values: Floats) -> Floats:
        """Return many values at once."""
        return np.round(self._bottom - (values - self.low) * self._unit, 1)

    def point(self, day: float, value: float) -> tuple[float, float] | None:
        return (self.x(day), self.y(value)) if math.isfinite(value) else None

    def columns(self, tops: Sequence[float], feet: Sequence[float] | None = None) -> str:
        """Return the path of columns from their feet, or from the bottom, without those of no height."""
        pairs = zip(feet or [self.low] * len(tops), tops, strict=True)
        return "".join(
            f"M{self.x(day):g} {self.y(foot):g}V{self.y(top):g}" for day, (foot, top) in enumerate(pairs) if top > foot
        )


def _band(low: Sequence[float], high: Sequence[float], scale: Scale) -> str:
    """Return the path of the range. It is interrupted where two days' ranges do not overlap, since no slope joins them."""
    path = ""
    run: list[tuple[int, float, float]] = []
    for day, (bottom, top) in enumerate(zip(low, high, strict=True)):
        known = math.isfinite(bottom) and math.isfinite(top)
        if run and not (known and bottom <= run[-1][2] and top >= run[-1][1]):
            path, run = path + _area(run, scale), []
        if known:
            run.append((day, bottom, top))
    return path + _area(run, scale)


def _area(run: Sequence[tuple[int, float, float]], scale: Scale) -> str:
    """Return the path around a range of some days, from the first's beginning to the last's end."""
    if not run:
        return ""
    (first, bottom, top), (last, last_bottom, last_top) = run[0], run[-1]
    lower = [(first - 0.5, bottom), *((day, value) for day, value, _ in run), (last + 0.5, last_bottom)]
    upper = [(first - 0.5, top), *((day, value) for day, _, value in run), (last + 0.5, last_top)]
    return "M" + "L".join(f"{scale.x(day):g} {scale.y(value):g}" for day, value in (*lower, *reversed(upper))) + "z"


def room(drawn: Sequence[float], *, fell: bool) -> tuple[float, float]:
    """Return the ends of a scale: a range of a few points or links must not fill it."""
    known = [value for value in drawn if math.isfinite(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    pad = max(0.08 * (high - low), 0.02 * abs(high), 0.5)
    # A reading that fell has its number below it, which takes a fifth of the height, also one that fell to nothing.
    return low - max(pad, 0.25 * (high + pad - low)) if fell else max(0.0, low - pad), high + pad


def _fell(values: Sequence[float]) -> bool:
    known = [value for value in values if math.isfinite(value)]
    return len(known) > 1 and known[-1] < known[-2]


def _days(days: Sequence[dt.date], scale: Scale) -> list[tuple[float, str]]:
    """Return the last day and every fourteenth before it."""
    return [(scale.x(day), short_day(days[day])) for day in range(len(days) - 1, -1, -DAYS_PER_TICK)]


def round_numbers(scale: Scale, most: int) -> list[int]:
    """Return the whole round numbers of a scale, with `most` steps between them at most."""
    least = max((scale.high - scale.low) / most, 1.0)
    size = 10 ** math.floor(math.log10(least))
    step = next(size * times for times in STEPS if size * times >= least)
    return list(range(math.ceil(scale.low / step) * step, math.floor(scale.high) + 1, step))


def short(value: float) -> str:
    """Return a number for an axis: `12k`, `1.25M`."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(size, 10_000):
            return f"{value / size:.4g}{letter}"
    return f"{value:,.0f}"
