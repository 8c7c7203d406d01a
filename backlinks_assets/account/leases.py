"""Who is alive: each process that claims calls holds a lock file for as long as it lives.

The kernel lets go of the lock at the process's end, kill -9 included, so a claim whose owner's file can be locked
is a dead one's. Process numbers are not used: they come again. POSIX only, one machine.
"""

import contextlib
import fcntl
import os
import uuid
from pathlib import Path


class Owner:
    """This process's (or this run's) name among claimants, held alive by a lock file until `close`."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.name = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._file = os.open(self._path(self.name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._known_dead: set[str] = set()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._path(self.name).unlink()
        os.close(self._file)

    def is_alive(self, name: str) -> bool:
        """Whether the owner of that name still holds its lock; a dead one's file is removed."""
        if name == self.name:
            return True
        if name in self._known_dead:
            return False
        try:
            other = os.open(self._path(name), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            self._known_dead.add(name)
            return False
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(other)
        with contextlib.suppress(OSError):
            self._path(name).unlink()
        self._known_dead.add(name)
        return False

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.lock"
