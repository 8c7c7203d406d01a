"""The sensor that builds the free assets by itself.

The look at what is there, and its run requests, only; which days are behind their answers and due is `due_days.py`. The asset
that spends money is never requested here: the schedule does that (`schedules.py`), or a person.
"""

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from itertools import groupby

import dagster as dg

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.defs.busy_days import days_at_work
from backlinks_assets.defs.jobs import publish_job
from backlinks_assets.defs.partitions import FIRST_DAY, day_range_tags
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.runs import ENDED_IN_TIME, PUBLISHES_BY_ITSELF
from backlinks_assets.due_days import Tries, due, is_level, recent_days
from backlinks_assets.published.publication import bring_recent
from backlinks_assets.store.digests import digests, incident_verdicts_in, verdicts_in


@dg.sensor(
    job=publish_job,
    minimum_interval_seconds=10,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Builds tables, flags and page of the last seven days that lack stored answers or verdicts. Spends nothing.",
)
def publish_automation_sensor(context: dg.SensorEvaluationContext, backlinks_data: BacklinksData) -> dg.SensorResult:
    """Request runs for the recent days whose tables, flags or page are not made from what the response store holds.

    It looks at what is there and not at what has happened since the last look, so that nothing can be missed: answers may
    come while the day is built, hours later, after midnight, by a process that Dagster knows nothing of. A day waits
    while a run is at work on it; it does not wait for targets that failed.
    """
    settings, now = backlinks_data.settings(), utc_now()
    recent = [day for day in recent_days(now.date()) if str(day) >= FIRST_DAY]
    held = digests(settings.store, recent)
    said = verdicts_in(settings.store), incident_verdicts_in(settings.store)
    if held:  # another machine may have built them; a day is evaluated from as many days before
        bring_recent(settings, recent_days(min(held))[0])
    behind = [day for day, digest in held.items() if not is_level(settings.root, day, digest, *said)]
    busy = days_at_work(context.instance, now) if behind else set()
    wanted, tries = due(held, behind, busy, _read(context.cursor), now)
    waiting = [_why(day, tries[day], day in busy) for day in sorted(behind)]
    return dg.SensorResult(
        run_requests=list(_requests(wanted)),
        skip_reason=None if wanted else " ".join(waiting) or "The last seven days' tables have all stored answers.",
        cursor=json.dumps({str(day): of_day for day, of_day in tries.items()}, default=str),
    )


def _requests(days: Iterable[dt.date]) -> Iterator[dg.RunRequest]:
    """Yield a run for the days that follow each other: in it each is judged by those before it."""
    for _, run in groupby(enumerate(sorted(days)), key=lambda day: day[1].toordinal() - day[0]):
        keys = [str(day) for _, day in run]
        if len(keys) == 1:
            yield dg.RunRequest(partition_key=keys[0], tags=PUBLISHES_BY_ITSELF | ENDED_IN_TIME)
        else:
            yield dg.RunRequest(tags=day_range_tags(keys[0], keys[-1]) | PUBLISHES_BY_ITSELF)


def _why(day: dt.date, tries: Tries, busy: bool) -> str:
    if busy:
        return f"{day} has new answers or verdicts and is built as soon as the run that is at work on it has ended."
    return (
        f"{day} is still not built after {tries.times} tries and is tried again at {tries.again_at:%H:%M} UTC, or once other "
        "answers come: the last run of publish_job over it says what is wrong."
    )


def _read(cursor: str | None) -> dict[dt.date, Tries]:
    try:
        return {
            dt.date.fromisoformat(day): Tries(answers, times, dt.datetime.fromisoformat(again_at))
            for day, (answers, times, again_at) in json.loads(cursor or "{}").items()
        }
    except (ValueError, TypeError, AttributeError):
        return {}  # of an earlier version
