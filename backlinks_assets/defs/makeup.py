"""The sensor that makes up for a day whose scheduled tick failed or was missed, as soon as that can be.

It spends money, so it acts only for a tick that the running schedule owed, and once for each. What the runs are is
`schedules.py`.
"""

import datetime as dt
from typing import Final

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData, TickStatus

from backlinks_assets.defs.jobs import collect_job
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.run_partitions import ONE_KEY, RANGE_END, RANGE_START
from backlinks_assets.defs.runs import MAKES_UP_FOR
from backlinks_assets.defs.schedules import NAME, requests, was_made_up_for
from backlinks_assets.settings import SettingsError
from backlinks_assets.store.collect import utc_now
from backlinks_assets.targets import TargetsError

CAUGHT_UP_WITHIN: Final = dt.timedelta(minutes=2)
"""So long a tick that is not there is waited for: a daemon that was down makes its last one when it is back."""

_RESPONSES: Final = dg.AssetKey("summary_responses")
_UNFINISHED: Final = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


class _NotOwedError(Exception):
    """Nothing is to be made up for; the message says why."""


@dg.sensor(
    job=collect_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "While daily_collect_schedule is on: where its tick of today failed or was missed, asks about the active targets "
        "of which no call was made today, once a tick. Costs what the tick would have cost."
    ),
)
def makeup_sensor(
    context: dg.SensorEvaluationContext, backlinks_data: BacklinksData
) -> dg.SensorResult | dg.SkipReason:
    now = utc_now()
    try:
        tick = _owed_tick(context, backlinks_data.settings().schedule.last_today(now), now)
        targets = [target for target in backlinks_data.targets() if target.active_on(tick.date())]
        with backlinks_data.store() as store:
            called = store.called(tick.date())
    except (_NotOwedError, SettingsError, TargetsError) as reason:
        return dg.SkipReason(str(reason))
    wanted = [target for target in targets if target.target not in called]
    if not wanted:
        return dg.SkipReason("A call was made today about every active target.")
    at = tick.isoformat()
    return dg.SensorResult(list(requests(context.instance, tick.date(), wanted, at, {MAKES_UP_FOR: at})))


def _owed_tick(context: dg.SensorEvaluationContext, due: dt.datetime | None, now: dt.datetime) -> dt.datetime:
    """Return the time of today's last tick of the schedule if it is to be made up for.

    A schedule that was switched on after that time owed nothing then: who switches it on expects tomorrow's tick. A
    tick that was made owes nothing either, whatever became of its runs: what failed is a person's, or the next day's.

    Raises:
        _NotOwedError: it is not.
    """
    state = _running_schedule(context)
    if state is None:
        raise _NotOwedError(f"{NAME} is off.")
    if due is None:
        raise _NotOwedError("No tick is due today, or not yet.")
    data = state.instigator_data
    if isinstance(data, ScheduleInstigatorData) and (data.start_timestamp or 0) > due.timestamp():
        raise _NotOwedError(f"{NAME} was switched on after its last tick of today was due.")
    ticks = context.instance.get_ticks(state.instigator_origin_id, state.selector_id, after=due.timestamp() - 1)
    made = next((tick.status for tick in ticks if tick.timestamp == due.timestamp()), None)
    if made in (TickStatus.SUCCESS, TickStatus.SKIPPED):
        raise _NotOwedError("The last tick of today was made.")
    if made is TickStatus.STARTED or (made is None and now < due + CAUGHT_UP_WITHIN):
        raise _NotOwedError("The schedule's own tick is waited for.")
    if was_made_up_for(context.instance, due):
        raise _NotOwedError("The last tick of today was made up for already.")
    runs = context.instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
    if any(_asks_about(run, due.date()) for run in runs):
        raise _NotOwedError("A run that asks about today is queued or at work.")
    return due


def _running_schedule(context: dg.SensorEvaluationContext) -> InstigatorState | None:
    """Return the state of this code location's daily schedule, None where it is off."""
    origin = context.code_location_origin
    for state in context.instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        location = state.origin.repository_origin.code_location_origin.location_name
        here = origin is None or location == origin.location_name
        if here and state.instigator_name == NAME and state.status is InstigatorStatus.RUNNING:
            return state
    return None


def _asks_about(run: dg.DagsterRun, day: dt.date) -> bool:
    if run.job_name != collect_job.name and _RESPONSES not in (run.asset_selection or ()):
        return False
    first = run.tags.get(RANGE_START) or run.tags.get(ONE_KEY) or run.tags.get("dagster/partition/date", "")
    last = run.tags.get(RANGE_END) or first
    return first[:10] <= str(day) <= last[:10]
