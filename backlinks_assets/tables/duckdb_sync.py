"""Publishes the one DuckDB file for SQL clients: brings it up to date with the parquet files.

The file is made from those, so it may be deleted at any time, and what others write into it is lost. A changed copy replaces
it whole, so that a reader may hold it open for hours. It is published read-only: most clients open a file for writing unless
set otherwise, which locks out all others. Its contents are `duckdb_file.py`.
"""

import datetime as dt
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from backlinks_assets.paths import duckdb_path, parquet_path
from backlinks_assets.tables import duckdb_file
from backlinks_assets.tables.atomic import TablesError, locked, replacing, sweep, tables_error
from backlinks_assets.tables.client_logs import remove_client_logs
from backlinks_assets.tables.parquet import day_files, find_damaged
from backlinks_assets.tables.schemas import TABLES

LOCK_TIMEOUT_S = 600.0
"""How long a publisher waits for another: more than ten times a rebuild of a year of 2,000 targets."""

_FEW = 20
"""Tables' days that one thread inserts as quickly as two. Each thread holds some 80 MB of links."""

_ATTEMPTS = 3
"""Attempts at publishing while other processes write parquet files."""


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What a `sync` did: (table, day) written and removed, rows written, whether the file was built anew."""

    path: Path
    written: tuple[duckdb_file.Day, ...] = ()
    removed: tuple[duckdb_file.Day, ...] = ()
    rows: int = 0
    rebuilt: bool = False

    @property
    def changed(self) -> bool:
        """False if the file was up to date."""
        return self.rebuilt or bool(self.written or self.removed)


def sync(root: Path, *, lock_timeout_s: float | None = None) -> SyncResult:
    """Bring `<root>/backlinks.duckdb` up to date with the parquet files.

    New and changed days are inserted, those whose file is gone are deleted. A file that is missing, damaged, written to by
    someone else or of another `SCHEMA_VERSION` is built anew. One process publishes at a time, the others wait. Readers that
    hold the old file open go on reading it.

    Raises:
        TablesError: a parquet file could not be read, the disk is full or not writable, or another process publishes for
            longer than `lock_timeout_s` (`LOCK_TIMEOUT_S`). The DuckDB file stays as it was.
    """
    path = duckdb_path(root)
    with _only_publisher(root, LOCK_TIMEOUT_S if lock_timeout_s is None else lock_timeout_s):
        _remove_client_logs(path)
        for attempt in range(1, _ATTEMPTS + 1):
            files = _parquet_files(root)
            if duckdb_file.holdings(path) == files:
                return SyncResult(path)
            try:
                return _publish(root, path, files)
            except TablesError:
                # A day may have been replaced or removed while it was read: try again.
                if attempt == _ATTEMPTS or _parquet_files(root) == files:
                    raise
    raise AssertionError("the last attempt returns or raises")


def syncing(root: Path) -> AbstractContextManager[None]:
    """Do `sync` at the end of a block, as `afterwards` does; raises as it does."""
    return afterwards(lambda: sync(root))


@contextmanager
def afterwards(publish: Callable[[], object]) -> Iterator[None]:
    """Call a function at the end of a block, also when the block fails, but not when it is interrupted.

    The block's error is the one that is raised. If publishing fails too, it gets a note.
    """
    try:
        yield
    except Exception as error:
        try:
            publish()
        except Exception as second:  # noqa: BLE001 - the first error must be raised
            error.add_note(f"Publishing failed too: {second}")
        raise
    publish()


@contextmanager
def reading(root: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the DuckDB file for reading, beside other readers and a publisher; always closed.

    Raises:
        TablesError: the file is missing, or could not be opened.
    """
    path = duckdb_path(root)
    if not path.exists():
        raise TablesError(f"There is no {path} yet: materialize backlinks_summary, or run a day, to build it.")
    try:
        connection = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        raise tables_error("open", path, error) from error
    with closing(connection):
        yield connection


def _only_publisher(root: Path, timeout_s: float) -> AbstractContextManager[None]:
    busy = (
        f"Another process has been publishing into {root} for {timeout_s:g} s. Nothing is lost: run "
        "again when it is done (`fuser` on the file .publish.lock there names it)."
    )
    return locked(root / ".publish.lock", timeout_s, busy)


def _parquet_files(root: Path) -> duckdb_file.Files:
    return {(table, day): (stat.st_size, stat.st_mtime_ns) for table in TABLES for day, stat in day_files(root, table)}


