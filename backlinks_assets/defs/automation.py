"""When Dagster builds the free assets by itself.

Conditions and their sensor only. The asset that spends money has no condition: it is asked for by the schedule or by
a person (`schedules.py`).
"""

import dagster as dg

# Fires once for new answers, as soon as none of the day is still being collected: what changed is remembered until it
# has been built, whether by this condition or by hand. It does not wait for targets that failed.
when_answers_changed = (
    dg.AutomationCondition.in_latest_time_window()
    & dg.AutomationCondition.any_deps_updated().since_last_handled()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
).with_label("the day's answers changed and none is still being collected")

publish_automation_sensor = dg.AutomationConditionSensorDefinition(
    "publish_automation_sensor",
    target=dg.AssetSelection.groups("tables", "flags"),
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Builds the tables and flags of today once its answers have changed. Spends nothing.",
)
