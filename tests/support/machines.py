"""Several machines that publish to one place: each a data folder of its own, and the days that it builds."""

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from table_days import after, counts, keep_findings, keep_summary

from backlinks_assets.published import place as places
from backlinks_assets.published.listing import Listing, read_listing
from backlinks_assets.published.place import Place
from backlinks_assets.published.publication import publish_tables
from backlinks_assets.settings import Settings
from backlinks_assets.tables_url import TablesUrl


class Machines:
    """Settings of machines by name, and the place that they share."""

    def __init__(self, folder: Path, url: TablesUrl) -> None:
        self.folder, self.url = folder, url

    def __call__(self, name: str) -> Settings:
        env = {"BACKLINKS_DATA_DIR": str(self.folder / name), "DATAFORSEO_LOGIN": "a", "DATAFORSEO_PASSWORD": "b"}
        return replace(Settings.from_env(env), tables_url=self.url)

    @property
    def place(self) -> Place:
        return places.open_place(self.url)

    @property
    def listing(self) -> Listing:
        return read_listing(self.place)

    def is_whole(self) -> bool:
        """Whether each listed file is in the place as listed."""
        return all(self.place.etag(name) == entry.etag for name, entry in self.listing.files.items())


def memory(monkeypatch: pytest.MonkeyPatch) -> TablesUrl:
    """Return a place in this process's memory."""
    from obstore.store import MemoryStore

    from backlinks_assets.published.objects import Objects

    url = TablesUrl(f"memory://{uuid.uuid4().hex}", "memory")
    held = Objects(MemoryStore(), url.text)
    monkeypatch.setattr(places, "open_place", lambda _url: held)
    return url


def built(settings: Settings, number: int, *targets: str, links: int = 0) -> dt.date:
    """Write a judged day of a machine and return it."""
    day = after(number)
    keep_summary(settings.root, day, list(targets or ("shop.example",)), links)
    for table in ("backlinks_changes", "backlinks_flags"):
        keep_findings(settings.root, table, day, *(targets or ("shop.example",)))
    return day


def done(settings: Settings, number: int, *targets: str, links: int = 0) -> None:
    """Build a day and publish it."""
    publish_tables(settings, [built(settings, number, *targets, links=links)])


def days_of(settings: Settings) -> list[dt.date]:
    """Return the days that a machine's DuckDB file has."""
    return sorted(counts(settings.root, "backlinks_summary"))


class Watched(Place):
    """A place that calls a function before each of its operations, with the operation and the name."""

    def __init__(self, inner: Place, before: Callable[[str, str], object]) -> None:
        self.inner, self.before, self.shown = inner, before, inner.shown

    def _do(self, operation: str, name: str, *more: Any) -> Any:
        self.before(operation, name)
        return getattr(self.inner, operation)(name, *more)

    def read(self, name: str, unless: str | None = None) -> Any:
        return self._do("read", name, unless)

    def exchange(self, name: str, content: bytes, etag: str | None) -> Any:
        return self._do("exchange", name, content, etag)

    def fetch(self, name: str, file: Any) -> Any:
        return self._do("fetch", name, file)

    def put(self, name: str, file: Any) -> Any:
        return self._do("put", name, file)

    def etag(self, name: str) -> Any:
        return self._do("etag", name)

    def remove(self, name: str) -> Any:
        return self._do("remove", name)
