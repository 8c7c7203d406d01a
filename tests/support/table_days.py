"""Days of the tables, made up; what the DuckDB file then shows; and processes that publish or read beside a test."""

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from backlinks_assets.tables.duckdb_sync import reading
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES

DAY = dt.date(2026, 3, 14)
LINKS = "referring_links"


def after(number: int) -> dt.date:
    """Return the day that many days after the first."""
    return DAY + dt.timedelta(days=number)


def keep_links(root: Path, day: dt.date, rows: int, *, target: str = "example.com", key: str = "key") -> Path:
    """Write a day of `referring_links`."""
    numbers = np.random.default_rng(rows).integers(0, 2**62, rows)
    table = pa.table(
        {
            "target": pa.repeat(target, rows),
            "status_type": pa.repeat("live", rows),
            "dimension": pa.repeat("referring_links_tld", rows),
            "key": [f"{key}{number}" for number in range(rows)],
            "links": numbers,
            "simulated": pa.repeat(False, rows),
        }
    )
    return write_day(root, LINKS, day, table)


def keep_findings(root: Path, table: str, day: dt.date, *targets: str) -> None:
    """Write a day of `backlinks_changes` or `backlinks_flags` with a row a target."""
    blank = dict.fromkeys(TABLES[table].parquet_schema.names)
    rows = [blank | {"target": target, "metric": "spam_score"} for target in targets]
    write_day(root, table, day, pa.Table.from_pylist(rows, schema=TABLES[table].parquet_schema))


def counts(root: Path, table: str = LINKS) -> dict[dt.date, int]:
    """Return how many rows of a table each day has, as a new reader of the DuckDB file sees it."""
    with reading(root) as connection:
        return dict(connection.execute(f"SELECT date, count(*) FROM {table} GROUP BY date").fetchall())


def leftovers(root: Path) -> list[str]:
    return sorted(path.name for path in (root / ".publish.tmp").iterdir())


def a_process(code: str, root: Path) -> "subprocess.Popen[str]":
    """Start a Python process that runs some code with `root` at hand; its output and input are pipes."""
    head = "import sys; from pathlib import Path; root = Path(sys.argv[1])\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + code, str(root)],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


def line_from(process: "subprocess.Popen[str]") -> str:
    """Return the next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline()


def keep_summary(root: Path, day: dt.date, targets: list[str], links: int = 0) -> None:
    """Write a day of `backlinks_summary` with a live and a lost row a target."""
    schema = TABLES["backlinks_summary"].parquet_schema
    empty = {"request_key": "k", "has_data": True, "captured_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}
    blank: dict[str, object] = dict.fromkeys(schema.names) | {"attempts": 1, "simulated": False, "backlinks": links}
    rows = [blank | empty | {"target": t, "status_type": s} for t in targets for s in ("live", "lost")]
    write_day(root, "backlinks_summary", day, pa.Table.from_pylist(rows, schema=schema))


def as_stored(root: Path) -> list[tuple[object, ...]]:
    """Return target, status type, day and links of `backlinks_summary`, in the order in which the rows lie."""
    with reading(root) as connection:
        query = "SELECT target, status_type, date, backlinks FROM backlinks_summary ORDER BY rowid"
        return connection.execute(query).fetchall()


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)
