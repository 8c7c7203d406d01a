"""The engine under the response store and the account's ledger: SQLite in WAL mode, through SQLAlchemy.

Here belong the connection's settings, the write transaction and what any database must do for the store. The database that
machines share is `postgres.py`, what dialects differ in `columns.py`. The tables are `responses.py` and `ledger.py`, their
versions `migrations.py`.
"""

import datetime as dt
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import sqlalchemy as sa
import tenacity

from backlinks_assets.errors import BacklinksError
from backlinks_assets.folder import next_step, next_step_of_sqlite

BUSY_TIMEOUT_S: Final = 60
"""How long a writer waits for another process's transaction. Each takes some milliseconds."""

_GATHER_S: Final = 0.0001
"""A commit waits so long for further writers: a lock that is released and taken again at once lets no one in."""


metadata: Final = sa.MetaData()


class StoreError(BacklinksError):
    """The response store can't be used or written; the message says what to do. Nothing was half-written."""


class UnreachableError(StoreError):
    """The server can't be reached, or gave a transaction up. It may be repeated, and must be since it may be committed."""


class StoreDatabase(Protocol):
    """What the store needs of a database. `place` names it in messages, `variable` what another one is named in."""

    variable: str

    @property
    def place(self) -> str: ...

    @property
    def engine(self) -> sa.Engine: ...

    def write(self) -> AbstractContextManager[sa.Connection]:
        """Yield a connection in a write transaction: committed durably at the end, undone on an error."""

    def alone(self, wait_s: float = BUSY_TIMEOUT_S) -> AbstractContextManager[sa.Connection]:
        """Yield a connection in a transaction that changes the tables, and waits for others that do."""

    def read(self) -> AbstractContextManager[sa.Connection]: ...

    def now(self) -> dt.datetime:
        """Return the UTC instant of the clock by which calls are booked on a day."""

    def close(self) -> None: ...


class _Batch:
    """Writes of several threads in one transaction, so that they wait for the disk together."""

    def __init__(self, engine: sa.Engine) -> None:
        self.error: Exception | None = None
        self._connection = engine.connect().execution_options(waits_s=BUSY_TIMEOUT_S)
        try:
            self._connection.begin()
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def one(self) -> Iterator[sa.Connection]:
        """Yield the connection for one thread's write. An error undoes this write only."""
        self._connection.exec_driver_sql("SAVEPOINT one")
        try:
            yield self._connection
            self._connection.exec_driver_sql("RELEASE SAVEPOINT one")
        except BaseException as error:
            try:
                self._connection.exec_driver_sql("ROLLBACK TO SAVEPOINT one")
            except sa.exc.DBAPIError as undone:  # a full disk: SQLite has undone the whole transaction
                self.error = error if isinstance(error, Exception) else undone
            raise

    def end(self) -> None:
        """Commit, unless a write could not be undone. A second call changes nothing."""
        try:
            if self.error is None and not self._connection.closed:
                self._connection.commit()
        except Exception as error:  # noqa: BLE001 - raised by every thread that wrote
            self.error = error
            self._connection.invalidate()  # the file may have been full, damaged or moved away: open it anew
        finally:
            self._connection.close()

    @property
    def is_ended(self) -> bool:
        return self._connection.closed