def _publish(root: Path, path: Path, files: duckdb_file.Files) -> SyncResult:
    """Update a copy of the file, or build a new one if that fails, and replace the file."""
    folder = root / ".publish.tmp"
    sweep(folder)
    with replacing(path, folder) as temporary:
        held = _copy(path, temporary)
        try:
            result = None if held is None else _update(root, temporary, held, files)
        except duckdb.Error:
            result = (
                None  # the parquet files are good: the DuckDB file is damaged in a part that `holdings` does not read
            )
        rebuilt = result is None
        try:
            if result is None:
                _discard(temporary)
                result = _update(root, temporary, {}, files)
        except duckdb.Error as error:
            raise tables_error("build", path, error) from error
        finally:
            _discard_beside(temporary)
        _allow_writing(temporary, False)
    _remove_client_logs(path)  # after the old file is gone: beside the new one its log would lock everyone out
    written, removed, rows = result
    return SyncResult(path, written, removed, rows, rebuilt)


def _copy(path: Path, copy: Path) -> duckdb_file.Files | None:
    """Copy the DuckDB file and return what the copy holds; None, without a copy, if it must be built anew."""
    if not path.exists():
        return None
    shutil.copy2(path, copy)  # with its modification time, by which it is recognised
    _allow_writing(copy, True)
    held = duckdb_file.holdings(copy)
    if held is None:
        _discard(copy)
    return held


def _update(
    root: Path, copy: Path, held: duckdb_file.Files, files: duckdb_file.Files
) -> tuple[tuple[duckdb_file.Day, ...], tuple[duckdb_file.Day, ...], int]:
    """Bring a copy up to date; return the days written and removed, and the rows."""
    written = tuple(sorted(key for key, state in files.items() if held.get(key) != state))
    removed = tuple(sorted(held.keys() - files.keys()))
    rows = 0
    # Every file system stores whole seconds, and a later change in place is never exactly at one.
    stamp_ns = time.time_ns() // 1_000_000_000 * 1_000_000_000
    with closing(duckdb_file.open_copy(copy)) as connection:
        few = len(written) <= _FEW
        if few:
            connection.execute("SET threads = 1")
            connection.execute("SET memory_limit = '128MB'")
            if not any(key in held for key in (*removed, *written)):
                # Nothing is deleted, so there is no space to win, and joining the newest row groups with those before
                # them would write months again each day. An ended month is sorted anyway.
                connection.execute("SET max_vacuum_tasks = 0")
        for table in TABLES:
            outdated = [day for name, day in (*removed, *written) if name == table and (name, day) in held]
            fresh = [day for name, day in written if name == table]
            if outdated:
                duckdb_file.remove_days(connection, table, outdated)
            if fresh:
                try:
                    rows += duckdb_file.insert_days(connection, root, table, fresh, files)
                except duckdb.Error as error:
                    damage = find_damaged([parquet_path(root, table, day) for day in fresh])
                    raise (damage or error) from error
        if few:
            connection.execute("SET memory_limit = '64MB'")  # twice what sorting some targets at a time needs
        _cluster_ended_months(connection, held, written)
        duckdb_file.stamp(connection, stamp_ns)
        connection.execute("CHECKPOINT")
    os.utime(copy, ns=(stamp_ns, stamp_ns))
    return written, removed, rows


def _cluster_ended_months(
    connection: duckdb.DuckDBPyConnection, held: duckdb_file.Files, written: tuple[duckdb_file.Day, ...]
) -> None:
    """With the first day of a new month, sort the month before, if its days were inserted one by one."""
    for table, day in written:
        if table in duckdb_file.CLUSTERED and day.day == 1 and (table, day) not in held:
            ended = day - dt.timedelta(days=1)
            if sum(name == table and (one.year, one.month) == (ended.year, ended.month) for name, one in held) > 1:
                duckdb_file.cluster_month(connection, table, ended)


def _remove_client_logs(path: Path) -> None:
    try:
        remove_client_logs(path)
    except OSError as error:
        raise tables_error("remove the log of a SQL client beside", path, error) from error


def _allow_writing(path: Path, allowed: bool) -> None:
    """Make a file writable for its user, or read-only for all."""
    mode = stat.S_IMODE(path.stat().st_mode)
    with suppress(PermissionError):  # a file system without modes
        path.chmod(mode | stat.S_IWUSR if allowed else mode & 0o555)


def _discard(temporary: Path) -> None:
    with suppress(OSError):  # it is swept later; the error before is the one to raise
        temporary.unlink(missing_ok=True)
    _discard_beside(temporary)


def _discard_beside(temporary: Path) -> None:
    """Remove what a failed DuckDB leaves beside a file: its log and its spill folder."""
    with suppress(OSError):
        remove_client_logs(temporary)
    shutil.rmtree(temporary.with_name(temporary.name + ".tmp"), ignore_errors=True)
