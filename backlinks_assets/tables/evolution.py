"""Rewrites older days' parquet files with the declared columns, so that one glob over all days gives every column.

Otherwise DuckDB, polars and pandas drop a column that the first file lacks, or refuse the files. It is done before a day is
published. The columns are `schemas.py`; how a file is written is `parquet.py`.
"""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from backlinks_assets.paths import parquet_dir, parquet_path
from backlinks_assets.tables.atomic import TablesError, locked, replacing
from backlinks_assets.tables.parquet import day_files, temporary_folder, writing_day
from backlinks_assets.tables.schemas import SCHEMA_VERSION, TABLES, TableSchema

LOCK_TIMEOUT_S: Final = 3600.0
"""How long a process waits for another that rewrites older days. A year of 2,000 targets takes some minutes."""
MAX_NAMED: Final = 5

Day = tuple[str, dt.date]
"""A table's name and a day."""


class _ReplacedError(Exception):
    """Another process has replaced the file meanwhile."""


def fit_older_days(root: Path, replaced: Mapping[str, Collection[dt.date]]) -> dict[str, int]:
    """Rewrite the files whose columns are not those declared; return how many of each table.

    A missing column becomes NULL, types are widened, columns get the declared order; rows and metadata stay. Each file is
    replaced in one step, so the next run goes on where a killed one stopped. `replaced` are each table's days that will be
    written anyway: of these, files that can't be rewritten are left alone.

    Files that were found good are not opened again: their state is stored beside them.

    Raises:
        TablesError: a newer version wrote a file (then nothing is rewritten), a day that is not `replaced` can't be
            rewritten, or the disk is full or not writable.
    """
    if not _unfit(root):
        return {}
    rewritten: Counter[str] = Counter()
    wrong: dict[Day, str] = {}
    busy = (
        f"Another process has been rewriting older days in {parquet_dir(root)} for {LOCK_TIMEOUT_S:g} s. Nothing is lost: "
        "run again when it is done."
    )
    with locked(parquet_dir(root) / ".columns.lock", LOCK_TIMEOUT_S, busy):
        for table, day in _unfit(root):  # again: another process may have rewritten them
            try:
                _rewrite(root, table, day)
                rewritten[table] += 1
            except ValueError as error:
                if day not in replaced.get(table, ()):
                    wrong[table, day] = str(error)
            except (_ReplacedError, FileNotFoundError):
                continue
    if wrong:
        (table, day), reason = next(iter(wrong.items()))
        raise TablesError(
            f"{parquet_path(root, table, day)} can't be brought to the columns of this version ({reason}). Build "
            f"{_named(list(wrong))} again: the answers are stored, so that costs nothing."
        )
    return dict(rewritten)


def _named(days: list[Day]) -> str:
    more = f" and {len(days) - MAX_NAMED:,} more" if len(days) > MAX_NAMED else ""
    return ", ".join(f"{table} of {day}" for table, day in days[:MAX_NAMED]) + more


def _unfit(root: Path) -> list[Day]:
    """Return the files whose columns are not those declared, and store the state of the others.

    The state has the declared columns, size and modification time. So a file is opened again if it was replaced, or if the
    declared columns are others.
    """
    states = parquet_dir(root) / ".columns.json"
    try:
        known = dict(orjson.loads(states.read_bytes()))
    except (OSError, ValueError, TypeError):
        known = {}  # then every file is opened
    fit: dict[str, Any] = {}
    unfit: list[Day] = []
    newer: list[Day] = []
    for table, schema in TABLES.items():
        declared = _listed(schema.parquet_schema)
        columns = hashlib.sha256(repr(declared).encode()).hexdigest()[:16]
        for day, stat in sorted(day_files(root, table), key=lambda found: found[0]):
            key, state = f"{table} {day}", [columns, stat.st_size, stat.st_mtime_ns]
            if known.get(key) != state:
                found = _columns(parquet_path(root, table, day))
                if found is None:
                    continue  # damaged or gone: reading it raises, and building the day again replaces it
                if _listed(found) != declared:
                    (newer if _is_newer(schema, found) else unfit).append((table, day))
                    continue
            fit[key] = state
    if newer:
        raise TablesError(
            f"{_named(newer)} {'has' if len(newer) == 1 else 'have'} columns that this version of the program does not "
            "know: a newer version wrote them, and nothing was published beside them. Upgrade the program; or remove "
            "these files and build the days again, which costs nothing since the answers are stored."
        )
    if fit != known:
        with replacing(states, temporary_folder(root)) as temporary:
            temporary.write_bytes(orjson.dumps(fit))
    return unfit


def _columns(path: Path) -> pa.Schema | None:
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return None


def _listed(schema: pa.Schema) -> list[tuple[str, pa.DataType, bool]]:
    return [(field.name, field.type, field.nullable) for field in schema]


def _is_newer(schema: TableSchema, found: pa.Schema) -> bool:
    """Whether a newer version wrote a file with these columns: it is never reduced to those of this version."""
    version = (found.metadata or {}).get(b"schema_version", b"0")
    says_so = version.isdigit() and int(version) > SCHEMA_VERSION
    return says_so or not set(found.names) <= set(schema.parquet_schema.names)


def _rewrite(root: Path, table: str, day: dt.date) -> None:
    """Rewrite a day's file with the declared columns, one row group after the other.

    Raises:
        ValueError: its rows don't fit them.
    """
    path = parquet_path(root, table, day)
    before = path.stat()
    with pq.ParquetFile(path) as old:
        metadata = {
            name.decode(): text.decode()
            for name, text in (old.metadata.metadata or {}).items()
            if name not in {b"ARROW:schema", b"table", b"schema_version"}
        }
        with writing_day(root, table, day, keys_known_unique=True, metadata=metadata) as write:
            for number in range(old.num_row_groups):
                write(_filled(TABLES[table], old.read_row_group(number)))
            now = path.stat()
            if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                raise _ReplacedError


def _filled(schema: TableSchema, part: pa.Table) -> pa.Table:
    """Return the rows with NULL in missing columns, but for columns that are never NULL."""
    for field in schema.parquet_schema:
        if field.nullable and field.name not in part.column_names:
            part = part.append_column(field.name, pa.nulls(part.num_rows, field.type))
    return part
