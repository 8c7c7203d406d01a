"""The sensor that requests what the daily schedules' ticks of today did not, as soon as that can be.

A tick may have failed or been missed; or it was made, and a target's line was corrected or added after it. The sensor
spends money, so it acts only for a tick that was due while its schedule was on, and requests a target once a tick. What
the runs are is `schedules.py`.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable
from typing import Final

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import CodeLocationOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData, TickStatus

from backlinks_assets.collect.bulk_day import BULK_ENDPOINTS
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.defs.bulk import bulk_collect_job
from backlinks_assets.defs.busy_days import UNFINISHED, collects_on, is_in_bulk
from backlinks_assets.defs.jobs import collect_job
from backlinks_assets.defs.partitions import ends_of
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.runs import MAKES_UP_FOR
from backlinks_assets.defs.schedules import BULK_NAME, NAME, in_bulk_request, requests, stands_for, was_made_up_for
from backlinks_assets.env_values import SettingsError
from backlinks_assets.targets.target import TargetsError
from backlinks_assets.targets.watch import line_of

CAUGHT_UP_WITHIN: Final = dt.timedelta(minutes=2)
"""So long a tick that is not there is waited for: a daemon that was down makes its last one when it is back."""


class _NotOwedError(Exception):
    """Nothing is to be made up for; the message says why."""


@dg.sensor(
    jobs=[collect_job, bulk_collect_job],
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "While daily_collect_schedule is on: requests the active targets that its tick of today did not request, because it "
        "failed or was missed, or because their lines were corrected or added after it. Once a tick, and only where no call "
        "was made today. The same for daily_bulk_collect_schedule and the targets in bulk. Costs what the tick would have cost."
    ),
)
def makeup_sensor(
    context: dg.SensorEvaluationContext, backlinks_data: BacklinksData
) -> dg.SensorResult | dg.SkipReason:
    now = utc_now()
    wanted: list[dg.RunRequest] = []
    reasons: list[str] = []
    for owed in (_owed_in_full, _owed_in_bulk):
        try:
            wanted += owed(context, backlinks_data, now)
        except (_NotOwedError, SettingsError, TargetsError) as reason:
            reasons.append(str(reason))
    return dg.SensorResult(wanted) if wanted else dg.SkipReason(" ".join(dict.fromkeys(filter(None, reasons))))


def _owed_in_full(context: dg.SensorEvaluationContext, data: BacklinksData, now: dt.datetime) -> list[dg.RunRequest]:
    """Return the runs that are owed to targets read by summaries; raises _NotOwedError where there are none."""
    tick, was_made = _owed_tick(context, NAME, data.settings().schedule.last_today(now), now)
    targets = data.ways(tick.date()).full
    with data.store() as store:
        called = store.called(tick.date())
    wanted = [target for target in targets if target.target not in called]
    if not wanted:
        raise _NotOwedError("A call was made today about every active target.")
    if was_made:
        requested = _requested_partitions(context.instance, tick.date())
        wanted = [target for target in wanted if target.partition_key not in requested]
        if not wanted:
            raise _NotOwedError("The last tick of today was made, and a run has requested every active target.")
    key = _key(tick, (target.target for target in wanted))
    tags = {} if was_made else {MAKES_UP_FOR: stands_for(NAME, tick)}
    return list(requests(context.instance, tick.date(), wanted, key, tags))


def _owed_in_bulk(context: dg.SensorEvaluationContext, data: BacklinksData, now: dt.datetime) -> list[dg.RunRequest]:
    """Return the run that is owed to targets in bulk; raises _NotOwedError where there is none.

    It is of the whole day, and only what is missing is called for. So what no run has requested is known by the targets file:
    it was changed after the last run in bulk began, and a target of it has no answer.
    """
    if running_schedule(context.instance, context.code_location_origin, BULK_NAME) is None:
        raise _NotOwedError  # who watches nothing in bulk need not hear of it
    tick, was_made = _owed_tick(context, BULK_NAME, data.settings().schedule.last_today(now), now)
    day = tick.date()
    targets = data.ways(day).bulk
    begun = _last_run_in_bulk(context.instance, day) if was_made else None
    if begun is not None and data.settings().targets_file.stat().st_mtime <= begun.timestamp():
        raise _NotOwedError("The last tick of today was made, and a run has requested every target in bulk.")
    with data.store() as store:
        batches = [store.batches(day, endpoint.name) for endpoint in BULK_ENDPOINTS]
        left_out = {name: one.line for name, one in store.left_out().items()}
    answered = set.intersection(*({name for batch in of_one for name in batch.targets} for of_one in batches))
    wanted = [one for one in targets if one.target not in answered and left_out.get(one.target) != line_of(one)]
    if not wanted:
        raise _NotOwedError("Every target in bulk has its answers of today.")
    tags = {} if was_made else {MAKES_UP_FOR: stands_for(BULK_NAME, tick)}
    return [in_bulk_request(day, len(targets), "bulk-" + _key(tick, (one.target for one in wanted)), tags)]


def _key(tick: dt.datetime, names: Iterable[str]) -> str:
    """Return a key with what is wanted in it: a run that the daemon makes late is not requested twice."""
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:12]
    return f"{tick.isoformat()}-{digest}"


def _owed_tick(
    context: dg.SensorEvaluationContext, name: str, due: dt.datetime | None, now: dt.datetime
) -> tuple[dt.datetime, bool]:
    """Return the time of today's last tick of a schedule, and whether it was made.

    A schedule that was switched on after that time owed nothing then: who switches it on expects tomorrow's tick. A
    tick that was made owes only the targets that no run has requested: what failed is for a person, or for the next day.

    Raises:
        _NotOwedError: it is not.
    """
    state = running_schedule(context.instance, context.code_location_origin, name)
    if state is None:
        raise _NotOwedError(f"{name} is off.")
    if due is None:
        raise _NotOwedError("No tick is due today, or not yet.")
    data = state.instigator_data
    if isinstance(data, ScheduleInstigatorData) and (data.start_timestamp or 0) > due.timestamp():
        raise _NotOwedError(f"{name} was switched on after its last tick of today was due.")
    ticks = context.instance.get_ticks(state.instigator_origin_id, state.selector_id, after=due.timestamp() - 1)
    made = next((tick.status for tick in ticks if tick.timestamp == due.timestamp()), None)
    if made is TickStatus.STARTED or (made is None and now < due + CAUGHT_UP_WITHIN):
        raise _NotOwedError("The schedule's own tick is waited for.")
    was_made = made in (TickStatus.SUCCESS, TickStatus.SKIPPED) or was_made_up_for(context.instance, due, name)
    if any(collects_on(run, due.date()) for run in context.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))):
        raise _NotOwedError("A run that collects today is queued or at work.")
    return due, was_made


def running_schedule(
    instance: dg.DagsterInstance, origin: CodeLocationOrigin | None, name: str = NAME
) -> InstigatorState | None:
    """Return the state of a code location's daily schedule, of any without one; None where it is off."""
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        location = state.origin.repository_origin.code_location_origin.location_name
        here = origin is None or location == origin.location_name
        if here and state.instigator_name == name and state.status is InstigatorStatus.RUNNING:
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


def _last_run_in_bulk(instance: dg.DagsterInstance, day: dt.date) -> dt.datetime | None:
    """Return when the last run that collects a day in bulk was created; None without one."""
    midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
    for record in instance.get_run_records(
        dg.RunsFilter(created_after=midnight - dt.timedelta(hours=1))
    ):  # newest first
        if is_in_bulk(record.dagster_run) and collects_on(record.dagster_run, day):
            return record.create_timestamp
    return None
