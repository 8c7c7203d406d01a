"""The tables in a shared database: made and migrated once, by whichever machine comes first; what is refused.

The version is the row `version` of `facts`. A new table needs no step; a change of one does, as in `migrations.py`.
"""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from backlinks_assets.store.columns import upsert
from backlinks_assets.store.database import StoreError
from backlinks_assets.store.facts import fact, facts
from backlinks_assets.store.migrations import MIGRATION_WAIT_S, STEPS, Step
from backlinks_assets.store.postgres import PostgresDatabase

FIRST_VERSION: Final = 2
"""No shared database is older: embedded stores had this version when Postgres came."""

SHARED_STEPS: Sequence[Step] = ()
"""The migration from `FIRST_VERSION` to the next, and so on, all in one transaction."""

_COLUMNS: Final = sa.text(
    "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
)


def open_shared_tables(database: PostgresDatabase, *metadata: sa.MetaData) -> None:
    """Make the tables that are missing and migrate those that are older, under one lock: all of it or nothing.

    Raises:
        StoreError: the database is newer or another program's, or its tables don't fit. It stays as it was.
    """
    tables = [table for one in metadata for table in one.sorted_tables]
    with database.read() as tx:
        if _is_ready(tx, database.place, tables):
            return
    with database.alone(MIGRATION_WAIT_S) as tx:
        if _is_ready(tx, database.place, tables):  # another machine was first
            return
        if tx.exec_driver_sql("SHOW server_encoding").scalar_one() != "UTF8":
            raise StoreError(
                f"{database.place} is not in UTF8, so that names could not be stored as they are. Make one by "
                "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0."
            )
        version = _version(tx) if facts.name in _found(tx) else None
        for step in SHARED_STEPS[version - FIRST_VERSION :] if version else ():
            step(tx)
        for table in tables:
            table.create(tx, checkfirst=True)
            for index in table.indexes:
                index.create(tx, checkfirst=True)
        upsert(tx, facts, {"name": "version", "value": str(len(STEPS))}, "value")
        _refuse_misfits(_found(tx), database.place, tables)


def _is_ready(tx: sa.Connection, place: str, tables: Sequence[sa.Table]) -> bool:
    """Return whether all is there in this version; raises StoreError for what this program can't use."""
    found = _found(tx)
    if found and facts.name not in found and found.keys().isdisjoint(table.name for table in tables):
        raise StoreError(
            f"{place} is another program's (it holds {', '.join(sorted(found)[:5])}). Make an empty one for the response "
            "store: Dagster's instance needs another too. Nothing was changed in it and no call was made."
        )
    if facts.name not in found or (version := _version(tx)) is None:
        return False
    if version > len(STEPS):
        raise StoreError(
            f"{place} has version {version}; this program knows versions up to {len(STEPS)}, so a newer one made it. "
            "Upgrade the program on this machine. Nothing was changed in it and no call was made."
        )
    if version < len(STEPS) or any(table.name not in found for table in tables):
        return False
    _refuse_misfits(found, place, tables)
    return True


def _refuse_misfits(found: dict[str, set[str]], place: str, tables: Sequence[sa.Table]) -> None:
    for table in tables:
        if missing := [column.name for column in table.columns if column.name not in found[table.name]]:
            raise StoreError(
                f"The table {table.name} in {place} does not fit this program: it has no column {', '.join(missing)}. An "
                "answer could be paid for and not stored, so no call was made. Nothing was changed. Use the version of "
                "the program that made it, or restore a backup."
            )


def _found(tx: sa.Connection) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for table, column in tx.execute(_COLUMNS):
        found.setdefault(table, set()).add(column)
    return found


def _version(tx: sa.Connection) -> int | None:
    text = fact(tx, "version")
    return int(text) if text else None
