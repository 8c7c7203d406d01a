"""The sensor that announces, and what it reads of Dagster's runs: which days are being worked on, which runs failed.

Thin: what is worth telling, and how it is sent and remembered, is `notify/`, of which `announce.py` is imported where
something is announced: it reads tables, which most processes of this code location don't.
"""

import datetime as dt
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.defs.assets import summary_responses
from backlinks_assets.defs.busy_days import ENDED, days_at_work, days_of_run
from backlinks_assets.defs.dead_runs import WHY, process_is_gone
from backlinks_assets.defs.metadata.collecting import STOPPED
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.errors import BacklinksError
from backlinks_assets.formatting import counted
from backlinks_assets.notify.alerts import FailedRun
from backlinks_assets.notify.outbox import Memory
from backlinks_assets.settings import Settings

if TYPE_CHECKING:
    from backlinks_assets.notify.announce import Announced

TABLES_FOLLOW_WITHIN: Final = dt.timedelta(minutes=5)
"""So long a day's message waits after its last answers for the flags and the page that are made of them."""

_MOST_RUNS: Final = 500
_OVERLAP: Final = dt.timedelta(minutes=2)
_ERROR_NAME: Final = re.compile(r"^[\w.]+: ")


class NotAnnouncedError(BacklinksError):
    """Something could not be sent; the message says what, where, how often it was tried and when it is tried again."""


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Sends a day's new flags, index moves, failed days, a stopped account and a low balance to "
        "BACKLINKS_NOTIFY_URLS, once each. A failed tick says what could not be sent; it is tried again."
    ),
)
def announce_sensor(context: dg.SensorEvaluationContext, backlinks_data: BacklinksData) -> dg.SkipReason:
    settings = backlinks_data.settings()
    if not settings.notify_urls:
        return dg.SkipReason("BACKLINKS_NOTIFY_URLS is not set: nothing is announced.")
    from backlinks_assets.notify.announce import announce, opened

    now = utc_now()
    with opened(settings) as memory:
        keep_failed_runs(context.instance, memory, now)
        done = announce(settings, memory, busy_days(context.instance, settings, now), now)
    said = _said(done)
    if done.troubles:
        raise NotAnnouncedError(" ".join([*done.troubles, said]))
    return dg.SkipReason(said)


def busy_days(instance: dg.DagsterInstance, settings: Settings, now: dt.datetime) -> set[dt.date]:
    """Return the days on which a run of the project is at work, or whose tables are still to follow their answers."""
    from backlinks_assets.notify.announce import report_page

    busy = days_at_work(instance, now)
    ended = dg.RunsFilter(statuses=list(ENDED), updated_after=now - TABLES_FOLLOW_WITHIN)
    for record in instance.get_run_records(ended, limit=_MOST_RUNS):
        run, at = record.dagster_run, record.end_time
        if at is not None and _collects(run):
            for day in days_of_run(run):
                page = report_page(settings, day)  # the last to be built
                if not page.exists() or page.stat().st_mtime < at:
                    busy.add(day)
    return busy


def keep_failed_runs(instance: dg.DagsterInstance, memory: Memory, now: dt.datetime) -> None:
    """Hand the project's runs that failed since the last look to the memory, once each."""
    start = dt.datetime.combine(now.date(), dt.time(), dt.UTC)
    since = dt.datetime.fromisoformat(memory.note("runs_seen_until", start.isoformat()))
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=since - _OVERLAP)
    records = instance.get_run_records(filters, limit=_MOST_RUNS, order_by="update_timestamp", ascending=True)
    memory.keep_runs([run for record in records if (run := _failed_run(instance, record)) is not None])
    if records:
        memory.write_note("runs_seen_until", _utc(records[-1].update_timestamp).isoformat())


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
        collects=_collects(run),
        ended_at=_utc(record.update_timestamp),
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


def _collects(run: dg.DagsterRun) -> bool:
    return run.job_name == "collect_job" or summary_responses.key in (run.asset_selection or ())


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _said(done: "Announced") -> str:
    titles: Iterable[str] = (message.title for message in done.messages)
    made = "".join(f" “{title}”." for title in titles)
    return f"{counted(done.delivered, 'message')} sent.{made}" if done.delivered or made else "Nothing new to announce."
