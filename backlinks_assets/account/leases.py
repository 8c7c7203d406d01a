"""Leases: a process that claims calls holds a lock file for as long as it lives.

A claim is dead once the file of its lease can be locked.
"""

import os
import uuid
from contextlib import suppress
from pathlib import Path

from backlinks_assets.account import lockfile


class Lease:
    """This process's name in claims and the ledger (their column `owner`), alive until `close`."""

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
        """Whether the lease of that name is still held. The file of a dead one is removed."""
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
