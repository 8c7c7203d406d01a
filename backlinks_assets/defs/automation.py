"""When Dagster builds the free assets by itself.

Conditions and their sensor only. The asset that spends money has no condition: it is asked for by the schedule or by
a person (`schedules.py`).
"""

import dagster as dg

from backlinks_assets.defs.runs import PUBLISHES_BY_ITSELF

# Fires once for new answers, as soon as none of the day is still being collected: what changed is remembered until it
# has been built, whether by this condition or by hand. It does not wait for targets that failed. Of tables that
# are built together one has it: Dagster asks for the others with it, and looks at a day's targets once, not once for each.
when_answers_changed = (
    dg.AutomationCondition.in_latest_time_window()
    & dg.AutomationCondition.any_deps_updated().since_last_handled()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
).with_label("the day's new answers are in")  # as much as the asset's page shows

publish_automation_sensor = dg.AutomationConditionSensorDefinition(
    "publish_automation_sensor",
    target=dg.AssetSelection.groups("tables", "flags"),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=20,
    run_tags=PUBLISHES_BY_ITSELF,
    description="Builds the tables and flags of today once its answers have changed. Spends nothing.",
)
