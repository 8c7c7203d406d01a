"""Older days' parquet files brought to the declared columns, so that one glob over all days gives every column.

Here belongs finding and rewriting them, before a day is published; what the columns are is `schemas.py`, how a file is
written `parquet.py`. DuckDB, polars and pandas drop a column that the first file lacks, or refuse the files.
"""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from os import stat_result
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from backlinks_assets.paths import parquet_path
from backlinks_assets.tables.atomic import TablesError, locked, replacing
from backlinks_assets.tables.parquet import day_files, temporary_folder, writing_day
from backlinks_assets.tables.schemas import SCHEMA_VERSION, TABLES, TableSchema

LOCK_TIMEOUT_S: Final = 3600.0
"""How long a process waits for another that rewrites older days: a year of 2,000 targets takes some minutes."""
_MOST_NAMED: Final = 5

Day = tuple[str, dt.date]
"""A table's name and a day."""


class _ReplacedError(Exception):
    """Another process has written the file anew in the meantime."""


class _UnfitError(Exception):
    """The rows of a file can't be brought to the declared columns; the message says why."""


def fit_older_days(root: Path, replaced: Mapping[str, Collection[dt.date]]) -> dict[str, int]:
    """Rewrite the files whose columns are not those declared; return how many of each table.

    A column that a file lacks becomes NULL; types are widened, the order is the declared one, rows and metadata stay. Each
    file is replaced in one step, so that a run that was killed is gone on with by the next. `replaced` are each table's
    days that are about to be written anyway: those of them that can't be rewritten are left to that.

    Costs a look at the folders where nothing is to do: the state of files that were found good is kept beside them.

    Raises:
        TablesError: a file was written by a newer version, which is found before anything is rewritten; or a file of a
            day that is not `replaced` can't be rewritten, or the disk would not take it.
    """
    if not _unfit(root):
        return {}
    rewritten: Counter[str] = Counter()
    wrong: dict[Day, str] = {}
    with _only_one(root):
        for table, day in _unfit(root):  # again: another process may have been at it
            try:
                _rewrite(root, table, day)
                rewritten[table] += 1
            except _UnfitError as error:
                if day not in replaced.get(table, ()):
                    wrong[table, day] = str(error)
            except (_ReplacedError, FileNotFoundError):
                continue
    if wrong:
        (table, day), reason = next(iter(wrong.items()))
        raise TablesError(
            f"{parquet_path(root, table, day)} can't be brought to the columns of this version ({reason}). Build "
            f"{_named(list(wrong))} again: the answers are kept, so that costs nothing."
        )
    return dict(rewritten)


def _named(days: list[Day]) -> str:
    texts = [f"{table} of {day}" for table, day in days[:_MOST_NAMED]]
    more = f" and {len(days) - _MOST_NAMED:,} more" if len(days) > _MOST_NAMED else ""
    return ", ".join(texts) + more


# --- looking ----------------------------------------------------------------------------------------------------------


def _unfit(root: Path) -> list[Day]:
    """Return the files whose columns are not those declared, and remember which files' are.

    A file is remembered with its size and modification time, and all of a table's with its columns: a file that is put
    there by hand, or a version with other columns, makes that it is looked at again.
    """
    before = _remembered(root)
    now: dict[str, dict[str, Any]] = {}
    unfit: list[Day] = []
    newer: list[Day] = []
    for table, schema in TABLES.items():
        columns = _fingerprint(schema)
        known = before.get(table, {})
        good = known.get("files", {}) if known.get("columns") == columns else {}
        files = {}
        for day, stat in sorted(day_files(root, table), key=lambda found: found[0]):
            state = _state(stat)
            if good.get(str(day)) != state:
                found = _columns(parquet_path(root, table, day))
                if found is None:
                    continue  # damaged or gone: whoever reads it says so, and building the day again mends it
                if not _fits(schema, found):
                    (newer if _is_newer(schema, found) else unfit).append((table, day))
                    continue
            files[str(day)] = state
        if files:
            now[table] = {"columns": columns, "files": files}
    if newer:
        raise TablesError(
            f"{_named(newer)} {'has' if len(newer) == 1 else 'have'} columns that this version of the program does not "
            "know: a newer version wrote them, and nothing was published beside them. Upgrade the program; or remove "
            "these files and build the days again, which costs nothing since the answers are kept."
        )
    if now != before:
        with replacing(_memory(root), temporary_folder(root)) as temporary:
            temporary.write_bytes(orjson.dumps(now))
    return unfit


