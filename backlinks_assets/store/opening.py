"""Opens the store's database, embedded or shared, and makes its tables where they are missing."""

from pathlib import Path

import sqlalchemy as sa

from backlinks_assets.postgres_url import PostgresUrl
from backlinks_assets.store.database import Database, StoreDatabase
from backlinks_assets.store.migrations import open_tables as open_embedded_tables


def open_database(place: Path | PostgresUrl) -> StoreDatabase:
    """Return the database of a file, which is made where it is missing, or of a URL, which is not connected to yet.

    Raises:
        StoreError: the folder can't be made, or the driver is not installed.
    """
    if isinstance(place, PostgresUrl):
        from backlinks_assets.store.postgres import PostgresDatabase

        return PostgresDatabase(place)
    return Database(place)


def open_tables(database: StoreDatabase, *metadata: sa.MetaData) -> None:
    """Bring the database to this program's version, with all tables. Raises StoreError where that can't be."""
    if isinstance(database, Database):
        open_embedded_tables(database, *metadata)
    else:
        from backlinks_assets.store.postgres import PostgresDatabase
        from backlinks_assets.store.postgres_tables import open_shared_tables

        assert isinstance(database, PostgresDatabase)
        open_shared_tables(database, *metadata)
