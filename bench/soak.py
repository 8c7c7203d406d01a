"""Soak: tens of thousands of calls in one process against a fast stand-in. Is memory flat, are descriptors, is all kept?

    python bench/soak.py [--calls 50000] [--targets 250]

The collector of the project (client, limits, ledger, store) works day after day of so many targets, as a process that
stays up would, against the simulator in a process of its own. One line of JSON; exit status 1 where something grew or
is missing. Memory and descriptors are compared between the end of the first fifth and the end.
"""

import argparse
import datetime as dt
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from tools import report

from backlinks_assets.collect.factory import open_collector, open_store
from backlinks_assets.collect.outcome import CollectRequest
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.settings import Settings

FIRST_DAY = dt.date(2026, 1, 1)
MOST_GROWTH_MB = 24.0
"""Caches of SQLite and of pools fill up; a kilobyte lost a call would be 40 MB."""
MOST_DESCRIPTORS = 30
"""The pools of connections fill up, to 30 of HTTP and 15 of SQLite; one kept in a thousand calls would be 40."""


def main() -> int:
    """Run, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--targets", type=int, default=250, help="of a simulated day; two calls each")
    given = parser.parse_args()
    days = max(5, given.calls // (2 * given.targets))
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("api_server.py"), "0"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            BACKLINKS_DATA_DIR=folder,
            DATAFORSEO_BASE_URL=server.stdout.readline().strip(),
            DATAFORSEO_LOGIN="soak",
            DATAFORSEO_PASSWORD="soak",
            BACKLINKS_CALLS_PER_MINUTE="1000000",
        )
        result = soak(Settings.from_env(), days, given.targets)
    told, _ = server.communicate()
    seen = json.loads(told)
    result |= {
        "server_calls": seen["calls"],
        "server_most_at_once": seen["most_at_once"],
        "server_usd": seen["spent_usd"],
    }
    wrong = faults_of(result)
    report("soak", result | {"wrong": wrong})
    return 1 if wrong else 0


def soak(settings: Settings, days: int, targets: int) -> dict[str, Any]:
    """Collect the days one after another; return what was kept and what the process held, at the start and the end."""
    day = FIRST_DAY
    parameters = RequestParameters()
    held: list[tuple[float, int, int]] = []
    started = time.monotonic()
    failed = 0

    def now() -> dt.datetime:
        return dt.datetime.combine(day, dt.time(12), dt.UTC)

    with open_collector(settings, now=now) as collector:
        for number in range(days):
            day = FIRST_DAY + dt.timedelta(days=number)
            asks = [CollectRequest(day, f"shop{target:04d}.example", parameters) for target in range(targets)]
            failed += sum(outcome.error is not None for outcome in collector.collect(asks))
            held.append(state())
    with open_store(settings) as store:
        kept = sum(len(store.stored_keys([FIRST_DAY + dt.timedelta(days=number)])) for number in range(days))
        usd = sum(store.day_costs(FIRST_DAY + dt.timedelta(days=number)).cost_usd for number in range(days))
    early, late = held[max(0, days // 5 - 1)], held[-1]
    seconds = time.monotonic() - started
    return {
        "calls": 2 * days * targets,
        "kept": kept,
        "failed": failed,
        "ledger_usd": round(usd, 6),
        "seconds": round(seconds, 1),
        "calls_a_second": round(2 * days * targets / seconds),
        "early_mb": round(early[0], 1),
        "late_mb": round(late[0], 1),
        "early_descriptors": early[1],
        "late_descriptors": late[1],
        "early_threads": early[2],
        "late_threads": late[2],
        "store_mb": round(settings.store_file.stat().st_size / 1e6, 1),
    }


def state() -> tuple[float, int, int]:
    """Return this process's resident memory in MB, its open descriptors and its threads."""
    gc.collect()
    me = psutil.Process()
    return me.memory_info().rss / 1e6, me.num_fds(), me.num_threads()


def faults_of(result: dict[str, Any]) -> list[str]:
    """Return what is not as it must be."""
    looks = {
        "answers are missing": result["kept"] == result["calls"] and not result["failed"],
        "calls were made twice": result["server_calls"] == result["calls"],
        "more than 30 at once": result["server_most_at_once"] <= 30,
        "the ledger is not the server's": abs(result["ledger_usd"] - result["server_usd"]) < 1e-6,
        "memory grows": result["late_mb"] - result["early_mb"] <= MOST_GROWTH_MB,
        "descriptors grow": result["late_descriptors"] - result["early_descriptors"] <= MOST_DESCRIPTORS,
        "threads grow": result["late_threads"] <= result["early_threads"],
    }
    return [wrong for wrong, fine in looks.items() if not fine]


if __name__ == "__main__":
    sys.exit(main())
