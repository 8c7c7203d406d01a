"""A chart of a few lines of text for a terminal: columns of blocks, and a mark below where there is a flag."""

import datetime as dt
from collections.abc import Mapping
from typing import Final

from backlinks_assets.formatting import number

HEIGHT: Final = 5
BLOCKS: Final = " ▁▂▃▄▅▆▇█"
MARKS: Final = {"critical": "◆", "warning": "▲"}


def small_chart(
    values: Mapping[dt.date, float], marks: Mapping[dt.date, str], first: dt.date, last: dt.date, *, width: int
) -> str:
    """Return the chart of the days `first` to `last`, at most `width` characters wide; empty without a value.

    Where a column is several days it has the last one's value, and the severest mark.
    """
    if not values:
        return ""
    low, high = min(values.values()), max(values.values())
    room = max(high - low, 0.1 * high, 1.0)  # a quiet line must not look like mountains
    foot = max(0.0, (low + high - room) / 2)
    labels = [number(high), number(low)]
    margin = max(map(len, labels)) + 1
    days = (last - first).days + 1
    columns = max(1, min(days, width - margin))

    def column(day: dt.date) -> int:
        return (day - first).days * columns // days

    heights = [0] * columns
    for day, value in sorted(values.items()):
        heights[column(day)] = 1 + round((value - foot) / room * (8 * HEIGHT - 1))
    below = [" "] * columns
    for day, severity in sorted(marks.items()):
        at = column(day)
        below[at] = MARKS["critical"] if below[at] == MARKS["critical"] else MARKS.get(severity, MARKS["warning"])
    lines = []
    for level in reversed(range(HEIGHT)):
        label = labels[0] if level == HEIGHT - 1 else labels[1] if level == 0 else ""
        bars = "".join(BLOCKS[min(8, max(0, height - 8 * level))] for height in heights)
        lines.append(f"{label:>{margin - 1}} {bars}".rstrip())
    if any(mark != " " for mark in below):
        lines.append(" " * margin + "".join(below).rstrip())
    return "\n".join(lines)
