"""Which of Dagster's runs have a living process: each process holds a lock file while it works for a run.

Which events make a process a run's is `run_storage.py`; what is done with dead runs is `defs/dead_runs.py`.
"""

import enum
import logging
import os
import socket
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from backlinks_assets.account.lockfile import Lock, guard, is_locked, lock_new
from backlinks_assets.folder import FolderError

PREPARING: Final = "preparing"
"""Held by the process that created or launches a run, until the run's own process has a lock."""
AT_WORK: Final = "at-work"
"""Held by each process that executes a run."""

SWEEP_AFTER_S: Final = 60.0
"""A file is made before its run is recorded, so other processes remove it only when it is older than this."""

_log = logging.getLogger(__name__)


class Life(enum.Enum):
    """Whether a run that has not finished has a living process, by its locks."""

    LIVING = "a process holds it"
    GONE = "a process executed it and is gone"
    NEVER_BEGUN = "who prepared it is gone, and no process has begun to execute it"
    UNKNOWN = "no process has ever held it"


class _File(NamedTuple):
    path: Path
    run_id: str
    part: str


class RunLocks:
    """The lock files of one instance's runs, and those that this process holds. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[tuple[str, str], Lock] = {}

    def hold(self, run_id: str, part: str) -> None:
        """Hold a run until `release`, `close` or the end of this process. A second time does nothing.

        Where the file system refuses, the run goes on without a lock, and its life is `UNKNOWN`.
        """
        with guard:
            for key in [key for key, lock in self._held.items() if not lock.path.exists()]:  # taken over by the run
                self._drop(key)
            if (run_id, part) in self._held and self._held[run_id, part].fd is not None:
                return
            path = self._folder / f"{run_id}.{part}.{os.getpid()}-{uuid.uuid4().hex[:12]}"
            try:
                self._held[run_id, part] = lock_new(path)
            except OSError as error:
                _log.warning("Whether run %s is alive can't be recorded in %s: %s.", run_id, self._folder, error)
                return
            if part == AT_WORK:
                self._drop((run_id, PREPARING))
                for file in self._files(run_id):
                    if file.part == PREPARING:
                        file.path.unlink(missing_ok=True)

    def release(self, run_id: str) -> None:
        """Release this process's locks of a run: it has finished, or another process takes it over."""
        with guard:
            self._drop((run_id, PREPARING))
            self._drop((run_id, AT_WORK))

    def close(self) -> None:
        """Release every lock, as the end of the process would: the files of unfinished runs stay."""
        with guard:
            for lock in self._held.values():
                lock.release()
            self._held.clear()

    def life(self, run_id: str) -> Life:
        """Return whether the run has a living process. Meant for runs that have not finished."""
        parts = set()
        for file in self._files(run_id):
            if (locked := is_locked(file.path)) is not None:
                parts.add(file.part)
                if locked:
                    return Life.LIVING
        if AT_WORK in parts:
            return Life.GONE
        return Life.NEVER_BEGUN if parts else Life.UNKNOWN

    def sweep(self, unfinished: Collection[str]) -> None:
        """Remove the files of dead processes, but for those of unfinished runs."""
        before = time.time() - SWEEP_AFTER_S
        for file in self._files():
            with suppress(OSError):
                if file.run_id not in unfinished and file.path.stat().st_mtime < before:
                    _remove(file)

    def clear(self, run_id: str) -> None:
        """Remove the files of dead processes for a run that has been marked as finished."""
        for file in self._files(run_id):
            with suppress(OSError):
                _remove(file)

    def _files(self, run_id: str | None = None) -> Iterator[_File]:
        try:
            paths = list(self._folder.iterdir())
        except OSError:  # no run has ever been held
            return
        for path in paths:
            of_run, _, part = path.stem.rpartition(".")
            if run_id is None or of_run == run_id:
                yield _File(path, of_run, part)

    def _drop(self, key: tuple[str, str]) -> None:
        lock = self._held.pop(key, None)
        if lock is not None and lock.fd is not None:  # None in a forked child: the file is its parent's
            with suppress(OSError):
                lock.path.unlink(missing_ok=True)  # while locked: an unlocked file is a dead process's
            lock.release()


def name_of_host(folder: Path) -> str:
    """Return the name of this host and data folder, `host/1a2b3c4d`: the folder's part lasts, a container's host name may not.

    Raises:
        FolderError: the folder can't be written to.
    """
    path = folder / "host-id"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f".{path.name}-{uuid.uuid4().hex}"
        if not path.exists():
            new.write_text(f"{socket.gethostname()}/{uuid.uuid4().hex[:8]}\n", encoding="utf-8")
            with suppress(FileExistsError):
                os.link(new, path)  # the first of several processes wins
            new.unlink()
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise FolderError(f"{path} could not be written ({error.strerror}). Give this user the right to it.") from None


def _remove(file: _File) -> None:
    # The process that prepared a finished run may still hold its file, and releases it at the next run.
    if file.part == PREPARING or not is_locked(file.path):
        file.path.unlink()
