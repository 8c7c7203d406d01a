"""What runs are called in the UI's list of runs, and when a run was requested.

Dagster has no names for runs: its list shows an id and, below it, the tags that are the project's own. The tag `run` is
the name, with a short key because the list cuts a long line. Which partitions a run covers is `run_partitions.py`.
"""

import datetime as dt
from typing import Final

import dagster as dg

from backlinks_assets.formatting import counted

RUN: Final = "run"
PUBLISHES_BY_ITSELF: Final = {RUN: "Publish new answers"}
"""Of the runs that automation starts; Dagster shows their day, or their days, beside it."""

MAKES_UP_FOR: Final = "makes_up_for"
"""Of the runs that make up for a tick of the daily schedule: the tick's time."""

OF_THIS_LOCATION: Final = {".dagster/repository": "__repository__@backlinks_assets"}
"""Dagster's own tag by which the pages of the jobs find their runs. It gives it to the runs that its daemon starts, and
not to those that a command executes in its own process."""

MAX_RUNTIME_S: Final = 2 * 3600
"""A run of one day and 250 targets takes minutes, with waits for others an hour. After this Dagster's monitoring ends it."""
ENDED_IN_TIME: Final = {"dagster/max_runtime": str(MAX_RUNTIME_S)}
"""Of each run of one day, so that a host that died with it does not hold up the day: nothing else tells other hosts."""

_SCHEDULED_FOR: Final = ".dagster/scheduled_execution_time"
_REPEATS: Final = "dagster/parent_run_id"


def requested_at(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dt.datetime | None:
    """Return when a run was requested: by its schedule's tick, else when it was put into the queue.

    So neither a late daemon nor a long queue takes a day away. A run that repeats another has that one's tick in its tags,
    which is not its own.
    """
    record = instance.get_run_record_by_id(run.run_id)
    if record is None:
        return None
    queued = record.create_timestamp
    tick = None if _REPEATS in run.tags else run.tags.get(_SCHEDULED_FOR)
    return min(queued, dt.datetime.fromisoformat(tick)) if tick else queued


def collects(first: dt.date, last: dt.date, targets: int, part: int = 1, parts: int = 1) -> dict[str, str]:
    """Return the tag of a run that collects: `Collect 2026-11-24 · 2,000 targets · part 3 of 8`.

    `targets` counts those of all parts; what is one part only says nothing of parts.
    """
    story = ["Collect " + _span(first, last), counted(targets, "target")]
    if parts > 1:
        story.append(f"part {part:,} of {parts:,}")
    return {RUN: " · ".join(story)}


def collects_in_bulk(day: dt.date, targets: int) -> dict[str, str]:
    """Return the tag of a run that collects in bulk: `Collect 2026-11-24 in bulk · 2,000 targets`."""
    return {RUN: f"Collect {day} in bulk · {counted(targets, 'target')}"}


def publishes(first: dt.date, last: dt.date) -> dict[str, str]:
    """Return the tag of a run that builds tables and flags: `Publish 2026-11-24`."""
    return {RUN: "Publish " + _span(first, last)}


def evaluates(first: dt.date, last: dt.date) -> dict[str, str]:
    """Return the tag of a run that evaluates days again, after a verdict about them: `Evaluate 2026-11-24 again`."""
    return {RUN: f"Evaluate {_span(first, last)} again"}


def gathers_evidence(day: dt.date) -> dict[str, str]:
    """Return the tag of a run that buys a day's evidence, or only builds its table: `Evidence 2026-11-24`."""
    return {RUN: f"Evidence {day}"}


def back_fills(targets: int) -> dict[str, str]:
    """Return the tag of a run that buys the days before first readings: `Back-fill · 2,000 targets`."""
    return {RUN: f"Back-fill · {counted(targets, 'target')}"}


def _span(first: dt.date, last: dt.date) -> str:
    return str(first) if first == last else f"{first} to {last}"
