"""The DuckDB file is level with the parquet files after each publication."""

import datetime as dt
from pathlib import Path

import filelock
import pyarrow as pa
import pytest
from table_days import (
    DAY,
    LINKS,
    after,
    as_stored,
    counts,
    keep_findings,
    keep_links,
    keep_summary,
    leftovers,
)

from backlinks_assets.paths import duckdb_path, parquet_path
from backlinks_assets.tables import duckdb_file
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.duckdb_sync import reading, sync
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.rows import costs_table
from backlinks_assets.tables.schemas import TABLES

pytestmark = pytest.mark.slow


def test_all_tables_and_views_are_there_from_the_start(tmp_path: Path) -> None:
    result = sync(tmp_path / "data")
    assert (result.rebuilt, result.written, result.rows) == (True, (), 0)
    with reading(tmp_path / "data") as connection:
        for table in TABLES.values():
            found = connection.execute(
                "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = ?",
                [table.name],
            ).fetchall()
            assert found == table.columns()
        for view in ("latest_summary", "latest_flags"):
            assert connection.execute(f"SELECT * FROM {view}").fetchall() == []
        storage = connection.execute("SELECT tags FROM duckdb_databases() WHERE NOT internal").fetchall()
    assert storage[0][0]["storage_version"].startswith(duckdb_file.STORAGE_VERSION)


def test_new_changed_and_vanished_days_are_brought_level(tmp_path: Path) -> None:
    for number in range(4):
        keep_links(tmp_path, after(number), 10)
    assert sync(tmp_path).rows == 40
    keep_links(tmp_path, after(1), 7)
    keep_links(tmp_path, after(4), 5)
    parquet_path(tmp_path, LINKS, after(2)).unlink()
    result = sync(tmp_path)
    assert not result.rebuilt
    assert result.written == ((LINKS, after(1)), (LINKS, after(4)))
    assert result.removed == ((LINKS, after(2)),)
    assert result.rows == 12
    assert counts(tmp_path) == {after(0): 10, after(1): 7, after(3): 10, after(4): 5}
    assert leftovers(tmp_path) == []


@pytest.mark.first
@pytest.mark.parametrize("together", [1, 2, 1000])
def test_a_month_that_is_over_lies_in_the_order_of_its_targets(tmp_path, monkeypatch, together: int) -> None:
    monkeypatch.setattr(duckdb_file, "_TARGETS_SORTED", together)
    before, march, april = dt.date(2026, 2, 28), [dt.date(2026, 3, day) for day in (1, 2, 5, 31)], dt.date(2026, 4, 1)
    names = ["a.com", "b.com", "c.com"]
    for number, day in enumerate([before, *march]):
        keep_summary(tmp_path, day, names[: 1 + number], links=number)
        sync(tmp_path)
    came = as_stored(tmp_path)
    keep_summary(tmp_path, april, names, links=9)
    sync(tmp_path)
    new = [(name, status, april, 9) for name in names for status in ("live", "lost")]
    of_march = [row for row in came if row[2] in march]
    assert sorted(of_march) != of_march, "a day after the other"
    assert as_stored(tmp_path) == [row for row in came if row[2] == before] + new + sorted(of_march)
    keep_summary(tmp_path, april, names, links=10)
    sync(tmp_path)
    assert as_stored(tmp_path)[2 : 2 + len(of_march)] == sorted(of_march), "nothing is moved again"


def test_if_nothing_differs_the_file_is_not_touched(tmp_path: Path) -> None:
    keep_links(tmp_path, DAY, 10)
    sync(tmp_path)
    before = duckdb_path(tmp_path).stat()
    result = sync(tmp_path)
    assert not result.changed
    after_it = duckdb_path(tmp_path).stat()
    assert (after_it.st_ino, after_it.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_every_type_comes_through_from_parquet_to_duckdb(tmp_path: Path) -> None:
    write_day(tmp_path, "api_costs", DAY, costs_table(DAY, 40, 38, 0.912, 1, True))
    keep_findings(tmp_path, "backlinks_flags", DAY, "a.com")
    sync(tmp_path)
    with reading(tmp_path) as connection:
        assert connection.execute("SELECT * FROM api_costs").fetchall() == [(DAY, 40, 38, 0.912, 1, True)]
        row = connection.execute("SELECT * FROM backlinks_flags").fetchall()[0]
    assert row == (DAY, "a.com", "spam_score", *[None] * 15)


def test_the_latest_flags_are_none_on_a_day_without_flags(tmp_path: Path) -> None:
    keep_findings(tmp_path, "backlinks_changes", DAY, "a.com", "b.com")
    keep_findings(tmp_path, "backlinks_flags", DAY, "a.com")
    sync(tmp_path)
    with reading(tmp_path) as connection:
        assert connection.execute("SELECT date, target FROM latest_flags").fetchall() == [(DAY, "a.com")]
    keep_findings(tmp_path, "backlinks_changes", after(1), "a.com", "b.com")
    keep_findings(tmp_path, "backlinks_flags", after(1))
    sync(tmp_path)
    with reading(tmp_path) as connection:
        assert connection.execute("SELECT * FROM latest_flags").fetchall() == []


@pytest.mark.parametrize("name", ["../../x", "'; drop table referring_links; --", "=cmd()", '"', "a\x00b"])
def test_hostile_names_are_data(tmp_path: Path, name: str) -> None:
    keep_links(tmp_path, DAY, 1, target=name, key=name)
    sync(tmp_path)
    keep_links(tmp_path, DAY, 2, target=name, key=name)
    sync(tmp_path)
    with reading(tmp_path) as connection:
        found = connection.execute(f"SELECT key FROM {LINKS} WHERE target = ? ORDER BY key", [name]).fetchall()
    assert found == [(f"{name}0",), (f"{name}1",)]


@pytest.mark.parametrize("name", ["x=1", "date=2020-02-02", "a[b]c*d", "it's; drop", "ü {a,b} %20"])
def test_the_data_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    keep_links(tmp_path / name, DAY, 3)
    sync(tmp_path / name)
    assert counts(tmp_path / name) == {DAY: 3}


def test_a_folder_named_like_a_pattern_is_not_taken_for_its_neighbour(tmp_path: Path) -> None:
    keep_links(tmp_path / "abc", DAY, 3)
    keep_links(tmp_path / "a[b]c", DAY, 5)
    sync(tmp_path / "a[b]c")
    assert counts(tmp_path / "a[b]c") == {DAY: 5}


def test_a_parquet_file_of_an_older_version_is_taken_with_nulls(tmp_path: Path) -> None:
    new, old = keep_links(tmp_path, DAY, 2), keep_links(tmp_path, after(1), 2)
    table = pa.parquet.read_table(old, partitioning=None)
    pa.parquet.write_table(table.drop_columns("simulated"), old)
    assert new != old
    sync(tmp_path)
    with reading(tmp_path) as connection:
        rows = connection.execute(f"SELECT DISTINCT date, simulated FROM {LINKS} ORDER BY date").fetchall()
    assert rows == [(DAY, False), (after(1), None)]


def test_reading_before_anything_was_published_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TablesError, match="run a day"), reading(tmp_path):
        pass


def test_a_publisher_waits_for_another_and_then_says_so(tmp_path: Path) -> None:
    with filelock.FileLock(tmp_path / ".publish.lock"), pytest.raises(TablesError, match="Another process"):
        sync(tmp_path, lock_timeout_s=0.1)
    assert sync(tmp_path, lock_timeout_s=0.1).rebuilt
