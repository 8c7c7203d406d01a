"""Runs of the two jobs in this process, as the UI's are: over a range of targets, or over a span of days."""

import datetime as dt

import dagster as dg
from dagster._core.definitions.schedule_definition import ScheduleExecutionData

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.partitions import day_range_tags, range_tags
from backlinks_assets.defs.resources import BacklinksData

TODAY = utc_now().date()
RESPONSES = dg.AssetKey("summary_responses")
TARGETS = [f"shop{number:03d}.example" for number in range(12)]


def collect_run(instance: dg.DagsterInstance, first: str, last: str, day: dt.date = TODAY) -> dg.ExecuteInProcessResult:
    job = build_defs().resolve_job_def("collect_job")
    tags = range_tags(str(day), str(day), first, last)
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def publish_run(instance: dg.DagsterInstance, first: dt.date, last: dt.date) -> dg.ExecuteInProcessResult:
    job = build_defs().resolve_job_def("publish_job")
    return job.execute_in_process(instance=instance, tags=day_range_tags(str(first), str(last)), raise_on_error=False)


def schedule_tick(instance: dg.DagsterInstance, scheduled: dt.datetime) -> ScheduleExecutionData:
    """Evaluate the daily schedule's tick of an instant, as the daemon does."""
    repository = build_defs().get_repository_def()
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=scheduled,
        repository_def=repository,
        resources={"backlinks_data": BacklinksData()},
    ) as context:
        return repository.get_schedule_def("daily_collect_schedule").evaluate_tick(context)


def materialized(instance: dg.DagsterInstance) -> set[str]:
    return {key.split("|")[1] for key in instance.get_materialized_partitions(RESPONSES)}
