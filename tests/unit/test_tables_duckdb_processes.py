"""Readers, publishers and kills: the DuckDB file is never in a reader's way, and whole at any instant."""

import datetime as dt
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import table_days
from table_days import (
    DAY,
    a_process,
    after,
    counts,
    keep_links,
    leftovers,
    line_from,
)

from backlinks_assets.paths import duckdb_path
from backlinks_assets.tables.duckdb_sync import sync

pytestmark = pytest.mark.slow


READER = """
import duckdb
connection = duckdb.connect(str(root / "backlinks.duckdb"), read_only=True)
while True:
    print(connection.execute("SELECT count(*), sum(links) FROM referring_links").fetchall(), flush=True)
    if not sys.stdin.readline():
        break
"""


@pytest.mark.ci
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


@pytest.mark.ci
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
from table_days import after, keep_links
from backlinks_assets.tables.duckdb_sync import sync
print("ready", flush=True)
for number in itertools.count():
    keep_links(root, after(number % 5), 1000 + number % 7 * 1000)
    sync(root)
"""


@pytest.mark.parametrize("kills", [4, pytest.param(8, marks=pytest.mark.ci)])
def test_kills_at_any_instant_leave_whole_files_and_the_next_publication_heals(tmp_path: Path, kills: int) -> None:
    rng = np.random.default_rng()
    for _ in range(kills):
        process = a_process(f"sys.path.insert(0, {str(Path(table_days.__file__).parent)!r})\n" + RESTLESS, tmp_path)
        assert line_from(process) == "ready\n"
        time.sleep(rng.uniform(0.05, 0.3))
        process.kill()
        process.communicate()
        in_parquet: dict[dt.date, int] = {}
        for path in (tmp_path / "parquet").glob("**/*.parquet"):  # an unreadable one would raise
            day = dt.date.fromisoformat(path.parent.name.removeprefix("date="))
            in_parquet[day] = pa.parquet.read_table(path, partitioning=None).num_rows
        if duckdb_path(tmp_path).exists():
            for day, rows in counts(tmp_path).items():
                assert rows % 1000 == 0
                assert day in in_parquet
        sync(tmp_path)
        assert counts(tmp_path) == in_parquet
