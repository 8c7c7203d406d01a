"""Where Dagster's runs and events are: under the data folder, apart for simulated answers, or in a Postgres that is named.

Here belong the classes that `dagster.yaml` names, so that `dagster dev`, the daemon and the command use one instance. Each is
Dagster's own class with this project's folder. How events are written is `event_log.py`, and for Postgres `postgres.py`.
"""

import importlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import filelock
import sqlalchemy as sa
from dagster import DagsterInstance, Field
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.base_storage import DagsterStorage
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
from backlinks_assets.errors import BacklinksError
from backlinks_assets.folder import try_folder
from backlinks_assets.settings import Settings

MAKING_TIMEOUT_S: Final = 60.0
"""How long a process waits for another that makes Dagster's files, which takes a second."""

ON_THE_TERMINAL: Final = "This run is one of a `backlinks` command's: what it printed is on that command's terminal.\n"


class MissingExtraError(BacklinksError):
    """The instance is on Postgres, and the extra that reaches it is not installed."""

    exit_status = 2


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
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config: Any
    ) -> DagsterStorage:
        """Return the storage in the folder that the configuration names, else where the settings say."""
        base_dir = config.get("base_dir")
        if base_dir is not None:
            return cls.from_local(base_dir, inst_data=inst_data)
        export_other_variables()
        settings = Settings.from_env()
        try_folder(settings.dagster_dir)
        if settings.instance_url is None:
            return cls.from_local(str(settings.dagster_dir), inst_data=inst_data)
        return _postgres(settings.instance_url.secret, settings.dagster_dir, inst_data, simulated=settings.simulated)


class CommandStorage(ProjectStorage):
    """The Postgres of the settings, for a command, whose answers may be simulated where the settings' are not.

    No configuration holds the URL: Dagster shows configurations in the UI.
    """

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"folder": str, "simulated": bool}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config: Any
    ) -> DagsterStorage:
        url = Settings.from_env().instance_url
        assert url is not None, "open_instance looked"
        return _postgres(url.secret, Path(config["folder"]), inst_data, simulated=config["simulated"])


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


def _postgres(url: str, folder: Path, inst_data: ConfigurableClassData | None, *, simulated: bool) -> DagsterStorage:
    storage: DagsterStorage = _over_postgres().PostgresStorage(url, folder, inst_data, simulated=simulated)
    return storage


def _over_postgres() -> ModuleType:
    try:
        return importlib.import_module("backlinks_assets.dagster_instance.postgres")
    except ModuleNotFoundError as error:
        if error.name not in {"dagster_postgres", "psycopg2"}:
            raise
        raise MissingExtraError(
            "BACKLINKS_INSTANCE_URL is set, but what talks to Postgres is not installed. Install the extra `postgres` "
            "(docs/deploy.md), or unset the variable to record runs under BACKLINKS_DATA_DIR."
        ) from None


def _folder() -> str:
    export_other_variables()
    return str(Settings.from_env().dagster_dir)


def _connection_string(base_dir: str, db_name: str) -> str:
    """Return the URL of one of Dagster's SQLite files, with any characters in its path."""
    return sa.URL.create("sqlite", database=str(Path(base_dir).absolute() / f"{db_name}.db")).render_as_string()


# Dagster's own function does not quote: for a folder `why?` SQLAlchemy would open `why`, for `a%20b` the folder `a b`.
for _module in (sqlite_run_storage, sqlite_event_log, sqlite_schedule_storage):
    _module.create_db_conn_string = _connection_string  # type: ignore[attr-defined]


class Server(NamedTuple):
    """A Postgres of an instance: `place` is `host:port/database`, without user or password."""

    place: str
    version: str
    has_instance: bool


def server_of(settings: Settings) -> Server | None:
    """Return the Postgres that the instance is on, and whether it holds one yet; None for an instance in the data folder.

    Nothing is made. Raises as `open_instance`.
    """
    if settings.instance_url is None:
        return None
    place, version, has_instance = _over_postgres().look(settings.instance_url.secret, simulated=settings.simulated)
    return Server(place, version, has_instance)


def open_instance(settings: Settings) -> DagsterInstance:
    """Return the instance that the UI of these settings shows, even if DAGSTER_HOME is another project's.

    Raises:
        FolderError: the data folder can't hold it.
        MissingExtraError: it is on Postgres, for which a library is missing.
        InstanceUnreachableError: it is on Postgres, which could not be reached.
    """
    folder = settings.dagster_dir
    try_folder(folder)
    logs = {
        "module": "backlinks_assets.dagster_home",
        "class": "CommandComputeLogs",
        "config": {"base_dir": str(folder / "logs")},
    }
    storage: dict[str, Any] = {
        "custom": {
            "module": "backlinks_assets.dagster_home",
            "class": "ProjectStorage",
            "config": {"base_dir": str(folder)},
        }
    }
    if settings.instance_url is not None:
        storage["custom"]["class"] = "CommandStorage"
        storage["custom"]["config"] = {"folder": str(folder), "simulated": settings.simulated}
    overrides = {"telemetry": {"enabled": False}, "compute_logs": logs, "storage": storage}
    log = logging.getLogger("dagster")
    level = log.level
    log.setLevel(logging.ERROR)  # Dagster advises to make a file that is not needed, where DAGSTER_HOME is set
    try:
        return DagsterInstance.from_ref(InstanceRef.from_dir(str(folder), overrides=overrides))
    finally:
        log.setLevel(level)
