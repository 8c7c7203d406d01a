"""The parquet files: what is written is what is read, whole or not at all, and errors say what to do."""

import datetime as dt
import errno
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backlinks_assets.paths import parquet_path
from backlinks_assets.tables import atomic
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.parquet import days, read_days, write_day
from backlinks_assets.tables.schemas import TABLES, coded

DAY = dt.date(2026, 3, 14)


def some_links(rows: int = 3, day: dt.date = DAY) -> pa.Table:
    """Return a day of `referring_links` whose numbers hardly compress."""
    numbers = np.random.default_rng(day.toordinal()).integers(0, 2**62, rows)
    return pa.table(
        [
            pa.repeat(pa.scalar(day, pa.date32()), rows),
            pa.repeat("example.com", rows),
            pa.repeat("live", rows),
            pa.repeat("referring_links_tld", rows),
            pa.array([f"key-{number}" for number in range(rows)]),
            pa.array(numbers),
            pa.repeat(False, rows),
        ],
        schema=TABLES["referring_links"].arrow,
    )


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Let every write beyond a size fail, as a full disk does: with an OSError in the middle of a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def everything_under(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_day_lies_where_promised_and_reads_back_as_it_was(tmp_path: Path) -> None:
    rows = some_links()
    path = write_day(tmp_path, "referring_links", DAY, rows)
    assert path == tmp_path / "parquet/referring_links/date=2026-03-14/referring_links.parquet"
    assert everything_under(tmp_path) == [str(path.relative_to(tmp_path))]
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    assert "date" not in pq.read_schema(path).names
    read = read_days(tmp_path, "referring_links", DAY, DAY)
    assert read.equals(rows)
    assert read.schema.field("date").type == pa.date32()


@pytest.mark.parametrize("given", [TABLES["referring_links"].arrow, coded(TABLES["referring_links"].arrow)])
def test_a_file_by_itself_has_the_declared_columns_with_what_they_mean(tmp_path: Path, given: pa.Schema) -> None:
    path = write_day(tmp_path, "referring_links", DAY, some_links().cast(given))
    declared = TABLES["referring_links"].parquet_schema
    assert pq.read_schema(path).equals(declared, check_metadata=True)
    assert pq.read_table(path, partitioning=None).equals(some_links().drop_columns("date").cast(declared))


def test_the_same_rows_leave_the_same_bytes(tmp_path: Path) -> None:
    rows = some_links(1000)
    first = write_day(tmp_path, "referring_links", DAY, rows).read_bytes()
    in_pieces = pa.concat_tables([rows.slice(0, 300), rows.slice(300)]).drop_columns("date")
    assert write_day(tmp_path, "referring_links", DAY, in_pieces).read_bytes() == first


def test_days_come_in_order_and_only_those_asked_for(tmp_path: Path) -> None:
    every = [DAY + dt.timedelta(days=number) for number in range(5)]
    for day in reversed(every):
        write_day(tmp_path, "referring_links", day, some_links(2, day))
    for stray in ("date=2026-13-01", "date=20260301", "_delta", "date=2026-01-01"):
        (tmp_path / "parquet/referring_links" / stray).mkdir()
    assert days(tmp_path, "referring_links") == every
    read = read_days(tmp_path, "referring_links", every[1], every[3], columns=["date", "links"])
    assert read["date"].to_pylist() == [day for day in every[1:4] for _ in range(2)]
    assert read["links"].to_pylist()[:2] == some_links(2, every[1])["links"].to_pylist()


def test_where_nothing_was_written_there_are_no_rows_of_the_right_columns(tmp_path: Path) -> None:
    assert days(tmp_path / "nowhere", "api_costs") == []
    assert read_days(tmp_path, "api_costs", DAY, DAY).schema.equals(TABLES["api_costs"].arrow)


def test_a_day_without_rows_is_a_day(tmp_path: Path) -> None:
    write_day(tmp_path, "referring_links", DAY, some_links(0))
    assert days(tmp_path, "referring_links") == [DAY]
    assert read_days(tmp_path, "referring_links", DAY, DAY).num_rows == 0


def test_a_file_of_an_older_version_lacks_a_column_and_reads_as_null(tmp_path: Path) -> None:
    path = write_day(tmp_path, "referring_links", DAY, some_links(2))
    pq.write_table(pq.read_table(path, partitioning=None).drop_columns("simulated"), path)
    assert read_days(tmp_path, "referring_links", DAY, DAY)["simulated"].to_pylist() == [None, None]


def test_narrower_types_are_widened_to_the_declared_ones(tmp_path: Path) -> None:
    rows = some_links(2).set_column(5, "links", pa.array([1, 2], pa.int32()))
    write_day(tmp_path, "referring_links", DAY, rows)
    assert read_days(tmp_path, "referring_links", DAY, DAY).schema.equals(TABLES["referring_links"].arrow)


def _with(rows: pa.Table, column: str, values: pa.Array) -> pa.Table:
    return rows.set_column(rows.column_names.index(column), column, values)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (some_links().drop_columns("links"), r"missing columns \['links'\]"),
        (some_links().append_column("extra", pa.array([1, 2, 3])), r"extra columns \['extra'\]"),
        (_with(some_links(), "links", pa.array(["a", "b", "c"])), "referring_links.links does not fit int64"),
        (_with(some_links(), "links", pa.array([1.5, 2, 3])), "referring_links.links does not fit int64"),
        (_with(some_links(), "key", pa.array(["a", None, "b"])), "referring_links.key .* has NULL"),
        (_with(some_links(), "key", pa.array(["a", "b", "a"])), "two rows of one target, status_type"),
        (some_links(day=DAY + dt.timedelta(days=1)), "another day"),
    ],
    ids=["missing column", "extra column", "text", "fraction", "null key", "double key", "other day"],
)
def test_rows_that_are_not_as_declared_are_refused(tmp_path: Path, rows: pa.Table, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        write_day(tmp_path, "referring_links", DAY, rows)
    assert everything_under(tmp_path) == []


def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(tmp_path: Path) -> None:
    path = write_day(tmp_path, "referring_links", DAY, some_links(10))
    before = path.read_bytes()
    with files_no_larger_than(20_000), pytest.raises(TablesError, match="Could not write") as caught:
        write_day(tmp_path, "referring_links", DAY, some_links(50_000))
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert everything_under(tmp_path) == [str(path.relative_to(tmp_path))]


def test_a_root_under_a_file_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TablesError, match="set BACKLINKS_DATA_DIR to another folder") as caught:
        write_day(tmp_path / "file", "referring_links", DAY, some_links())
    assert caught.value.errno == errno.ENOTDIR


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_errors_of_the_disk_are_sentences(number: int) -> None:
    error = atomic.tables_error("write", Path("/data/x"), OSError(number, os.strerror(number)))
    assert str(error).startswith(f"Could not write /data/x: {os.strerror(number)}. ")
    assert str(error).endswith(".")
    assert error.errno == number


