"""Does the Dagster instance stay quick: the UI's partition page and the event log's size after a year, an automation tick.

`python bench/instance.py --targets 2000 --days 365`. One day of one target is run for real; its rows of the event log are then
written for all targets and days, with names and instants changed, in runs as the schedule makes them. After each day old runs
are deleted, as the daily job does it. One line of JSON; CPU is the webserver's and its code server's.
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
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import requests
from history import settings_of
from tools import ROOT, api, backlinks, environment, free_port, measured, report, scratch, write_targets

from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.old_runs import MAX_RUNS_BY_JOB, delete_old_runs
from backlinks_assets.defs.partitions import MAX_KEYS_PER_RUN, window_start
from backlinks_assets.defs.resources import BacklinksData

PAGE = """
query { assetNodeOrError(assetKey: {path: ["summary_responses"]}) { ... on AssetNode {
  partitionStats { numMaterialized numFailed numMaterializing numPartitions }
  partitionKeysByDimension { name type partitionKeys }
  assetPartitionStatuses { ... on MultiPartitionStatuses { primaryDimensionName ranges {
    primaryDimStartKey primaryDimEndKey primaryDimStartTime primaryDimEndTime
    secondaryDim { ... on DefaultPartitionStatuses { materializedPartitions materializingPartitions failedPartitions } } } } } } } }
"""
"""What the asset's partition page asks for."""


def grow(index: Path, runs_file: Path, names: list[str], day: dt.date) -> None:
    """Write the rows of a day into the event log over all runs, and a small file for each run."""
    with closing(sqlite3.connect(index)) as log, closing(sqlite3.connect(runs_file)) as runs:
        log.execute("PRAGMA synchronous=OFF")
        real = _first(runs, "runs", "pipeline_name = 'collect_job'")
        found = "run_id = ? AND asset_key = '[\"summary_responses\"]' AND dagster_event_type = ?"
        kinds = ("ASSET_MATERIALIZATION_PLANNED", "ASSET_MATERIALIZATION")
        templates = [_first(log, "event_logs", found, real["run_id"], kind) for kind in kinds]
        old_partition = templates[0]["partition"]
        at = f"{day} 06:01:00.000000"
        for start in range(0, len(names), MAX_KEYS_PER_RUN):
            run_id = str(uuid.uuid4())
            for template in templates:
                for name in names[start : start + MAX_KEYS_PER_RUN]:
                    partition = f"{day}|{name}"
                    event = template["event"].replace(real["run_id"], run_id).replace(old_partition, partition)
                    own = {"run_id": run_id, "partition": partition, "event": event, "timestamp": at}
                    _insert(log, "event_logs", template | own)
            body = real["run_body"].replace(real["run_id"], run_id).replace(old_partition.partition("|")[0], str(day))
            _insert(
                runs,
                "runs",
                real | {"run_id": run_id, "run_body": body, "create_timestamp": at, "update_timestamp": at},
            )
            shutil.copy(index.with_name(f"{real['run_id']}.db"), index.with_name(f"{run_id}.db"))
            with closing(sqlite3.connect(index.with_name(f"{run_id}.db"))) as file:
                file.execute("UPDATE event_logs SET run_id = ?", [run_id])
                file.commit()
        log.commit()
        runs.commit()


def _first(file: sqlite3.Connection, table: str, where: str, *values: str) -> dict[str, Any]:
    """Return the oldest such row, without its id."""
    found = file.execute(f"SELECT * FROM {table} WHERE {where} ORDER BY id LIMIT 1", values)
    names = [column[0] for column in found.description]
    return {name: value for name, value in zip(names, found.fetchone(), strict=True) if name != "id"}


def _insert(file: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    places = ", ".join("?" * len(row))
    file.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})", list(row.values()))


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def page(own: dict[str, str], folder: Path, times: int = 4) -> list[tuple[float, float]]:
    """Return the seconds and CPU seconds of the partition page, asked of a real webserver several times."""
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

            def cpu_s() -> float:
                process = psutil.Process(server.pid)
                used = [one.cpu_times() for one in [process, *process.children(recursive=True)]]
                return sum(one.user + one.system for one in used)

            def ask() -> tuple[float, float]:
                began, used = time.perf_counter(), cpu_s()
                answer = requests.post(f"http://127.0.0.1:{port}/graphql", json={"query": PAGE}, timeout=600).json()
                assert answer["data"]["assetNodeOrError"]["partitionStats"]["numMaterialized"], answer
                return time.perf_counter() - began, cpu_s() - used

            return [ask() for _ in range(times)]
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
        with open_instance(settings) as instance:
            figures["add_targets_s"] = seconds(lambda: instance.add_dynamic_partitions("targets", names[len(first) :]))
            grow_s, delete_s, deleted = 0.0, 0.0, 0
            for day in days[:-1]:
                grow_s += seconds(lambda day=day: grow(index, history / "runs.db", names, day))
                start = window_start(day, settings.partition_days)
                began = time.perf_counter()
                deleted += delete_old_runs(instance, start, MAX_RUNS_BY_JOB, by_hand=True)
                delete_s += time.perf_counter() - began
            figures |= {"grow_s": grow_s, "runs_deleted": deleted, "delete_s_a_run": delete_s / max(1, deleted)}
            figures["nothing_to_delete_s"] = seconds(lambda: delete_old_runs(instance, start))
            figures["rows"] = sqlite3.connect(index).execute("SELECT count(*) FROM event_logs").fetchone()[0]
            figures["event_log_mb"] = sum(file.stat().st_size for file in index.parent.glob("index.db*")) / 1e6
            repository = build_defs().get_repository_def()
            sensor = repository.get_sensor_def("publish_automation_sensor")
            look = {"repository_def": repository, "resources": {"backlinks_data": BacklinksData()}}
            os.environ.update(own)  # where the sensor finds the data folder
            sensor.evaluate_tick(dg.build_sensor_context(instance, **look))
            again = dg.build_sensor_context(instance, **look)
            figures["automation_tick_s"] = seconds(lambda: sensor.evaluate_tick(again))
        asked = page(own, folder)
        figures["page_first_s"], figures["page_first_cpu_s"] = asked[0]
        figures["page_again_s"], figures["page_again_cpu_s"] = min(asked[1:])
    report("instance", figures)


if __name__ == "__main__":
    main()
