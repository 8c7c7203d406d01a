"""The day for the Dagster UI: its flags as a Markdown table, and as one small picture.

The same facts and the same order as the page's. The caller encodes the picture and attaches both.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from backlinks_assets.formatting import markdown_name, markdown_text
from backlinks_assets.report.cards import anchor, moved, size
from backlinks_assets.report.charts import WIDTH, Chart, history_chart, shares_chart
from backlinks_assets.report.day_sentence import day_sentence
from backlinks_assets.report.readings import Histories, History
from backlinks_assets.report.summary import Change, DayReport
from backlinks_assets.report.templating import render

MAX_ROWS: Final = 50
MAX_PICTURES: Final = 6
CHART_HEIGHT, PANEL_HEIGHT = 150, 198
"""Lower than the page's: in the UI's window they stand one below the other."""

MAX_NAME_LENGTH: Final = 44


def markdown(report: DayReport) -> str:
    """Return the day's sentence and its flags as a Markdown table, worst first; names come out as text."""
    lines = [markdown_text(day_sentence(report))]
    if report.simulated:
        lines += ["", "*Simulated numbers: no real target is meant.*"]
    if report.flags:
        lines += ["", flags_markdown(report.flags, report.group_of if report.is_grouped else None)]
    return "\n".join(lines) + "\n"


def flags_markdown(flags: Sequence[Change], group_of: Callable[[str], str] | None = None) -> str:
    """Return flags as a Markdown table, at most 50 rows and how many more there are; with `group_of` each target's group."""
    of_group = ("group",) if group_of else ()
    names = ("severity", *of_group, "target", "what", "change", "why")
    lines = [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
    for flag in flags[:MAX_ROWS]:
        target = "all targets" if flag.is_vendors else markdown_name(flag.target)
        cells = (flag.severity or "", flag.title.lower(), size(flag), flag.reason or "")
        severity, what, change, why = (markdown_text(cell) for cell in cells)
        group = [markdown_text("" if flag.is_vendors else group_of(flag.target))] if group_of else []
        lines.append(f"| {' | '.join([severity, *group, target, what, change, why])} |")
    if len(flags) > MAX_ROWS:
        lines += ["", f"… and {len(flags) - MAX_ROWS:,} more in backlinks\\_flags."]
    return "\n".join(lines)


def overview_svg(root: Path, report: DayReport) -> str:
    """Return an SVG of the day's six worst flags with their last 60 days, on white.

    Raises:
        TablesError: a parquet file can't be read; the message names it.
    """
    shown = report.flags[:MAX_PICTURES]
    histories = Histories(root, report.date, shown)
    return render(
        "picture.svg.j2",
        panels=[_panel(flag, histories.of(flag)) for flag in shown],
        quiet=f"No flag on {report.date}.",
        width=WIDTH,
        height=PANEL_HEIGHT * len(shown) or 32,
    )


def _panel(flag: Change, history: History) -> dict[str, str | Chart]:
    is_move = flag.is_vendors and not flag.is_fault
    name = flag.subject
    draw = shares_chart if is_move else history_chart
    said = f"{flag.mark_name.lower()} · {flag.title.lower()} {size(flag) if is_move else moved(flag)}"
    return {
        "severity": flag.mark,
        "name": name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 1]}…",
        "said": said,
        "chart": draw(history, key=anchor(flag.target, flag.metric), title=name, description=said, height=CHART_HEIGHT),
    }
