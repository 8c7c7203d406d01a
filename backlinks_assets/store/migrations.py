"""The layout of `responses.sqlite` by version: how an older file is migrated, and which files are refused.

Here belong the steps from one version to the next, and the opening of a file before it is read or anything is paid for.
The tables are declared where they are used: `responses.py`, `ledger.py`. A new table needs no step, since missing tables
are made at each opening; a change of a table does. The version is SQLite's `user_version`; the first files have 0.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from backlinks_assets.store.database import BUSY_TIMEOUT_S, Database, StoreError, sqlite_of

Step = Callable[[sa.Connection], None]


def _to_1(_tx: sa.Connection) -> None:
    """Version 1 has the tables of before there was a version."""


_ENDPOINT: Final = "endpoint VARCHAR DEFAULT 'backlinks/summary/live' NOT NULL"


def _to_2(tx: sa.Connection) -> None:
    """Answers, claims, calls and a day's sums are each of an endpoint; all of version 1 were of the summary."""
    sql = sqlite_of(tx)
    for table in ("responses", "claims", "daily_spend"):
        _extend_key(sql, table, _ENDPOINT)
    for table, column in (
        ("api_calls", _ENDPOINT),
        ("evidence", _ENDPOINT),
        ("set_aside", _ENDPOINT),
        ("set_aside", "reserved_microusd BIGINT DEFAULT 0 NOT NULL"),
    ):
        if _columns(sql, table):
            sql.execute(f"ALTER TABLE {table} ADD COLUMN {column}")


def _extend_key(sql: sqlite3.Connection, table: str, column: str) -> None:
    """Add a column that is the last of the key, for which SQLite needs the table made anew."""
    found = _columns(sql, table)
    if not found:
        return
    names = ", ".join(name for name, *_ in found)
    key = [name for name, *_, number in sorted(found, key=lambda each: each[-1]) if number]
    declared = [
        f"{name} {kind}{f' DEFAULT {default}' if default is not None else ''}{' NOT NULL' if required else ''}"
        for name, kind, required, default, _ in found
    ]
    key_declared = f"PRIMARY KEY ({', '.join([*key, column.split(maxsplit=1)[0]])})"
    sql.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    sql.execute(f"CREATE TABLE {table} ({', '.join([*declared, column, key_declared])})")
    sql.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM old_{table}")  # noqa: S608
    sql.execute(f"DROP TABLE old_{table}")


STEPS: Sequence[Step] = (_to_1, _to_2)
"""The migration to version 1, to 2, and so on, all in one transaction.

A step leaves a missing table alone (nothing was announced yet), and no step may change the number of rows: they are
counted. A program of the version before may have the file open with paid calls under way. So a new column has a default:
that program can still store their answers.
"""

MIGRATION_WAIT_S: Final = 600.0
"""How long a process waits for another's migration: several times what a store of 2 GB takes."""

_TABLES_OF_VERSION_0: Final = frozenset({
    "responses", "claims", "facts", "api_calls", "daily_spend", "announced_messages", "announced_news",
    "announcement_deliveries", "announced_runs", "announcement_notes",
})  # fmt: skip
"""A file without a version is this project's if it has any of these."""

_SAMPLES: Final[dict[type, tuple[Any, Any]]] = {
    int: (-1, -2),
    float: (0.5, 0.25),
    bool: (True, False),
    bytes: (b"rehearsal", b"another"),
}
_TEXTS: Final = ("rehearsal", "another")

_LAYOUT_ERRORS: Final = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH})
"""SQLite's errors for a row that does not fit its table. Other errors are the disk's."""


def open_tables(database: Database, *metadata: sa.MetaData) -> None:
    """Migrate the file to this program's version and make the tables that are missing: all of it or nothing.

    An older file is copied first. The copy stays beside it until the migrated file was opened anew and found good. Each
    table is then written to, in a transaction that is undone: so an answer that is paid for can be stored.

    Raises:
        StoreError: the file is newer or another program's, its tables don't fit, or it can't be written. It stays as it
            was.
    """
    tables = [table for one in metadata for table in one.sorted_tables]
    with database.store_errors():
        version, found = _look(database.file)
    _recognise(database.file, version, found, tables)
    with database.alone(MIGRATION_WAIT_S if found and version < len(STEPS) else BUSY_TIMEOUT_S) as tx:
        _migrate(tx, database.file, tables)
    if copies := sorted(database.file.parent.glob(_copy_of(database.file, "*").name)):
        with database.store_errors():
            _verify(database.file, copies[-1])
        for copy in copies:
            copy.unlink(missing_ok=True)


def _look(file: Path) -> tuple[int, set[str]]:
    """Return the version and the tables of a file, changing nothing; 0 and none if it is not there."""
    if not file.exists():
        return 0, set()
    with closing(sqlite3.connect(file, timeout=BUSY_TIMEOUT_S)) as sql:
        return _version(sql), _tables(sql)


def _recognise(file: Path, version: int, found: set[str], wanted: Sequence[sa.Table]) -> None:
    """Raise StoreError for a file that this program can't migrate."""
    if found and found.isdisjoint(_TABLES_OF_VERSION_0.union(table.name for table in wanted)):
        raise StoreError(
            f"{file} is another program's database (it holds {', '.join(sorted(found)[:5])}). Move it away, or set "
            "BACKLINKS_DATA_DIR to another folder. Nothing was changed in it and no call was made."
        )
    if version > len(STEPS):
        raise StoreError(
            f"{file} has version {version}; this program knows versions up to {len(STEPS)}, so a newer one made it. "
            "Upgrade the program, or set BACKLINKS_DATA_DIR to another folder. Nothing was changed in it and no call was "
            "made."
        )


