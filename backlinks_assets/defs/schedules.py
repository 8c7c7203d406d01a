"""The daily schedule: today's answers for every active target, as a few range runs.

The tick's requests only. It is stopped until a person starts it, since its runs spend money.
"""

from collections.abc import Iterator

import dagster as dg

from backlinks_assets.defs.jobs import collect_job
from backlinks_assets.defs.partitions import range_tags, ranges
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.runs import collects
from backlinks_assets.defs.sensors import add_missing_targets


@dg.schedule(
    job=collect_job,
    cron_schedule="0 6 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every day at 06:00 UTC: asks about all active targets. Costs two calls a target and day.",
)
def daily_collect_schedule(
    context: dg.ScheduleEvaluationContext, backlinks_data: BacklinksData
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    scheduled = context.scheduled_execution_time
    day = scheduled.date()
    active = [target.partition_key for target in backlinks_data.targets() if target.active_on(day)]
    if not active:
        yield dg.SkipReason("No active target is in the targets file.")
        return
    add_missing_targets(context.instance, active)
    parts = ranges(context.instance.get_dynamic_partitions("targets"), active)
    for number, (first, last) in enumerate(parts, start=1):
        yield dg.RunRequest(
            run_key=f"{day}-{number}-of-{len(parts)}",
            tags=range_tags(str(day), str(day), first, last) | collects(day, day, len(active), number, len(parts)),
        )
