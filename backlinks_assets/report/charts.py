"""The pictures of the pages, drawn by matplotlib as SVG: a flag's history, and the flags of many days.

What is drawn comes ready (`histories.py`); how matplotlib's SVG becomes part of a page is `svg.py`. Colours are the
page's: every drawn thing is named here and coloured by the style sheet, so that light, dark and print are one picture.
"""

import datetime as dt
import io
from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from backlinks_assets.report.histories import Floats, History
from backlinks_assets.report.svg import inline_svg
from backlinks_assets.report.words import number, short_day

WIDTH, HEIGHT = 400, 196
"""Units of the drawing, 1/72 inch: small, so that its text is still read where the page is 360 px wide."""

FONT_SIZE: Final = 12.0
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 22, 24
TICK_DAYS: Final = 14

STYLE: Final[Any] = {
    "svg.fonttype": "none",  # text stays text: searched, read aloud, in the page's font
    "path.simplify": False,
    "text.parse_math": False,  # a dollar sign is a dollar sign
    "axes.unicode_minus": True,
    "font.size": FONT_SIZE,
    "font.family": "DejaVu Sans",  # comes with matplotlib: measured alike everywhere
}


def history_svg(history: History, *, title: str, description: str, key: str, unit: str = "") -> str:
    """Return a flag's chart as an `<svg>` for a page: line, usual range where known, the flagged reading marked.

    `key` makes the chart's ids unique in its page; `title` and `description` are what a screen reader says.
    """
    days = np.arange(len(history.days))
    figure, axes = _figure()
    axes.set_xlim(-0.5, len(days) - 0.5)
    if np.isfinite(history.low).any():
        axes.fill_between(*broken_where_it_jumps(days, history.low, history.high), gid="band", linewidth=0)
    if unit == "%":  # a share of targets, on its own each day
        shares = np.nan_to_num(history.values)
        axes.vlines(days[:-1], 0, shares[:-1], gid="bars", clip_on=False)
        axes.vlines(days[-1:], 0, shares[-1:], gid="flagged-bar", clip_on=False)
    else:
        axes.plot(days, history.values, gid="line", clip_on=False)
        alone = days[_alone(history.values)]
        if len(alone):
            axes.scatter(alone, history.values[alone], s=9, gid="dots", clip_on=False, linewidths=0)
    room_around(axes, history, from_zero=unit == "%")
    _mark(axes, history.values, unit)
    show_days(axes, history.days)
    show_numbers(axes, unit)
    return inline_svg(_drawn(figure), title=title, description=description, key=key)


def flags_svg(days: Sequence[dt.date], critical: Floats, warning: Floats, *, title: str, description: str) -> str:
    """Return the flags a day as columns, the critical ones at the foot, as an `<svg>` for a page."""
    at = np.arange(len(days))
    figure, axes = _figure(width=720, height=130)
    axes.set_xlim(-0.6, len(at) - 0.4)
    axes.set_ylim(0, max(4.0, float((critical + warning).max()) * 1.1))
    axes.vlines(at[critical > 0], 0, critical[critical > 0], gid="critical-bars", clip_on=False)
    both = warning > 0
    axes.vlines(at[both], critical[both], (critical + warning)[both], gid="warning-bars", clip_on=False)
    show_days(axes, days)
    show_numbers(axes, "", steps=2)
    return inline_svg(_drawn(figure), title=title, description=description, key="days")


def _figure(width: int = WIDTH, height: int = HEIGHT) -> tuple[Figure, Axes]:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        box = (LEFT / width, BOTTOM / height, 1 - (LEFT + RIGHT) / width, 1 - (TOP + BOTTOM) / height)
        axes = figure.add_axes(box)
    figure.patch.set_visible(False)
    axes.patch.set_visible(False)
    axes.spines[:].set_visible(False)
    axes.grid(axis="y", gid="grid")
    axes.set_axisbelow(True)
    return figure, axes


def _drawn(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _alone(values: Floats) -> Any:
    """Where a reading has none beside it, so that no line would show it."""
    known = np.isfinite(values)
    before, after = np.r_[False, known[:-1]], np.r_[known[1:], False]
    return known & ~before & ~after


def broken_where_it_jumps(days: Any, low: Floats, high: Floats) -> tuple[Any, Floats, Floats]:
    """The range with a gap wherever two days' ranges have nothing in common: no sliver is drawn between them."""
    with np.errstate(invalid="ignore"):
        jumps = np.flatnonzero((low[1:] > high[:-1]) | (high[1:] < low[:-1])) + 1
    at = np.insert(days.astype(float), jumps, jumps - 0.5)
    return at, np.insert(low, jumps, np.nan), np.insert(high, jumps, np.nan)


def room_around(axes: Axes, history: History, *, from_zero: bool) -> None:
    """A band of a few points or links must not fill the picture; nothing watched is below zero."""
    drawn = np.concatenate([history.values, history.low, history.high])
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        axes.set_ylim(0, 1)
        return
    low, high = float(drawn.min()), float(drawn.max())
    if from_zero:
        high = max(high, 10.0)  # percent: the one target in a hundred that always moves is no mountain
    pad = max(0.08 * (high - low), 0.02 * abs(high), 0.5)
    # A reading that fell has its number below it, which takes a tenth of the height.
    below = 2.2 * pad if _fell(history.values) else pad
    axes.set_ylim(0 if from_zero else max(0.0, low - below), high + pad)


def _fell(values: Floats) -> bool:
    known = values[np.isfinite(values)]
    return len(known) > 1 and bool(known[-1] < known[-2])


def _mark(axes: Axes, values: Floats, unit: str) -> None:
    day, value = len(values) - 1, float(values[-1])
    if not np.isfinite(value):
        return
    if unit != "%":
        axes.scatter([day], [value], s=46, gid="flagged", clip_on=False, zorder=5, linewidths=0)
    above = unit == "%" or not _fell(values)
    axes.annotate(
        f"{number(value)}{unit and ' ' + unit}", (day, value), xytext=(3, 8 if above else -8),
        textcoords="offset points", ha="right", va="bottom" if above else "top", gid="flagged-value",
    )  # fmt: skip


def show_days(axes: Axes, days: Sequence[dt.date], every: int = TICK_DAYS) -> None:
    """Write days below an axis of day numbers: the last one, and each so many days before it."""
    at = list(range(len(days) - 1, -1, -every))
    axes.set_xticks(at, [short_day(days[i]) for i in at], fontsize=FONT_SIZE, gid="label")
    axes.tick_params(axis="x", bottom=False, pad=5)
    for label, i in zip(axes.get_xticklabels(), at, strict=True):
        # The last label ends under its day: centred, it would be cut.
        label.set_horizontalalignment("right" if i == len(days) - 1 else "center" if i > 3 else "left")


def show_numbers(axes: Axes, unit: str, steps: int = 4) -> None:
    """Write a few round numbers beside an axis."""
    axes.yaxis.set_major_locator(MaxNLocator(nbins=steps, integer=True, min_n_ticks=2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value) + (unit and f" {unit}")))
    axes.tick_params(axis="y", left=False, pad=5, labelsize=FONT_SIZE)


def _short(value: float) -> str:
    """Return a number for an axis: `12k`, `1.25M`."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(size, 10_000):
            return f"{value / size:.4g}{letter}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
