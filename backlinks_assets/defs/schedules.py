"""The daily schedules: today's answers for every active target, in full as a few range runs, in bulk as one.

The ticks' requests only. They are stopped until a person starts them, since their runs spend money. What becomes of a day whose
tick failed is `makeup.py`.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import dagster as dg

from backlinks_assets.collect.caller import is_open
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.defs.bulk import bulk_collect_job
from backlinks_assets.defs.jobs import collect_job
from backlinks_assets.defs.partitions import range_tags, ranges
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.runs import ENDED_IN_TIME, MAKES_UP_FOR, collects, collects_in_bulk
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.env_values import SettingsError
from backlinks_assets.settings import DAILY, schedule_from_env
from backlinks_assets.targets.target import Target

NAME: Final = "daily_collect_schedule"
BULK_NAME: Final = "daily_bulk_collect_schedule"


def daily_collect_schedule() -> dg.ScheduleDefinition:
    """Return the schedule of targets watched in full."""
    return _at_the_times(
        NAME, collect_job, request_the_day, "requests all active targets. Costs two calls a target and day."
    )


def daily_bulk_collect_schedule() -> dg.ScheduleDefinition:
    """Return the schedule of targets watched in bulk."""
    requests = "requests the targets watched in bulk. Costs money."
    return _at_the_times(BULK_NAME, bulk_collect_job, request_the_day_in_bulk, requests)


def _at_the_times(name: str, job: Any, tick: Callable[..., Any], requests: str) -> dg.ScheduleDefinition:
    """Return a schedule at the times that the environment names.

    Where it names none that can be used, the code location loads all the same and each tick fails with what is wrong:
    the tick reads the environment too.
    """
    try:
        cron = schedule_from_env()
        says = f"At the times of BACKLINKS_SCHEDULE, `{cron.text}` (UTC): {requests}"
    except SettingsError as error:
        cron, says = DAILY, f"Requests nothing until this is corrected and the code location loaded again. {error}"
    schedule = dg.schedule(
        name=name,
        job=job,
        cron_schedule=cron.text,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=says,
    )
    return schedule(tick)


def request_the_day(
    context: dg.ScheduleEvaluationContext, backlinks_data: BacklinksData
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    tick = context.scheduled_execution_time
    day = tick.date()
    active = backlinks_data.ways(day).full
    if not is_open(day, tick, utc_now()) and day < utc_now().date():
        yield dg.SkipReason(f"{day} is over (UTC): the API answers for the present only.")
    elif was_made_up_for(context.instance, tick):
        yield dg.SkipReason("This tick was made up for already.")
    elif not active:
        yield dg.SkipReason("No active target of the targets file is to be read in full.")
    else:
        yield from requests(context.instance, day, active, str(day))


def stands_for(schedule: str, tick: dt.datetime) -> str:
    """Return the value of the tag MAKES_UP_FOR: the tick's time, and which of the schedules at that time it is of."""
    return tick.isoformat() if schedule == NAME else f"{tick.isoformat()} in bulk"


def was_made_up_for(instance: dg.DagsterInstance, tick: dt.datetime, schedule: str = NAME) -> bool:
    """Whether runs were requested in the place of a tick that failed or was missed."""
    return bool(instance.get_runs(dg.RunsFilter(tags={MAKES_UP_FOR: stands_for(schedule, tick)}), limit=1))


def requests(
    instance: dg.DagsterInstance,
    day: dt.date,
    wanted: Sequence[Target],
    run_key: str,
    tags: Mapping[str, str] | None = None,
) -> Iterator[dg.RunRequest]:
    """Yield the runs that collect targets on a day, a range of partitions each, with these tags too."""
    keys = [target.partition_key for target in wanted]
    add_missing_targets(instance, keys)
    parts = ranges(instance.get_dynamic_partitions("targets"), keys)
    for number, (first, last) in enumerate(parts, start=1):
        yield dg.RunRequest(
            run_key=f"{run_key}-{number}-of-{len(parts)}",
            job_name=collect_job.name,
            tags={
                **range_tags(str(day), str(day), first, last),
                **collects(day, day, len(keys), number, len(parts)),
                **ENDED_IN_TIME,
                **(tags or {}),
            },
        )


def request_the_day_in_bulk(
    context: dg.ScheduleEvaluationContext, backlinks_data: BacklinksData
) -> dg.RunRequest | dg.SkipReason:
    tick: Any = context.scheduled_execution_time
    day = tick.date()
    in_bulk = backlinks_data.ways(day).bulk
    if not is_open(day, tick, utc_now()) and day < utc_now().date():
        return dg.SkipReason(f"{day} is over (UTC): the API answers for the present only.")
    if was_made_up_for(context.instance, tick, BULK_NAME):
        return dg.SkipReason("This tick was made up for already.")
    if not in_bulk:
        return dg.SkipReason("No active target is watched in bulk.")
    return in_bulk_request(day, len(in_bulk), f"bulk-{day}")


def in_bulk_request(day: dt.date, targets: int, run_key: str, tags: Mapping[str, str] | None = None) -> dg.RunRequest:
    """Return the run that collects a day in bulk, with these tags too."""
    return dg.RunRequest(
        run_key=run_key,
        job_name=bulk_collect_job.name,
        partition_key=str(day),
        tags=collects_in_bulk(day, targets) | ENDED_IN_TIME | dict(tags or {}),
    )
