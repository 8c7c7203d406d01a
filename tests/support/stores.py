"""Tests of the store run over both of its databases: the embedded file, and Postgres.

A file of tests says so by `pytest.mark.usefixtures("each_store")`; what is about the file alone is marked `embedded`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backlinks_assets.postgres_url import PostgresUrl
from backlinks_assets.store.database import StoreDatabase, metadata
from backlinks_assets.store.opening import open_database, open_tables

NOWHERE = "http://127.0.0.1:9"


def over_both(metafunc: pytest.Metafunc) -> None:
    """Let a test run over each database that it is about."""
    if "each_store" in metafunc.fixturenames:
        alone = metafunc.definition.get_closest_marker("embedded") is not None
        metafunc.parametrize("each_store", ["embedded"] if alone else ["embedded", "postgres"], indirect=True)


@pytest.fixture
def each_store(request: pytest.FixtureRequest, clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kind of database; the environment names a new one."""
    kind: str = request.param
    if kind == "postgres":
        monkeypatch.setenv("BACKLINKS_DATABASE_URL", request.getfixturevalue("postgres_url"))
        monkeypatch.setenv("DATAFORSEO_BASE_URL", NOWHERE)  # what the simulator of a process answers is not shared
    return kind


@pytest.fixture
def store_place(each_store: str, request: pytest.FixtureRequest, tmp_path: Path) -> Path | PostgresUrl:
    """Where a new, empty database is."""
    if each_store == "postgres":
        return PostgresUrl.parse(request.getfixturevalue("postgres_url"))
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def store_database(store_place: Path | PostgresUrl) -> Iterator[StoreDatabase]:
    """A new database with the store's tables."""
    database = open_database(store_place)
    open_tables(database, metadata)
    yield database
    database.close()
