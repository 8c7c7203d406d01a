"""The sensor that announces, the one that fails when something could not be sent, and what both read of Dagster.

Thin: what there is to announce, and how it is sent and remembered, is `notify/`, of which `announce.py` is imported where
something is announced: it reads tables, which most processes of this code location don't. `run_failure_sensor` would not
do: whether a failed run left anything undone is only known when no other run is at work on its day.
"""

import datetime as dt
import re
import sqlite3
from contextlib import suppress
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import SensorInstigatorData

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.defs.busy_days import ENDED, days_at_work, days_of_run, is_collecting
from backlinks_assets.defs.dead_runs import WHY, process_is_gone
from backlinks_assets.defs.evidence import waited_for
from backlinks_assets.defs.metadata.collecting import STOPPED
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.errors import BacklinksError
from backlinks_assets.formatting import counted
from backlinks_assets.notify import old_tables
from backlinks_assets.notify.alerts import FailedRun
from backlinks_assets.notify.channels import has_places
from backlinks_assets.notify.cursor import Cursor
from backlinks_assets.paths import page_path
from backlinks_assets.settings import Settings

TABLES_FOLLOW_WITHIN: Final = dt.timedelta(minutes=5)
"""So long a day's message waits after its last answers for the flags and the page that are made of them."""

_MAX_ENDED_RUNS: Final = 500
_MAX_FAILED_RUNS: Final = 100
_NOT_SET: Final = "BACKLINKS_NOTIFY_URLS is not set and there is no channels.toml: nothing is announced."
_ERROR_NAME: Final = re.compile(r"^[\w.]+: ")


class NotAnnouncedError(BacklinksError):
    """Something could not be sent; the message names the channel, the reason, the attempts and the next one."""


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Sends a day's new flags, index moves, failed days, a stopped account and a low balance to "
        "BACKLINKS_NOTIFY_URLS and the channels of channels.toml, once each. What each has had is this sensor's cursor."
    ),
)
def announce_sensor(context: dg.SensorEvaluationContext, backlinks_data: BacklinksData) -> dg.SkipReason:
    """Announce what is due. The tick ends well even if sending failed: Dagster drops the cursor of a failed one."""
    settings = backlinks_data.settings()
    if not has_places(settings):
        return dg.SkipReason(_NOT_SET)
    from backlinks_assets.notify.announce import LOOKS_BACK, announce

    now = utc_now()
    cursor = Cursor.read(context.cursor) if context.cursor else old_tables.first_cursor(settings, now)
    if context.cursor and cursor.has_old_tables:
        with suppress(sqlite3.Error):  # tried again by the next tick
            old_tables.drop(settings)
            cursor.has_old_tables = False
    runs = failed_runs(context.instance, now - LOOKS_BACK)
    look = announce(settings, cursor, runs, busy_days(context.instance, settings, now), now)
    context.update_cursor(cursor.written())
    titles = "".join(f" “{title}”." for title in dict.fromkeys(message.title for message in look.sent))
    sent = f"{counted(len(look.sent), 'message')} sent.{titles}" if look.sent else "Nothing new to announce."
    return dg.SkipReason(" ".join([*look.problems, sent]))


@dg.sensor(
    minimum_interval_seconds=30,  # so that it sees each tick of the other
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends nothing: its tick fails, and says why, while something that announce_sensor announces does not arrive.",
)
def announcements_arrive_sensor(context: dg.SensorEvaluationContext, backlinks_data: BacklinksData) -> dg.SkipReason:
    if not has_places(backlinks_data.settings()):
        return dg.SkipReason(_NOT_SET)
    cursor = saved_cursor(context.instance)
    if cursor and cursor.problems:
        raise NotAnnouncedError(" ".join(cursor.problems))
    return dg.SkipReason("All that was announced has arrived.")


def saved_cursor(instance: dg.DagsterInstance) -> Cursor | None:
    """Return the cursor that the announcing sensor's last tick saved, None if there was none. Raises CursorError."""
    states = instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
    found = [
        data
        for state in states
        if state.name == announce_sensor.name and isinstance(data := state.instigator_data, SensorInstigatorData)
    ]
    newest = max(found, key=lambda data: data.last_tick_timestamp or 0, default=None)
    return Cursor.read(newest.cursor) if newest and newest.cursor else None


def busy_days(instance: dg.DagsterInstance, settings: Settings, now: dt.datetime) -> set[dt.date]:
    """Return the days on which a run of the project is at work, or whose tables are still to follow their answers."""
    busy = days_at_work(instance, now) | waited_for(settings, now)
    ended = dg.RunsFilter(statuses=list(ENDED), updated_after=now - TABLES_FOLLOW_WITHIN)
    for record in instance.get_run_records(ended, limit=_MAX_ENDED_RUNS):
        run, at = record.dagster_run, record.end_time
        if at is not None and is_collecting(run):
            for day in days_of_run(run):
                page = page_path(settings.root, day)  # the last to be built
                if not page.exists() or page.stat().st_mtime < at:
                    busy.add(day)
    return busy


def failed_runs(instance: dg.DagsterInstance, since: dt.datetime) -> list[FailedRun]:
    """Return the project's runs among the last 100 that failed since then, oldest first."""
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since)
    records = instance.get_run_records(filters, limit=_MAX_FAILED_RUNS, order_by="update_timestamp")
    runs = {one.dagster_run.run_id: _read.get(one.dagster_run.run_id) or _failed_run(instance, one) for one in records}
    _read.clear()
    _read.update(runs)
    return [run for run in reversed(runs.values()) if run]


_read: Final[dict[str, FailedRun | None]] = {}
"""Runs that the last tick in this process has read: Dagster opens a file for each, which takes 20 ms."""


def _failed_run(instance: dg.DagsterInstance, record: dg.RunRecord) -> FailedRun | None:
    run = record.dagster_run
    if not (about := days_of_run(run)):
        return None
    day = about[-1]
    says, metadata = _failure(instance, run.run_id)
    stopped = metadata.get(STOPPED)
    rows = getattr(metadata.get("failed"), "records", [])
    return FailedRun(
        run_id=run.run_id,
        day=day,
        collects=is_collecting(run),
        ended_at=record.update_timestamp,
        says=says,
        stopped=str(stopped.value) if stopped else None,
        targets={str(row.data["target"]): str(row.data["reason"]) for row in rows if row.data["date"] == str(day)},
    )


def _failure(instance: dg.DagsterInstance, run_id: str) -> tuple[str, dict[str, Any]]:
    """Return what a failed run says of itself, and the metadata of its failure where a step gave any."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    says = f"Run {run_id} failed"
    for entry in instance.all_logs(run_id, of_type=kinds):
        event = entry.get_dagster_event()
        if not event.is_step_failure:
            says = WHY if process_is_gone(instance, entry) else f"Run {run_id} failed: {event.message}"
            continue
        data = event.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            return data.user_failure_data.description, dict(data.user_failure_data.metadata)
        if data.error is not None:
            return _ERROR_NAME.sub("", (data.error.cause or data.error).message.strip()), {}
    return says, {}
