"""The data folder as a copy of what is published: which files it has in which version, and what is fetched or published.

A file of the copy is as published, or was changed here since and is to be published; that is told by its size and modification
time. If both have changed, the published one counts: a day's tables are always built from the stored answers again.
"""

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from backlinks_assets.paths import reports_dir
from backlinks_assets.published.listing import (
    DUCKDB,
    Entry,
    Listing,
    day_of,
    in_threads,
    is_usable,
    read_listing,
)
from backlinks_assets.published.place import Place
from backlinks_assets.tables.atomic import TablesError, fsync, locked, sweep, tables_error
from backlinks_assets.tables.client_logs import remove_client_logs
from backlinks_assets.tables.parquet import day_files
from backlinks_assets.tables.schemas import TABLES

WAITS_S: Final = 30.0
"""How long a reader waits for a publisher that has replaced a file and not yet the list."""
TOGETHER: Final = 64
"""Files fetched before they are noted as the copy's. A process that is killed fetches so many again."""
_LOCK_TIMEOUT_S: Final = 60.0
_REPLACED_AT: Final = (0, 0)
"""State of a file that is to be built here in the place of a published one."""

State = tuple[int, int, str]
"""Size and modification time in ns of a local file when it was as published, and the hash of that version."""


class LocalCopy:
    """The files of one root, beside the place where they are published."""

    def __init__(self, root: Path, place: Place) -> None:
        self.root, self.place = root, place
        self._states, self._temporary = root / ".published.json", root / ".published.tmp"

    # --- what the copy has

    def is_new(self) -> bool:
        """Return whether nothing was ever fetched from the place or published there, by this copy."""
        return not self._states.exists() or not self._held()

    def _held(self) -> dict[str, State]:
        try:
            read = orjson.loads(self._states.read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return {}
        except OSError as error:
            raise tables_error("read", self._states, error) from error
        return (
            {name: tuple(state) for name, state in read["files"].items()} if read["place"] == self.place.shown else {}
        )

    @contextmanager
    def _changing_states(self) -> Iterator[dict[str, State]]:
        """Yield the states to be changed, while no other process changes them."""
        busy = f"Another process has held {self._states} for a minute. Run again when it is done."
        with locked(self.root / ".published.lock", _LOCK_TIMEOUT_S, busy):
            held = self._held()
            yield held
            content = orjson.dumps({"place": self.place.shown, "files": held})
            new = self._states.with_name(f"{self._states.name}-{uuid.uuid4().hex}.partial")
            try:
                new.write_bytes(content)
                new.replace(self._states)
            except OSError as error:
                new.unlink(missing_ok=True)
                raise tables_error("write", self._states, error) from error

    def changed(self, listing: Listing) -> list[str]:
        """Return the names of the files that were changed here since they were as published, or never were published."""
        held = self._held()
        found = []
        for name, stat in self._files():
            state = held.get(name)
            if name not in listing.files or state is None or state[:2] != (stat.st_size, stat.st_mtime_ns):
                found.append(name)
        return found

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        for table in TABLES:
            for day, stat in day_files(self.root, table):
                yield f"parquet/{table}/date={day}/{table}.parquet", stat
        for path in [
            *reports_dir(self.root).rglob("*.html"),
            *reports_dir(self.root).rglob("*.csv"),
            self.root / DUCKDB,
        ]:
            name = path.relative_to(self.root).as_posix()
            with suppress(FileNotFoundError):
                if is_usable(name) and path.is_file():
                    yield name, path.stat()

    # --- fetching

    def bring(
        self,
        wanted: Callable[[str], bool] | None = None,
        built_here: Collection[str] = (),
        *,
        waits_s: float = WAITS_S,
        gives_way: bool = False,
    ) -> Listing:
        """Fetch what the list has in another version than the copy, of the names that are `wanted`; return the list.

        A file that a publisher has replaced, but not yet the list, is waited for. One of `built_here` is not: it is about to
        be built, and an older one is removed. With `gives_way` so is every such file, in the place of an error.

        Raises:
            TablesError: the place can't be reached, a file in it is not the listed one, or the folder can't be written.
        """
        end = time.monotonic() + waits_s
        pause_s = 0.1
        sweep(self._temporary)
        while True:
            listing = read_listing(self.place)
            held = self._held()
            due = [
                name
                for name, entry in listing.files.items()
                if is_usable(name) and (wanted is None or wanted(name)) and self._lacks(name, entry, held)
            ]
            others = []
            for start in range(0, len(due), TOGETHER):
                others += self._fetch(due[start : start + TOGETHER], listing, held)
            waited_for = [name for name in others if name not in built_here]
            if not waited_for:
                self._give_way(others, listing)
                return listing
            if time.monotonic() >= end and gives_way:
                self._give_way(others, listing)
                return listing
            if time.monotonic() >= end:
                raise TablesError(_mixed(self.place, waited_for))
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 2.0)

    def _lacks(self, name: str, entry: Entry, held: dict[str, State]) -> bool:
        state = held.get(name)
        return state is None or state[2] != entry.sha256 or not (self.root / name).exists()

    def _fetch(self, names: Sequence[str], listing: Listing, held: dict[str, State]) -> list[str]:
        """Fetch some files and return those that are not as listed, or were changed here meanwhile."""
        before = {name: _state(self.root / name) for name in names}
        fetched = dict(
            zip(names, in_threads(lambda name: self._fetch_one(name, listing.files[name]), names), strict=True)
        )
        others = []
        try:
            with self._changing_states() as states:
                for name, temporary in fetched.items():
                    target = self.root / name
                    if temporary is None or _state(target) != before[name] or states.get(name) != held.get(name):
                        others.append(name)
                        continue
                    target.parent.mkdir(parents=True, exist_ok=True)
                    temporary.replace(target)
                    fsync(target.parent)
                    stat = target.stat()
                    states[name] = (stat.st_size, stat.st_mtime_ns, listing.files[name].sha256)
                    if name == DUCKDB:
                        remove_client_logs(target)
        except OSError as error:
            raise error if isinstance(error, TablesError) else tables_error("write into", self.root, error) from error
        finally:
            for temporary in fetched.values():
                if temporary is not None:
                    temporary.unlink(missing_ok=True)
        return others

    def _fetch_one(self, name: str, entry: Entry) -> Path | None:
        """Return a temporary file with the listed content; None where the place has another or none."""
        temporary = self._temporary / f"{uuid.uuid4().hex}.partial"
        is_listed = False
        try:
            self._temporary.mkdir(parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                hashed = _Hashed(file)
                is_listed = self.place.fetch(name, hashed) and hashed.sha256 == entry.sha256
                if is_listed:
                    file.flush()
                    os.fsync(file.fileno())
                    # By it, `backlinks.duckdb` of any machine knows which files its rows are of.
                    os.utime(file.fileno(), ns=(entry.mtime_ns, entry.mtime_ns))
            if is_listed and name == DUCKDB:
                temporary.chmod(0o444)
        except TablesError:
            raise
        except OSError as error:
            raise tables_error("write into", self._temporary, error) from error
        finally:
            if not is_listed:
                temporary.unlink(missing_ok=True)
        return temporary if is_listed else None

    def _give_way(self, names: Sequence[str], listing: Listing) -> None:
        """Note that files are to be built here in the place of the listed ones, which can't be fetched."""
        if names:
            with self._changing_states() as states:
                for name in names:
                    if name not in states or states[name][2] != listing.files[name].sha256:
                        (self.root / name).unlink(missing_ok=True)
                        states[name] = (*_REPLACED_AT, listing.files[name].sha256)

    # --- publishing

    def put(self, names: Sequence[str], listing: Listing) -> dict[str, Entry]:
        """Copy files to the place and return their entries for the list; those that are there as listed are only noted."""
        made = dict(
            zip(names, in_threads(lambda name: self._put_one(name, listing.files.get(name)), names), strict=True)
        )
        return {name: entry for name, entry in made.items() if entry is not None}

    def _put_one(self, name: str, listed: Entry | None) -> Entry | None:
        try:
            with (self.root / name).open("rb") as file:
                stat = os.fstat(file.fileno())
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
                if listed and listed.sha256 == sha256 and self.place.etag(name) == listed.etag:
                    etag = listed.etag
                else:
                    file.seek(0)
                    etag = self.place.put(name, file)
        except FileNotFoundError:
            return None  # removed meanwhile
        except TablesError:
            raise
        except OSError as error:
            raise tables_error("read", self.root / name, error) from error
        return Entry(stat.st_size, sha256, etag, stat.st_mtime_ns)

    def note(self, mine: dict[str, Entry], listing: Listing) -> None:
        """Note which files are as published now."""
        with self._changing_states() as states:
            for name, entry in mine.items():
                listed, here = listing.files.get(name), (entry.bytes, entry.mtime_ns)
                if listed is None or listed.sha256 != entry.sha256 or _state(self.root / name) != here:
                    continue  # another machine's came first, or it was changed here again
                if (
                    listed.mtime_ns != entry.mtime_ns
                ):  # so that the DuckDB files of all machines are about the same files
                    os.utime(self.root / name, ns=(listed.mtime_ns, listed.mtime_ns))
                    here = _state(self.root / name) or here
                states[name] = (*here, entry.sha256)


class _Hashed:
    """An open file that hashes what is written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash = file, hashlib.sha256()

    def write(self, content: Any, /) -> int:
        self._hash.update(content)
        return self._file.write(content)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def _state(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _mixed(place: Place, names: Sequence[str]) -> str:
    days = sorted({day for name in names if (day := day_of(name))})
    again = f"build {', '.join(days[:5])} again" if days else "run a day again"
    return (
        f"{names[0]}{f' and {len(names) - 1:,} more' if len(names) > 1 else ''} in {place.shown} was replaced, and the list of "
        f"what is published does not have the new one: its publisher is still at work, or was ended. Wait a minute; then {again} "
        "on a machine that has the answers, which costs nothing."
    )