def _migrate(tx: sa.Connection, file: Path, tables: Sequence[sa.Table]) -> None:
    sql = sqlite_of(tx)
    version, before = _version(sql), _tables(sql)
    _recognise(file, version, before, tables)  # again: another process may have migrated it meanwhile
    copy = _copy_of(file, str(version))
    rows: dict[str, int] = {}
    try:
        if before and version < len(STEPS):
            _copy(file, copy)
            rows = _rows(sql, before)
            for step in STEPS[version:]:
                step(tx)
        for table in tables:
            table.create(tx, checkfirst=True)
            for index in table.indexes:
                index.create(tx, checkfirst=True)
        _count(sql, file, rows)
        _rehearse(sql, file, tables)
    except BaseException:
        if rows:
            copy.unlink(missing_ok=True)  # the file itself stays as it was
        raise
    if version == len(STEPS) and _tables(sql) == before:
        tx.rollback()  # nothing was made, so that nothing has to reach the disk
    else:
        sql.execute(f"PRAGMA user_version = {len(STEPS)}")


def _copy(file: Path, copy: Path) -> None:
    """Copy the file with its write-ahead log. The copy appears whole, and on disk, or not at all."""
    partial = copy.with_name(copy.name + ".partial")
    try:
        partial.unlink(missing_ok=True)
        # With a connection of its own, since SQLite can't copy from one that is writing.
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(partial)) as target:
            source.backup(target)
        shutil.copymode(file, partial)
        partial.replace(copy)
        folder = os.open(copy.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StoreError(
            f"{file} is of an older version and could not be copied to {copy} before it is migrated ({error.strerror}). "
            "Check that the folder can be written and run again. The file is as it was and no call was made."
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def _count(sql: sqlite3.Connection, file: Path, before: dict[str, int]) -> None:
    """Compare the rows of each table with those before the steps."""
    after = _rows(sql, before.keys() & _tables(sql))
    changed = [
        f"{name} from {rows:,} to {after.get(name, 0):,}" for name, rows in before.items() if after.get(name, 0) != rows
    ]
    if changed:
        raise StoreError(
            f"Bringing {file} to version {len(STEPS)} would change its rows: {', '.join(changed)}. It stays as it was and "
            "no call was made. Please report this; the version of the program that made the file still works with it."
        )


def _rehearse(sql: sqlite3.Connection, file: Path, tables: Sequence[sa.Table]) -> None:
    """Write rows into each table, read them back, and undo it."""
    sql.execute("SAVEPOINT rehearsal")
    for table in tables:
        if wrong := _misfit(sql, table):
            raise StoreError(
                f"The table {table.name} in {file} does not fit this program: {wrong}. An answer could be paid for and not "
                "stored, so no call was made. Nothing was changed. Use the version of the program that made the file, "
                "put back a backup, or set BACKLINKS_DATA_DIR to another folder."
            )
    sql.execute("ROLLBACK TO rehearsal")
    sql.execute("RELEASE rehearsal")


def _misfit(sql: sqlite3.Connection, table: sa.Table) -> str | None:
    """Return why rows of the declared columns can't be stored in a table, None if they can."""
    found = {name: key for name, *_, key in _columns(sql, table.name)}
    if missing := [column.name for column in table.columns if column.name not in found]:
        return f"it has no column {', '.join(missing)}"
    keys = {column.name for column in table.primary_key}
    if {name for name, key in found.items() if key} != keys:
        return f"its key is not {', '.join(sorted(keys))}"
    samples = {column.name: _SAMPLES.get(column.type.python_type, _TEXTS) for column in table.columns}
    row = {name: first for name, (first, _) in samples.items()}
    into = f"INSERT INTO {table.name} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})"  # noqa: S608
    stored = f"SELECT count(*) FROM {table.name} WHERE {' AND '.join(f'{name} = :{name}' for name in row)}"  # noqa: S608
    try:
        for one in [row, *({**row, key: samples[key][1]} for key in sorted(keys))]:  # no two have the same key
            sql.execute(into, one)
            if sql.execute(stored, one).fetchone() != (1,):
                return "a row that is written is not there as it was written"
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF not in _LAYOUT_ERRORS:
            raise
        return str(error)
    return None


def _verify(file: Path, copy: Path) -> None:
    """Check the whole migrated file on a new connection. If it is damaged, the copy stays."""
    with closing(sqlite3.connect(file, timeout=BUSY_TIMEOUT_S)) as sql:
        found = [text for (text,) in sql.execute("PRAGMA quick_check(1)")]
    if found != ["ok"]:
        reason = found[0].splitlines()[-1]
        raise StoreError(
            f"{file} was damaged when it was migrated ({reason}). {copy.name} beside it is what it was before: put that in "
            "its place and run again. No call was made."
        )


def _copy_of(file: Path, version: str) -> Path:
    return file.with_name(f"{file.stem}-version-{version}{file.suffix}")


def _version(sql: sqlite3.Connection) -> int:
    return int(sql.execute("PRAGMA user_version").fetchone()[0])


def _columns(sql: sqlite3.Connection, table: str) -> list[tuple[str, str, int, str | None, int]]:
    """Return name, type, whether it is required, default and number in the key of a table's columns."""
    return [(*found,) for _, *found in sql.execute(f"PRAGMA table_info({table})")]


def _tables(sql: sqlite3.Connection) -> set[str]:
    """Return the names of all tables and views but SQLite's own."""
    query = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
    return {name for (name,) in sql.execute(query)}


def _rows(sql: sqlite3.Connection, tables: Iterable[str]) -> dict[str, int]:
    return {name: sql.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in sorted(tables)}  # noqa: S608
