"""The parquet files, one per table and day, from which everything else is built: writing one, reading a span of days.

The columns are `schemas.py`; the DuckDB file made of them is `duckdb_sync.py`.
"""

import datetime as dt
import os
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backlinks_assets.paths import TEMPORARY, parquet_dir, parquet_path
from backlinks_assets.tables.atomic import TablesError, replacing, sweep, tables_error
from backlinks_assets.tables.schemas import CODED, TABLES, TableSchema, coded

MADE_FROM: Final = "made_from"
"""Name in a file's metadata of what it was made from: a short text that its writer gives and compares later."""


def temporary_folder(root: Path) -> Path:
    return parquet_dir(root) / TEMPORARY


def write_day(root: Path, table: str, date: dt.date, data: pa.Table, *, made_from: str | None = None) -> Path:
    """Replace a table's day in one step, and return its path.

    `made_from` is written to the file's metadata. The same table gives the same bytes. Readers see the old file or the
    new one, whole; a killed process leaves the old one.

    Raises:
        ValueError: the columns are not those declared, a value does not fit its type, the key is NULL or not unique, or
            `date` holds another day.
        TablesError: the disk is full or not writable; the old file is untouched.
    """
    with writing_day(root, table, date, made_from=made_from) as write:
        write(data)
    return parquet_path(root, table, date)


@contextmanager
def writing_day(
    root: Path,
    table: str,
    date: dt.date,
    *,
    keys_known_unique: bool = False,
    made_from: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Iterator[Callable[[pa.Table], None]]:
    """Yield a function that takes a table's day part by part; when the block ends well, they replace the file.

    Each part is a row group, so that a day need not be in memory at once. Each begins with a target after the last one of the
    part before it. `keys_known_unique`: keys are not checked, which takes longer than writing them, and a part may begin with
    the last target of the one before. `metadata` is written to the file.

    Raises:
        ValueError, TablesError: as `write_day`, of which the parts are checked one by one.
    """
    schema = TABLES[table]
    last: str | None = None
    sweep(temporary_folder(root))
    with (
        replacing(parquet_path(root, table, date), temporary_folder(root)) as temporary,
        temporary.open("xb") as file,
        pq.ParquetWriter(
            file,
            coded(schema.parquet_schema),
            compression="zstd",
            # Files are sorted by target. Statistics of other columns would rule nothing out, and take a quarter of the time.
            write_statistics=["target"],
            store_schema=False,
        ) as writer,
    ):
        if metadata:
            writer.add_key_value_metadata(dict(metadata))
        # The declared columns in the place of the writer's own, so that texts are read back as plain ones.
        writer.add_key_value_metadata({"ARROW:schema": b64encode(schema.parquet_schema.serialize()).decode()})
        if made_from is not None:
            writer.add_key_value_metadata({MADE_FROM: made_from})

        def write(part: pa.Table) -> None:
            nonlocal last
            rows = _conform(schema, date, part, keys_known_unique)
            if "target" in rows.column_names and rows.num_rows:
                first = rows["target"][0].as_py()
                if last is not None and (first < last or (first == last and not keys_known_unique)):
                    raise ValueError(f"{schema.name} of {date}: the parts are not in the order of their targets")
                last = rows["target"][-1].as_py()
            writer.write_table(rows)

        yield write


def made_from(root: Path, table: str, date: dt.date) -> str | None:
    """Return what a table's day was made from; None without a file, `""` if it does not say or is damaged."""
    path = parquet_path(root, table, date)
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _made_from(path, stat.st_mtime_ns, stat.st_size, stat.st_ino)


@lru_cache(maxsize=256)
def _made_from(path: Path, *_state: int) -> str:
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowException):
        return ""
    text: bytes = metadata.get(MADE_FROM.encode(), b"")
    return text.decode()


