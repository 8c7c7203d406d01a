"""Tries whether a folder can hold the store, by writing, locking and opening a database in it.

Also the next step for each error of a file system. Which folder it is, is `settings.py`.
"""

import errno
import fcntl
import os
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from backlinks_assets.errors import BacklinksError

_ROOM: Final = "Free some space and run again."
_RIGHTS: Final = "Give this user the right to write there, or set {variable} to another folder."
_A_FILE: Final = "A file is where a folder should be: move it, or set {variable} to another folder."
_NO_LOCKS: Final = (
    "The file system there has no locks, without which two processes could pay for one answer: set {variable} "
    "to a folder on a local disk."
)
_DISK: Final = "Check that the disk there has space left and does not fail, and run again."
_OTHER: Final = "Check that path, or set {variable} to another folder."
_NEXT_STEPS: Final = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EROFS: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENOTDIR: _A_FILE,
    errno.EEXIST: _A_FILE,
    errno.ENOLCK: _NO_LOCKS,
    errno.ENOSYS: _NO_LOCKS,
    errno.EOPNOTSUPP: _NO_LOCKS,
    errno.ENOTSUP: _NO_LOCKS,
}


class FolderError(BacklinksError):
    """A folder can't hold the project's files; the message has the cause and the next step."""


def next_step(number: int | None, variable: str = "BACKLINKS_DATA_DIR") -> str:
    """Return the next step for an error number of a file system; `variable` is the one to set to another path."""
    return _NEXT_STEPS.get(number or 0, _OTHER).format(variable=variable)


def next_step_of_sqlite(said: str) -> str:
    """Return the next step for an error of SQLite, by its message."""
    if "disk I/O" in said:
        return _DISK
    return next_step(errno.ENOSPC if "full" in said else errno.ENOLCK if "locking protocol" in said else None)


def try_folder(folder: Path) -> None:
    """Write, lock and open a database in a folder, then remove them. A missing folder is made.

    Raises:
        FolderError: one of these failed.
    """
    missing = [path for path in (folder, *folder.parents) if not _exists(path)]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".trial-", dir=folder) as trial:
                _write(Path(trial))
                _lock(Path(trial))
                _open_database(Path(trial))
        except OSError as error:
            cause = _not_a_folder(folder) or f"{folder} can't be used ({error.strerror}). {next_step(error.errno)}"
            raise FolderError(cause) from None
        except sqlite3.Error as error:
            raise FolderError(
                f"No database can be stored in {folder} ({error}). {next_step_of_sqlite(str(error))}"
            ) from None
    except FolderError:
        with suppress(OSError):
            for made in missing:
                made.rmdir()
        raise


def _write(trial: Path) -> None:
    written = trial / "written.partial"
    with written.open("wb") as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
    written.replace(trial / "written")


def _lock(trial: Path) -> None:
    with (trial / "lock").open("wb") as one, (trial / "lock").open("wb") as another:
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
    raise FolderError(f"A lock in {trial.parent} excludes no one. {next_step(errno.ENOLCK)}")


def _open_database(trial: Path) -> None:
    with closing(sqlite3.connect(trial / "database", isolation_level=None)) as database:
        database.execute("PRAGMA synchronous=OFF")
        (mode,) = database.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(f"locking protocol: the journal's mode stays {mode}")
        database.execute("CREATE TABLE tried (x)")


def _not_a_folder(folder: Path) -> str | None:
    """Return a sentence about a file or broken link on the folder's path; None without one."""
    for path in (folder, *folder.parents):
        if _exists(path):
            return None if path.is_dir() else f"{path} is not a folder. {next_step(errno.ENOTDIR)}"
        if path.is_symlink():
            return f"{path} is a link to {path.readlink()}, which is not there. {next_step(None)}"
    return None


def _exists(path: Path) -> bool:
    with suppress(OSError):
        return path.exists()
    return False
