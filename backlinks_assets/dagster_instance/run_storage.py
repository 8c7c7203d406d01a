"""Dagster's SQLite run storage, which also says whose process each run is: by `run_locks.py`, for as long as it lives.

Here belongs which of Dagster's events make a process a run's, and which end that. It holds for every code location of the
instance, and whoever starts the run: a command, the daemon, the UI. What becomes of runs whose process is gone is
`defs/dead_runs.py`.
"""

import os
from datetime import datetime
from typing import Final

from dagster import DagsterEvent, DagsterEventType, DagsterRun, EventLogEntry
from dagster._core.events import EngineEventData
from dagster._core.storage.runs import SqliteRunStorage

from backlinks_assets.dagster_instance.run_locks import AT_WORK, PREPARING, RunLocks

_EXECUTES: Final = {DagsterEventType.STEP_WORKER_STARTED, DagsterEventType.STEP_START}
"""Stored by the process that executes the step, which may be another than the run's: each keeps the run alive."""
_HANDS_OVER: Final = {
    DagsterEventType.RUN_ENQUEUED,  # to the daemon, which takes it off its queue whenever it can
    DagsterEventType.RUN_SUCCESS,
    DagsterEventType.RUN_FAILURE,
    DagsterEventType.RUN_CANCELED,
}


class ProjectRunStorage(SqliteRunStorage):
    """Dagster's own storage; a run is held by the process that creates, launches or executes it."""

    def __init__(self, made: SqliteRunStorage, locks: RunLocks) -> None:
        self.locks = locks
        super().__init__(made._conn_string)  # noqa: SLF001 - to make it from its folder is to look at its tables twice

    def add_run(self, dagster_run: DagsterRun) -> DagsterRun:
        """Add a run, held from before it can be seen."""
        self.locks.hold(dagster_run.run_id, PREPARING)
        try:
            return super().add_run(dagster_run)
        except BaseException:
            self.locks.release(dagster_run.run_id)
            raise

    def handle_run_event(self, run_id: str, event: DagsterEvent, update_timestamp: datetime | None = None) -> None:
        """Note the run's new status; its process is held from before to after it counts as at work."""
        if event.event_type is DagsterEventType.RUN_STARTING:
            self.locks.hold(run_id, PREPARING)
        elif event.event_type is DagsterEventType.RUN_START:
            self.locks.hold(run_id, AT_WORK)
        super().handle_run_event(run_id, event, update_timestamp)
        if event.event_type in _HANDS_OVER:
            self.locks.release(run_id)

    def dispose(self) -> None:
        self.locks.close()
        super().dispose()


def hold_if_executing(locks: RunLocks, entry: EventLogEntry) -> None:
    """Hold a run where an event says that this very process executes it. Others store events of it too."""
    event = entry.dagster_event
    if event is None:
        return
    said = event.event_specific_data
    if event.event_type in _EXECUTES or (
        # "Started process for run" and the like, the first thing that a launched run says
        isinstance(said, EngineEventData) and "pid" in said.metadata and said.metadata["pid"].value == str(os.getpid())
    ):
        locks.hold(entry.run_id, AT_WORK)
