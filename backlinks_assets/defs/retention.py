"""Thinning of old runs: what Dagster itself never forgets. Off until a person starts the job or its schedule.

Here belongs which runs go and which only lose their logs; how the event log is thinned is `dagster_instance/event_log.py`. No
answer, table or partition is touched: a partition stays materialized by the newest run that made it.
"""

import datetime as dt

import dagster as dg
from pydantic import Field

from backlinks_assets.dagster_instance.event_log import ProjectEventLog
from backlinks_assets.defs.busy_days import ENDED


class Retention(dg.Config):
    keep_days: int = Field(default=90, ge=0, description="Runs that ended within so many days are left as they are.")


@dg.op(description="Deletes or thins the runs that ended before the days to keep.")
def thin_old_runs(context: dg.OpExecutionContext, config: Retention) -> None:
    """Delete old runs that no partition's state rests on, and the logs of those that one does.

    What is lost: the logs of old runs, and that an old partition without any answer was once tried and failed.
    """
    log = context.instance.event_log_storage
    if not isinstance(log, ProjectEventLog):
        raise dg.Failure(
            "Only the project's own event log on SQLite can be thinned without losing which partitions are "
            f"materialized; this instance has {type(log).__name__}. Nothing was touched.",
            allow_retries=False,
        )
    before = dt.datetime.now(dt.UTC) - dt.timedelta(days=config.keep_days)
    ended = dg.RunsFilter(statuses=list(ENDED), updated_before=before)
    old = [record.dagster_run.run_id for record in context.instance.get_run_records(ended)]
    superseded = [run_id for run_id in old if not log.holds_newest(run_id)]
    for run_id in superseded:
        context.instance.delete_run(run_id)
    thinned = sum(log.thin(run_id) for run_id in set(old).difference(superseded))
    compacted = log.compact()
    context.add_output_metadata(
        {"runs_deleted": len(superseded), "runs_without_logs_now": thinned, "file_compacted": compacted}
    )


@dg.job(
    executor_def=dg.in_process_executor,
    description="Thins old runs and their events. Partitions stay materialized; answers and tables are not touched.",
)
def retention_job() -> None:
    thin_old_runs()


retention_schedule = dg.ScheduleDefinition(
    name="retention_schedule",
    job=retention_job,
    cron_schedule="30 3 * * 0",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every Sunday at 03:30 UTC: thins runs that ended more than 90 days ago. Stopped until started.",
)
