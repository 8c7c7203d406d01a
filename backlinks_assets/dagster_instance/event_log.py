"""Dagster's SQLite event log with its connections kept open: the same files and rows at a sixth of the CPU.

Dagster opens a file anew, and compiles its SQL anew, for each statement of each event; with two events a target that
was more than all else a day costs. Here belongs how events are written; where they lie is `home.py`.
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

MOST_OPEN: Final = 16
"""Files of runs kept open by one process; the webserver and the daemon read many runs' files."""
EVENTS_A_BATCH: Final = 250
COMPACT_SHARE: Final = 0.15
"""Of the file's pages, free ones: what a first thinning leaves. A later one frees a week's."""

_RUN_CACHE_KIB: Final = 256
"""A run's file is written from one end to the other; SQLite's 2 MB for each of those open would be kept for nothing."""
_INDEX: Final = "index"
"""Dagster's name for the file over all runs; each run has a file of its own beside it."""

_MOST_LOOKS: Final = 20
"""Each failed one means that another process got through."""
_PAGE_COUNTS: Final = ("freelist_count", "page_count")

_EVENTS: Final = SqlEventLogStorageTable
_INSERT: Final = _EVENTS.insert()
_MATERIALIZED: Final = DagsterEventType.ASSET_MATERIALIZATION.value
_PLANNED: Final = DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value


def add_looking_again(add: Callable[[], None]) -> None:
    """Call `add`, by which Dagster selects the partitions that are there and inserts the others, until it gets through.

    Where another process inserts one of them in between, the database refuses the whole insertion; the next look finds it.
    """
    for _ in range(_MOST_LOOKS):
        try:
            return add()
        except sa.exc.IntegrityError:
            continue
    return add()


class ProjectEventLog(SqliteEventLogStorage):
    """Dagster's own storage; only how a connection is come by, and how several events are stored, is ours."""

    def __init__(self, base_dir: str, locks: RunLocks) -> None:
        self._locks = locks
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        self._using = threading.RLock()
        self._known_tables: set[str] = set()
        self._known_columns: set[str] = set()
        # Dagster has no other setting for this; the planned events of a range are then one transaction.
        os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(EVENTS_A_BATCH))
        super().__init__(base_dir)

    def run_connection(self, run_id: str | None = None) -> Any:
        return self._kept(str(run_id))

    def index_connection(self) -> Any:
        return self._kept(_INDEX)

    def has_table(self, table_name: str) -> bool:
        if table_name not in self._known_tables and super().has_table(table_name):
            self._known_tables.add(table_name)
        return table_name in self._known_tables

    def _has_asset_key_col_on_connection(self, conn: sa.Connection, column_name: str) -> bool:
        if column_name not in self._known_columns and super()._has_asset_key_col_on_connection(conn, column_name):
            self._known_columns.add(column_name)
        return column_name in self._known_columns

    def add_dynamic_partitions(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        """Add the keys that are not there, also where another process adds some of them at the same time."""
        add_looking_again(
            lambda: super(ProjectEventLog, self).add_dynamic_partitions(partitions_def_name, partition_keys)
        )

    def store_event(self, event: EventLogEntry) -> None:
        """Store one event; a materialization, of which each target has one, as a batch: with a statement that is kept."""
        hold_if_executing(self._locks, event)
        if event.dagster_event_type is DagsterEventType.ASSET_MATERIALIZATION:
            self.store_event_batch([event])
        else:
            super().store_event(event)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events, those of each run in one transaction and their copies over all runs in another."""
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
            for at in sorted(newest.values()):  # an asset's own row tells of its newest event only
                self._store_asset_event(tx, copied[at], ids[at])

    def holds_newest(self, run_id: str) -> bool:
        """Whether a run made the newest materialization of any partition."""
        made, later = _EVENTS.alias("made"), _EVENTS.alias("later")
        newer = sa.exists().where(
            later.c.asset_key == made.c.asset_key,
            later.c.dagster_event_type == _MATERIALIZED,
            later.c.partition.is_not_distinct_from(made.c.partition),
            later.c.id > made.c.id,
        )
        query = sa.select(1).where(made.c.run_id == run_id, made.c.dagster_event_type == _MATERIALIZED, ~newer)
        with self.index_connection() as tx:
            return tx.execute(query.limit(1)).first() is not None

    def thin(self, run_id: str) -> bool:
        """Drop an ended run's own log and its planned events; what it materialized stays. False if it was so already."""
        path = Path(self.path_for_shard(run_id))
        planned = _EVENTS.delete().where(_EVENTS.c.run_id == run_id, _EVENTS.c.dagster_event_type == _PLANNED)
        with self._using:
            if (engine := self._engines.pop(run_id, None)) is not None:
                engine.dispose()
            with self.index_connection() as tx:
                dropped = tx.execute(planned).rowcount > 0 or path.exists()
            for name in (path.name, path.name + "-wal", path.name + "-shm"):
                path.with_name(name).unlink(missing_ok=True)
        return dropped

    def compact(self) -> bool:
        """Give the space of deleted events back to the disk where that is much of the file; otherwise it is reused.

        Nobody can write meanwhile, so that it must be rare. False: it was not worth it.
        """
        with self._using, self._engine(_INDEX).connect() as connection:
            free, pages = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in _PAGE_COUNTS)
            worth_it = bool(free > COMPACT_SHARE * pages)
            connection.rollback()
            if worth_it:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM")
        return worth_it

    def wipe(self) -> None:
        self._let_go()
        super().wipe()

    def dispose(self) -> None:
        self._let_go()
        super().dispose()

    @contextmanager
    def _kept(self, file: str) -> Iterator[sa.Connection]:
        with self._using, self._engine(file).connect() as connection, connection.begin():
            yield connection

    def _engine(self, file: str) -> sa.Engine:
        engine = self._engines.get(file)
        if engine is None:
            if not Path(self.path_for_shard(file)).exists():
                self._initialized_dbs.discard(file)  # thinned since it was made
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
        if len(self._engines) > MOST_OPEN:
            oldest = next(iter(self._engines))
            self._engines.pop(oldest).dispose()
        return engine

    def _let_go(self) -> None:
        with self._using:
            while self._engines:
                self._engines.popitem()[1].dispose()


def _configure(connection: Any, _record: object) -> None:
    # With a write-ahead log this loses no consistency; a power cut may lose the last events, never a paid answer.
    connection.execute("PRAGMA synchronous=NORMAL")


def _configure_run(connection: Any, record: object) -> None:
    _configure(connection, record)
    connection.execute(f"PRAGMA cache_size=-{_RUN_CACHE_KIB}")
