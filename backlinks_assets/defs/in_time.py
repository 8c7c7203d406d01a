"""Whether the day of the schedule's last tick was judged in time, as a check and as the page's freshness policy.

A policy is satisfied by any day's page, also by a backfill's; the check is not. It looks at what is there and needs no run:
a sensor reports it whenever the finding changes, so that it fails although nothing runs.
"""

import datetime as dt
from typing import Final

import dagster as dg
from dagster._core.remote_origin import CodeLocationOrigin

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.cron import Cron
from backlinks_assets.defs.checks import IN_TIME
from backlinks_assets.defs.makeup import running_schedule
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.schedules import BULK_NAME, NAME
from backlinks_assets.env_values import SettingsError
from backlinks_assets.paths import parquet_path
from backlinks_assets.targets.target import TargetsError

WITHIN: Final = dt.timedelta(hours=3)
"""From a tick of the schedule to its day's flags. The calls of 20,000 targets take 20 minutes at the account's pace."""


@dg.asset_check(
    asset=IN_TIME.asset_key,
    name=IN_TIME.name,
    description=f"The day of the last tick of {NAME} or {BULK_NAME} has flags three hours after it, while one of them is on. "
    "A backfill of other days changes nothing.",
)
def judged_in_time(context: dg.AssetCheckExecutionContext, backlinks_data: BacklinksData) -> dg.AssetCheckResult:
    passed, says = in_time(context.instance, None, backlinks_data, utc_now())
    return dg.AssetCheckResult(passed=passed, description=says)


@dg.sensor(
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=f"Reports the check {IN_TIME.name} of backlinks_flags. Starts no run and spends nothing.",
)
def in_time_sensor(
    context: dg.SensorEvaluationContext, backlinks_data: BacklinksData
) -> dg.SensorResult | dg.SkipReason:
    passed, says = in_time(context.instance, context.code_location_origin, backlinks_data, utc_now())
    if says == context.cursor:
        return dg.SkipReason(says)
    evaluation = dg.AssetCheckEvaluation(
        asset_key=IN_TIME.asset_key, check_name=IN_TIME.name, passed=passed, description=says, metadata={}
    )
    return dg.SensorResult(asset_events=[evaluation], cursor=says)


def in_time(
    instance: dg.DagsterInstance, location: CodeLocationOrigin | None, data: BacklinksData, now: dt.datetime
) -> tuple[bool, str]:
    """Return whether the day that is due has flags, and a sentence.

    `location` is the origin of the code location whose schedules count; None: any that has schedules of these names.
    """
    settings = data.settings()
    states = [state for name in (NAME, BULK_NAME) if (state := running_schedule(instance, location, name))]
    tick = settings.schedule.last_until(now - WITHIN)
    day = tick.date()
    if not states:
        return True, f"{NAME} and {BULK_NAME} are off: no day is expected."
    if min(getattr(state.instigator_data, "start_timestamp", None) or 0 for state in states) > tick.timestamp():
        return True, f"No tick was due three hours ago or before, since {states[0].instigator_name} was switched on."
    if parquet_path(settings.root, "backlinks_flags", day).exists():
        return True, f"{day}, the day of the last tick that was due, is judged."
    if _nothing_is_watched(data, day):
        return True, f"No target was watched on {day}."
    return False, (
        f"{day} is not judged, three hours after the tick of {tick:%H:%M} UTC. The ticks of "
        f"{' and '.join(state.instigator_name for state in states)} and the runs of the jobs that collect and of publish_job say "
        "why; `backlinks run` collects and judges the day as long as it is not over."
    )


def _nothing_is_watched(data: BacklinksData, day: dt.date) -> bool:
    try:
        return not data.targets().expected_on(day)
    except (SettingsError, TargetsError):  # the file is to be corrected: its day is missing all the same
        return False


def freshness_policy(schedule: dg.ScheduleDefinition) -> dg.FreshnessPolicy:
    """Return the policy that a page is made in each of the schedule's intervals, three hours later at most."""
    return dg.FreshnessPolicy.time_window(Cron.parse(str(schedule.cron_schedule)).longest_interval() + WITHIN)
