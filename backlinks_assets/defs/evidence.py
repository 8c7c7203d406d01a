"""The asset `flag_evidence`, and the sensor that has it bought: off until a person starts it, since it spends money.

Thin objects only; what is bought, in which order and under which cap is `evidence/`.
"""

import datetime as dt
from typing import Any, Final

import dagster as dg

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.defs.assets import OWNERS
from backlinks_assets.defs.busy_days import days_at_work
from backlinks_assets.defs.code_versions import CODE_VERSIONS
from backlinks_assets.defs.jobs import evidence_job
from backlinks_assets.defs.metadata import tables
from backlinks_assets.defs.partitions import days
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.run_partitions import partitions_of_run
from backlinks_assets.defs.runs import ENDED_IN_TIME, gathers_evidence, requested_at
from backlinks_assets.paths import evidence_csv_path, parquet_path
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import made_from
from backlinks_assets.tables.schemas import TABLES

WAITS_S: Final = 600
"""So long a day's message waits for its evidence, after its flags are there."""


class EvidenceConfig(dg.Config):
    """How much a run buys: `setting` in the place of BACKLINKS_EVIDENCE, `flags` at most (0: all)."""

    setting: str = ""
    flags: int = 0


@dg.asset(
    deps=["backlinks_flags"],
    partitions_def=days,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="evidence",
    kinds={"parquet", "duckdb"},
    owners=OWNERS,
    tags={"costs_money": "yes"},
    metadata=tables.static_metadata("flag_evidence"),
    code_version=CODE_VERSIONS["flag_evidence"],
    description=TABLES["flag_evidence"].description,
    pool="duckdb",
)
def flag_evidence(
    context: dg.AssetExecutionContext, config: EvidenceConfig, backlinks_data: BacklinksData
) -> dg.MaterializeResult[Any]:
    """Buys what the flags of a day raise and the store lacks, and writes the table and the CSV of all that is stored."""
    from backlinks_assets.evidence.files import unbought_of, write_evidence
    from backlinks_assets.evidence.flags import flags_of
    from backlinks_assets.evidence.purchase import buy, stored
    from backlinks_assets.evidence.questions import wanted
    from backlinks_assets.published.publication import publishing_tables

    settings = backlinks_data.settings()
    tables.check_instance(context.instance, settings)
    own = {one.target: one.overrides.model_dump(exclude_none=True) for one in backlinks_data.targets()}
    dates = [dt.date.fromisoformat(date) for date in partitions_of_run(context)]
    by_day: dict[dt.date, dict[str, Any]] = {}
    stopped = None
    with publishing_tables(settings, dates):
        for day in dates:
            flags = wanted(config.setting or settings.evidence, flags_of(settings.root, day))
            flags = flags[: config.flags] if config.flags else flags
            done = buy(settings, day, flags, own, began=requested_at(context.instance, context.run))
            stopped = stopped or done.stopped
            found = stored(settings, day)
            missing = {
                key: why for key, why in (unbought_of(settings.root, day) | done.failed).items() if key not in found
            }
            rows = write_evidence(settings.root, day, found, missing)
            by_day[day] = {
                "dagster/partition_row_count": rows,
                "flags": len({flag.target for flag in flags if any(target == flag.target for target, _ in found)}),
                "calls": done.calls,
                "cost_usd": round(done.cost_usd, 6),
                "not_bought": len(missing),
                "csv": dg.MetadataValue.path(str(evidence_csv_path(settings.root, day))),
            }
    if stopped:
        raise dg.Failure(stopped, allow_retries=False)
    if len(by_day) == 1:
        return dg.MaterializeResult(metadata=by_day[dates[0]])
    for day, metadata in by_day.items():
        context.add_asset_metadata(metadata, partition_key=str(day))
    return dg.MaterializeResult()


@dg.sensor(
    job=evidence_job,
    minimum_interval_seconds=15,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Buys the evidence of today's flags once they are there, as BACKLINKS_EVIDENCE says. Spends money.",
)
def evidence_sensor(
    context: dg.SensorEvaluationContext, backlinks_data: BacklinksData
) -> dg.SkipReason | dg.RunRequest:
    """Request one run for each state of the day's flags for which evidence is missing."""
    from backlinks_assets.evidence.files import awaited

    settings, now = backlinks_data.settings(), utc_now()
    if settings.evidence == "off":
        return dg.SkipReason("BACKLINKS_EVIDENCE is off: nothing is bought.")
    day = now.date()
    if day in days_at_work(context.instance, now):
        return dg.SkipReason(f"A run is at work on {day}.")
    if not (questions := awaited(settings, day)):
        return dg.SkipReason(f"No flag of {day} lacks its evidence.")
    state = made_from(settings.root, "backlinks_flags", day)
    return dg.RunRequest(
        run_key=f"evidence {day} {state} {len(questions)}",
        partition_key=str(day),
        tags=gathers_evidence(day) | ENDED_IN_TIME,
    )


def waited_for(settings: Settings, now: dt.datetime) -> set[dt.date]:
    """Return the days whose message waits for evidence: their flags are younger than ten minutes and lack it."""
    if settings.evidence == "off":
        return set()
    from backlinks_assets.evidence.files import awaited

    found = set()
    for day in (now.date(), now.date() - dt.timedelta(days=1)):
        path = parquet_path(settings.root, "backlinks_flags", day)
        if path.exists() and now.timestamp() - path.stat().st_mtime < WAITS_S and awaited(settings, day):
            found.add(day)
    return found
