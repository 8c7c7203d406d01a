"""The asset `lost_history`: lost links of the days before targets' first readings, bought on a person's word only.

Thin object; which windows are bought, and the rows made of them, is `backfill/`.
"""

from typing import Any

import dagster as dg
from pydantic import Field

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.defs.assets import OWNERS
from backlinks_assets.defs.code_versions import CODE_VERSIONS
from backlinks_assets.defs.metadata import tables
from backlinks_assets.defs.resources import BacklinksApi, BacklinksData
from backlinks_assets.defs.runs import requested_at
from backlinks_assets.tables.schemas import TABLES
from backlinks_assets.targets.watch import only_full_because


class BackfillConfig(dg.Config):
    """What a run buys: the days before the first readings of these targets, or of all of the file."""

    targets: list[str] = Field(default=[], description="Their names as in the targets file; none: all.")
    days: int = Field(default=60, ge=1, le=365, description="Days before the first reading.")


@dg.asset(
    deps=["backlinks_summary", "backlinks_bulk"],
    group_name="collection",
    kinds={"parquet", "duckdb"},
    owners=OWNERS,
    tags={"costs_money": "yes"},
    metadata=tables.static_metadata("lost_history"),
    code_version=CODE_VERSIONS["lost_history"],
    description=TABLES["lost_history"].description,
    pool="duckdb",
)
def lost_history(
    context: dg.AssetExecutionContext,
    config: BackfillConfig,
    backlinks_data: BacklinksData,
    backlinks_api: BacklinksApi,
) -> dg.MaterializeResult[Any]:
    """Buys the windows that the store lacks, and makes the table of all that are stored."""
    from backlinks_assets.backfill.files import write_history
    from backlinks_assets.backfill.purchase import buy, countable, planned
    from backlinks_assets.published.publication import bring, publish_tables

    settings, today = backlinks_data.settings(), utc_now().date()
    tables.check_instance(context.instance, settings)
    if why := only_full_because(backlinks_api.parameters()):
        raise dg.Failure(
            f"The resource backlinks_api has {why}, which bulk calls do not know: nothing was requested.",
            allow_retries=False,
        )
    bring(settings)
    targets, passed_over = countable(backlinks_data.targets(), today)
    targets = [one for one in targets if not config.targets or one.target in config.targets]
    plan = planned(settings, today, targets, config.days)
    done = buy(backlinks_api.collector(requested_at(context.instance, context.run)), plan, targets)
    tables.record_origin(context.instance, settings)
    written = write_history(settings)
    publish_tables(settings, written.dates)
    for target, said in sorted({**passed_over, **done.failed, **written.refused}.items()):
        context.log.warning("%s: %s", target, said)
    if done.stopped:
        raise dg.Failure(done.stopped, allow_retries=False)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": written.rows,
            "targets": written.targets,
            "calls": done.calls,
            "cost_usd": round(done.cost_usd, 6),
            "first_day": str(written.dates[0]) if written.dates else "",
            "last_day": str(written.dates[-1]) if written.dates else "",
            "failed": dg.MetadataValue.json(done.failed),
            "refused": dg.MetadataValue.json(written.refused),
        }
    )
