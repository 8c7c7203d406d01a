"""The contents of the DuckDB file: its tables, views and bookkeeping, and the statements that fill them.

Works on a file that no other process has open. When, and how the file is published, is `duckdb_sync.py`. Names of columns and
tables come from the declarations; paths and days are bound parameters.
"""

import datetime as dt
from contextlib import closing
from itertools import groupby
from pathlib import Path

import duckdb

from backlinks_assets.paths import parquet_path
from backlinks_assets.tables.schemas import SCHEMA_VERSION, TABLES, duckdb_type

STORAGE_VERSION = "v1.4.0"
"""Clients from this version on can read the file. DuckDB 1 can't read DuckDB 2's own format."""

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,  # nothing is downloaded
    "autoload_known_extensions": False,
    "storage_compatibility_version": STORAGE_VERSION,
}

_BOOKKEEPING = [
    "CREATE TABLE _published (table_name VARCHAR, date DATE, bytes BIGINT, mtime_ns BIGINT)",
    "COMMENT ON TABLE _published IS 'The parquet files that the tables hold, as they were when read.'",
    "CREATE TABLE _publication (schema_version BIGINT, stamp_ns BIGINT)",
    "COMMENT ON TABLE _publication IS 'Version of the tables; the modification time this file was given.'",
]

_VIEWS = [
    """CREATE VIEW latest_summary AS
    SELECT * FROM backlinks_summary WHERE date = (SELECT max(date) FROM backlinks_summary)""",
    "COMMENT ON VIEW latest_summary IS 'The rows of backlinks_summary of its latest day.'",
    """CREATE VIEW latest_readings AS
    SELECT date, target, 'summary' AS instrument, live.backlinks, live.backlinks_spam_score, lost.backlinks AS lost_level,
        live.referring_main_domains, live.captured_at
    FROM (FROM latest_summary WHERE status_type = 'live') AS live
    FULL JOIN (FROM latest_summary WHERE status_type = 'lost') AS lost USING (date, target)
    WHERE target NOT IN (SELECT target FROM backlinks_bulk WHERE date = (SELECT max(date) FROM backlinks_summary))
    UNION ALL
    SELECT date, target, 'bulk', backlinks, backlinks_spam_score, lost_level, referring_main_domains, captured_at
    FROM backlinks_bulk WHERE date = (SELECT max(date) FROM backlinks_summary)""",
    "COMMENT ON VIEW latest_readings IS 'The counts of the latest day of all targets, in whichever way they are watched.'",
    """CREATE VIEW latest_flags AS
    SELECT * FROM backlinks_flags WHERE date = (SELECT max(date) FROM backlinks_changes)""",
    "COMMENT ON VIEW latest_flags IS 'The flags of the latest day looked at; none if nothing moved sharply.'",
]

DAY_OF_FILE = r"CAST(regexp_extract(filename, 'date=([0-9-]{10})[/\\][^/\\]+$', 1) AS DATE)"
"""The day of a parquet file, from its own folder. DuckDB's hive partitioning would use the first folder of the path that is
named `date=…`, and read any `x=1` above as a column."""

CLUSTERED = {"backlinks_summary": "target, status_type, date"}
"""Tables whose months are sorted: a target's years are then read in a half to a quarter of the time."""

_TARGETS_SORTED = 1000
"""Targets whose rows of a month are sorted together: 10,000 would take 200 MB."""

_DELETE = 'DELETE FROM "{table}" WHERE date IN (SELECT unnest(?::DATE[]))'
_INSERT = """
INSERT INTO "{table}" BY NAME
SELECT {day} AS date, * EXCLUDE (filename)
FROM read_parquet(?, filename = true, union_by_name = true, hive_partitioning = false)
{order}
"""
# By name, since an older file may lack a column.

Day = tuple[str, dt.date]
"""A table's name and a day."""
Files = dict[Day, tuple[int, int]]
"""The parquet file of each: its size in bytes and its modification time in ns."""


_COLUMNS = """
SELECT table_name, column_index, column_name, data_type, is_nullable FROM duckdb_columns()
WHERE NOT internal AND schema_name = 'main' AND table_name NOT LIKE '\\_%' ESCAPE '\\'
  AND table_name NOT IN (SELECT view_name FROM duckdb_views())
"""


def _declared() -> list[tuple[str, int, str, str, bool]]:
    """Return the result of `_COLUMNS` for the tables as declared."""
    return sorted(
        (table.name, number, field.name, duckdb_type(field.type), field.nullable)
        for table in TABLES.values()
        for number, field in enumerate(table.arrow, start=1)
    )


