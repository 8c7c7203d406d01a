"""What runs are called in the UI's list of runs.

Dagster has no names for runs: its list shows an id and, below it, the tags that are the project's own. The tag `run` is
the name, with a short key because the list cuts a long line. Words only; which partitions a run covers is
`partitions.py`.
"""

import datetime as dt
from typing import Final

from backlinks_assets.report.words import counted

RUN: Final = "run"
PUBLISHES_BY_ITSELF: Final = {RUN: "Publish new answers"}
"""Of the runs that automation starts; Dagster shows their day, or their days, beside it."""

OF_THIS_LOCATION: Final = {".dagster/repository": "__repository__@backlinks_assets"}
"""Dagster's own tag by which the pages of the jobs find their runs. It gives it to the runs that its daemon starts, and
not to those that a command executes in its own process."""


def collects(first: dt.date, last: dt.date, targets: int, part: int = 1, parts: int = 1) -> dict[str, str]:
    """Return the tag of a run that asks about targets: `Collect 2026-11-24 · 2,000 targets · part 3 of 8`.

    `targets` counts those of all parts; what is one part only says nothing of parts.
    """
    story = ["Collect " + _span(first, last), counted(targets, "target")]
    if parts > 1:
        story.append(f"part {part:,} of {parts:,}")
    return {RUN: " · ".join(story)}


def publishes(first: dt.date, last: dt.date) -> dict[str, str]:
    """Return the tag of a run that builds tables and flags: `Publish 2026-11-24`."""
    return {RUN: "Publish " + _span(first, last)}


def _span(first: dt.date, last: dt.date) -> str:
    return str(first) if first == last else f"{first} to {last}"
