"""A second code location, as another team would write it: a list of sites to look at, made of each day's flags.

It shares only the names of assets and the tables with the first one. It does not import `backlinks_assets`, so that it can
run in an environment of its own. Dagster joins the two by the asset key `backlinks_flags`.
"""

import os
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
from pydantic import Field

# The same days as upstream, so that a day's flags are the input of that day's list.
days = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_offset=1)

SITES = """
SELECT flags.target, flags.severity, flags.reason, summary.backlinks AS live_backlinks, summary.info_country AS country
FROM backlinks_flags AS flags
LEFT JOIN backlinks_summary AS summary
    ON summary.date = flags.date AND summary.target = flags.target AND summary.status_type = 'live'
WHERE flags.date = ? AND flags.target <> '*'
ORDER BY flags.severity, abs(flags.score) DESC, flags.target
"""


class BacklinksTables(dg.ConfigurableResource):
    """The DuckDB file of the tables, opened read-only for one query, since it may be replaced at any time."""

    duckdb_file: str = Field(
        description="Where the tables are: `backlinks.duckdb` in the first location's data folder."
    )

    def query(self, sql: str, *values: object) -> pd.DataFrame:
        with duckdb.connect(self.duckdb_file, read_only=True) as connection:
            return connection.execute(sql, values).df()


@dg.asset(
    deps=["backlinks_flags"],
    partitions_def=days,
    automation_condition=dg.AutomationCondition.eager(),
    group_name="customer_care",
    kinds={"csv"},
    owners=["team:care"],
)
def sites_to_look_at(context: dg.AssetExecutionContext, backlinks: BacklinksTables) -> dg.MaterializeResult:
    """The sites flagged on a day, worst first, with what a colleague needs to call their owners: a CSV file a day."""
    sites = backlinks.query(SITES, context.partition_key)
    folder = Path(os.environ.get("SITES_FOLDER", "data/sites_to_look_at"))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{context.partition_key}.csv"
    partial = file.with_suffix(".partial")
    sites.to_csv(partial, index=False)
    partial.replace(file)  # whole or not at all
    return dg.MaterializeResult(
        metadata={
            "dagster/partition_row_count": len(sites),
            "critical": int((sites["severity"] == "critical").sum()),
            "file": dg.MetadataValue.path(str(file.absolute())),
        }
    )


defs = dg.Definitions(
    assets=[sites_to_look_at],
    resources={
        "backlinks": BacklinksTables(duckdb_file=os.environ.get("BACKLINKS_DUCKDB", "data/demo/backlinks.duckdb"))
    },
    sensors=[
        dg.AutomationConditionSensorDefinition(
            "downstream_automation_sensor",
            target=dg.AssetSelection.assets(sites_to_look_at),
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=30,
            description="Makes the day's list as soon as the day's flags are there. Spends nothing.",
        )
    ],
)
