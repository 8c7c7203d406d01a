"""Runs whose process is gone: found by the locks that runs hold, ended with a sentence, their pool slots given back.

Dagster's own run monitoring can't do this: its `DefaultRunLauncher` does not know whether a run's process lives. The
sensor looks while the daemon runs; the command looks before its own runs; `doctor` only counts. Locks are files of one host:
where several use an instance, each judges its own runs only, and those of a host that died are ended by `MAX_RUNTIME_S`.
"""

import datetime as dt
from typing import Final

import dagster as dg

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.dagster_instance.run_locks import Life
from backlinks_assets.dagster_instance.run_storage import HOST, HoldsRuns
from backlinks_assets.defs.busy_days import UNFINISHED
from backlinks_assets.formatting import counted

WHY: Final = "The run's process is gone: it was killed, or the machine stopped."
_NEXT: Final = "What was paid for is stored. Start it again: what is finished is not done a second time."

BEGINS_WITHIN: Final = dt.timedelta(seconds=30)
"""A launched run whose launcher has died since may still be loading its code for so long, before it can hold a lock."""
BEGINS_ELSEWHERE_WITHIN: Final = dt.timedelta(minutes=15)
"""The same where another host may be about to execute it, which may have to fetch an image first."""
SILENT_FOR: Final = dt.timedelta(days=1)
"""A run without any lock, which version 0.1.0 began, is dead after so long without an event: nothing else says whether it is."""

_WITH_A_PROCESS: Final = [status for status in UNFINISHED if status is not dg.DagsterRunStatus.QUEUED]
_DAEMON_TAGS: Final = {
    "dagster/schedule_name",
    "dagster/sensor_name",
    "dagster/backfill",
    "dagster/from_automation_condition",
    "dagster/auto_materialize",
}
"""A run that Dagster's daemon created and had no time to queue is queued by the daemon itself when it is started again."""


def dead_runs(instance: dg.DagsterInstance, now: dt.datetime | None = None) -> list[dg.DagsterRun]:
    """Return the unfinished runs of all code locations whose process is gone. Nothing is changed.

    A queued run has no process and waits for the daemon: it is not dead. Neither is one of which nothing says whether it lives.
    """
    if not isinstance(instance.run_storage, HoldsRuns):
        return []
    records = instance.get_run_records(dg.RunsFilter(statuses=_WITH_A_PROCESS))
    return [record.dagster_run for record in records if _is_dead(instance, record, now or utc_now())]


def end_dead_runs(instance: dg.DagsterInstance, now: dt.datetime | None = None) -> list[dg.DagsterRun]:
    """Mark the dead runs failed, or canceled where a person had canceled them, and free what they held. Return them."""
    storage = instance.run_storage
    if not isinstance(storage, HoldsRuns):
        return []
    ended = []
    for dead in dead_runs(instance, now):
        run = instance.get_run_by_id(dead.run_id)  # it may have finished while it was looked at
        if run is None or run.is_finished:
            continue
        if run.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, WHY)
        else:
            instance.report_run_failed(run, f"{WHY} {_NEXT}")
        storage.locks.clear(run.run_id)
        ended.append(run)
    unfinished = {
        record.dagster_run.run_id for record in instance.get_run_records(dg.RunsFilter(statuses=_WITH_A_PROCESS))
    }
    _free_slots(instance, storage, unfinished)
    storage.locks.sweep(unfinished)
    return ended


def process_is_gone(instance: dg.DagsterInstance, failure: dg.EventLogEntry) -> bool:
    """Whether a run's failure says that it lost its process; Dagster's code server notices it where it lives itself."""
    if failure.message.startswith(WHY):
        return True
    crashed = f"Run execution process for {failure.run_id} "  # an event of its own: the failure says nothing
    entries = instance.all_logs(failure.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    return any(entry.message.startswith(crashed) for entry in entries)


def _free_slots(instance: dg.DagsterInstance, storage: HoldsRuns, unfinished: set[str]) -> None:
    """Free the pool slots of runs that have finished without doing so: Dagster's own marking of a killed run does not."""
    log = instance.event_log_storage
    finished = log.get_concurrency_run_ids() - unfinished
    if storage.host is not None and finished:  # Dagster itself frees other hosts' after a while
        found = instance.get_runs(dg.RunsFilter(run_ids=list(finished)))
        finished -= {run.run_id for run in found if run.tags.get(HOST, storage.host) != storage.host}
    for run_id in finished:
        if storage.locks.life(run_id) is not Life.LIVING:  # one that was canceled by force may still be at it
            log.free_concurrency_slots_for_run(run_id)


def _is_dead(instance: dg.DagsterInstance, record: dg.RunRecord, now: dt.datetime) -> bool:
    run, storage = record.dagster_run, instance.run_storage
    assert isinstance(storage, HoldsRuns)
    host = run.tags.get(HOST)
    if storage.host is not None and host not in {None, storage.host}:
        return False  # only that host knows
    may_begin_elsewhere = storage.host is not None and host is None
    life = storage.locks.life(run.run_id)
    if run.status is dg.DagsterRunStatus.NOT_STARTED and life is not Life.GONE and _DAEMON_TAGS & run.tags.keys():
        return False
    if life is Life.NEVER_BEGUN and run.status is not dg.DagsterRunStatus.NOT_STARTED:
        within = BEGINS_ELSEWHERE_WITHIN if may_begin_elsewhere else BEGINS_WITHIN
        return now - record.update_timestamp > within
    if life is Life.UNKNOWN:
        return not may_begin_elsewhere and _fell_silent(instance, record, now)
    return life is not Life.LIVING


def _fell_silent(instance: dg.DagsterInstance, record: dg.RunRecord, now: dt.datetime) -> bool:
    last = instance.get_records_for_run(record.dagster_run.run_id, limit=1, ascending=False).records
    heard = max([record.update_timestamp.timestamp(), *(event.timestamp for event in last)])
    return now.timestamp() - heard > SILENT_FOR.total_seconds()


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Marks runs failed whose process was killed or whose machine stopped, so that they hold neither the queue of runs "
        "nor a pool. A run whose process lives is left alone, however slow it is."
    ),
)
def dead_runs_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    ended = end_dead_runs(context.instance)
    if not ended:
        return dg.SkipReason("No run has lost its process.")
    return dg.SkipReason(f"{counted(len(ended), 'run')} ended: {', '.join(run.run_id for run in ended)}. {WHY}")