def read_days(root: Path, table: str, start: dt.date, end: dt.date, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a table's rows from `start` to `end`, both included, with `date`; by day, then as written.

    All declared columns, or those named. Days without a file give no rows.

    Raises:
        TablesError: a file could not be read; the message names it.
    """
    import pyarrow.dataset as ds  # imports pandas, which callers of `days` and `made_from` don't need

    schema = TABLES[table]
    paths = [parquet_path(root, table, day) for day in days(root, table) if start <= day <= end]
    folder = parquet_dir(root) / table
    partitioning = ds.partitioning(pa.schema([schema.arrow.field("date")]), flavor="hive")
    wanted = schema.arrow.names if columns is None else list(columns)
    if not paths:
        return schema.arrow.empty_table().select(wanted)
    try:
        dataset = ds.dataset(
            [str(path) for path in paths],
            schema=schema.arrow,
            format="parquet",
            partitioning=partitioning,
            partition_base_dir=str(folder),
        )
        return dataset.to_table(columns=wanted)
    except (OSError, pa.ArrowException) as error:
        raise (find_damaged(paths) or tables_error("read", folder, error)) from error


def days(root: Path, table: str) -> list[dt.date]:
    """Return the days for which a table has a file, in order."""
    return sorted(day for day, _ in day_files(root, table))


def day_files(root: Path, table: str) -> list[tuple[dt.date, os.stat_result]]:
    """Return the days for which a table has a file, each with the file's size and times, in no order.

    Raises:
        TablesError: the folder exists and could not be read.
    """
    found: dict[dt.date, os.stat_result] = {}
    folder = parquet_dir(root) / TABLES[table].name
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(ValueError, FileNotFoundError, NotADirectoryError):
                    day = dt.date.fromisoformat(entry.name.removeprefix("date="))
                    found[day] = parquet_path(root, table, day).stat()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise tables_error("read the folder", folder, error) from error
    return list(found.items())


def find_damaged(paths: Sequence[Path]) -> TablesError | None:
    """Return an error that names the first unreadable one of some parquet files, or None."""
    for path in paths:
        try:
            pq.read_table(path, partitioning=None)
        except (OSError, pa.ArrowException) as error:
            reason = str(error).split("\n")[0].rstrip(".")
            day = path.parent.name.removeprefix("date=")
            return TablesError(
                f"{path} could not be read ({reason}). Build {path.stem} of {day} again: its answers are stored, "
                "so that costs nothing."
            )
    return None


def _conform(schema: TableSchema, date: dt.date, data: pa.Table, keys_known_unique: bool) -> pa.Table:
    """Return the rows with the declared columns; raises ValueError that names a wrong one."""
    if "date" in data.column_names:
        if data.num_rows and pc.unique(data["date"]).to_pylist() != [date]:
            raise ValueError(f"{schema.name} of {date} holds rows of another day")
        data = data.drop_columns("date")
    declared = schema.parquet_schema
    names, given = declared.names, data.column_names  # properties that make a new list each time
    missing = [name for name in names if name not in given]
    extra = [name for name in given if name not in names]
    if missing or extra or len(set(given)) != len(given):
        raise ValueError(f"{schema.name} is not as declared: missing columns {missing}, extra columns {extra}")
    columns = []
    for field in declared:
        try:
            column = data[field.name]
            if field.type != pa.string():
                column = column.cast(field.type)
            elif column.type != CODED:
                column = column.cast(pa.string()).dictionary_encode()
            column = column.combine_chunks()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise ValueError(f"{schema.name}.{field.name} does not fit {field.type}: {error}") from error
        if column.null_count and not field.nullable:
            raise ValueError(f"{schema.name}.{field.name} is part of the key or always known, and has NULL")
        columns.append(column)
    rows = pa.table(columns, schema=coded(declared))
    key = [name for name in schema.primary_key if name != "date"]
    if not keys_known_unique and data.group_by(key).aggregate([]).num_rows < rows.num_rows:
        raise ValueError(f"{schema.name} of {date}: two rows of one {', '.join(key) or 'day'}")
    return rows
