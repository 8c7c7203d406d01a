"""The engine under the response store and the account's ledger: SQLite in WAL mode, through SQLAlchemy.

Here belong the connection's settings and the write transaction. The tables are `responses.py` and `ledger.py`,
their versions `migrations.py`; another database would be opened here and nowhere else.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
import tenacity

from backlinks_assets.errors import BacklinksError
from backlinks_assets.folder import next_step, next_step_of_sqlite
from backlinks_assets.statements import sqlite_of

BUSY_TIMEOUT_S: Final = 60
"""How long a writer waits for another process's transaction; each lasts some milliseconds."""
_LEFT_ALONE_S: Final = 1.0
"""After so long a thread commits itself what it wrote: the one that was to do it may be gone."""


class StoreError(BacklinksError):
    """The response store can't be used or written; the message says what to do. Nothing was half-written."""


class _Group:
    """Writes of several threads in one transaction, committed by the last of them: one wait for the disk for all."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self.sql = sqlite_of(connection)
        self.ended = threading.Event()
        self.error: Exception | None = None
        self.sql.execute("BEGIN IMMEDIATE")

    @contextmanager
    def one(self) -> Iterator[sa.Connection]:
        """Yield the connection for one thread's write; an error undoes this write and no other."""
        self.sql.execute("SAVEPOINT one")
        try:
            yield self.connection
        except BaseException as error:
            try:
                self.sql.execute("ROLLBACK TO one")
                self.sql.execute("RELEASE one")
            except sqlite3.Error as undone:  # a full disk: SQLite has undone all of it
                self.error = error if isinstance(error, Exception) else undone
            raise
        self.sql.execute("RELEASE one")

    def end(self) -> None:
        """Commit, unless a write could not be undone; whoever waits is told how it went."""
        try:
            if self.error is None:
                self.sql.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - raised by every thread that wrote
            self.error = error
        finally:
            with suppress(sqlite3.Error):  # of a connection that was closed meanwhile, nothing can be asked
                if self.sql.in_transaction:
                    self.sql.execute("ROLLBACK")
            self.ended.set()


class Database:
    """One SQLite file. `write()` opens a transaction that holds the write lock from its start."""

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
        # One writer at a time in this process, so that its threads queue here and not in SQLite's polling.
        self._writer = threading.Lock()
        self._connection: sa.Connection | None = None  # that of all writers: opening one anew costs as much as a write
        self._group: _Group | None = None
        self._queued = 0
        self._counting = threading.Lock()
        sa.event.listen(self.engine, "connect", _configure)

    @contextmanager
    def alone(self, wait_s: float | None = None) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction that no other thread joins, with the write lock: to change the tables.

        Committed at the end, unless the block has ended it itself; undone on an error. `wait_s` is how long other
        processes' transactions are waited for, if not the usual time.
        """
        with self.sentences(), self.engine.connect() as connection:
            sql = sqlite_of(connection)
            (usual_ms,) = sql.execute("PRAGMA busy_timeout").fetchone()
            if wait_s is not None:
                sql.execute(f"PRAGMA busy_timeout = {wait_s * 1000:.0f}")
            try:
                sql.execute("BEGIN IMMEDIATE")
                yield connection
                if sql.in_transaction:
                    sql.execute("COMMIT")
            finally:
                if sql.in_transaction:
                    with suppress(sqlite3.Error):
                        sql.execute("ROLLBACK")
                sql.execute(f"PRAGMA busy_timeout = {usual_ms}")

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Yield a connection in a write transaction: committed durably at the end, undone on an error.

        Threads that wait for their turn are let into the same transaction, and all go on when it is on disk.
        """
        with self.sentences():
            with self._turn():
                group = self._group = self._group or self._begun()
                try:
                    with group.one() as tx:
                        yield tx
                finally:
                    if not self._queued or group.error is not None:
                        self._end(group)
            while not group.ended.wait(_LEFT_ALONE_S):  # one that queued was interrupted before its turn
                with self._writer:
                    self._end(group)
            if group.error is not None:
                raise group.error

    def _begun(self) -> _Group:
        if self._connection is None:
            self._connection = self.engine.connect()
        try:
            return _Group(self._connection)
        except BaseException:
            self._let_go()
            raise

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._counting:
            self._queued += 1
        try:
            self._writer.acquire()
        finally:
            with self._counting:
                self._queued -= 1
        try:
            yield
        finally:
            self._writer.release()

    def _end(self, group: _Group) -> None:
        if self._group is group:
            self._group = None
            group.end()
            if group.error is not None:
                self._let_go()

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        with self.sentences(), self.engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close the file; what threads that are still writing have written is committed first."""
        with self._writer:
            if self._group is not None:
                self._end(self._group)
            self._let_go()
            self.engine.dispose()

    def _let_go(self) -> None:
        """After an error the file is opened anew: it may have been full, damaged or moved away."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sa.exc.DBAPIError):  # what could not be written can't always be undone by hand
                connection.close()

    @contextmanager
    def sentences(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DatabaseError as error:
            raise StoreError(self._sentence(error.orig or error)) from None
        except sqlite3.Error as error:
            raise StoreError(self._sentence(error)) from None

    def _sentence(self, error: BaseException) -> str:
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


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by `write`, not by the driver
    cursor = connection.cursor()
    _use_write_ahead_log(cursor)
    cursor.execute("PRAGMA synchronous=FULL")  # a commit is on disk before anything else happens to the answer
    # What undoes a part of a transaction goes to a temporary file past 64 kB, and a container may have no place for one.
    cursor.execute("PRAGMA temp_store=MEMORY")
    cursor.close()


@tenacity.retry(
    retry=tenacity.retry_if_exception_message(match=".*locked"),
    wait=tenacity.wait_random(0.01, 0.1),
    stop=tenacity.stop_after_delay(BUSY_TIMEOUT_S),
    reraise=True,
)
def _use_write_ahead_log(cursor: Any) -> None:
    """Switch a new file to the write-ahead log. SQLite does not wait for this by itself where another is in the file."""
    cursor.execute("PRAGMA journal_mode=WAL")
