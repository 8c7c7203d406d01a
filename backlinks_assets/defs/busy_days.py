"""Which days a run of this project is about, and on which days runs are at work: these are not built or announced meanwhile.

Reading of Dagster's runs only. Runs whose process is gone are ended by `dead_runs.py`, and are at work until then.
"""

import datetime as dt
from typing import Final

import dagster as dg

from backlinks_assets.defs.bulk import bulk_collect_job
from backlinks_assets.defs.jobs import collect_job, evidence_job, publish_job
from backlinks_assets.defs.partitions import ends_of
from backlinks_assets.tables.schemas import TABLES

WAITED_FOR: Final = dt.timedelta(hours=6)
"""A run that is older holds up no day: it is frozen, or waits in a queue that nobody empties."""

ENDED: Final = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
UNFINISHED: Final = [status for status in dg.DagsterRunStatus if status not in ENDED]

_RESPONSES: Final = {dg.AssetKey("summary_responses"), dg.AssetKey("bulk_responses")}
_JOBS: Final = {collect_job.name, bulk_collect_job.name, evidence_job.name, publish_job.name}
_ASSETS: Final = {dg.AssetKey(name) for name in ("summary_responses", "bulk_responses", *TABLES, "flags_report")}


def days_at_work(instance: dg.DagsterInstance, now: dt.datetime) -> set[dt.date]:
    """Return the days on which a run of this project is queued or at work."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, created_after=now - WAITED_FOR))
    return {day for run in runs for day in days_of_run(run)}


def days_of_run(run: dg.DagsterRun) -> list[dt.date]:
    """Return the days that one of the project's runs is about; none for a run of something else."""
    if run.job_name not in _JOBS and not _ASSETS & set(run.asset_selection or ()):
        return []
    try:
        first, last = (dt.date.fromisoformat(key[:10]) for key in ends_of(run.tags))
    except ValueError:
        return []
    return [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]


def is_collecting(run: dg.DagsterRun) -> bool:
    """Whether a run calls the API; otherwise it builds tables."""
    return is_in_bulk(run) or run.job_name == collect_job.name or bool(_RESPONSES & set(run.asset_selection or ()))


def is_in_bulk(run: dg.DagsterRun) -> bool:
    """Whether a run collects targets watched in bulk."""
    return run.job_name == bulk_collect_job.name or dg.AssetKey("bulk_responses") in (run.asset_selection or ())


def collects_on(run: dg.DagsterRun, day: dt.date) -> bool:
    return is_collecting(run) and day in days_of_run(run)