def holdings(path: Path) -> Files | None:
    """Return which parquet files a DuckDB file holds, None if it must be built anew.

    It must if it could not be read, has another `SCHEMA_VERSION` or other columns than declared, or was modified since it was
    published, as its modification time tells.
    """
    try:
        with closing(duckdb.connect(str(path), read_only=True)) as connection:
            publication = connection.execute("SELECT schema_version, stamp_ns FROM _publication").fetchall()
            if publication != [(SCHEMA_VERSION, path.stat().st_mtime_ns)]:
                return None
            if sorted(connection.execute(_COLUMNS).fetchall()) != _declared():
                return None
            rows = connection.execute("SELECT table_name, date, bytes, mtime_ns FROM _published").fetchall()
    except (duckdb.Error, OSError):
        return None
    return {(table, date): (size, mtime_ns) for table, date, size, mtime_ns in rows}


def open_copy(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file for writing; a missing one is made with all tables and views, empty."""
    is_new = not path.exists()
    connection = duckdb.connect(str(path), config=_CONFIG)
    if is_new:
        for table in TABLES.values():
            connection.execute(table.duckdb_ddl())
            for comment in table.duckdb_comments():
                connection.execute(comment)
        for statement in _BOOKKEEPING + _VIEWS:
            connection.execute(statement)
    return connection


def remove_days(connection: duckdb.DuckDBPyConnection, table: str, days: list[dt.date]) -> None:
    """Delete a table's rows of some days, and the record of their files."""
    connection.execute(_DELETE.format(table=TABLES[table].name), [days])
    connection.execute(
        "DELETE FROM _published WHERE table_name = ? AND date IN (SELECT unnest(?::DATE[]))", [table, days]
    )


def insert_days(
    connection: duckdb.DuckDBPyConnection, root: Path, table: str, days: list[dt.date], files: Files
) -> int:
    """Insert a table's rows of some days; return how many.

    One statement reads all files; of a table in `CLUSTERED` those of each month, in its order.
    """
    # Without an order rows are inserted as threads read them, in a quarter less time over many days.
    connection.execute(f"SET preserve_insertion_order = {str(table in CLUSTERED).lower()}")
    rows = 0
    months = groupby(sorted(days), key=lambda day: (day.year, day.month))
    for month in [list(some) for _, some in months] if table in CLUSTERED else [sorted(days)]:
        paths = [unglobbed(parquet_path(root.absolute(), table, day)) for day in month]
        order = f"ORDER BY {CLUSTERED[table]}" if table in CLUSTERED and len(month) > 1 else ""
        statement = _INSERT.format(table=TABLES[table].name, day=DAY_OF_FILE, order=order)
        inserted = connection.execute(statement, [paths]).fetchone()
        rows += int(inserted[0]) if inserted else 0
    sizes, mtimes = zip(*(files[table, day] for day in days), strict=True)
    connection.execute(
        "INSERT INTO _published SELECT ?, unnest(?::DATE[]), unnest(?::BIGINT[]), unnest(?::BIGINT[])",
        [table, days, list(sizes), list(mtimes)],
    )
    return rows


def cluster_month(connection: duckdb.DuckDBPyConnection, table: str, some: dt.date) -> None:
    """Sort the rows of some day's month by `CLUSTERED`: its days were inserted one by one.

    The rows are copied to the end, some targets at a time, and the old ones are deleted.
    """
    name, (first, last) = TABLES[table].name, _month(some)
    newest = connection.execute(f'SELECT max(rowid) FROM "{name}"').fetchone()  # noqa: S608
    where, month = "date BETWEEN ? AND ? AND rowid <= ?", [first, last, newest[0] if newest else None]
    distinct = f'SELECT DISTINCT target FROM "{name}" WHERE {where} ORDER BY target'  # noqa: S608
    targets = [target for (target,) in connection.execute(distinct, month).fetchall()]
    connection.execute("SET preserve_insertion_order = true")
    connection.execute("BEGIN")
    for start in range(0, len(targets), _TARGETS_SORTED):
        part = targets[start : start + _TARGETS_SORTED]
        connection.execute(
            f'INSERT INTO "{name}" FROM "{name}" WHERE {where} AND target BETWEEN ? AND ? ORDER BY {CLUSTERED[table]}',
            [*month, part[0], part[-1]],
        )
    connection.execute(f'DELETE FROM "{name}" WHERE {where}', month)  # noqa: S608
    connection.execute("COMMIT")


def _month(day: dt.date) -> tuple[dt.date, dt.date]:
    """Return the first and the last day of a day's month."""
    first = day.replace(day=1)
    return first, (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)


def stamp(connection: duckdb.DuckDBPyConnection, stamp_ns: int) -> None:
    """Record the version, and the modification time that the file will be given."""
    connection.execute("DELETE FROM _publication")
    connection.execute("INSERT INTO _publication VALUES (?, ?)", [SCHEMA_VERSION, stamp_ns])


def unglobbed(path: Path) -> str:
    """Return a path in which `*`, `?` and `[` stand for themselves, as DuckDB reads paths."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in str(path))
