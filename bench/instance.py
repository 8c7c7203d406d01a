"""Does the Dagster instance stay quick: size of the event log, the UI's partition page, an automation tick, retention.

`python bench/instance.py --targets 2000 --days 365`. One day of one target is run for real; its rows of the event log
are then written for all targets and days, with names and instants changed, in runs of 250. One line of JSON.
"""

import argparse
import datetime as dt
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import requests
from history import settings_of
from tools import ROOT, api, backlinks, environment, free_port, measured, report, scratch, write_targets

from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.partitions import MAX_KEYS_PER_RUN
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.retention import retention_job

PAGE = """
query { assetNodeOrError(assetKey: {path: ["summary_responses"]}) { ... on AssetNode {
  partitionStats { numMaterialized numPartitions }
  assetPartitionStatuses { ... on MultiPartitionStatuses { ranges { primaryDimStartKey } } } } } }
"""
"""What the asset's partition page asks for."""


def grow(index: Path, runs_file: Path, names: list[str], days: list[dt.date]) -> int:
    """Write the rows of all days but the last into the event log over all runs; return how many."""
    log, runs = sqlite3.connect(index), sqlite3.connect(runs_file)
    columns = [row[1] for row in log.execute("PRAGMA table_info(event_logs)")][1:]
    kinds = ("ASSET_MATERIALIZATION_PLANNED", "ASSET_MATERIALIZATION")
    found = [
        log.execute(
            f"SELECT {', '.join(columns)} FROM event_logs WHERE asset_key = ? AND dagster_event_type = ? LIMIT 1",
            ['["summary_responses"]', kind],
        ).fetchone()
        for kind in kinds
    ]
    templates = [dict(zip(columns, row, strict=True)) for row in found]
    run_columns = [row[1] for row in runs.execute("PRAGMA table_info(runs)")][1:]
    run_rows = runs.execute(f"SELECT {', '.join(run_columns)} FROM runs WHERE pipeline_name = 'collect_job'").fetchone()
    old_run, old_partition = templates[0]["run_id"], templates[0]["partition"]
    places = ", ".join("?" * len(columns))
    log.execute("PRAGMA synchronous=OFF")
    written = 0
    for day in days[:-1]:
        at = f"{day} 06:01:00.000000"
        for start in range(0, len(names), MAX_KEYS_PER_RUN):
            run_id = str(uuid.uuid4())
            for template in templates:
                rows = []
                for name in names[start : start + MAX_KEYS_PER_RUN]:
                    partition = f"{day}|{name}"
                    event = template["event"].replace(old_run, run_id).replace(old_partition, partition)
                    row = template | {"run_id": run_id, "partition": partition, "event": event, "timestamp": at}
                    rows.append([row[column] for column in columns])
                log.executemany(f"INSERT INTO event_logs ({', '.join(columns)}) VALUES ({places})", rows)
                written += len(rows)
            run = dict(zip(run_columns, run_rows, strict=True))
            run |= {"run_id": run_id, "run_body": run["run_body"].replace(old_run, run_id), "update_timestamp": at}
            runs.execute(
                f"INSERT INTO runs ({', '.join(run_columns)}) VALUES ({', '.join('?' * len(run_columns))})",
                [run[column] for column in run_columns],
            )
        log.commit()
    runs.commit()
    log.close()
    runs.close()
    return written


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def page_s(own: dict[str, str], folder: Path, times: int = 3) -> list[float]:
    """Return the seconds of the partition page, asked of a real webserver several times."""
    port = free_port()
    command = [sys.executable, "-m", "dagster_webserver", "-m", "backlinks_assets.definitions", "-p", port]
    with (folder / "web.log").open("w") as log:
        server = subprocess.Popen(command, env=own, cwd=folder, stdout=log, stderr=log)
        try:
            for _ in range(240):
                try:
                    requests.get(f"http://127.0.0.1:{port}/server_info", timeout=5)
                    break
                except requests.ConnectionError:
                    time.sleep(0.5)

            def ask() -> None:
                answer = requests.post(f"http://127.0.0.1:{port}/graphql", json={"query": PAGE}, timeout=600).json()
                assert answer["data"]["assetNodeOrError"]["partitionStats"]["numMaterialized"], answer

            return [seconds(ask) for _ in range(times)]
        finally:
            server.terminate()
            server.wait(60)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=2000)
    parser.add_argument("--days", type=int, default=365)
    given = parser.parse_args()
    figures: dict[str, Any] = vars(given)
    with scratch() as folder, api(0.0, limits=False) as server:
        data = folder / "data"
        first = write_targets(data, 1)
        home = folder / "home"
        home.mkdir()
        shutil.copy(ROOT / "dagster.yaml", home)
        own = environment(data, server.url, DAGSTER_HOME=str(home), PYTHONWARNINGS="ignore")
        done = measured(backlinks("run", "--json"), own, watch=False)
        assert done.status == 0, done.stderr
        today = dt.date.fromisoformat(json.loads(done.stdout.splitlines()[-1])["date"])
        days = [today - dt.timedelta(days=back) for back in reversed(range(given.days))]
        names = write_targets(data, given.targets)
        settings = settings_of(data)
        history = settings.dagster_dir / "history"
        index = history / "runs" / "index.db"
        figures["grow_s"] = seconds(lambda: grow(index, history / "runs.db", names, days))
        figures["rows"] = sqlite3.connect(index).execute("SELECT count(*) FROM event_logs").fetchone()[0]
        figures["index_mb"] = index.stat().st_size / 1e6
        with open_instance(settings) as instance:
            figures["add_targets_s"] = seconds(lambda: instance.add_dynamic_partitions("targets", names[len(first) :]))
            responses = dg.AssetKey("summary_responses")
            figures["materialized_partitions_s"] = seconds(lambda: instance.get_materialized_partitions(responses))
            repository = build_defs().get_repository_def()
            sensor = repository.get_sensor_def("publish_automation_sensor")
            look = {"repository_def": repository, "resources": {"backlinks_data": BacklinksData()}}
            os.environ.update(own)  # where the sensor finds the data folder
            sensor.evaluate_tick(dg.build_sensor_context(instance, **look))
            again = dg.build_sensor_context(instance, **look)
            figures["automation_tick_s"] = seconds(lambda: sensor.evaluate_tick(again))
        figures["page_first_s"], *later = page_s(own, folder)
        figures["page_again_s"] = min(later)
        with open_instance(settings) as instance:
            config = {"ops": {"thin_old_runs": {"config": {"keep_days": 30}}}}
            before = len(instance.get_materialized_partitions(responses))
            figures["retention_s"] = seconds(
                lambda: retention_job.execute_in_process(instance=instance, run_config=config)
            )
            figures["partitions_kept"] = len(instance.get_materialized_partitions(responses)) == before
        figures["thinned_index_mb"] = index.stat().st_size / 1e6
        figures["thinned_rows"] = sqlite3.connect(index).execute("SELECT count(*) FROM event_logs").fetchone()[0]
        figures["thinned_page_first_s"], *later = page_s(own, folder)
        figures["thinned_page_again_s"] = min(later)
    report("instance", figures)


if __name__ == "__main__":
    main()
