"""Leases: a process that claims calls has one for as long as it lives, and its claims are dead once the lease is.

The form for one machine is here: a lock file that the process holds. The one that machines share is `shared_lease.py`.
"""

import os
import uuid
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from backlinks_assets.account import lockfile
from backlinks_assets.account.limiter import LimiterError

if TYPE_CHECKING:
    import sqlalchemy as sa


class LeaseLostError(LimiterError):
    """This process was taken for dead, and what it had claimed may be another's: nothing is sent for it any more."""


class Lease(ABC):
    """`name` is this process's in claims and the ledger (their column `owner`), alive until `close`."""

    name: str

    @abstractmethod
    def is_alive(self, name: str) -> bool:
        """Whether the lease of that name is still held. Once dead, it stays dead."""

    @abstractmethod
    def fence(self, tx: "sa.Connection") -> None:
        """Check in the transaction that enters a call, right before it is sent, that this process may send it.

        Raises LeaseLostError if it was taken for dead.
        """

    @abstractmethod
    def close(self) -> None:
        """End the lease: what is still claimed under it can be taken over at once."""


class FileLease(Lease):
    """A lock file, dead once it can be locked: that is when its process has ended, never while it is frozen."""

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
        """Whether it is still held; the file of a dead one is removed."""
        if name == self.name:
            return True
        if name not in self._known_dead:
            if lockfile.is_locked(self._path(name)):
                return True
            with suppress(OSError):
                self._path(name).unlink()
            self._known_dead.add(name)
        return False

    def fence(self, tx: "sa.Connection") -> None:
        """Do nothing: the kernel holds the lock for as long as the process lives."""

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.lock"