class Database:
    """One SQLite file. `write()` opens a transaction that holds the write lock from its start."""

    variable = "BACKLINKS_DATA_DIR"

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{file.parent} can't be made ({error.strerror}). {next_step(error.errno)}") from None
        self.engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(file)),
            connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        )
        sa.event.listen(self.engine, "connect", _configure)
        sa.event.listen(self.engine, "begin", _begin)
        # One writer at a time in this process, so that its threads queue here and not in SQLite's polling.
        self._writing = threading.Lock()
        self._committing = threading.Lock()
        self._batch: _Batch | None = None

    @contextmanager
    def alone(self, wait_s: float = BUSY_TIMEOUT_S) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction that no other thread joins, with the write lock: to change the tables.

        Committed at the end, unless the block rolled it back. It waits for other processes' transactions up to `wait_s`.
        """
        with (
            self.store_errors(),
            self.engine.connect() as connection,
            connection.execution_options(waits_s=wait_s).begin(),
        ):
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yield a connection in a write transaction: committed durably at the end, undone on an error.

        Threads that write at the same time share a transaction, and each goes on when it is on disk.
        """
        batch = None
        with self.store_errors():
            try:
                with self._writing:
                    if self._batch is None or self._batch.error is not None:
                        self._batch = _Batch(self.engine)
                    batch = self._batch
                    with batch.one() as tx:
                        yield tx
            finally:
                if batch is not None:
                    self._commit(batch)
            if batch.error is not None:
                raise batch.error

    def _commit(self, batch: _Batch) -> None:
        with self._committing:
            if not batch.is_ended:
                time.sleep(_GATHER_S)
                with self._writing:
                    batch.end()
                    self._batch = None if self._batch is batch else self._batch

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        with self.store_errors(), self.engine.connect() as connection:
            yield connection

    @property
    def place(self) -> str:
        return str(self.file)

    def now(self) -> dt.datetime:
        """Return this machine's time."""
        return dt.datetime.now(dt.UTC)

    def close(self) -> None:
        """Close the file; what threads that are still writing have written is committed first."""
        with self._writing:
            if self._batch is not None:
                self._batch.end()
            self._batch = None
            self.engine.dispose()

    @contextmanager
    def store_errors(self) -> Iterator[None]:
        """Raise the database's errors as StoreError."""
        try:
            yield
        except sa.exc.DatabaseError as error:
            raise StoreError(self._message(error.orig or error)) from None
        except sqlite3.Error as error:
            raise StoreError(self._message(error)) from None

    def _message(self, error: BaseException) -> str:
        text = str(error)
        if "full" in text:
            return f"No space is left for {self.file}: free some and run again; what was paid for is kept."
        if "locking protocol" in text:
            return f"{self.file} can't be used ({text}). {next_step_of_sqlite(text)}"
        if "locked" in text:
            return f"{self.file} has been locked by another program for {BUSY_TIMEOUT_S} s. End it and run again."
        if "malformed" in text or "not a database" in text:
            return (
                f"{self.file} is damaged ({text}). Put back a backup, or move the file aside to start a new store; "
                "the parquet tables are not concerned."
            )
        return f"{self.file} can't be used ({text}). Check that the folder can be written and run again."


def sqlite_of(connection: sa.Connection) -> sqlite3.Connection:
    """Return SQLite's own connection under one of SQLAlchemy: for its pragmas."""
    sql = connection.connection.driver_connection
    assert isinstance(sql, sqlite3.Connection)
    return sql


def _begin(connection: sa.Connection) -> None:
    """Begin a transaction. A writer waits for the lock first, so that it is never refused later on."""
    waits_s = connection.get_execution_options().get("waits_s")
    if waits_s is not None:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {waits_s * 1000:.0f}")
    connection.exec_driver_sql("BEGIN" if waits_s is None else "BEGIN IMMEDIATE")


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin`, not by the driver
    cursor = connection.cursor()
    _use_write_ahead_log(cursor)
    cursor.execute("PRAGMA synchronous=FULL")  # a commit is on disk before anything else happens to the answer
    # Savepoints need a temporary file above 64 kB, and a container may have no folder for one.
    cursor.execute("PRAGMA temp_store=MEMORY")
    cursor.close()


@tenacity.retry(
    retry=tenacity.retry_if_exception_message(match=".*locked"),
    wait=tenacity.wait_random(0.01, 0.1),
    stop=tenacity.stop_after_delay(BUSY_TIMEOUT_S),
    reraise=True,
)
def _use_write_ahead_log(cursor: Any) -> None:
    """Switch a new file to the write-ahead log. SQLite itself does not wait for other users of the file here."""
    cursor.execute("PRAGMA journal_mode=WAL")
