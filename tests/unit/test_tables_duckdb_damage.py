"""The DuckDB file is built again whatever befalls it; what cannot be published leaves the old file."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from table_days import DAY, LINKS, a_process, after, counts, keep_links, leftovers, truncate

from backlinks_assets.paths import duckdb_path
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.duckdb_sync import reading, sync

pytestmark = pytest.mark.slow


def _overwrite_the_middle(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(5000))


def _write_text(path: Path) -> None:
    path.write_text("not a database")


def _of_another_version(path: Path) -> None:
    stamp_ns = path.stat().st_mtime_ns
    path.chmod(0o644)
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE _publication SET schema_version = schema_version + 1")
    os.utime(path, ns=(stamp_ns, stamp_ns))


def _change_a_row(path: Path) -> None:
    path.chmod(0o644)
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"UPDATE {LINKS} SET links = 0")


DAMAGES = [Path.unlink, truncate, _overwrite_the_middle, _write_text, _of_another_version, _change_a_row]


@pytest.mark.first
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_a_file_that_cannot_be_relied_on_is_built_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    for number in range(3):
        keep_links(tmp_path, after(number), 20_000)
    sync(tmp_path)
    with reading(tmp_path) as connection:
        whole = connection.execute(f"SELECT sum(links) FROM {LINKS}").fetchall()
    damage(duckdb_path(tmp_path))
    result = sync(tmp_path)
    assert result.rebuilt
    assert result.rows == 60_000
    with reading(tmp_path) as connection:
        assert connection.execute(f"SELECT sum(links) FROM {LINKS}").fetchall() == whole


def test_damage_that_shows_only_on_the_way_is_mended_too(tmp_path: Path) -> None:
    keep_links(tmp_path, DAY, 20)
    sync(tmp_path)
    path = duckdb_path(tmp_path)
    stamp_ns = path.stat().st_mtime_ns
    path.chmod(0o644)
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"DROP TABLE {LINKS}")
    os.utime(path, ns=(stamp_ns, stamp_ns))  # so that the file looks as it was published
    keep_links(tmp_path, DAY, 10)
    assert sync(tmp_path).rebuilt
    assert counts(tmp_path) == {DAY: 10}
    assert leftovers(tmp_path) == []


def test_the_log_of_someone_elses_changes_does_not_spoil_the_new_file(tmp_path: Path) -> None:
    keep_links(tmp_path, DAY, 10)
    sync(tmp_path)
    duckdb_path(tmp_path).chmod(0o644)
    meddler = a_process(
        "import duckdb, os; c = duckdb.connect(str(root / 'backlinks.duckdb'));"
        "c.execute('CREATE TABLE mine (a INT)'); os._exit(9)",
        tmp_path,
    )
    meddler.communicate()
    assert duckdb_path(tmp_path).with_name("backlinks.duckdb.wal").exists()
    sync(tmp_path)
    assert counts(tmp_path) == {DAY: 10}
    with reading(tmp_path) as connection:
        assert ("mine",) not in connection.execute("SHOW TABLES").fetchall()


def test_a_damaged_parquet_file_is_named_and_the_old_file_stays(tmp_path: Path) -> None:
    keep_links(tmp_path, DAY, 10)
    sync(tmp_path)
    keep_links(tmp_path, after(1), 10)
    bad = keep_links(tmp_path, after(2), 10)
    truncate(bad)
    with pytest.raises(TablesError, match="Build referring_links of 2026-03-16 again") as caught:
        sync(tmp_path)
    assert str(bad) in str(caught.value)
    assert counts(tmp_path) == {DAY: 10}
    assert leftovers(tmp_path) == []
    keep_links(tmp_path, after(2), 4)
    sync(tmp_path)
    assert counts(tmp_path) == {DAY: 10, after(1): 10, after(2): 4}


def test_a_full_disk_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    keep_links(tmp_path, DAY, 10)
    sync(tmp_path)
    keep_links(tmp_path, after(1), 300_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(TablesError, match="Could not"):
            sync(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert counts(tmp_path) == {DAY: 10}
    assert leftovers(tmp_path) == []
    assert sync(tmp_path).rows == 300_000


def test_a_root_under_a_file_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TablesError, match="set BACKLINKS_DATA_DIR to another folder"):
        sync(tmp_path / "file" / "data")
