"""Dagster's SQLite event log with open connections: the same files and rows at a sixth of the CPU.

Dagster opens a file and compiles its SQL anew for each statement of each event. With two events per target that cost more
than the rest of a day. Here belongs how events are written; the folder is `home.py`.
"""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from dagster import DagsterEventType, EventLogEntry
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from sqlalchemy.pool import StaticPool

from backlinks_assets.dagster_instance.run_locks import RunLocks
from backlinks_assets.dagster_instance.run_storage import hold_if_executing

MAX_OPEN_FILES: Final = 16
"""Files of runs that one process holds open: the webserver and the daemon read many."""
EVENTS_PER_BATCH: Final = 250

_RUN_CACHE_KIB: Final = 256
"""A run's file is written once from start to end, so SQLite's usual 2 MB for each would be wasted."""
_INDEX: Final = "index"
"""Dagster's name for the file over all runs; each run has a file of its own beside it."""

_MAX_LOOKS: Final = 20
"""Attempts at adding partitions. Each failed one means that another process succeeded."""

_INSERT: Final = SqlEventLogStorageTable.insert()


def add_looking_again(add: Callable[[], None]) -> None:
    """Call `add`, with which Dagster selects the partitions that exist and inserts the others, until it succeeds.

    If another process inserts one of them in between, the database refuses the whole insertion. The next call finds it.
    """
    for _ in range(_MAX_LOOKS):
        try:
            return add()
        except sa.exc.IntegrityError:
            continue
    return add()


class ProjectEventLog(SqliteEventLogStorage):
    """Dagster's own storage with other ways to open a connection and to store several events."""

    def __init__(self, base_dir: str, locks: RunLocks) -> None:
        self._locks = locks
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._using = threading.RLock()
        self._known_tables: set[str] = set()
        self._known_columns: set[str] = set()
        # Dagster has no other setting for this; the planned events of a range are then one transaction.
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(EVENTS_PER_BATCH))
        super().__init__(base_dir)

    def run_connection(self, run_id: str | None = None) -> Any:
        return self._connection(str(run_id))

    def index_connection(self) -> Any:
        return self._connection(_INDEX)

    def has_table(self, table_name: str) -> bool:
        if table_name not in self._known_tables and super().has_table(table_name):
            self._known_tables.add(table_name)
        return table_name in self._known_tables

    def _has_asset_key_col_on_connection(self, conn: sa.Connection, column_name: str) -> bool:
        if column_name not in self._known_columns and super()._has_asset_key_col_on_connection(conn, column_name):
            self._known_columns.add(column_name)
        return column_name in self._known_columns

    def add_dynamic_partitions(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        """Add the missing keys, also while another process adds some of them."""
        add_looking_again(
            lambda: super(ProjectEventLog, self).add_dynamic_partitions(partitions_def_name, partition_keys)
        )

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event. A materialization, of which each target has one, is stored as a batch, which is quicker."""
        hold_if_executing(self._locks, event)
        if event.dagster_event_type is DagsterEventType.ASSET_MATERIALIZATION:
            self.store_event_batch([event])
        else:
            super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events: those of each run in one transaction, their copies in the file over all runs in another."""
        if any(event.dagster_event_type in ASSET_CHECK_EVENTS for event in events):
            super().store_event_batch(events)  # checks have rows of their own, one by one
            return
        rows = [self._event_to_row(event) for event in events]
        for run_id in dict.fromkeys(event.run_id for event in events):
            with self.run_connection(run_id) as tx:
                tx.execute(_INSERT, [row for row in rows if row["run_id"] == run_id])
        both = [pair for pair in zip(events, rows, strict=True) if pair[0].dagster_event_type in ASSET_EVENTS]
        copied = [event for event, _ in both]
        with self.index_transaction() as tx:
            ids = [tx.execute(_INSERT, row).lastrowid for _, row in both]
            self._store_asset_event_tags(tx, copied, ids)
            kinds = [(event.get_dagster_event().asset_key, event.dagster_event_type) for event in copied]
            newest = {kind: at for at, kind in enumerate(kinds)}
            for at in sorted(newest.values()):  # an asset's own row has its newest event only
                self._store_asset_event(tx, copied[at], ids[at])

    def delete_events(self, run_id: str) -> None:
        """Delete an ended run's own file, and the copies of its events in the file over all runs.

        Dagster's own storage would empty the file and leave it. In the other one SQLite uses the space again.
        """
        path = Path(self.path_for_shard(run_id))
        with self._using:
            if (engine := self._engines.pop(run_id, None)) is not None:
                engine.dispose()
            for name in (path.name, path.name + "-wal", path.name + "-shm"):
                path.with_name(name).unlink(missing_ok=True)
        with self.index_connection() as tx:
            self.delete_events_for_run(tx, run_id)
        self.free_concurrency_slots_for_run(run_id)

    def wipe(self) -> None:
        self._close_files()
        super().wipe()

    def dispose(self) -> None:
        self._close_files()
        super().dispose()

    @contextmanager
    def _connection(self, file: str) -> Iterator[sa.Connection]:
        with self._using, self._engine(file).connect() as connection, connection.begin():
            yield connection

    def _engine(self, file: str) -> sa.Engine:
        engine = self._engines.get(file)
        if engine is None:
            if not Path(self.path_for_shard(file)).exists():
                self._initialized_dbs.discard(file)  # deleted since it was made
            with super().run_connection(file):
                pass  # Dagster makes the file and its tables where they are missing
            engine = sa.create_engine(
                self.conn_string_for_shard(file),
                poolclass=StaticPool,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
            )
            sa.event.listen(engine, "connect", _configure if file == _INDEX else _configure_run)
            self._engines[file] = engine
        self._engines.move_to_end(file)
        if len(self._engines) > MAX_OPEN_FILES:
            oldest = next(iter(self._engines))
            self._engines.pop(oldest).dispose()
        return engine

    def _close_files(self) -> None:
        with self._using:
            while self._engines:
                self._engines.popitem()[1].dispose()


def _configure(connection: Any, _record: object) -> None:
    # With a write-ahead log this loses no consistency; a power cut may lose the last events, never a paid answer.
    connection.execute("PRAGMA synchronous=NORMAL")


def _configure_run(connection: Any, record: object) -> None:
    _configure(connection, record)
    connection.execute(f"PRAGMA cache_size=-{_RUN_CACHE_KIB}")
