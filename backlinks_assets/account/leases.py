"""Who is alive: each process that claims calls holds a lock file for as long as it lives.

A claim whose owner's file can be locked is a dead one's.
"""

import os
import uuid
from contextlib import suppress
from pathlib import Path

from backlinks_assets.account import lockfile


class Owner:
    """This process's (or this run's) name among claimants, held alive by a lock file until `close`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.name = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._lock = lockfile.lock_new(self._path(self.name))
        self._known_dead: set[str] = set()

    def close(self) -> None:
        with suppress(OSError):
            self._lock.path.unlink()
        self._lock.release()

    def is_alive(self, name: str) -> bool:
        """Whether the owner of that name still holds its lock; a dead one's file is removed."""
        if name == self.name:
            return True
        if name not in self._known_dead:
            if lockfile.is_locked(self._path(name)):
                return True
            with suppress(OSError):
                self._path(name).unlink()
            self._known_dead.add(name)
        return False

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.lock"
