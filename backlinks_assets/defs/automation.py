"""The sensor that builds the free assets by itself.

The look at what is there, and its run requests, only; which days are behind their answers and due is `due_days.py`. The asset
that spends money is never asked for here: that is the schedule's, or a person's (`schedules.py`).
"""

import datetime as dt
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import dagster as dg

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.defs.busy_days import days_at_work
from backlinks_assets.defs.jobs import publish_job
from backlinks_assets.defs.partitions import FIRST_DAY, day_range_tags
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.runs import PUBLISHES_BY_ITSELF

if TYPE_CHECKING:
    from backlinks_assets.due_days import Asked


@dg.sensor(
    job=publish_job,
    minimum_interval_seconds=20,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Builds tables, flags and page of each of the last seven days that lack answers which are kept. Spends nothing.",
)
def publish_automation_sensor(context: dg.SensorEvaluationContext, backlinks_data: BacklinksData) -> dg.SensorResult:
    """Ask for the recent days whose tables, flags or page are not made from what the response store holds.

    It looks at what is there and not at what has happened since the last look, so that nothing can be missed: answers may
    land while the day is built, hours later, after midnight, by a process that Dagster knows nothing of. A day waits
    while a run is at work on it; it does not wait for targets that failed.
    """
    from backlinks_assets.due_days import due, is_level, kept  # most processes of this code location take no look

    settings, now = backlinks_data.settings(), utc_now()
    held = {day: digest for day, digest in kept(settings, now.date()).items() if str(day) >= FIRST_DAY}
    behind = [day for day, digest in held.items() if not is_level(settings.root, day, digest)]
    busy = days_at_work(context.instance, now) if behind else set()
    wanted, asked = due(held, behind, busy, _read(context.cursor), now)
    waiting = [_why(day, asked[day], day in busy) for day in sorted(behind)]
    return dg.SensorResult(
        run_requests=[_request(first, last) for first, last in _spans(wanted)],
        skip_reason=None
        if wanted
        else " ".join(waiting) or "The last seven days' tables have all answers that are kept.",
        cursor=_written(asked),
    )


def _spans(wanted: Collection[dt.date]) -> Iterator[tuple[dt.date, dt.date]]:
    """Yield the first and last of the days that follow each other: one run, in which each is judged by those before it."""
    days = set(wanted)
    for day in sorted(days):
        if day - dt.timedelta(days=1) not in days:
            last = day
            while last + dt.timedelta(days=1) in days:
                last += dt.timedelta(days=1)
            yield day, last


def _request(first: dt.date, last: dt.date) -> dg.RunRequest:
    if first == last:
        return dg.RunRequest(partition_key=str(first), tags=PUBLISHES_BY_ITSELF)
    return dg.RunRequest(tags=day_range_tags(str(first), str(last)) | PUBLISHES_BY_ITSELF)


def _why(day: dt.date, ask: "Asked", busy: bool) -> str:
    if busy:
        return f"{day} has new answers and is built as soon as the run that is at work on it has ended."
    return (
        f"{day} is still not built after {ask.times} tries and is tried again at {ask.again_at:%H:%M} UTC, or once other "
        "answers come: the last run of publish_job over it says what is wrong."
    )


def _read(cursor: str | None) -> "dict[dt.date, Asked]":
    from backlinks_assets.due_days import Asked

    try:
        days = json.loads(cursor or "{}").items()
        return {
            dt.date.fromisoformat(day): Asked(ask["kept"], ask["times"], dt.datetime.fromisoformat(ask["again_at"]))
            for day, ask in days
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # of Dagster's own automation, which built the tables in earlier versions


def _written(asked: "Mapping[dt.date, Asked]") -> str:
    return json.dumps({str(day): asdict(ask) for day, ask in asked.items()}, default=str)