def _remembered(root: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(_memory(root).read_bytes())
    except (OSError, ValueError):
        return {}  # then every file is looked at
    return found if isinstance(found, dict) else {}


def _memory(root: Path) -> Path:
    return root / "parquet" / ".columns.json"


def _state(stat: stat_result) -> list[int]:
    return [stat.st_size, stat.st_mtime_ns]


def _columns(path: Path) -> pa.Schema | None:
    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException):
        return None


def _listed(schema: pa.Schema) -> list[tuple[str, pa.DataType, bool]]:
    return [(field.name, field.type, field.nullable) for field in schema]


def _fits(schema: TableSchema, found: pa.Schema) -> bool:
    return _listed(found) == _listed(schema.parquet_schema)


def _fingerprint(schema: TableSchema) -> str:
    return hashlib.sha256(
        repr([tuple(map(str, column)) for column in _listed(schema.parquet_schema)]).encode()
    ).hexdigest()


def _is_newer(schema: TableSchema, found: pa.Schema) -> bool:
    """Whether a newer version wrote a file with these columns: never brought down to those of this version."""
    version = (found.metadata or {}).get(b"schema_version", b"0")
    says_so = version.isdigit() and int(version) > SCHEMA_VERSION
    return says_so or not set(found.names) <= set(schema.parquet_schema.names)


# --- rewriting --------------------------------------------------------------------------------------------------------


def _only_one(root: Path) -> AbstractContextManager[None]:
    busy = (
        f"Another process has been rewriting older days in {root / 'parquet'} for {LOCK_TIMEOUT_S:g} s. Nothing is lost: "
        "run again when it is done."
    )
    return locked(root / "parquet" / ".columns.lock", LOCK_TIMEOUT_S, busy)


def _rewrite(root: Path, table: str, day: dt.date) -> None:
    """Write a day's file anew with the declared columns, a row group of the old one after the other."""
    path = parquet_path(root, table, day)
    state = _state(path.stat())
    with pq.ParquetFile(path) as old:
        metadata = {
            name.decode(): text.decode()
            for name, text in (old.metadata.metadata or {}).items()
            if name not in {b"ARROW:schema", b"table", b"schema_version"}
        }
        with writing_day(root, table, day, keys_known_unique=True, metadata=metadata) as write:
            rows = 0
            for part in _parts(old):
                filled = _filled(TABLES[table], part)
                try:
                    write(filled)
                except ValueError as error:
                    raise _UnfitError(str(error)) from error
                rows += filled.num_rows
            if rows != old.metadata.num_rows or _state(path.stat()) != state:
                raise _ReplacedError


def _parts(old: pq.ParquetFile) -> Iterator[pa.Table]:
    """Yield the row groups, those that share a target as one: a part begins with a target of its own."""
    held: pa.Table | None = None
    for number in range(old.num_row_groups):
        group = old.read_row_group(number)
        if held is not None and "target" in group.column_names and group["target"][0] != held["target"][-1]:
            yield held
            held = None
        held = group if held is None else pa.concat_tables([held, group])
    if held is not None:
        yield held


def _filled(schema: TableSchema, part: pa.Table) -> pa.Table:
    """Return the rows with the declared columns, NULL where there was none."""
    declared = schema.parquet_schema
    columns = []
    for field in declared:
        at = part.schema.get_field_index(field.name)
        if at < 0 and not field.nullable:
            raise _UnfitError(f"it has no column {field.name}, which is never NULL")
        columns.append(part.column(at) if at >= 0 else pa.nulls(part.num_rows, field.type))
    return pa.table(columns, names=declared.names)
