"""The code location: everything that Dagster knows of this project, with resources that a caller may replace.

Assembly only; each object is in `defs/`.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import dagster as dg

from backlinks_assets.defs.announce import announce_sensor, announcements_arrive_sensor
from backlinks_assets.defs.assets import ASSETS, flags_report, summary_responses
from backlinks_assets.defs.automation import publish_automation_sensor
from backlinks_assets.defs.backfill import lost_history
from backlinks_assets.defs.bulk import bulk_collect_job, bulk_responses
from backlinks_assets.defs.dead_runs import dead_runs_sensor
from backlinks_assets.defs.evidence import evidence_sensor, flag_evidence
from backlinks_assets.defs.in_time import freshness_policy, in_time_sensor, judged_in_time
from backlinks_assets.defs.jobs import backfill_job, collect_job, evidence_job, publish_job
from backlinks_assets.defs.makeup import makeup_sensor
from backlinks_assets.defs.old_runs import old_runs_job, old_runs_schedule
from backlinks_assets.defs.partitions import first_target_day, target_days
from backlinks_assets.defs.resources import BacklinksApi, BacklinksData
from backlinks_assets.defs.schedules import daily_bulk_collect_schedule, daily_collect_schedule
from backlinks_assets.defs.sensors import targets_sensor


def build_defs(resources: Mapping[str, Any] | None = None, *, first_day: dt.date | None = None) -> dg.Definitions:
    """Return the definitions, with `resources` in the place of those of the same name.

    Targets have partitions from `first_day` on, or from the day that the environment says.

    No executor is among them, so that they can be merged into a code location that has its own. The jobs bring theirs.
    """
    schedule = daily_collect_schedule()
    policy = freshness_policy(schedule)
    page = flags_report.map_asset_specs(lambda spec: spec.replace_attributes(freshness_policy=policy))
    window = target_days(first_day or first_target_day())
    answers = summary_responses.map_asset_specs(lambda spec: spec.replace_attributes(partitions_def=window))
    return dg.Definitions(
        assets=[
            answers,
            bulk_responses,
            *(asset for asset in ASSETS if asset not in (summary_responses, flags_report)),
            page,
            flag_evidence,
            lost_history,
        ],
        asset_checks=[judged_in_time],
        jobs=[collect_job, bulk_collect_job, evidence_job, backfill_job, publish_job, old_runs_job],
        schedules=[schedule, daily_bulk_collect_schedule(), old_runs_schedule],
        sensors=[
            targets_sensor,
            makeup_sensor,
            publish_automation_sensor,
            evidence_sensor,
            announce_sensor,
            announcements_arrive_sensor,
            dead_runs_sensor,
            in_time_sensor,
        ],
        resources={"backlinks_data": BacklinksData(), "backlinks_api": BacklinksApi(), **(resources or {})},
    )


# What is materialized outside of a job, by hand or by the automation, runs in one process here too.
defs = dg.Definitions.merge(build_defs(), dg.Definitions(executor=dg.in_process_executor))
