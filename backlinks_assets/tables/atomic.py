"""Files that appear whole or not at all: temporary names, durable replacement, sweeping, locking.

What is in the files is `parquet.py` and `duckdb_sync.py`.
"""

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from backlinks_assets.errors import BacklinksError
from backlinks_assets.folder import next_step

STALE_AFTER_S = 3600.0
"""Age at which a temporary file is taken for that of a killed process. Writing one takes seconds."""


class TablesError(BacklinksError, OSError):
    """A table could not be written or read; the message has the path and the next step."""


def tables_error(action: str, path: Path, error: Exception) -> TablesError:
    """Return a `TablesError` for an error met while doing `action` to `path`, with its errno."""
    number = getattr(error, "errno", None)
    reason = getattr(error, "strerror", None) or str(error).strip().split("\n")[0]
    failure = TablesError(f"Could not {action} {path}: {reason}. {next_step(number)}")
    failure.errno = number
    return failure


@contextmanager
def replacing(target: Path, temporary_folder: Path, *, durably: bool = True) -> Iterator[Path]:
    """Yield a path to write to. When the block ends well, it replaces `target` durably and in one step.

    Its name is unique and ends in `.partial`, which no reader's pattern matches. `temporary_folder` must be on the file system
    of `target`. On any error it is removed and `target` stays as it was. `durably` False does not wait for the
    disk: after a loss of power the file may be the old one, or empty.

    Raises:
        TablesError: the folder or file could not be written.
    """
    temporary = temporary_folder / f"{target.name}-{uuid.uuid4().hex}.partial"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary_folder.mkdir(parents=True, exist_ok=True)
        yield temporary
        if durably:
            fsync(temporary)
        temporary.replace(target)
        if durably:
            fsync(target.parent)
    except TablesError:
        raise
    except OSError as error:
        raise tables_error("write", target, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def locked(path: Path, timeout_s: float, busy: str) -> Iterator[None]:
    """Hold a lock file, so that one process at a time is in the block.

    Raises:
        TablesError: `busy`, where another process has held it for `timeout_s`; or the file could not be locked.
    """
    lock = filelock.FileLock(path, timeout=timeout_s)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout as error:
        raise TablesError(busy) from error
    except OSError as error:
        raise tables_error("lock", path, error) from error
    try:
        yield
    finally:
        lock.release()


def sweep(temporary_folder: Path) -> None:
    """Remove what killed processes left in a temporary folder an hour or more ago."""
    with suppress(OSError):
        for entry in os.scandir(temporary_folder):
            with suppress(OSError):  # another process may sweep at the same time
                if time.time() - entry.stat(follow_symlinks=False).st_mtime < STALE_AFTER_S:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    Path(entry.path).unlink()


def fsync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
