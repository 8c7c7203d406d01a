"""The day for the Dagster UI: its flags as a Markdown table, and as one small picture.

The same facts and the same order as the page's. The caller encodes the picture and attaches both.
"""

import datetime as dt
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from backlinks_assets.report.articles import size
from backlinks_assets.report.charts import STYLE, broken_where_it_jumps, room_around, show_days, show_numbers
from backlinks_assets.report.facts import Change, read_facts
from backlinks_assets.report.histories import Histories, History
from backlinks_assets.report.sentence import day_sentence
from backlinks_assets.report.words import markdown_name, markdown_text, metric_name, number, visible

ROWS_MAX: Final = 50
PICTURES_MAX: Final = 6
DPI: Final = 144
NAME_CHARACTERS: Final = 34

_INK, _SOFT, _RULE, _LINE, _BAND = "#1d1f23", "#5a5f68", "#e4e2dd", "#2a5f9e", "#dbe6f2"
_MARKS: Final = {"critical": "#b3261e", "warning": "#8a5200", "index": "#5a4a94"}


def markdown(root: Path, date: dt.date, *, simulated: bool = False) -> str:
    """Return the day's sentence and its flags as a Markdown table, worst first; names come out as text.

    Raises:
        TablesError: a parquet file can't be read; the message names it.
    """
    facts = read_facts(root, date, simulated=simulated)
    lines = [markdown_text(day_sentence(facts))]
    if simulated:
        lines += ["", "*Simulated numbers: no real target is meant.*"]
    if facts.flags:
        lines += ["", flags_markdown(facts.flags)]
    return "\n".join(lines) + "\n"


def flags_markdown(flags: Sequence[Change]) -> str:
    """Return flags as a Markdown table, at most 50 rows and how many more there are."""
    lines = ["| severity | target | what | change | why |", "| --- | --- | --- | --- | --- |"]
    for flag in flags[:ROWS_MAX]:
        target = "all targets" if flag.is_index_move else markdown_name(flag.target)
        cells = (flag.severity or "", flag.metric.replace("_", " "), size(flag), flag.reason or "")
        severity, what, change, why = (markdown_text(cell) for cell in cells)
        lines.append(f"| {severity} | {target} | {what} | {change} | {why} |")
    if len(flags) > ROWS_MAX:
        lines += ["", f"… and {len(flags) - ROWS_MAX:,} more in backlinks\\_flags."]
    return "\n".join(lines)


def overview_png(root: Path, date: dt.date) -> bytes:
    """Return a PNG of the day's six worst flags with their last 60 days, on white, 1440 pixels wide at most.

    Raises:
        TablesError: a parquet file can't be read; the message names it.
    """
    facts = read_facts(root, date, simulated=False)
    shown = facts.flags[:PICTURES_MAX]
    histories = Histories(root, date, shown)
    with mpl.rc_context(STYLE):
        if not shown:
            figure = Figure(figsize=(10, 0.6), dpi=72)
            figure.text(0.01, 0.5, f"No flag on {date}.", va="center", color=_SOFT)
        else:
            columns = min(3, len(shown))
            rows = -(-len(shown) // columns)
            figure = Figure(figsize=(10 if columns > 1 else 5, 1.95 * rows), dpi=72, layout="constrained")
            panels = figure.subplots(rows, columns, squeeze=False).flat
            for axes, flag in zip(panels, shown, strict=False):
                _panel(axes, flag, histories.of(flag))
            for axes in list(panels)[len(shown) :]:
                axes.set_axis_off()
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def _panel(axes: Axes, flag: Change, history: History) -> None:
    days = np.arange(len(history.days))
    colour = _MARKS["index" if flag.is_index_move else (flag.severity or "warning")]
    if np.isfinite(history.low).any():
        axes.fill_between(*broken_where_it_jumps(days, history.low, history.high), color=_BAND, linewidth=0)
    if flag.is_index_move:
        axes.vlines(days, 0, np.nan_to_num(history.values), color=colour, linewidth=2)
    else:
        axes.plot(days, history.values, color=_LINE, linewidth=1.4)
        axes.scatter(days[-1:], history.values[-1:], s=30, color=colour, zorder=5, clip_on=False)
    unit = "%" if flag.is_index_move else ""
    room_around(axes, history, from_zero=flag.is_index_move)
    show_days(axes, history.days, every=28)
    show_numbers(axes, unit)
    axes.tick_params(labelsize=8, labelcolor=_SOFT)
    axes.spines[:].set_visible(False)
    axes.grid(axis="y", color=_RULE)
    axes.set_axisbelow(True)
    name = "All targets" if flag.is_index_move else _name(flag.target)
    axes.set_title(name, loc="left", fontsize=9.5, fontweight="bold", color=_INK, pad=17)
    said = f"{'index move' if flag.is_index_move else flag.severity} · {metric_name(flag.metric).lower()} "
    said += size(flag) if flag.is_index_move else f"{number(flag.baseline)} → {number(flag.value)}"
    axes.text(0, 1.05, said, transform=axes.transAxes, fontsize=8.5, color=colour)


def _name(target: str) -> str:
    """A target's name for the picture: short, and in ASCII, since the picture's font has not every script."""
    name = visible(target).encode("ascii", "backslashreplace").decode()
    return name if len(name) <= NAME_CHARACTERS else f"{name[: NAME_CHARACTERS - 1]}…"
