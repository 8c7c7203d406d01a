"""Dagster's run storages, in which processes hold their runs by `run_locks.py`.

Here belongs which of Dagster's events make a process a run's, and which end that: for every code location of the instance,
and for runs of a command, the daemon or the UI. What is done with dead runs is `defs/dead_runs.py`.
"""

import os
from datetime import datetime
from typing import Final

from dagster import DagsterEvent, DagsterEventType, DagsterRun, EventLogEntry
from dagster._core.events import EngineEventData
from dagster._core.storage.runs import SqliteRunStorage, SqlRunStorage

from backlinks_assets.dagster_instance.run_locks import AT_WORK, PREPARING, RunLocks

HOST: Final = "backlinks/host"
"""Tag of a run of an instance that several hosts use: the host that executes it, which has its logs too."""

_EXECUTES: Final = {DagsterEventType.STEP_WORKER_STARTED, DagsterEventType.STEP_START}
"""Stored by the process that executes the step, which may not be the run's own: each holds the run."""
_HANDS_OVER: Final = {
    DagsterEventType.RUN_ENQUEUED,  # to the daemon, which takes it off its queue whenever it can
    DagsterEventType.RUN_SUCCESS,
    DagsterEventType.RUN_FAILURE,
    DagsterEventType.RUN_CANCELED,
}


class HoldsRuns(SqlRunStorage):
    """Before one of Dagster's own storages: a run is held by the process that creates, launches or executes it.

    `host` names this data folder where other hosts use the instance too. A run then bears the tag of the host that
    executes it: nobody else can see whether it lives.
    """

    locks: RunLocks
    host: str | None = None

    def add_run(self, dagster_run: DagsterRun) -> DagsterRun:
        """Add a run, which is held before it can be seen."""
        self.locks.hold(dagster_run.run_id, PREPARING)
        if HOST in dagster_run.tags:  # of the run that it repeats
            dagster_run = dagster_run.with_tags({key: dagster_run.tags[key] for key in dagster_run.tags if key != HOST})
        try:
            return super().add_run(dagster_run)
        except BaseException:
            self.locks.release(dagster_run.run_id)
            raise

    def handle_run_event(self, run_id: str, event: DagsterEvent, update_timestamp: datetime | None = None) -> None:
        """Store the run's new status. Its process holds it before it counts as started, and until it has ended."""
        if event.event_type is DagsterEventType.RUN_STARTING:
            self.locks.hold(run_id, PREPARING)
        elif event.event_type is DagsterEventType.RUN_START:
            self.locks.hold(run_id, AT_WORK)
            if self.host is not None:
                self.add_run_tags(run_id, {HOST: self.host})
        super().handle_run_event(run_id, event, update_timestamp)
        if event.event_type in _HANDS_OVER:
            self.locks.release(run_id)

    def dispose(self) -> None:
        self.locks.close()
        super().dispose()


class ProjectRunStorage(HoldsRuns, SqliteRunStorage):
    """Dagster's own storage in the data folder."""

    def __init__(self, made: SqliteRunStorage, locks: RunLocks) -> None:
        self.locks = locks
        super().__init__(made._conn_string)  # noqa: SLF001 - made from its folder, it would check its tables twice


def hold_if_executing(locks: RunLocks, entry: EventLogEntry) -> None:
    """Hold a run if the event says that this process executes it. Other processes store events of it too."""
    event = entry.dagster_event
    if event is None:
        return
    said = event.event_specific_data
    if event.event_type in _EXECUTES or (
        # "Started process for run" and the like, the first thing that a launched run says
        isinstance(said, EngineEventData) and "pid" in said.metadata and said.metadata["pid"].value == str(os.getpid())
    ):
        locks.hold(entry.run_id, AT_WORK)
