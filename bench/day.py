"""How near a day comes to what the account allows: `backlinks run`, its first call, its CPU and memory, a second run.

`python bench/day.py --targets 2000`: one line of JSON. With `--usual` the targets' pages are there already, but for those that
a usual day writes; without, it is the first day of all, on which every target's page is written.
"""

import argparse
import json
import shutil
from pathlib import Path

from history import fill_tables, settings_of
from tools import LATENCY_S, api, backlinks, environment, floor_s, measured, report, scratch, write_targets

WRITTEN = 130
"""Pages of a usual day: 30 targets with news, and 100 older pages."""


def write_pages_before(folder: Path) -> None:
    """Leave a first day's pages, and nothing else of that day."""
    unpaced = {"BACKLINKS_CALLS_PER_MINUTE": "1000000"}
    with api(0.0, limits=False) as server:
        assert measured(backlinks("run", "--json"), environment(folder, server.url, **unpaced)).status == 0
    root = settings_of(folder).root
    shutil.rmtree(root / "parquet")
    for file in [*root.glob("*.duckdb"), *root.glob("responses.sqlite*")]:
        file.unlink()
    for page in sorted(root.glob("reports/targets/*.example.html"))[:WRITTEN]:
        page.unlink()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=2000)
    parser.add_argument("--latency", type=float, default=LATENCY_S, help="seconds before each answer")
    parser.add_argument("--fast", action="store_true", help="no limits and no latency: what the rest costs")
    parser.add_argument("--usual", action="store_true", help="the targets' pages are there already")
    parser.add_argument("--history", type=int, default=0, help="days before that there are tables of, to judge by")
    given = parser.parse_args()
    latency_s = 0.0 if given.fast else given.latency
    unpaced = {"BACKLINKS_CALLS_PER_MINUTE": "1000000"} if given.fast else {}
    with scratch() as folder:
        names = write_targets(folder, given.targets)
        if given.history:
            fill_tables(folder, names, given.history)
        if given.usual:
            write_pages_before(folder)
        with api(latency_s, limits=not given.fast) as server:
            command = backlinks("run", "--json")
            first = measured(command, environment(folder, server.url, **unpaced))
            assert first.status == 0, first.stderr
            again = measured(command, environment(folder, server.url, **unpaced))
            assert again.status == 0, again.stderr
        summary, second = (json.loads(one.stdout.splitlines()[-1]) for one in (first, again))
    told = server.told
    floor = floor_s(told["calls"], latency_s) if not given.fast else 0.0
    report(
        "day_fast" if given.fast else "day_usual" if given.usual else "day",
        {
            "targets": given.targets,
            "history_days": given.history,
            "calls": told["calls"],
            "refused": told["refused"],
            "floor_s": floor,
            "seconds": first.seconds,
            "over_floor": first.seconds / floor if floor else None,
            "first_call_s": told["first"] - first.started,
            "after_last_call_s": first.started + first.seconds - told["last"],
            "most_a_minute": told["most_a_minute"],
            "most_at_once": told["most_at_once"],
            "cpu_ms_a_target": 1000 * first.cpu_s / given.targets,
            "peak_mb": first.peak_mb,
            "cost_agrees": abs(summary["cost_usd"] - told["spent_usd"]) < 1e-6,
            "again_seconds": again.seconds,
            "again_calls": second["calls"],
            "again_reused": second["reused"],
            "again_cpu_s": again.cpu_s,
            "again_peak_mb": again.peak_mb,
        },
    )


if __name__ == "__main__":
    main()
