"""How long publishing takes: one more day into a history, all of it anew, and what readers then wait for.

The history is synthetic and made by whole columns. `python bench/publish.py --help`; prints one line of
JSON, then a Markdown table.
"""

import argparse
import datetime as dt
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from backlinks_assets.paths import duckdb_path, parquet_path
from backlinks_assets.tables.duckdb_sync import reading, sync
from backlinks_assets.tables.history import detection_history
from backlinks_assets.tables.parquet import read_days, write_day
from backlinks_assets.tables.schemas import DIMENSIONS, TABLES, TEXTS, TIMESTAMP

FIRST_DAY = dt.date(2025, 1, 1)


def summary_day(day: int, targets: int) -> pa.Table:
    """Return a day of `backlinks_summary`: a live and a lost row a target, numbers that wander."""
    rng = np.random.default_rng(day)
    rows = 2 * targets
    size = np.exp(np.random.default_rng(0).normal(8, 2, rows)) * (1 + 0.001 * day)
    date = FIRST_DAY + dt.timedelta(days=day)
    known: dict[str, Any] = {
        "date": pa.repeat(pa.scalar(date, pa.date32()), rows),
        "target": pa.array(np.repeat([f"target-{i:06}.example" for i in range(targets)], 2)),
        "status_type": pa.array(["live", "lost"] * targets),
        "has_data": pa.array(np.ones(rows, dtype=bool)),
        "backlinks_spam_score": pa.array(rng.integers(0, 60, rows)),
        "request_key": pa.repeat(pa.scalar("0123456789abcdef"), rows),
    }
    made: dict[pa.DataType, Callable[[], pa.Array]] = {
        pa.int64(): lambda: pa.array((size * rng.uniform(0.95, 1.05, rows)).astype(np.int64)),
        pa.float64(): lambda: pa.array(np.full(rows, 0.024036)),
        pa.bool_(): lambda: pa.array(np.zeros(rows, dtype=bool)),
        pa.string(): lambda: pa.array([f"text-{i}" for i in rng.integers(0, 50, rows)]),
        TEXTS: lambda: pa.array([["unknown"]] * rows, TEXTS),
        TIMESTAMP: lambda: pa.array(np.full(rows, np.datetime64(date, "us"))).cast(TIMESTAMP),
    }
    schema = TABLES["backlinks_summary"].arrow
    return pa.table([known.get(item.name) or made[item.type]() for item in schema], schema=schema)


def links_day(targets: int, keys: int) -> pa.Table:
    """Return a day of `referring_links`: `keys` rows for each row of the summary."""
    rng = np.random.default_rng(1)
    rows = 2 * targets * keys
    per_dimension = -(-keys // 6)
    place = np.tile(np.arange(keys), 2 * targets)
    columns = {
        "date": pa.repeat(pa.scalar(FIRST_DAY, pa.date32()), rows),
        "target": pa.array([f"target-{i:06}.example" for i in range(targets)]).take(
            pa.array(np.repeat(np.arange(targets), 2 * keys))
        ),
        "status_type": pa.array(["live", "lost"]).take(pa.array(np.tile(np.repeat([0, 1], keys), targets))),
        "dimension": pa.array(DIMENSIONS).take(pa.array(place // per_dimension)),
        "key": pa.array([f"key-{i}" for i in range(per_dimension)]).take(pa.array(place % per_dimension)),
        "links": pa.array(np.exp(rng.normal(4, 2, rows)).astype(np.int64)),
        "simulated": pa.array(np.ones(rows, dtype=bool)),
    }
    return pa.table(columns, schema=TABLES["referring_links"].arrow)


def timed(call: Callable[[], Any], times: int = 1) -> float:
    """Return the shortest of some runs, in seconds."""
    best = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - began)
    return best


def measure(root: Path, targets: int, days: int, keys: int) -> dict[str, float]:
    """Return the sizes and the seconds of one run."""
    began = time.perf_counter()
    for day in range(days):
        write_day(root, "backlinks_summary", FIRST_DAY + dt.timedelta(days=day), summary_day(day, targets))
    if keys:
        # A day's file does not say its day, so the first one's bytes do for all: they take as long to read.
        first = write_day(root, "referring_links", FIRST_DAY, links_day(targets, keys))
        for day in range(1, days):
            path = parquet_path(root, "referring_links", FIRST_DAY + dt.timedelta(days=day))
            path.parent.mkdir(parents=True)
            shutil.copyfile(first, path)
    figures = {"make_history_s": time.perf_counter() - began}
    figures["publish_all_s"] = timed(lambda: sync(root))
    last, extra = FIRST_DAY + dt.timedelta(days=days - 1), FIRST_DAY + dt.timedelta(days=days)
    day_rows = summary_day(days, targets)
    figures["write_summary_day_s"] = timed(lambda: write_day(root, "backlinks_summary", extra, day_rows))
    if keys:
        links = links_day(targets, keys).drop_columns("date")
        figures["write_links_day_s"] = timed(lambda: write_day(root, "referring_links", extra, links))
    figures["publish_one_day_s"] = timed(lambda: sync(root))
    figures["publish_nothing_new_s"] = timed(lambda: sync(root), 3)
    with reading(root) as connection:
        query = "SELECT * FROM backlinks_summary WHERE target = ? AND status_type = 'live' ORDER BY date"
        target = f"target-{targets // 2:06}.example"
        figures["one_target_s"] = timed(lambda: connection.sql(query, params=[target]).to_arrow_table(), 5)
        figures["rows"] = float(sum(connection.table(name).shape[0] for name in TABLES))
    figures["detection_history_90_days_s"] = timed(lambda: detection_history(root, last, 90), 3)
    figures["read_days_30_s"] = timed(
        lambda: read_days(root, "backlinks_summary", last - dt.timedelta(days=29), last), 3
    )
    figures["parquet_mb"] = sum(path.stat().st_size for path in root.glob("parquet/*/*/*")) / 1e6
    figures["duckdb_mb"] = duckdb_path(root).stat().st_size / 1e6
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=2000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--keys", type=int, default=6, help="rows of referring_links an answer; 0: none")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="publish-bench-") as folder:
        figures = measure(Path(folder), options.targets, options.days, options.keys)
    summary = json.dumps(vars(options) | {name: round(value, 4) for name, value in figures.items()})
    lines = [f"| {name} | {value:,.3f} |" for name, value in figures.items()]
    sys.stdout.write("\n".join([summary, "", "| figure | value |", "|---|---|", *lines, ""]))


if __name__ == "__main__":
    main()
