"""The daemon's way: from the tick of the daily schedule over several range runs and automation to the flags in DuckDB.

`python bench/daemon.py --targets 2000` starts what `make ui` starts (daemon, webserver and the code server they share) on
an instance of its own, sets the schedule going by a tick a minute ahead, and looks at the DuckDB file until the day is
judged. One line of JSON.
"""

import argparse
import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import psutil
from tools import LATENCY_S, ROOT, api, environment, floor_s, free_port, report, scratch, write_targets

RUNS = """
from collections import Counter
from dagster import DagsterInstance
with DagsterInstance.get() as instance:
    print(dict(Counter(f"{run.job_name} {run.status.value}" for run in instance.get_runs())))
"""
"""Asked of the instance at the end: which runs there were."""

DEFINITIONS = '''
"""The project's definitions with the daily schedule running, its next tick at the coming minute."""
import dagster as dg
from backlinks_assets import definitions
from backlinks_assets.defs.schedules import request_the_day

def soon():
    base = definitions.build_defs()
    return dg.Definitions(
        assets=base.assets, jobs=base.jobs, sensors=base.sensors, resources=base.resources, executor=definitions.defs.executor,
        asset_checks=base.asset_checks, schedules=[dg.schedule(job=definitions.collect_job, cron_schedule="{cron}", execution_timezone="UTC",
        name="daily_collect_schedule", default_status=dg.DefaultScheduleStatus.RUNNING)(
        request_the_day)],
    )

defs = soon()
'''


def judged(file: Path, day: dt.date) -> bool:
    """Whether the DuckDB file holds the day's judgement."""
    if not file.exists():
        return False
    try:
        with duckdb.connect(str(file), read_only=True) as connection:
            found = connection.execute("SELECT count(*) FROM backlinks_changes WHERE date = ?", [day]).fetchone()
    except duckdb.Error:
        return False
    return bool(found and found[0])


ROLES = {"multiprocessing": "runs", "api grpc": "code server", "webserver": "webserver"}
"""What a process of Dagster's is for, by words of its command line; the rest is the daemon and what started it all."""


def look(process: psutil.Process, seen: dict[int, float], roles: dict[int, str]) -> None:
    """Note the CPU seconds of a process and all that it ever started, as far as they are seen, and what each is for."""
    for one in [process, *process.children(recursive=True)]:
        try:
            times = one.cpu_times()
            line = " ".join(one.cmdline())
        except psutil.Error:
            continue
        seen[one.pid] = times.user + times.system
        roles[one.pid] = next((role for word, role in ROLES.items() if word in line), "daemon")


def memory_mb(process: psutil.Process) -> float:
    """Return the resident memory of a process and its children, each shared page once for each."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss / 1e6
        except psutil.Error:
            continue
    return total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=2000)
    parser.add_argument("--latency", type=float, default=LATENCY_S)
    parser.add_argument("--most-seconds", type=float, default=900)
    given = parser.parse_args()
    with scratch() as folder, api(given.latency) as server:
        write_targets(folder / "data", given.targets)
        home = folder / "home"
        home.mkdir()
        shutil.copy(ROOT / "dagster.yaml", home)
        now = dt.datetime.now(dt.UTC)
        tick = (now + dt.timedelta(seconds=75)).replace(second=0, microsecond=0)
        (folder / "bench_definitions.py").write_text(
            DEFINITIONS.replace("{cron}", f"{tick.minute} {tick.hour} * * *"), encoding="utf-8"
        )
        own = environment(folder / "data", server.url, DAGSTER_HOME=str(home), PYTHONWARNINGS="ignore")
        log = (folder / "daemon.log").open("w")
        location = ["-f", str(folder / "bench_definitions.py")]
        command = [sys.executable, "-m", "dagster", "dev", *location, "-p", free_port()]
        daemon = subprocess.Popen(command, env=own, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        watched, peak = psutil.Process(daemon.pid), 0.0
        seen: dict[int, float] = {}
        roles: dict[int, str] = {}
        before: dict[int, float] = {}
        ended = None
        try:
            while time.time() < tick.timestamp() + given.most_seconds and daemon.poll() is None:
                look(watched, seen, roles)
                if time.time() < tick.timestamp():
                    before = dict(seen)
                peak = max(peak, memory_mb(watched))
                if judged(folder / "data" / "backlinks.duckdb", tick.date()):
                    ended = time.time()
                    break
                time.sleep(0.5)
            asked = subprocess.run(
                [sys.executable, "-c", RUNS], env=own, capture_output=True, text=True, cwd=folder, check=False
            )
        finally:
            os.killpg(daemon.pid, signal.SIGKILL)  # the day is measured: nothing of it is needed any more
            daemon.wait(60)
            log.close()
        if ended is None:
            sys.exit((folder / "daemon.log").read_text()[-4000:] + asked.stderr[-2000:])
    told, floor = server.told, floor_s(server.told["calls"], given.latency)
    wall = time.time() - time.monotonic()
    used = {pid: seconds - before.get(pid, 0.0) for pid, seconds in seen.items()}
    report(
        "daemon",
        {
            "targets": given.targets,
            "calls": told["calls"],
            "refused": told["refused"],
            "floor_s": floor,
            "seconds": ended - tick.timestamp(),
            "over_floor": (ended - tick.timestamp()) / floor,
            "first_call_s": told["first"] + wall - tick.timestamp(),
            "after_last_call_s": ended - told["last"] - wall,
            "most_a_minute": told["most_a_minute"],
            "most_at_once": told["most_at_once"],
            "cpu_ms_a_target": 1000 * sum(used.values()) / given.targets,
            "cpu_s": {
                role: round(sum(used[pid] for pid in used if roles[pid] == role), 1) for role in set(roles.values())
            },
            "peak_mb": peak,
            "runs": asked.stdout.strip(),
        },
    )


if __name__ == "__main__":
    main()
