"""One process's connections to the Postgres of Dagster's instance: few, held open, and patient when the server restarts.

What is stored by them is `postgres.py`.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Final, TypeVar

import sqlalchemy as sa

from backlinks_assets.errors import BacklinksError

HELD_OPEN: Final = 2
"""Connections that a process holds open; a webserver, a daemon, a code server and four runs are then 14 of Postgres's 100."""
MAX_AT_ONCE: Final = 10
MAX_WAIT_S: Final = 10.0
"""How long a database that is gone is waited for. A restart takes one or two seconds."""

_PAUSE_S: Final = 0.2
_LIBPQ: Final = {
    "application_name": "backlinks_assets",
    "connect_timeout": 5,
    # A server that vanishes without a word is noticed after about 15 s, not after a quarter of an hour.
    "keepalives_idle": 10,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}

_REFUSALS: Final = ("authentication failed", "does not exist", "no pg_hba.conf entry", "no password supplied")
"""What waiting does not change, as libpq and the server say it in English. In other languages it is waited for."""

T = TypeVar("T")


class InstanceUnreachableError(BacklinksError):
    """Dagster's database could not be reached. What was paid for is stored elsewhere; run again."""


class InstanceRefusedError(BacklinksError):
    """Dagster's database does not accept this user, or not what it must do there."""

    exit_status = 2


class Connections:
    """The connections of one URL. Thread-safe; a forked child begins with none."""

    _known: ClassVar[dict[tuple[str, str | None], "Connections"]] = {}
    _making: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def of(cls, url: str, schema: str | None = None) -> "Connections":
        """Return this process's connections to a database: those that it has already, or new ones."""
        with cls._making:
            found = cls._known.get((url, schema))
            if found is None:
                found = cls._known[url, schema] = cls(url, schema)
            return found

    @classmethod
    def forget(cls) -> None:
        """Leave all connections to the parent, whose sockets they are."""
        cls._making = threading.Lock()
        for connections in list(cls._known.values()):
            connections.engine.dispose(close=False)

    def __init__(self, url: str, schema: str | None) -> None:
        parts = sa.make_url(url).set(drivername="postgresql+psycopg2")
        if schema is not None:
            given = parts.query.get("options", "")
            parts = parts.update_query_dict({"options": f"{given} -csearch_path={schema}".strip()})
        self.schema = schema
        self.place = f"{parts.host or 'localhost'}:{parts.port or 5432}/{parts.database}"
        self.url = parts.render_as_string(hide_password=False)
        self.engine = sa.create_engine(
            parts,
            isolation_level="AUTOCOMMIT",
            pool_size=HELD_OPEN,
            max_overflow=MAX_AT_ONCE - HELD_OPEN,
            hide_parameters=True,  # an error names the statement, not an event's whole text
            connect_args={name: value for name, value in _LIBPQ.items() if name not in parts.query},
        )
        self._down_since: float | None = None
        self._failed_at = 0.0
        self._limited = False

    @contextmanager
    def connect(self, *, tried: bool = True) -> Iterator[sa.Connection]:
        """Yield a connection, waiting for the database if it is gone.

        `tried`: it has been seen to work just now, so that one which the server dropped is replaced. Work that is
        `repeated` needs no trial, which would be a third of what an event costs.

        Raises:
            InstanceUnreachableError: it was not back in time. The next call then tries once and waits for nothing.
            InstanceRefusedError: it does not accept this user.
        """
        connection = self._connected(tried=tried)
        try:
            yield connection
        finally:
            connection.close()

    def repeated(self, work: Callable[[], T]) -> T:
        """Call `work`, which uses `connect`, again as long as its connection breaks meanwhile."""
        while True:
            try:
                return work()
            except sa.exc.DBAPIError as error:
                if not error.connection_invalidated:
                    raise

    def limit_statements(self, milliseconds: int) -> None:
        """End every statement after so long, as the webserver wants it."""
        if self._limited:
            return
        self._limited = True

        def limit(connection: Any, _record: object) -> None:
            with connection, connection.cursor() as cursor:
                cursor.execute(f"SET statement_timeout = {int(milliseconds)}")

        sa.event.listen(self.engine, "connect", limit)
        self.engine.dispose()

    def refusal(self, error: Exception) -> InstanceRefusedError:
        """Return the error of a database that is there and refuses what is needed."""
        return InstanceRefusedError(
            f"Dagster's database, {self.place} (BACKLINKS_INSTANCE_URL), refused: {_said(error)}. Correct the URL, or make "
            "its user the owner of the database: docs/deploy.md has the commands."
        )

    def _connected(self, *, tried: bool) -> sa.Connection:
        while True:
            began = time.monotonic()
            if began - self._failed_at > MAX_WAIT_S:
                self._down_since = None  # nobody has looked since
            try:
                connection = self.engine.connect()
                if tried:
                    _try(connection)
            except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
                if any(said in str(error) for said in _REFUSALS):
                    raise self.refusal(error) from None
                self._failed_at = time.monotonic()
                since = self._down_since = self._down_since or began
                if self._failed_at - since > MAX_WAIT_S:
                    raise InstanceUnreachableError(
                        f"Dagster's database, {self.place} (BACKLINKS_INSTANCE_URL), could not be reached for "
                        f"{MAX_WAIT_S:.0f} s: {_said(error)}. What was paid for is stored. Start it again when the database "
                        "is back: what is finished is not done a second time."
                    ) from None
                time.sleep(_PAUSE_S)
            else:
                self._down_since = None
                return connection


def _try(connection: sa.Connection) -> None:
    try:
        connection.exec_driver_sql("SELECT 1")
        connection.commit()
    except BaseException:
        connection.close()
        raise


def _said(error: Exception) -> str:
    """Return the first line of what the driver says, in which there is no password."""
    lines = str(getattr(error, "orig", None) or error).splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".")


os.register_at_fork(after_in_child=Connections.forget)
