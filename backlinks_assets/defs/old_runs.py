"""Deletion of old collecting runs, whose days have left the window of partitions, by Dagster's own call.

Here belongs which runs go, the job that deletes them daily, and what the command deletes where no daemon runs. No answer, table
or run that built tables is touched: these are the history. What the window is: `partitions.py`.
"""

import datetime as dt
from typing import Final

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME

from backlinks_assets.defs.busy_days import ENDED, days_of_run
from backlinks_assets.defs.jobs import collect_job
from backlinks_assets.defs.metadata.tables import check_instance
from backlinks_assets.defs.partitions import first_target_day
from backlinks_assets.settings import Settings

MAX_RUNS_BY_COMMAND: Final = 25
"""A week leaves the window at once: of 2,000 targets some 20 runs."""
MAX_RUNS_BY_JOB: Final = 5000

_RESPONSES: Final = dg.AssetKey("summary_responses")


def delete_old_runs(
    instance: dg.DagsterInstance, start: dt.date, most: int = MAX_RUNS_BY_COMMAND, *, by_hand: bool = False
) -> int:
    """Delete runs that collected days before the window's start and did nothing else, with their events; return how many.

    Of the newest runs before the start, so many of `collect_job` are looked at, and `by_hand` so many of those that were
    started from the pages of assets.
    """
    midnight = dt.datetime.combine(start, dt.time(), dt.UTC)
    deleted = 0
    for job in (collect_job.name, *([IMPLICIT_ASSET_JOB_NAME] if by_hand else [])):
        ended = dg.RunsFilter(job_name=job, statuses=list(ENDED), created_before=midnight)
        for record in instance.get_run_records(ended, limit=most):
            run = record.dagster_run
            days = days_of_run(run)
            if days and days[-1] < start and _only_collected(instance, run.run_id):
                instance.delete_run(run.run_id)
                deleted += 1
    return deleted


def _only_collected(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a run was for the paid answers alone, by its first and its last planned event: Dagster plans asset by asset.

    Another code location of the instance may have a job of the same name.
    """
    planned = {dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED}
    ends = [
        record.event_log_entry.get_dagster_event().asset_key
        for ascending in (True, False)
        for record in instance.get_records_for_run(run_id, of_type=planned, limit=1, ascending=ascending).records
    ]
    return ends == [_RESPONSES, _RESPONSES]


@dg.op(description="Deletes the runs that collected days before the window of partitions.")
def delete_runs(context: dg.OpExecutionContext) -> None:
    settings = Settings.from_env()  # unreadable, it must not be taken for one that names no other number of days
    check_instance(context.instance, settings)
    deleted = delete_old_runs(context.instance, first_target_day(settings), MAX_RUNS_BY_JOB, by_hand=True)
    context.add_output_metadata({"runs_deleted": deleted})


@dg.job(
    executor_def=dg.in_process_executor,
    description="Deletes collecting runs of days that have no partition any more. Answers, tables and their runs stay.",
)
def old_runs_job() -> None:
    delete_runs()


old_runs_schedule = dg.ScheduleDefinition(
    name="old_runs_schedule",
    job=old_runs_job,
    cron_schedule="30 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every day at 03:30 UTC: deletes collecting runs of days older than BACKLINKS_PARTITION_DAYS.",
)
