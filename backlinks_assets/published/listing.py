"""The list of what is published: one JSON file in the place, exchanged under the condition that nobody else has changed it.

A file counts once the list has it with the hash of its content. So a publisher that is killed changes nothing that counts, and
of two publishers none loses what the other published. Which local files it concerns is `local_copy.py`.
"""

import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Final, TypeVar

import orjson

from backlinks_assets.published.place import LostError, Place
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.schemas import TABLES

LIST: Final = "published.json"
FORMAT: Final = 1
DUCKDB: Final = "backlinks.duckdb"
ATTEMPTS: Final = 100
"""Exchanges of the list that are tried. Each that fails means that another publisher's has succeeded."""

THREADS: Final = 8
"""Files read or written at once."""
Found = TypeVar("Found")

_NAME: Final = re.compile(
    r"parquet/(?P<table>\w+)/date=(?P<day>\d{4}-\d\d-\d\d)/(?P=table)\.parquet"
    r"|reports/(?:[^/\\]+/[^/\\]*|[^/\\]*?(?P<page>\d{4}-\d\d-\d\d)?)\.(?:html|csv)"
    r"|backlinks\.duckdb"
)
"""Names that may be published, relative to the root of the data folder. No other is read or written."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A published file. `mtime_ns` is that of the publisher's file; `generation` is the list's with which it came.

    `holds`: of a file made of all days, the generation of the list whose days are in it.
    """

    bytes: int
    sha256: str
    etag: str
    mtime_ns: int
    generation: int = 0
    holds: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The list as read; `etag` is None before the first publication."""

    files: Mapping[str, Entry]
    generation: int = 0
    etag: str | None = None

    def days(self, table: str) -> list[str]:
        """Return the days that are published of a table, in order."""
        begin = f"parquet/{table}/"
        return sorted(day_of(name) or "" for name in self.files if name.startswith(begin))


def is_usable(name: str) -> bool:
    """Return whether a name is one of a published file, of a table that this version knows."""
    found = _NAME.fullmatch(name)
    return found is not None and "/../" not in name and (found["table"] is None or found["table"] in TABLES)


def day_of(name: str) -> str | None:
    """Return the day that a file is about, as `YYYY-MM-DD`; None for one about all days."""
    found = _NAME.fullmatch(name)
    return (found["day"] or found["page"]) if found else None


_seen: dict[str, Listing] = {}
"""The list as last read from each place: an unchanged one of thousands of days is not sent again."""


def read_listing(place: Place) -> Listing:
    """Return the list of a place; an empty one where nothing is published yet.

    Raises:
        TablesError: the place or the list can't be read, or a newer version wrote it.
    """
    known = _seen.get(place.shown)
    found = place.read(LIST, known.etag if known else None)
    if found is None:
        return Listing({})
    content, etag = found
    if content is None and known is not None:
        return known
    listing = _seen[place.shown] = _parsed(place, content or b"", etag)
    return listing


def _parsed(place: Place, content: bytes, etag: str) -> Listing:
    try:
        read = orjson.loads(content)
        if read["format"] > FORMAT:
            raise TablesError(
                f"A newer version of the program has published to {place.shown}. Upgrade this one: it would lose what it "
                "does not know."
            )
        files = {name: Entry(**entry) for name, entry in read["files"].items()}
        return Listing(files, read["generation"], etag)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TablesError(
            f"{LIST} in {place.shown} could not be read ({error}). Bring back an earlier version of it, or remove it: the next "
            "publication of a machine that has all days makes it anew."
        ) from error


def exchange(place: Place, mine: Mapping[str, Entry], holds: Listing | None = None) -> Listing | None:
    """Put files that are in the place already into its list; return the list as it then is.

    The list is exchanged if nobody has changed it since it was read, else it is read again; with `holds`, which the files
    were made of, only that list is exchanged, and None is returned if it is another by now. A file that someone else has
    replaced meanwhile is left out: who replaced it puts it into the list.

    Raises:
        TablesError: the place can't be read or written.
    """
    for attempt in range(ATTEMPTS):
        listing = read_listing(place)
        if holds is not None and listing.etag != holds.etag:
            return None
        # After the list was read: then whoever replaces a file later finds another list than the one that they have read.
        unlisted = [name for name, entry in mine.items() if not _has(listing, name, entry)]
        found = zip(unlisted, in_threads(place.etag, unlisted), strict=True)
        new = {
            name: replace(mine[name], generation=listing.generation + 1, holds=listing.generation if holds else None)
            for name, etag in found
            if etag == mine[name].etag
        }
        if not new:
            return listing
        files = {**listing.files, **new}
        try:
            etag = place.exchange(LIST, _written(files, listing.generation + 1), listing.etag)
            return Listing(files, listing.generation + 1, etag)
        except LostError:
            if holds is not None:
                return None
            time.sleep(random.uniform(0, min(0.02 * 2**attempt, 1)))
    raise TablesError(
        f"Other machines have been publishing to {place.shown} all the time. Nothing is lost: run again when they are done."
    )


def in_threads(do: Callable[[str], Found], many: Sequence[str]) -> list[Found]:
    """Return what a function returns for each of many, in their order; requests wait for the network together."""
    if len(many) <= 1:
        return [do(one) for one in many]
    with ThreadPoolExecutor(THREADS, thread_name_prefix="published") as pool:
        return list(pool.map(do, many))


def _has(listing: Listing, name: str, entry: Entry) -> bool:
    held = listing.files.get(name)
    return held is not None and (held.sha256, held.etag) == (entry.sha256, entry.etag)


def _written(files: Mapping[str, Entry], generation: int) -> bytes:
    entries = {
        name: {key: value for key, value in asdict(entry).items() if value is not None}
        for name, entry in sorted(files.items())
    }
    return orjson.dumps({"format": FORMAT, "generation": generation, "files": entries}, option=orjson.OPT_INDENT_2)
