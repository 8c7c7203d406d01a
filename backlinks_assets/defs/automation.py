"""When Dagster builds the free assets by itself.

Conditions and their sensor only; which days are behind their answers and due is `recent.py`. The asset that spends money
has no condition: it is asked for by the schedule or by a person (`schedules.py`).
"""

import datetime as dt
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

import dagster as dg

from backlinks_assets.defs.partitions import FIRST_DAY, days_of
from backlinks_assets.defs.runs import PUBLISHES_BY_ITSELF
from backlinks_assets.settings import Settings
from backlinks_assets.store.collect import utc_now
from backlinks_assets.tables.schemas import TABLES

if TYPE_CHECKING:
    from backlinks_assets.recent import Asked

DEAD_AFTER: Final = dt.timedelta(hours=6)
"""A run that was made before that and has no end is a dead one: no day waits for it."""

_JOBS: Final = {"collect_job", "publish_job"}
_ASSETS: Final = {dg.AssetKey(name) for name in ("summary_responses", *TABLES, "flags_report")}
_ENDED: Final = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}


class BehindItsAnswers(dg.AutomationCondition[dg.AssetKey]):
    """True of each recent day whose tables, flags or page are not made from what the response store holds.

    It looks at what is there and not at what has happened since the last look, so that nothing can be missed: answers may
    land while the day is built, hours later, after midnight, by a process that Dagster knows nothing of. A day waits
    while a run is at work on it; it does not wait for targets that failed.
    """

    @property
    def name(self) -> str:
        return "behind_its_answers"

    @property
    def description(self) -> str:
        return "One of the last seven days whose tables are not made from the answers that are kept"

    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        """Ask for the days that are due, and say of the others that are behind why they wait."""
        from backlinks_assets.recent import due, is_level, kept  # most processes of this code location take no look

        settings = Settings.from_env()
        today = context.evaluation_time.astimezone(dt.UTC).date()
        held = {day: digest for day, digest in kept(settings, today).items() if str(day) >= FIRST_DAY}
        behind = [day for day, digest in held.items() if not is_level(settings.root, day, digest)]
        busy = busy_days(context.asset_graph_view.instance) if behind else set()
        wanted, asked = due(held, behind, busy, _read(context.cursor), utc_now())
        for day in sorted(set(behind).difference(wanted)):
            ask = asked[day]
            until = (
                f"until {ask.again_at:%H:%M} UTC, having been tried {ask.times} times: the last run says why it failed"
            )
            waits = "for the end of a run that is at work on it" if day in busy else until
            context.log.warning("%s waits to be built from the answers that are kept: %s.", day, waits)
        subset = context.candidate_subset.compute_intersection_with_partition_keys({str(day) for day in wanted})
        return dg.AutomationResult(context, subset, cursor=_written(asked))


def busy_days(instance: dg.DagsterInstance) -> set[dt.date]:
    """Return the days on which a run of this project is queued or at work."""
    filters = dg.RunsFilter(
        statuses=[status for status in dg.DagsterRunStatus if status not in _ENDED],
        created_after=utc_now() - DEAD_AFTER,
    )
    busy: set[dt.date] = set()
    for run in instance.get_runs(filters):
        span = days_of(run.tags)
        if span and (run.job_name in _JOBS or _ASSETS & set(run.asset_selection or ())):
            first, last = span
            busy.update(first + dt.timedelta(days=number) for number in range((last - first).days + 1))
    return busy


def _read(cursor: str | None) -> "dict[dt.date, Asked]":
    from backlinks_assets.recent import Asked

    return {
        dt.date.fromisoformat(day): Asked(ask["kept"], ask["times"], dt.datetime.fromisoformat(ask["again_at"]))
        for day, ask in json.loads(cursor or "{}").items()
    }


def _written(asked: "Mapping[dt.date, Asked]") -> str:
    return json.dumps({str(day): asdict(ask) for day, ask in asked.items()}, default=str)


# Of assets that are built together one looks; the others are asked for with it, for the same days and in the same run.
when_behind = BehindItsAnswers()
with_its_tables = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.will_be_requested()).with_label(
    "the tables that it is made from are built"
)

with warnings.catch_warnings():
    # Dagster calls conditions of one's own beta and says so at each start; the version is locked.
    warnings.simplefilter("ignore", dg.BetaWarning)
    publish_automation_sensor = dg.AutomationConditionSensorDefinition(
        "publish_automation_sensor",
        target=dg.AssetSelection.groups("tables", "flags"),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=20,
        run_tags=PUBLISHES_BY_ITSELF,
        emit_backfills=False,  # days that follow each other are one run: a later one is judged by the tables of those before
        use_user_code_server=True,  # the daemon knows Dagster's own conditions only
        description="Builds the last seven days' tables, flags and pages where they lack answers that are kept. Spends nothing.",
    )
