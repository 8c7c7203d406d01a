"""Lock files: how processes of one machine exclude each other, and see which of them live.

The kernel releases a lock when its process ends, also by kill -9 or a power cut, and never while the process is slow or
frozen. Process numbers are not used, since they are reused. A forked child shares its parent's locks and would hold them
after the parent's death, so it closes them first. POSIX only.
"""

import fcntl
import os
import threading
from pathlib import Path
from typing import Self

guard = threading.RLock()
"""Protects what a process knows of its lock files. No thread holds it while another one forks."""


class Lock:
    """A locked file, until `release` or the end of this process. `fd` is None once it is not held."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd: int | None = fd
        _held.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Unlock and close. Closing alone would leave the lock with a child that was forked meanwhile."""
        _held.discard(self)
        fd, self.fd = self.fd, None
        if fd is not None:
            try:
                fcntl.flock(fd, fcntl.LOCK_UN)
            finally:
                os.close(fd)


_held: set[Lock] = set()


def lock(path: Path, *, shared: bool = False, wait: bool = True) -> Lock:
    """Lock a file. Unless the lock is shared, a missing file is made with its folder.

    Raises:
        BlockingIOError: it is locked, and `wait` is False.
        OSError: it could not be opened or locked; FileNotFoundError where a shared one is missing.
    """
    flags = os.O_CLOEXEC | (os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT)
    try:
        fd = os.open(path, flags, 0o666)
    except FileNotFoundError:
        if shared:
            raise
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, flags, 0o666)
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(fd)
        raise
    return Lock(path, fd)


def lock_new(path: Path) -> Lock:
    """Make a file that is locked before it can be seen: so an unlocked one is a dead process's."""
    unseen = path.with_name(f".{path.name}")
    try:
        made = lock(unseen, wait=False)
        made.path = unseen.rename(path)
    except OSError:
        unseen.unlink(missing_ok=True)
        raise
    return made


def is_locked(path: Path) -> bool | None:
    """Whether a process holds the file; None where it is gone, True where that could not be found out."""
    try:
        lock(path, shared=True, wait=False).release()  # shared: two that look don't exclude each other
    except FileNotFoundError:
        return None
    except OSError:
        return True
    return False


def _forget_in_child() -> None:
    for each in _held:
        if each.fd is not None:
            os.close(each.fd)  # not unlocked: the lock is the parent's too
        each.fd = None
    _held.clear()
    guard.release()


os.register_at_fork(before=guard.acquire, after_in_parent=guard.release, after_in_child=_forget_in_child)
