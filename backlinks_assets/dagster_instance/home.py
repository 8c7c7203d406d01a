"""The folder of Dagster's runs and events: under the data folder, apart for simulated answers.

Here belong the classes that `dagster.yaml` names, so that `dagster dev`, the daemon and the command use one instance. Each is
Dagster's own class with this project's folder. How events are written is `event_log.py`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import filelock
import sqlalchemy as sa
from dagster import DagsterInstance, Field
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from backlinks_assets.anchor import export_other_variables
from backlinks_assets.dagster_instance.event_log import ProjectEventLog
from backlinks_assets.dagster_instance.run_locks import RunLocks
from backlinks_assets.dagster_instance.run_storage import ProjectRunStorage
from backlinks_assets.folder import try_folder
from backlinks_assets.settings import Settings

MAKING_TIMEOUT_S: Final = 60.0
"""How long a process waits for another that makes Dagster's files, which takes a second."""

ON_THE_TERMINAL: Final = "This run is one of a `backlinks` command's: what it printed is on that command's terminal.\n"


class ProjectStorage(DagsterSqliteStorage):
    """Dagster's SQLite storage under the data folder, with a quicker event log and locks of runs."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        Path(base_dir).mkdir(parents=True, exist_ok=True)
        # Two processes that make Dagster's tables at once fail with "table already exists".
        with filelock.FileLock(Path(base_dir) / ".making.lock", timeout=MAKING_TIMEOUT_S):
            super().__init__(base_dir, inst_data)
            locks = RunLocks(Path(base_dir) / "alive")
            self._run_storage = ProjectRunStorage(self._run_storage, locks)
            self._event_log_storage = ProjectEventLog(str(Path(base_dir) / "history" / "runs"), locks)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"base_dir": Field(str, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config: Any) -> "ProjectStorage":
        base_dir = config.get("base_dir")
        if base_dir is None:
            base_dir = _folder()
            try_folder(Path(base_dir))
        return cls.from_local(base_dir, inst_data=inst_data)


class ProjectArtifacts(LocalArtifactStorage):
    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, _config: Any
    ) -> LocalArtifactStorage:
        return LocalArtifactStorage(_folder(), inst_data=inst_data)


class ProjectComputeLogs(LocalComputeLogManager):
    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, _config: Any
    ) -> LocalComputeLogManager:
        return LocalComputeLogManager(_folder() + "/logs", inst_data=inst_data)


class CommandComputeLogs(LocalComputeLogManager):
    """Leaves what the command's runs print on its terminal, and says so in the UI.

    Dagster's own capturing would send the command's bar through a file, with four processes that read it.
    """

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "CommandComputeLogs":
        return cls(config_value["base_dir"], inst_data=inst_data)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        with self.open_log_stream(log_key, ComputeIOType.STDERR) as stream:
            assert stream is not None
            stream.write(ON_THE_TERMINAL)
        Path(self.get_captured_local_path(log_key, "complete")).touch()
        yield CapturedLogContext(log_key)


def _folder() -> str:
    export_other_variables()
    return str(Settings.from_env().dagster_dir)


def _connection_string(base_dir: str, db_name: str) -> str:
    """Return the URL of one of Dagster's SQLite files, with any characters in its path."""
    return sa.URL.create("sqlite", database=str(Path(base_dir).absolute() / f"{db_name}.db")).render_as_string()


# Dagster's own function does not quote: for a folder `why?` SQLAlchemy would open `why`, for `a%20b` the folder `a b`.
for _module in (sqlite_run_storage, sqlite_event_log, sqlite_schedule_storage):
    _module.create_db_conn_string = _connection_string  # type: ignore[attr-defined]


def open_instance(settings: Settings) -> DagsterInstance:
    """Return the instance that the UI of these settings shows, even if DAGSTER_HOME is another project's.

    Raises:
        FolderError: the data folder can't hold it.
    """
    folder = settings.dagster_dir
    try_folder(folder)
    logs = {
        "module": "backlinks_assets.dagster_home",
        "class": "CommandComputeLogs",
        "config": {"base_dir": str(folder / "logs")},
    }
    storage = {
        "custom": {
            "module": "backlinks_assets.dagster_home",
            "class": "ProjectStorage",
            "config": {"base_dir": str(folder)},
        }
    }
    return DagsterInstance.from_ref(
        InstanceRef.from_dir(
            str(folder), overrides={"telemetry": {"enabled": False}, "compute_logs": logs, "storage": storage}
        )
    )
