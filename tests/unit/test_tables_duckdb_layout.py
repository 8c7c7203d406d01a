"""A DuckDB file that another version made, or that is none at all, is built anew from the parquet files."""

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from backlinks_assets.paths import duckdb_path
from backlinks_assets.tables.duckdb_sync import reading, sync
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.rows import costs_table
from backlinks_assets.tables.schemas import TABLES

DAYS = [dt.date(2026, 3, day) for day in (14, 15, 16)]


def _sql(*statements: str) -> Callable[[Path], None]:
    """Change the inside, and have the file look as it was published."""

    def change(path: Path) -> None:
        stamp_ns = path.stat().st_mtime_ns
        with duckdb.connect(str(path)) as connection:
            for statement in statements:
                connection.execute(statement)
        os.utime(path, ns=(stamp_ns, stamp_ns))

    return change


def _of_a_newer_storage(path: Path) -> None:
    stamp_ns = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.seek(8)
        assert file.read(4) == b"DUCK"
        file.write((9999).to_bytes(8, "little"))
    os.utime(path, ns=(stamp_ns, stamp_ns))


def _garbage(path: Path) -> None:
    path.write_bytes(os.urandom(100_000))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _another_database(path: Path) -> None:
    path.unlink()
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE mine (x INT)")


LAYOUTS = {
    "a column is missing": _sql("ALTER TABLE api_costs DROP COLUMN simulated"),
    "a column more": _sql("ALTER TABLE api_costs ADD COLUMN of_tomorrow INT"),
    "a column more in the middle": _sql(
        "CREATE TABLE new AS SELECT date, 1 AS of_tomorrow, * EXCLUDE (date) FROM api_costs",
        "DROP TABLE api_costs",
        "ALTER TABLE new RENAME TO api_costs",
    ),
    "a column is renamed": _sql("ALTER TABLE backlinks_changes RENAME COLUMN baseline TO usual"),
    "a type is another": _sql("ALTER TABLE api_costs ALTER cost_usd TYPE FLOAT"),
    "a table is missing": _sql("DROP TABLE backlinks_changes"),
    "a table more": _sql("CREATE TABLE of_another_version (date DATE)"),
    "the record of files is missing": _sql("DROP TABLE _published"),
    "an older version": _sql("UPDATE _publication SET schema_version = schema_version - 1"),
    "a newer version": _sql("UPDATE _publication SET schema_version = schema_version + 1"),
    "a newer storage": _of_a_newer_storage,
    "garbage": _garbage,
    "no byte": _empty,
    "another database": _another_database,
}


@pytest.mark.first
@pytest.mark.parametrize(
    ("change", "grows"),
    [(change, number % 2 == 1) for number, change in enumerate(LAYOUTS.values())],  # every other one with a new day
    ids=LAYOUTS,
)
def test_a_file_of_another_layout_is_built_anew(tmp_path: Path, change: Callable[[Path], None], grows: bool) -> None:
    for day in DAYS[:2]:
        write_day(tmp_path, "api_costs", day, costs_table(day, 40, 38, 0.912, 1, True))
    sync(tmp_path)
    path = duckdb_path(tmp_path)
    path.chmod(0o644)
    change(path)
    kept = DAYS[: 2 + grows]
    if grows:
        write_day(tmp_path, "api_costs", DAYS[2], costs_table(DAYS[2], 40, 38, 0.912, 1, True))
    result = sync(tmp_path)
    assert result.rebuilt
    assert result.rows == len(kept)
    with reading(tmp_path) as connection:
        assert connection.execute("SELECT date, calls, cost_usd FROM api_costs ORDER BY date").fetchall() == [
            (day, 40, 0.912) for day in kept
        ]
        for table in TABLES.values():
            found = connection.execute(f"DESCRIBE {table.name}").fetchall()
            assert [(name, kind) for name, kind, *_ in found] == [(name, kind) for name, kind, _ in table.columns()]
    assert not sync(tmp_path).changed
