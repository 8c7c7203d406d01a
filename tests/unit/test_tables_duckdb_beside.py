"""What a block of publishing puts into the DuckDB file beside it, and publishes at its end."""

import queue
from pathlib import Path
from typing import Any

import duckdb
import pytest
from table_days import DAY, LINKS, after, counts, keep_findings, keep_links, leftovers, truncate

from backlinks_assets.tables import duckdb_sync
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.duckdb_sync import sync, syncing, warehouse_path
from backlinks_assets.tables.parquet import parquet_path

pytestmark = pytest.mark.slow


BESIDE = (LINKS,)


@pytest.fixture
def updated(monkeypatch: pytest.MonkeyPatch) -> "queue.Queue[Any]":
    """Give a queue of what was written into copies of the file, and taken out of them, each as it is done."""
    told: queue.Queue[Any] = queue.Queue()

    def update(*given: Any) -> Any:
        result = real(*given)
        told.put(result[:2])
        return result

    real = duckdb_sync._update
    monkeypatch.setattr(duckdb_sync, "_update", update)
    return told


@pytest.mark.parametrize("file_before", [True, False])
def test_what_a_block_does_not_write_is_put_in_beside_it_and_all_is_published_at_its_end(
    tmp_path: Path, updated: "queue.Queue[Any]", file_before: bool
) -> None:
    keep_links(tmp_path, DAY, 10)
    if file_before:
        keep_findings(tmp_path, "backlinks_changes", DAY, "a.com")
        sync(tmp_path)
        updated.get()
    keep_links(tmp_path, after(1), 20)
    with syncing(tmp_path, BESIDE):
        of_links = tuple((LINKS, day) for day in ([after(1)] if file_before else [DAY, after(1)]))
        assert updated.get(timeout=10) == (of_links, ())
        if file_before:
            assert counts(tmp_path) == {DAY: 10}
        keep_findings(tmp_path, "backlinks_changes", DAY, "a.com", "b.com")
        keep_findings(tmp_path, "backlinks_changes", after(1), "a.com")
    assert counts(tmp_path) == {DAY: 10, after(1): 20}
    assert counts(tmp_path, "backlinks_changes") == {DAY: 2, after(1): 1}
    assert {table for table, _ in updated.get()[0]} == {"backlinks_changes"}
    assert not sync(tmp_path).changed
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("beside", [BESIDE, ()])
def test_a_block_that_changes_days_which_were_put_in_beside_it_ends_level(
    tmp_path: Path, updated: "queue.Queue[Any]", beside: tuple[str, ...]
) -> None:
    for number in range(3):
        keep_links(tmp_path, after(number), 10)
    with syncing(tmp_path, beside):
        if beside:
            updated.get(timeout=10)
        keep_links(tmp_path, after(1), 5, key="other")
        parquet_path(tmp_path, LINKS, after(2)).unlink()
        keep_links(tmp_path, after(3), 4)
    assert counts(tmp_path) == {DAY: 10, after(1): 5, after(3): 4}


def test_a_prepared_copy_that_is_gone_is_made_again(tmp_path: Path, updated: "queue.Queue[Any]") -> None:
    keep_links(tmp_path, DAY, 10)
    with syncing(tmp_path, BESIDE):
        updated.get(timeout=10)
        (prepared,) = (tmp_path / ".publish.tmp").iterdir()
        prepared.unlink()
    assert counts(tmp_path) == {DAY: 10}


def test_a_block_that_fails_is_published_and_its_error_told(tmp_path: Path) -> None:
    def fail() -> None:
        keep_findings(tmp_path, "backlinks_changes", DAY, "a.com")
        raise ZeroDivisionError

    keep_links(tmp_path, DAY, 10)
    with pytest.raises(ZeroDivisionError), syncing(tmp_path, BESIDE):
        fail()
    assert counts(tmp_path) == {DAY: 10}
    assert counts(tmp_path, "backlinks_changes") == {DAY: 1}


def test_a_block_that_is_interrupted_publishes_nothing_and_leaves_no_rubbish(tmp_path: Path) -> None:
    keep_links(tmp_path, DAY, 10)
    sync(tmp_path)
    keep_links(tmp_path, after(1), 10)
    with pytest.raises(KeyboardInterrupt), syncing(tmp_path, BESIDE):
        raise KeyboardInterrupt
    assert counts(tmp_path) == {DAY: 10}
    assert leftovers(tmp_path) == []
    assert sync(tmp_path, lock_timeout_s=0.1).changed


def test_a_damaged_file_met_beside_a_block_is_named_at_its_end(tmp_path: Path) -> None:
    keep_links(tmp_path, DAY, 10)
    sync(tmp_path)
    bad = keep_links(tmp_path, after(1), 10)
    truncate(bad)
    with pytest.raises(TablesError, match="Build referring_links of 2026-03-15 again"), syncing(tmp_path, BESIDE):
        keep_findings(tmp_path, "backlinks_changes", DAY, "a.com")
    assert counts(tmp_path) == {DAY: 10}
    assert leftovers(tmp_path) == []


def test_a_file_that_can_not_be_relied_on_is_built_anew_beside_a_block(
    tmp_path: Path, updated: "queue.Queue[Any]"
) -> None:
    keep_links(tmp_path, DAY, 10)
    sync(tmp_path)
    warehouse_path(tmp_path).chmod(0o644)
    with duckdb.connect(str(warehouse_path(tmp_path))) as connection:
        connection.execute("DELETE FROM referring_links WHERE key <> 'key1'")
    updated.get()
    with syncing(tmp_path, BESIDE):
        assert updated.get(timeout=10) == (((LINKS, DAY),), ())
    assert updated.get() == ((), ())
    assert counts(tmp_path) == {DAY: 10}
