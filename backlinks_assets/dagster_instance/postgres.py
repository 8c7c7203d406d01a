"""Dagster's storages on one Postgres database, with pooled connections and events in batches.

dagster-postgres opens a connection for each statement of each event, which costs more than the rest of a day. Here belong
its three storages over one process's connections, and what they make in an empty database; the connections themselves are
`connections.py`. Imported only where `BACKLINKS_INSTANCE_URL` is set.
"""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from dagster import DagsterEvent, EventLogEntry
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)

from backlinks_assets.dagster_instance.connections import Connections
from backlinks_assets.dagster_instance.event_log import EVENTS_PER_BATCH
from backlinks_assets.dagster_instance.run_locks import RunLocks, name_of_host
from backlinks_assets.dagster_instance.run_storage import HoldsRuns, hold_if_executing

_TABLES: Final = {"runs", "event_logs", "jobs", "instance_info"}
"""Made by the three storages, each in the order in which it makes its own."""
_MAKING: Final = 0x6261636B
"""Key of the advisory lock under which tables are made: two processes that make them at once fail."""

_EVENTS: Final = SqlEventLogStorageTable
_INSERT: Final = _EVENTS.insert().returning(_EVENTS.c.id, sort_by_parameter_order=True)


class PostgresRuns(HoldsRuns, PostgresRunStorage):
    def __init__(self, connections: Connections, locks: RunLocks, host: str) -> None:
        self.locks, self.host, self._connections = locks, host, connections
        super().__init__(connections.url, should_autocreate_tables=False)
        self._engine = connections.engine

    def connect(self) -> AbstractContextManager[sa.Connection]:
        return self._connections.connect()

    def handle_run_event(self, run_id: str, event: DagsterEvent, update_timestamp: datetime | None = None) -> None:
        """As above, and again where the connection broke: a run that has ended must not seem to be at work."""
        store = super().handle_run_event
        self._connections.repeated(lambda: store(run_id, event, update_timestamp))

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:  # noqa: ARG002
        self._connections.limit_statements(statement_timeout)


class PostgresSchedules(PostgresScheduleStorage):
    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        super().__init__(connections.url, should_autocreate_tables=False)
        self._engine = connections.engine

    def connect(self, run_id: str | None = None) -> AbstractContextManager[sa.Connection]:  # noqa: ARG002
        return self._connections.connect()

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:  # noqa: ARG002
        self._connections.limit_statements(statement_timeout)


class PostgresEvents(PostgresEventLogStorage):
    """Dagster's own storage; an event is repeated where the connection broke, so it may be stored twice, but not lost."""

    def __init__(self, connections: Connections, locks: RunLocks) -> None:
        self._connections, self._locks = connections, locks
        self._known_tables: set[str] = set()
        # Dagster has no other setting for this; the planned events of a range are then a few statements.
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(EVENTS_PER_BATCH))
        super().__init__(connections.url, should_autocreate_tables=False)
        self._engine = connections.engine

    def _connect(self) -> AbstractContextManager[sa.Connection]:
        return self._connections.connect()

    def optimize_for_webserver(self, statement_timeout: int, pool_recycle: int, max_overflow: int) -> None:  # noqa: ARG002
        self._connections.limit_statements(statement_timeout)

    def has_table(self, table_name: str) -> bool:
        if table_name not in self._known_tables and super().has_table(table_name):
            self._known_tables.add(table_name)
        return table_name in self._known_tables

    def store_event(self, event: EventLogEntry) -> None:
        hold_if_executing(self._locks, event)
        if event.dagster_event_type in ASSET_CHECK_EVENTS:  # checks have rows of their own
            super().store_event(event)
        else:
            self._store([event])

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of a run by one statement, then the newest of each asset in the assets' own table."""
        if any(event.dagster_event_type in ASSET_CHECK_EVENTS for event in events):
            super().store_event_batch(events)
        else:
            self._store(events)

    def dispose(self) -> None:
        super().dispose()
        self._connections.engine.dispose()  # others in this process that use it connect again

    def _store(self, events: Sequence[EventLogEntry]) -> None:
        events = [one for one in events if not (one.dagster_event and one.dagster_event.is_asset_failed_to_materialize)]
        if not events:
            return
        rows = [self._event_to_row(event) for event in events]
        self._connections.repeated(lambda: self._insert(events, rows))

    def _insert(self, events: Sequence[EventLogEntry], rows: list[dict[str, Any]]) -> None:
        # Each statement commits: readers go by ids, and one that is given out early and seen late would be passed over.
        with self._connections.connect(tried=False) as connection:
            ids = connection.execute(_INSERT, rows).scalars().all()
            stored = [(event, id_) for event, id_ in zip(events, ids, strict=True) if _is_of_an_asset(event)]
            if not stored:
                return
            self._store_asset_event_tags(connection, [event for event, _ in stored], [id_ for _, id_ in stored])
            kinds = [(event.get_dagster_event().asset_key, event.dagster_event_type) for event, _ in stored]
            newest = {kind: at for at, kind in enumerate(kinds)}
            for at in sorted(newest.values()):  # an asset's own row has its newest event only
                self._store_asset_event(connection, *stored[at])


class PostgresStorage(DagsterPostgresStorage):
    """An instance's storage in one database; simulated answers have a schema of their own.

    `folder` is this host's: locks of runs are in it.

    Raises:
        InstanceUnreachableError: the database could not be reached.
        InstanceRefusedError: it does not accept the user, or lets it make no tables.
    """

    def __init__(
        self, url: str, folder: Path, inst_data: ConfigurableClassData | None = None, *, simulated: bool = False
    ) -> None:
        connections = _connections(url, simulated=simulated)
        _make_tables(connections)
        locks = RunLocks(folder / "alive")
        super().__init__(connections.url, should_autocreate_tables=False, inst_data=inst_data)
        self._run_storage = PostgresRuns(connections, locks, name_of_host(folder))
        self._event_log_storage = PostgresEvents(connections, locks)
        self._schedule_storage = PostgresSchedules(connections)

    @classmethod
    def config_type(cls) -> Any:
        return {}


def _is_of_an_asset(event: EventLogEntry) -> bool:
    return event.dagster_event_type in ASSET_EVENTS and event.get_dagster_event().asset_key is not None


def look(url: str, *, simulated: bool) -> tuple[str, str, bool]:
    """Return a database's place and its server's version, and whether it holds an instance."""
    connections = _connections(url, simulated=simulated)
    with connections.connect() as connection:
        version = connection.exec_driver_sql("SHOW server_version").scalar_one()
        has_tables = _has_tables(connection)
    connections.engine.dispose()
    return connections.place, str(version).partition(" ")[0], has_tables


def _connections(url: str, *, simulated: bool) -> Connections:
    return Connections.of(url, schema="simulated" if simulated else None)


def _has_tables(connection: sa.Connection) -> bool:
    return set(sa.inspect(connection).get_table_names()) >= _TABLES


def _make_tables(connections: Connections) -> None:
    with connections.connect() as connection:
        if _has_tables(connection):
            return
        connection.execute(sa.select(sa.func.pg_advisory_lock(_MAKING)))
        try:
            if connections.schema is not None:
                connection.execute(sa.schema.CreateSchema(connections.schema, if_not_exists=True))
            DagsterPostgresStorage(connections.url)  # makes what is missing
        except sa.exc.ProgrammingError as error:
            raise connections.refusal(error) from None
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(_MAKING)))
