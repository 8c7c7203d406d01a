"""The sensor that adds new targets to Dagster's partitions, and removes what would lock readers out of the DuckDB file.

It spends nothing and writes no table.
"""

from collections.abc import Sequence
from contextlib import suppress

import dagster as dg

from backlinks_assets.dagster_instance.event_log import add_looking_again
from backlinks_assets.defs.partitions import targets
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.tables.client_logs import remove_client_logs


def missing_targets(instance: dg.DagsterInstance, keys: Sequence[str]) -> list[str]:
    """Return the keys that are not partitions yet, in their order."""
    known = set(instance.get_dynamic_partitions("targets"))
    return [key for key in dict.fromkeys(keys) if key not in known]


def add_missing_targets(instance: dg.DagsterInstance, keys: Sequence[str]) -> list[str]:
    """Add the keys that are not partitions yet, in one batch: each change rebuilds Dagster's partition cache.

    Other processes may add the same at the same time; those keys are returned too.
    """
    missing = missing_targets(instance, keys)
    if missing:
        add_looking_again(lambda: instance.add_dynamic_partitions("targets", missing))
    return missing


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Adds new targets of the targets file to the partitions. Retired ones stay, for their history. Also removes "
    "what a SQL client that opened backlinks.duckdb for writing left beside it, which would lock out its readers.",
)
def targets_sensor(
    context: dg.SensorEvaluationContext, backlinks_data: BacklinksData
) -> dg.SensorResult | dg.SkipReason:
    settings = backlinks_data.settings()
    with suppress(OSError):  # publishing meets it again and says so
        for name in remove_client_logs(settings.duckdb_file):
            context.log.warning("%s was removed: a program has opened the DuckDB file for writing.", name)
    file = settings.targets_file
    if not file.exists():
        return dg.SkipReason(f"{file} is not there yet. Make it with `backlinks targets add example.com`.")
    missing = missing_targets(context.instance, [target.partition_key for target in backlinks_data.targets()])
    if not missing:
        return dg.SkipReason("Every target of the targets file is a partition.")
    return dg.SensorResult(dynamic_partitions_requests=[targets.build_add_request(missing)])
