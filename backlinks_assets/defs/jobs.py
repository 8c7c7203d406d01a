"""The two jobs: collect (costs money) and publish (free). Selections only."""

import dagster as dg

from backlinks_assets.defs.assets import summary_responses

collect_job = dg.define_asset_job(
    "collect_job",
    selection=dg.AssetSelection.assets(summary_responses),
    description="Asks the API about targets on a day and keeps the answers. Costs money: two calls a target.",
)

publish_job = dg.define_asset_job(
    "publish_job",
    selection=dg.AssetSelection.groups("tables", "flags"),
    description="Builds the tables and flags of days from the kept answers. Costs nothing; a rebuild is safe.",
)
