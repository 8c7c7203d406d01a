"""A place where files are published, and the folder as one: what is asked of each, and nothing of what the files mean.

Object storage is `objects.py`, opened only where the URL names one. Every error is a sentence with the next step.
"""

import hashlib
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from backlinks_assets.folder import next_step
from backlinks_assets.tables.atomic import TablesError, locked, replacing
from backlinks_assets.tables_url import VARIABLE, TablesUrl


class LostError(Exception):
    """Another process has exchanged the file meanwhile: read it again."""


class Writable(Protocol):
    """What a file's content is written to."""

    def write(self, content: Any, /) -> int: ...


class Place(ABC):
    """Files by their relative names. An ETag is a short text that changes with a file's content.

    All methods raise TablesError where the place can't be reached, read or written.
    """

    shown: str
    """The place as messages name it."""

    @abstractmethod
    def read(self, name: str, unless: str | None = None) -> tuple[bytes | None, str] | None:
        """Return a small file's content and ETag, None where there is none. With the ETag `unless`, no content is read."""

    @abstractmethod
    def exchange(self, name: str, content: bytes, etag: str | None) -> str:
        """Replace a small file that has this ETag, or make it for None; return its ETag. Raises LostError otherwise."""

    @abstractmethod
    def fetch(self, name: str, file: Writable) -> bool:
        """Write a file's content to an open one; return False where there is none, or it is replaced meanwhile."""

    @abstractmethod
    def put(self, name: str, file: BinaryIO) -> str:
        """Replace a file by the content of an open one, in one step, and return its ETag."""

    @abstractmethod
    def etag(self, name: str) -> str | None:
        """Return the ETag of a file that was `put`, None where there is none."""

    @abstractmethod
    def remove(self, name: str) -> None: ...


class Folder(Place):
    """A folder of this machine, or one that several machines mount. It is not made: a share may not be mounted."""

    def __init__(self, base: Path, folder: str = "") -> None:
        self._must_exist, self.path = base, base / folder
        self.shown = str(self.path)

    def read(self, name: str, unless: str | None = None) -> tuple[bytes | None, str] | None:
        with self._sentences("read"):
            try:
                content = (self.path / name).read_bytes()
            except FileNotFoundError:
                return None
        etag = hashlib.sha256(content).hexdigest()
        return (None if etag == unless else content), etag

    def exchange(self, name: str, content: bytes, etag: str | None) -> str:
        busy = f"Another process has been publishing into {self.path} for a minute. Run again when it is done."
        with self._sentences("write"), locked(self.path / ".published.lock", 60, busy):
            found = self.read(name)
            if (found[1] if found else None) != etag:
                raise LostError
            with replacing(self.path / name, self.path / ".tmp") as temporary:
                temporary.write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def fetch(self, name: str, file: Writable) -> bool:
        with self._sentences("read"):
            try:
                with (self.path / name).open("rb") as source:
                    shutil.copyfileobj(source, file, 1 << 20)
            except FileNotFoundError:
                return False
        return True

    def put(self, name: str, file: BinaryIO) -> str:
        with self._sentences("write"), replacing(self.path / name, self.path / ".tmp") as temporary:
            with temporary.open("wb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
            return _etag(temporary)

    def etag(self, name: str) -> str | None:
        with self._sentences("read"):
            try:
                return _etag(self.path / name)
            except FileNotFoundError:
                return None

    def remove(self, name: str) -> None:
        with self._sentences("write"):
            (self.path / name).unlink(missing_ok=True)

    @contextmanager
    def _sentences(self, action: str) -> Iterator[None]:
        if not self._must_exist.is_dir():
            raise TablesError(
                f"{VARIABLE} names the folder {self._must_exist}, which is not there. Make it, or mount the share that it is on."
            )
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise TablesError(
                f"Could not {action} in {self.path} ({VARIABLE}): {reason}. {next_step(error.errno, VARIABLE)}"
            ) from error


def _etag(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_mtime_ns:x}-{stat.st_size:x}"


@lru_cache(maxsize=8)
def open_place(url: TablesUrl) -> Place:
    """Return the place of a URL; whether it can be reached shows at its first use.

    Raises:
        TablesError: its client is not installed, or its settings can't be used.
    """
    if url.scheme == "folder":
        return Folder(Path(url.base), url.folder)
    from backlinks_assets.published.objects import open_objects

    return open_objects(url)
