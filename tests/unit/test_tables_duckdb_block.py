"""The DuckDB file is brought level at the end of a block, however that ends."""

from pathlib import Path

import pytest
from table_days import DAY, after, counts, keep_findings, keep_links, leftovers, truncate

from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.duckdb_sync import sync, syncing

pytestmark = pytest.mark.slow


def test_a_block_that_fails_is_published_and_its_error_told(tmp_path: Path) -> None:
    def fail() -> None:
        keep_findings(tmp_path, "backlinks_changes", DAY, "a.com")
        raise ZeroDivisionError

    keep_links(tmp_path, DAY, 10)
    with pytest.raises(ZeroDivisionError), syncing(tmp_path):
        fail()
    assert counts(tmp_path) == {DAY: 10}
    assert counts(tmp_path, "backlinks_changes") == {DAY: 1}


def test_a_block_that_is_interrupted_publishes_nothing_and_leaves_no_rubbish(tmp_path: Path) -> None:
    keep_links(tmp_path, DAY, 10)
    sync(tmp_path)
    keep_links(tmp_path, after(1), 10)
    with pytest.raises(KeyboardInterrupt), syncing(tmp_path):
        raise KeyboardInterrupt
    assert counts(tmp_path) == {DAY: 10}
    assert leftovers(tmp_path) == []
    assert sync(tmp_path, lock_timeout_s=0.1).changed


def test_a_damaged_file_is_named_at_the_end_of_a_block(tmp_path: Path) -> None:
    keep_links(tmp_path, DAY, 10)
    sync(tmp_path)
    bad = keep_links(tmp_path, after(1), 10)
    truncate(bad)
    with pytest.raises(TablesError, match="Build referring_links of 2026-03-15 again"), syncing(tmp_path):
        keep_findings(tmp_path, "backlinks_changes", DAY, "a.com")
    assert counts(tmp_path) == {DAY: 10}
    assert leftovers(tmp_path) == []
