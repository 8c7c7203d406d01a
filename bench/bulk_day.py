"""A day of many targets in bulk, collected, tabled and judged by the two jobs without the pages: calls, seconds, memory.

    python bench/bulk_day.py --targets 2000 [--history 30]

One line of JSON. The control sample is off. The days before are tables only: yesterday's numbers are the simulator's, those of
the other days are a little beside them, so that hardly a target is flagged.
"""

import argparse
import datetime as dt
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
from history import settings_of
from tools import LATENCY_S, api, environment, floor_s, measured, report, scratch, write_targets

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import watched_targets
from backlinks_assets.collect.since_day import since_day
from backlinks_assets.dataforseo.endpoints import bulk_new_lost_backlinks, bulk_pages_summary
from backlinks_assets.settings import Settings
from backlinks_assets.simulator.world.bulk import items
from backlinks_assets.tables.duckdb_sync import sync
from backlinks_assets.tables.parquet import read_days, write_day
from backlinks_assets.tables.schemas import TABLES
from backlinks_assets.targets.watch import ways_of_day

WITHOUT_PAGES = [
    dg.AssetKey(name)
    for name in (
        "backlinks_summary",
        "referring_links",
        "backlinks_bulk",
        "api_costs",
        "backlinks_changes",
        "backlinks_flags",
        "backlinks_incidents",
    )
]
WATCHED_IN_BULK = {"BACKLINKS_WATCH": "bulk", "BACKLINKS_CONTROL_TARGETS": "0"}
WANDERING = ("backlinks", "lost_level")
TOGETHER = 500


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=2000)
    parser.add_argument("--history", type=int, default=0, help="days before that there are tables of, to judge by")
    parser.add_argument("--work", action="store_true", help="what is measured, in a process of its own")
    given = parser.parse_args()
    if given.work:
        work()
        return
    with scratch() as folder:
        names = write_targets(folder, given.targets)
        if given.history:
            fill_tables(folder, names, given.history)
        with api() as server:
            own = environment(folder, server.url, **WATCHED_IN_BULK)
            command = [sys.executable, __file__, "--work"]
            first, again = measured(command, own), measured(command, own)
            assert first.status == again.status == 0, first.stderr + again.stderr
        done, second = (json.loads(one.stdout.splitlines()[-1]) for one in (first, again))
    told = server.told
    report(
        "bulk_day",
        {
            "targets": given.targets,
            "history_days": given.history,
            "calls": told["calls"],
            "refused": told["refused"],
            "floor_s": floor_s(told["calls"], LATENCY_S),
            "seconds": first.seconds,
            "minutes": first.seconds / 60,
            "calling_s": told["last"] - told["first"],
            "after_last_call_s": first.started + first.seconds - told["last"],
            "cpu_s": first.cpu_s,
            "peak_mb": first.peak_mb,
            "cost_usd": done["cost_usd"],
            "cost_agrees": abs(done["cost_usd"] - told["spent_usd"]) < 1e-6,
            "failed": done["failed"],
            "flags": done["flags"],
            "again_seconds": again.seconds,
            "again_calls": second["calls"],
        },
    )


def work() -> None:
    """Run both jobs over today, and print what came of it."""
    from backlinks_assets.cli.execution import opened  # in the measured process only
    from backlinks_assets.cli.tally import Tally

    settings, today = Settings.from_env(), utc_now().date()
    ways = ways_of_day(watched_targets(settings), today, settings.watch, settings.control_targets)
    tally = Tally(utc_now())
    with opened(settings, day=today) as pipeline:
        pipeline.collect_in_bulk(today, len(ways.bulk), tally)
        pipeline.publish(today, today, WITHOUT_PAGES)
    bulk = tally.bulk
    assert bulk is not None
    flags = read_days(settings.root, "backlinks_flags", today, today, ["target"]).num_rows
    figures = {"calls": bulk.calls, "cost_usd": bulk.cost_usd, "failed": len(bulk.failed), "flags": flags}
    print(json.dumps(figures), flush=True)


def fill_tables(data_dir: Path, names: list[str], days: int) -> None:
    """Write `backlinks_bulk` of so many days before today, for which the store has no answers."""
    root, today = settings_of(data_dir).root, utc_now().date()
    yesterday, since = today - dt.timedelta(days=1), since_day(today)
    parts = [names[at : at + TOGETHER] for at in range(0, len(names), TOGETHER)]
    with ProcessPoolExecutor() as pool:
        rows = [row for part in pool.map(_rows, parts, [yesterday] * len(parts), [since] * len(parts)) for row in part]
    schema = TABLES["backlinks_bulk"].arrow
    same = dict.fromkeys(schema.names) | {"has_data": True, "is_missing": False, "simulated": False, "cost_usd": 0.0}
    first = today - dt.timedelta(days=days)
    last = pa.Table.from_pylist([{**same, "level_start": first, **row} for row in rows], schema=schema)
    for back in reversed(range(1, days + 1)):
        day = today - dt.timedelta(days=back)
        write_day(root, "backlinks_bulk", day, _beside(last, day, back - 1))
        write_day(root, "backlinks_summary", day, TABLES["backlinks_summary"].arrow.empty_table())
    sync(root)


def _rows(names: list[str], day: dt.date, since: dt.date) -> list[dict[str, Any]]:
    """Return the rows of a day's targets, with the simulator's numbers."""
    of_pages = items(bulk_pages_summary.NAME.split("/")[1], {"targets": names}, day)
    of_links = items(bulk_new_lost_backlinks.NAME.split("/")[1], {"targets": names, "date_from": str(since)}, day)
    known = set(TABLES["backlinks_bulk"].arrow.names)
    rows = []
    for name, page, links in zip(names, of_pages, of_links, strict=True):
        numbers = {key: value for key, value in {**(page or {}), **(links or {})}.items() if isinstance(value, int)}
        row = {key: value for key, value in numbers.items() if key in known}
        rows.append({**row, "date": day, "target": name, "lost_since": since, "lost_level": row["lost_backlinks"]})
    return rows


def _beside(table: pa.Table, day: dt.date, days: int) -> pa.Table:
    """Return a table of an earlier day: counts a few per mille off, so that each target has a scale of its own."""
    rng = np.random.default_rng(days)
    dates = pa.repeat(pa.scalar(day, pa.date32()), table.num_rows)
    table = table.set_column(table.schema.get_field_index("date"), table.schema.field("date"), dates)
    for name in WANDERING if days else ():
        wander = 1 - 0.001 * days * rng.uniform(0, 1, table.num_rows)
        values = pa.array((table[name].to_numpy() * wander).astype(np.int64))
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
    return table


if __name__ == "__main__":
    main()