def test_a_damaged_file_is_named_with_the_day_to_build_again(tmp_path: Path) -> None:
    write_day(tmp_path, "referring_links", DAY, some_links())
    bad = write_day(tmp_path, "referring_links", DAY + dt.timedelta(days=1), some_links(day=DAY).drop_columns("date"))
    os.truncate(bad, bad.stat().st_size - 5)
    with pytest.raises(TablesError, match="Build referring_links of 2026-03-15 again") as caught:
        read_days(tmp_path, "referring_links", DAY, DAY + dt.timedelta(days=9))
    assert str(bad) in str(caught.value)


def test_old_temporary_files_are_swept_and_young_ones_let_be(tmp_path: Path) -> None:
    folder = tmp_path / "parquet" / ".tmp"
    folder.mkdir(parents=True)
    old, young = folder / "old.partial", folder / "young.partial"
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    (folder / "old.partial.tmp").mkdir()
    (folder / "old.partial.tmp" / "spilled").write_bytes(b"x")
    past = time.time() - atomic.STALE_AFTER_S - 60
    os.utime(old, (past, past))
    os.utime(folder / "old.partial.tmp", (past, past))
    write_day(tmp_path, "referring_links", DAY, some_links())
    assert [path.name for path in folder.iterdir()] == ["young.partial"]


@pytest.mark.parametrize("name", ["x=1", "date=2020-02-02", "a[b]c*d?e", "it's; drop", "ü {a,b} %20"])
def test_the_data_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    rows = some_links()
    write_day(tmp_path / name, "referring_links", DAY, rows)
    assert parquet_path(tmp_path / name, "referring_links", DAY).exists()
    assert read_days(tmp_path / name, "referring_links", DAY, DAY).equals(rows)
