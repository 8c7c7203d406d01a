"""The database that machines share: Postgres, through SQLAlchemy and psycopg.

Here belong connections, transactions, the server's clock, and which of its errors mean that it is away. The embedded
database is `database.py`; how tables are made here is `postgres_tables.py`.
"""

import datetime as dt
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa

from backlinks_assets.postgres_url import PostgresUrl
from backlinks_assets.store.columns import hold
from backlinks_assets.store.database import BUSY_TIMEOUT_S, StoreError, UnreachableError

MAX_WRITERS: Final = 8
"""Transactions of this process that write at once. Within one, whether a lease lives is looked up on another connection."""
MAX_CONNECTIONS: Final = 24
CLOCK_LASTS_S: Final = 5.0
"""The server's time is read anew after so long; in between it goes on as this machine's boot clock does."""

_SESSION: Final = (
    # What a frozen machine holds is free after this time: its transaction is undone, and it may repeat it.
    "SET idle_in_transaction_session_timeout = '15s'; "
    f"SET lock_timeout = '{BUSY_TIMEOUT_S}s'; "
    "SET synchronous_commit = on"
)
_CONNECTING: Final[dict[str, Any]] = {
    # A host that is gone without a word is noticed after half a minute.
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "backlinks",
}
_MAY_BE_REPEATED: Final = frozenset({"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "25P03", "53300"})
"""Deadlock, serialization, lock time-out, shutdown, crash, starting up, frozen too long, too many connections."""
_FULL: Final = frozenset({"53100", "53200"})
_READ_ONLY: Final = frozenset({"25006", "42501"})


class PostgresDatabase:
    """One database of a server. Threads have connections of their own, and transactions are READ COMMITTED."""

    variable = "BACKLINKS_DATABASE_URL"

    def __init__(self, url: PostgresUrl) -> None:
        self.url = url
        try:
            self.engine = sa.create_engine(
                sa.make_url(url.secret).set(drivername="postgresql+psycopg"),
                pool_size=MAX_WRITERS,
                max_overflow=MAX_CONNECTIONS - MAX_WRITERS,
                pool_pre_ping=True,  # a restart of the server leaves dead connections in the pool
                hide_parameters=True,
                connect_args=_CONNECTING,
            )
        except ImportError:
            raise StoreError(
                "BACKLINKS_DATABASE_URL is set, but the driver for Postgres is not installed. Install the extra `postgres`: "
                "docs/deploy.md has the command."
            ) from None
        sa.event.listen(self.engine, "connect", _configure)
        self._writers = threading.BoundedSemaphore(MAX_WRITERS)
        self._clock = _ServerClock(self.engine)

    @property
    def place(self) -> str:
        return self.url.place

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        with self._writers, self.store_errors(), self.engine.begin() as tx:
            yield tx

    @contextmanager
    def alone(self, wait_s: float = BUSY_TIMEOUT_S) -> Iterator[sa.Connection]:
        with self.write() as tx:
            tx.exec_driver_sql(f"SET LOCAL lock_timeout = '{wait_s:.0f}s'")
            hold(tx, "tables")
            yield tx

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        with self.store_errors(), self.engine.connect() as tx:
            tx.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")  # tables are built while it reads
            yield tx

    def now(self) -> dt.datetime:
        with self.store_errors():
            return self._clock.now()

    def version(self) -> str:
        """Return the server's version, such as `15.14`."""
        with self.read() as tx:
            return str(tx.exec_driver_sql("SHOW server_version").scalar_one()).split()[0]

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def store_errors(self) -> Iterator[None]:
        """Raise the database's errors as StoreError, or UnreachableError where repeating may help."""
        try:
            yield
        except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
            raise self._error(error) from None

    def _error(self, error: sa.exc.SQLAlchemyError) -> StoreError:
        cause = getattr(error, "orig", None) or error
        said = self._without_password(next(iter(str(cause).strip().splitlines()), type(cause).__name__))
        state = getattr(cause, "sqlstate", None)
        is_lost = isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
        if state in _FULL:
            return StoreError(f"No space is left for {self.place} ({said}): free some there and run again.")
        if state in _READ_ONLY:
            return StoreError(
                f"{self.place} can't be written ({said}). Let this user write to it, or name the primary."
            )
        if is_lost or state in _MAY_BE_REPEATED or isinstance(error, sa.exc.TimeoutError | sa.exc.InterfaceError):
            return UnreachableError(f"{self._cap()} could not be reached ({said}). {_NEXT}")
        if state is None and isinstance(error, sa.exc.OperationalError):
            return UnreachableError(f"{self._cap()} could not be reached ({said}). {_NEXT}")
        return StoreError(f"{self._cap()} can't be used ({said}). `backlinks doctor` shows more.")

    def _cap(self) -> str:
        return self.place[:1].upper() + self.place[1:]

    def _without_password(self, said: str) -> str:
        password = self.engine.url.password
        return said.replace(str(password), "***") if password else said


_NEXT: Final = (
    "Check that the server runs, that this machine may connect, and the URL (BACKLINKS_DATABASE_URL); then run again. What "
    "was paid for is stored."
)


class _ServerClock:
    """The server's time. While the server is away it goes on by this machine's boot clock, from when it was last read."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._reading = threading.Lock()
        self._read: tuple[float, dt.datetime] | None = None

    def now(self) -> dt.datetime:
        """Return the UTC instant; raises SQLAlchemy's error if it was never read and can't be."""
        with self._reading:
            at, instant = self._read or (float("-inf"), None)
            if instant is None or _boot_s() - at > CLOCK_LASTS_S:
                try:
                    at, instant = self._ask()
                except sa.exc.SQLAlchemyError:
                    if instant is None:
                        raise
                    at, instant = _boot_s(), instant + dt.timedelta(seconds=_boot_s() - at)  # asked again after a while
                self._read = at, instant
            return instant + dt.timedelta(seconds=_boot_s() - at)

    def _ask(self) -> tuple[float, dt.datetime]:
        with self._engine.connect() as connection:
            instant: dt.datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return _boot_s(), instant.astimezone(dt.UTC)


def _boot_s() -> float:
    """Return seconds since the boot, time asleep included where the system counts it."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _configure(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_SESSION)
    connection.commit()
