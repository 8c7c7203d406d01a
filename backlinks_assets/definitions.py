"""The code location: everything that Dagster knows of this project, with resources that a caller may replace.

Assembly only; each object is in `defs/`.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from backlinks_assets.defs.announce import announce_sensor, announcements_arrive_sensor
from backlinks_assets.defs.assets import ASSETS, flags_report
from backlinks_assets.defs.automation import publish_automation_sensor
from backlinks_assets.defs.dead_runs import dead_runs_sensor
from backlinks_assets.defs.in_time import freshness_policy, in_time_sensor, judged_in_time
from backlinks_assets.defs.jobs import collect_job, publish_job
from backlinks_assets.defs.makeup import makeup_sensor
from backlinks_assets.defs.resources import BacklinksApi, BacklinksData
from backlinks_assets.defs.retention import retention_job, retention_schedule
from backlinks_assets.defs.schedules import daily_collect_schedule
from backlinks_assets.defs.sensors import targets_sensor


def build_defs(resources: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Return the definitions, with `resources` in the place of those of the same name.

    No executor is among them, so that they can be merged into a code location that has its own. The jobs bring theirs.
    """
    schedule = daily_collect_schedule()
    policy = freshness_policy(schedule)
    page = flags_report.map_asset_specs(lambda spec: spec.replace_attributes(freshness_policy=policy))
    return dg.Definitions(
        assets=[*(asset for asset in ASSETS if asset is not flags_report), page],
        asset_checks=[judged_in_time],
        jobs=[collect_job, publish_job, retention_job],
        schedules=[schedule, retention_schedule],
        sensors=[
            targets_sensor,
            makeup_sensor,
            publish_automation_sensor,
            announce_sensor,
            announcements_arrive_sensor,
            dead_runs_sensor,
            in_time_sensor,
        ],
        resources={"backlinks_data": BacklinksData(), "backlinks_api": BacklinksApi(), **(resources or {})},
    )


# What is materialized outside of a job, by hand or by the automation, runs in one process here too.
defs = dg.Definitions.merge(build_defs(), dg.Definitions(executor=dg.in_process_executor))
