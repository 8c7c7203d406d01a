"""What is done while the shared database is away: what may be repeated is repeated, and paid answers wait in files.

An answer's file is written before the first wait and removed once it is stored, so that a process that ends, or is killed,
loses none. `responses.py` stores what an earlier process left when it opens.
"""

import base64
import functools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

import orjson

from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.store.database import StoreError, UnreachableError

PATIENCE_S: Final = 600.0
"""How long the database is waited for: a restart takes seconds, a takeover by another server minutes."""
ENDING_S: Final = 5.0
"""How long by a run that is to stop."""
WAIT_S: Final = (0.2, 0.5, 1.0, 2.0)

T = TypeVar("T")


@dataclass(slots=True)
class Patience:
    """How long a process waits for the database. `stop` is set when it is to end."""

    seconds: float = PATIENCE_S
    stop: threading.Event = field(default_factory=threading.Event)

    def repeat(self, write: Callable[[], T]) -> T:
        """Call until the database is back, and return the result; raises UnreachableError when that takes too long."""
        began = time.monotonic()
        tries = 0
        while True:
            try:
                return write()
            except UnreachableError:
                if time.monotonic() - began > (min(ENDING_S, self.seconds) if self.stop.is_set() else self.seconds):
                    raise
            wait_s = WAIT_S[min(tries, len(WAIT_S) - 1)]
            tries += 1
            if self.stop.is_set():
                time.sleep(wait_s)
            else:
                self.stop.wait(wait_s)


class _Patient(Protocol):
    patience: Patience


P = ParamSpec("P")
S = TypeVar("S", bound=_Patient)


def repeated(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Repeat a method while the database is away; all of its statements may be."""

    def until_back(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except UnreachableError:
            return self.patience.repeat(lambda: method(self, *args, **kwargs))

    functools.update_wrapper(until_back, method)
    return until_back


class Waiting:
    """The folder of answers that wait for the database, one file each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, call_id: str, record: dict[str, Any]) -> Path:
        """Write a record, whole and on disk or not at all, and return its file. Raises StoreError where it can't."""
        file = self._file(call_id)
        partial = file.with_suffix(".partial")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as out:
                out.write(orjson.dumps(record))
                out.flush()
                os.fsync(out.fileno())
            partial.replace(file)
            return file
        except OSError as error:
            raise StoreError(f"{file} can't be written ({error.strerror}), and the database is away.") from None

    def remove(self, call_id: str) -> None:
        # Where a file is in the folder's place, nothing could wait.
        with suppress(FileNotFoundError, NotADirectoryError):
            self._file(call_id).unlink()

    def records(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (call id, record) of what waits. A file that could not be read is left where it is."""
        for file in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else ():
            with suppress(OSError, orjson.JSONDecodeError):  # another process may have stored and removed it
                yield file.stem, orjson.loads(file.read_bytes())

    def _file(self, call_id: str) -> Path:
        return self.folder / f"{call_id}.json"


def answer_as_json(answer: Answer) -> dict[str, Any]:
    return asdict(answer) | {"body": base64.b64encode(answer.body).decode()}


def answer_from_json(fields: dict[str, Any]) -> Answer:
    return Answer(**fields | {"body": base64.b64decode(fields["body"])})
