"""The jobs: collect, evidence and back-fill (they cost money), and publish (free). Selections only.

Their steps run in the run's own process, whatever executor the code location has: a process a step costs two seconds,
and the steps are short.
"""

import dagster as dg

from backlinks_assets.defs.assets import summary_responses
from backlinks_assets.defs.checks import IN_TIME

collect_job = dg.define_asset_job(
    "collect_job",
    selection=dg.AssetSelection.assets(summary_responses),
    executor_def=dg.in_process_executor,
    description="Calls the API for targets on a day and stores the answers. Costs money: two calls a target.",
)

evidence_job = dg.define_asset_job(
    "evidence_job",
    selection=dg.AssetSelection.assets("flag_evidence"),
    executor_def=dg.in_process_executor,
    description="Buys the links and domains that a day's flags are about, under BACKLINKS_EVIDENCE_USD_PER_DAY. Costs money.",
)

backfill_job = dg.define_asset_job(
    "backfill_job",
    selection=dg.AssetSelection.assets("lost_history"),
    executor_def=dg.in_process_executor,
    description="Buys the lost links of the days before targets' first readings. Costs money: 61 calls for up to 1,000 targets.",
)

publish_job = dg.define_asset_job(
    "publish_job",
    selection=dg.AssetSelection.groups("tables", "flags") - dg.AssetSelection.checks(IN_TIME),
    executor_def=dg.in_process_executor,
    description="Builds the tables and flags of days from the stored answers. Costs nothing; a rebuild is safe.",
)
