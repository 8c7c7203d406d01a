"""The sensor that requests what the daily schedule's tick of today did not, as soon as that can be.

The tick may have failed or been missed; or it was made, and a target's line was corrected or added after it. The sensor
spends money, so it acts only for a tick that was due while the schedule was on, and requests a target once a tick. What
the runs are is `schedules.py`.
"""

import datetime as dt
import hashlib
from typing import Final

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import CodeLocationOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData, TickStatus

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.defs.busy_days import UNFINISHED, collects_on
from backlinks_assets.defs.jobs import collect_job
from backlinks_assets.defs.partitions import ends_of
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.runs import MAKES_UP_FOR
from backlinks_assets.defs.schedules import NAME, requests, was_made_up_for
from backlinks_assets.settings import SettingsError
from backlinks_assets.targets.target import TargetsError

CAUGHT_UP_WITHIN: Final = dt.timedelta(minutes=2)
"""So long a tick that is not there is waited for: a daemon that was down makes its last one when it is back."""


class _NotOwedError(Exception):
    """Nothing is to be made up for; the message says why."""


@dg.sensor(
    job=collect_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "While daily_collect_schedule is on: requests the active targets that its tick of today did not request, because it "
        "failed or was missed, or because their lines were corrected or added after it. Once a tick, and only where no call "
        "was made today. Costs what the tick would have cost."
    ),
)
def makeup_sensor(
    context: dg.SensorEvaluationContext, backlinks_data: BacklinksData
) -> dg.SensorResult | dg.SkipReason:
    now = utc_now()
    try:
        tick, was_made = _owed_tick(context, backlinks_data.settings().schedule.last_today(now), now)
        targets = [target for target in backlinks_data.targets() if target.active_on(tick.date())]
        with backlinks_data.store() as store:
            called = store.called(tick.date())
    except (_NotOwedError, SettingsError, TargetsError) as reason:
        return dg.SkipReason(str(reason))
    wanted = [target for target in targets if target.target not in called]
    if not wanted:
        return dg.SkipReason("A call was made today about every active target.")
    at = tick.isoformat()
    if was_made:
        requested = _requested_partitions(context.instance, tick.date())
        wanted = [target for target in wanted if target.partition_key not in requested]
        if not wanted:
            return dg.SkipReason("The last tick of today was made, and a run has requested every active target.")
    # What is wanted is part of the key: a run that the daemon makes late is not requested twice.
    names = hashlib.sha256("\n".join(target.target for target in wanted).encode()).hexdigest()[:12]
    tags = {} if was_made else {MAKES_UP_FOR: at}
    return dg.SensorResult(list(requests(context.instance, tick.date(), wanted, f"{at}-{names}", tags)))


def _owed_tick(
    context: dg.SensorEvaluationContext, due: dt.datetime | None, now: dt.datetime
) -> tuple[dt.datetime, bool]:
    """Return the time of today's last tick of the schedule, and whether it was made.

    A schedule that was switched on after that time owed nothing then: who switches it on expects tomorrow's tick. A
    tick that was made owes only the targets that no run has requested: what failed is for a person, or for the next day.

    Raises:
        _NotOwedError: it is not.
    """
    state = running_schedule(context.instance, context.code_location_origin)
    if state is None:
        raise _NotOwedError(f"{NAME} is off.")
    if due is None:
        raise _NotOwedError("No tick is due today, or not yet.")
    data = state.instigator_data
    if isinstance(data, ScheduleInstigatorData) and (data.start_timestamp or 0) > due.timestamp():
        raise _NotOwedError(f"{NAME} was switched on after its last tick of today was due.")
    ticks = context.instance.get_ticks(state.instigator_origin_id, state.selector_id, after=due.timestamp() - 1)
    made = next((tick.status for tick in ticks if tick.timestamp == due.timestamp()), None)
    if made is TickStatus.STARTED or (made is None and now < due + CAUGHT_UP_WITHIN):
        raise _NotOwedError("The schedule's own tick is waited for.")
    was_made = made in (TickStatus.SUCCESS, TickStatus.SKIPPED) or was_made_up_for(context.instance, due)
    if any(collects_on(run, due.date()) for run in context.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))):
        raise _NotOwedError("A run that collects today is queued or at work.")
    return due, was_made


def running_schedule(instance: dg.DagsterInstance, origin: CodeLocationOrigin | None) -> InstigatorState | None:
    """Return the state of a code location's daily schedule, of any without one; None where it is off."""
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        location = state.origin.repository_origin.code_location_origin.location_name
        here = origin is None or location == origin.location_name
        if here and state.instigator_name == NAME and state.status is InstigatorStatus.RUNNING:
            return state
    return None


def _requested_partitions(instance: dg.DagsterInstance, day: dt.date) -> set[str]:
    """Return the keys of the targets that a run of the day was for, however it ended."""
    known = instance.get_dynamic_partitions("targets")
    position = {key: number for number, key in enumerate(known)}
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    requested: set[str] = set()
    for run in instance.get_runs(dg.RunsFilter(created_after=midnight - dt.timedelta(hours=1))):
        if collects_on(run, day):
            first, last = (position.get(key.partition("|")[2]) for key in ends_of(run.tags))
            requested.update(known[first : last + 1] if first is not None and last is not None else ())
    return requested
