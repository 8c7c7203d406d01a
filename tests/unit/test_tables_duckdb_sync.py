"""The DuckDB file: level with the parquet files, never in a reader's way, and built again whatever befalls it."""

import datetime as dt
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import filelock
import numpy as np
import pyarrow as pa
import pytest

from backlinks_assets.paths import parquet_path
from backlinks_assets.tables import duckdb_file
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.duckdb_sync import reading, sync, syncing, warehouse_path
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.rows import costs_table
from backlinks_assets.tables.schemas import TABLES

pytestmark = pytest.mark.slow

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
    before = warehouse_path(tmp_path).stat()
    result = sync(tmp_path)
    assert not result.changed
    after_it = warehouse_path(tmp_path).stat()
    assert (after_it.st_ino, after_it.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_every_type_comes_through_from_parquet_to_duckdb(tmp_path: Path) -> None:
    write_day(tmp_path, "api_costs", DAY, costs_table(DAY, 40, 38, 0.912, 1, True))
    keep_findings(tmp_path, "backlinks_flags", DAY, "a.com")
    sync(tmp_path)
    with reading(tmp_path) as connection:
        assert connection.execute("SELECT * FROM api_costs").fetchall() == [(DAY, 40, 38, 0.912, 1, True)]
        row = connection.execute("SELECT * FROM backlinks_flags").fetchall()[0]
    assert row == (DAY, "a.com", "spam_score", *[None] * 13)


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


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


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


DAMAGES = [Path.unlink, _truncate, _overwrite_the_middle, _write_text, _of_another_version, _change_a_row]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_a_file_that_cannot_be_relied_on_is_built_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    for number in range(3):
        keep_links(tmp_path, after(number), 20_000)
    sync(tmp_path)
    with reading(tmp_path) as connection:
        whole = connection.execute(f"SELECT sum(links) FROM {LINKS}").fetchall()
    damage(warehouse_path(tmp_path))
    result = sync(tmp_path)
    assert result.rebuilt
    assert result.rows == 60_000
    with reading(tmp_path) as connection:
        assert connection.execute(f"SELECT sum(links) FROM {LINKS}").fetchall() == whole


def test_damage_that_shows_only_on_the_way_is_mended_too(tmp_path: Path) -> None:
    keep_links(tmp_path, DAY, 20)
    sync(tmp_path)
    path = warehouse_path(tmp_path)
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
    warehouse_path(tmp_path).chmod(0o644)
    meddler = a_process(
        "import duckdb, os; c = duckdb.connect(str(root / 'backlinks.duckdb'));"
        "c.execute('CREATE TABLE mine (a INT)'); os._exit(9)",
        tmp_path,
    )
    meddler.communicate()
    assert warehouse_path(tmp_path).with_name("backlinks.duckdb.wal").exists()
    sync(tmp_path)
    assert counts(tmp_path) == {DAY: 10}
    with reading(tmp_path) as connection:
        assert ("mine",) not in connection.execute("SHOW TABLES").fetchall()


def test_a_damaged_parquet_file_is_named_and_the_old_file_stays(tmp_path: Path) -> None:
    keep_links(tmp_path, DAY, 10)
    sync(tmp_path)
    keep_links(tmp_path, after(1), 10)
    bad = keep_links(tmp_path, after(2), 10)
    _truncate(bad)
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


def test_reading_before_anything_was_published_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TablesError, match="run a day"), reading(tmp_path):
        pass


def test_a_publisher_waits_for_another_and_then_says_so(tmp_path: Path) -> None:
    with filelock.FileLock(tmp_path / ".publish.lock"), pytest.raises(TablesError, match="Another process"):
        sync(tmp_path, lock_timeout_s=0.1)
    assert sync(tmp_path, lock_timeout_s=0.1).rebuilt


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
    _truncate(bad)
    with pytest.raises(TablesError, match="Build referring_links of 2026-03-15 again"), syncing(tmp_path):
        keep_findings(tmp_path, "backlinks_changes", DAY, "a.com")
    assert counts(tmp_path) == {DAY: 10}
    assert leftovers(tmp_path) == []


READER = """
import duckdb
connection = duckdb.connect(str(root / "backlinks.duckdb"), read_only=True)
while True:
    print(connection.execute("SELECT count(*), sum(links) FROM referring_links").fetchall(), flush=True)
    if not sys.stdin.readline():
        break
"""


def test_a_reader_reads_on_undisturbed_over_ten_publications_and_a_new_one_sees_the_latest(
    tmp_path: Path,
) -> None:
    keep_links(tmp_path, DAY, 1000)
    sync(tmp_path)
    with a_process(READER, tmp_path) as reader:
        assert reader.stdin is not None
        first = line_from(reader)
        assert first.startswith("[(1000, ")
        for number in range(10):
            keep_links(tmp_path, after(number), 500 + number)
            sync(tmp_path)
            assert counts(tmp_path)[after(number)] == 500 + number
            reader.stdin.write("again\n")
            reader.stdin.flush()
            assert line_from(reader) == first
        reader.stdin.close()
    assert reader.returncode == 0


PUBLISHER = """
from backlinks_assets.tables.duckdb_sync import sync
for _ in range(5):
    sync(root)
    print("synced", flush=True)
"""


def test_two_publishers_at_once_and_a_writer_beside_them_end_level(tmp_path: Path) -> None:
    publishers = [a_process(PUBLISHER, tmp_path) for _ in range(2)]
    for number in range(30):
        keep_links(tmp_path, after(number % 10), number + 1)
        time.sleep(0.02)
    for publisher in publishers:
        output, _ = publisher.communicate()
        assert publisher.returncode == 0
        assert output.count("synced") == 5
    sync(tmp_path)
    assert counts(tmp_path) == {after(number): number + 21 for number in range(10)}
    assert leftovers(tmp_path) == []


RESTLESS = """
import itertools
from test_tables_duckdb_sync import after, keep_links
from backlinks_assets.tables.duckdb_sync import sync
print("ready", flush=True)
for number in itertools.count():
    keep_links(root, after(number % 5), 1000 + number % 7 * 1000)
    sync(root)
"""


def test_kills_at_any_instant_leave_whole_files_and_the_next_publication_heals(tmp_path: Path) -> None:
    rng = np.random.default_rng()
    for _ in range(8):
        process = a_process(f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n" + RESTLESS, tmp_path)
        assert line_from(process) == "ready\n"
        time.sleep(rng.uniform(0.05, 0.3))
        process.kill()
        process.communicate()
        in_parquet: dict[dt.date, int] = {}
        for path in (tmp_path / "parquet").glob("**/*.parquet"):  # an unreadable one would raise
            day = dt.date.fromisoformat(path.parent.name.removeprefix("date="))
            in_parquet[day] = pa.parquet.read_table(path, partitioning=None).num_rows
        if warehouse_path(tmp_path).exists():
            for day, rows in counts(tmp_path).items():
                assert rows % 1000 == 0
                assert day in in_parquet
        sync(tmp_path)
        assert counts(tmp_path) == in_parquet
