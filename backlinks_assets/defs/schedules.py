"""The daily schedule: today's answers for every active target, as a few range runs.

The tick's requests only. It is stopped until a person starts it, since its runs spend money. What becomes of a day whose
tick failed is `makeup.py`.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import dagster as dg

from backlinks_assets.collect.caller import is_open
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.defs.jobs import collect_job
from backlinks_assets.defs.partitions import range_tags, ranges
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.runs import MAKES_UP_FOR, collects
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.settings import DAILY, SettingsError, schedule_from_env
from backlinks_assets.targets.target import Target

NAME: Final = "daily_collect_schedule"


def daily_collect_schedule() -> dg.ScheduleDefinition:
    """Return the schedule at the times that the environment names.

    Where it names none that can be used, the code location loads all the same and each tick fails with what is wrong:
    the tick reads the environment too.
    """
    try:
        cron = schedule_from_env()
        says = (
            f"At the times of BACKLINKS_SCHEDULE, `{cron.text}` (UTC): requests all active targets. Costs two calls a "
            "target and day."
        )
    except SettingsError as error:
        cron, says = DAILY, f"Requests nothing until this is corrected and the code location loaded again. {error}"
    schedule = dg.schedule(
        name=NAME,
        job=collect_job,
        cron_schedule=cron.text,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=says,
    )
    return schedule(request_the_day)


def request_the_day(
    context: dg.ScheduleEvaluationContext, backlinks_data: BacklinksData
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    tick = context.scheduled_execution_time
    day = tick.date()
    active = [target for target in backlinks_data.targets() if target.active_on(day)]
    if not is_open(day, tick, utc_now()) and day < utc_now().date():
        yield dg.SkipReason(f"{day} is over (UTC): the API answers for the present only.")
    elif was_made_up_for(context.instance, tick):
        yield dg.SkipReason("This tick was made up for already.")
    elif not active:
        yield dg.SkipReason("No active target is in the targets file.")
    else:
        yield from requests(context.instance, day, active, str(day))


def was_made_up_for(instance: dg.DagsterInstance, tick: dt.datetime) -> bool:
    """Whether runs were requested in the place of a tick that failed or was missed."""
    return bool(instance.get_runs(dg.RunsFilter(tags={MAKES_UP_FOR: tick.isoformat()}), limit=1))


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
            tags={
                **range_tags(str(day), str(day), first, last),
                **collects(day, day, len(keys), number, len(parts)),
                **(tags or {}),
            },
        )
