"""What recording a run costs on Postgres: 1,000 partitions in one run, besides the calls.

`python bench/instance_events.py --partitions 1000`. The same run on the embedded instance, on Postgres as the project uses
it, and with dagster-postgres as it comes. A Postgres of its own is started for it. One line of JSON: seconds of the run and
this process's CPU for each of its two events a partition.
"""

import argparse
import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from history import ANYWHERE
from tools import ROOT, environment, report, scratch

from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.settings import Settings

sys.path.append(str(ROOT / "tests/support"))

PARTITIONS = dg.DynamicPartitionsDefinition(name="targets")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dg.asset(partitions_def=PARTITIONS, backfill_policy=dg.BackfillPolicy.single_run(), output_required=False)
def responses(context: dg.AssetExecutionContext) -> Iterator[dg.AssetMaterialization]:
    """Materialize each partition of the range by an event of its own, as `summary_responses` does."""
    for key in context.partition_keys:
        yield dg.AssetMaterialization("responses", partition=key, metadata={"backlinks": 1000, "cost_usd": 0.02})


@contextmanager
def stock(folder: Path, url: str) -> Iterator[dg.DagsterInstance]:
    """Yield an instance with dagster-postgres as it comes, without batches."""
    storage = {"postgres": {"postgres_url": url.replace("postgresql:", "postgresql+psycopg2:")}}
    os.environ["DAGSTER_EVENT_BATCH_SIZE"] = "0"
    overrides = {"telemetry": {"enabled": False}, "storage": storage}
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(folder), overrides=overrides)) as instance:
        yield instance
    del os.environ["DAGSTER_EVENT_BATCH_SIZE"]


@contextmanager
def ours(folder: Path, url: str | None) -> Iterator[dg.DagsterInstance]:
    """Yield the project's instance in a folder, or on Postgres."""
    own = environment(folder, ANYWHERE, **({"BACKLINKS_INSTANCE_URL": url} if url is not None else {}))
    os.environ.pop("BACKLINKS_INSTANCE_URL", None)
    os.environ.update(own)
    with open_instance(Settings.from_env()) as instance:
        yield instance


def run(instance: dg.DagsterInstance, keys: list[str]) -> tuple[float, float]:
    """Return the seconds of a run of all partitions, and milliseconds of CPU an event."""
    instance.add_dynamic_partitions("targets", keys)
    tags = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
    began, cpu = time.perf_counter(), time.process_time()
    dg.materialize([responses], instance=instance, tags=tags, run_config=QUIET)
    took = time.perf_counter() - began, 1000 * (time.process_time() - cpu) / (2 * len(keys))
    assert len(instance.get_materialized_partitions(dg.AssetKey("responses"))) == len(keys)
    return took


def main() -> None:
    """Measure and print."""
    from servers import Postgres, _postgres_programs

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--partitions", type=int, default=1000)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    programs = _postgres_programs()
    assert programs is not None, "Postgres is not installed (on Debian: apt install postgresql)"
    keys = [f"site{number:06d}.example" for number in range(given.partitions)]
    figures: dict[str, Any] = vars(given)
    server = Postgres(programs)
    try:
        with scratch() as folder:
            places = {
                "embedded": ours(folder / "embedded", None),
                "postgres": ours(folder / "postgres", server.new_database()),
                "stock_postgres": stock(folder, server.new_database()),
            }
            for name, place in places.items():
                with place as instance:
                    run(instance, keys[:10])  # what only the first run does
                    figures[f"{name}_s"], figures[f"{name}_cpu_ms_per_event"] = run(instance, keys)
    finally:
        server.remove()
    report("instance_events", figures)


if __name__ == "__main__":
    main()
