"""Stores of other versions for the tests: one that the first version left, and a next version that is made up.

`fixtures/responses-v0.sqlite` was made by the first version, which wrote no version into its file: three days of four
targets, one the API knows nothing of, two charged refusals, a call of unknown cost, a dead process's claim and call, and an
announcement that was delivered.
"""

import datetime as dt
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from backlinks_assets.store import responses  # noqa: F401 - declares the tables
from backlinks_assets.store.database import Database, metadata
from backlinks_assets.store.migrations import open_tables

VERSION_0 = Path(__file__).parents[1] / "fixtures" / "responses-v0.sqlite"
DAYS = [dt.date(2026, 11, 24) + dt.timedelta(days=number) for number in range(3)]
ALL = (metadata,)


def put_version_0(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a store of the first version into the data folder, of answers from loopback, which the environment names too."""
    monkeypatch.setenv("DATAFORSEO_BASE_URL", "http://127.0.0.1:9")
    folder.mkdir()
    return Path(shutil.copy(VERSION_0, folder / "responses.sqlite"))


def contents(file: Path) -> tuple[int, list[str]]:
    """Return a file's version and all that is in it."""
    with closing(sqlite3.connect(file)) as sql:
        return sql.execute("PRAGMA user_version").fetchone()[0], list(sql.iterdump())


def rows(file: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(file)) as sql:
        names = [name for (name,) in sql.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {name: sorted(sql.execute(f"SELECT * FROM {name}"), key=repr) for name in names}


def beside(file: Path) -> list[str]:
    return sorted(path.name for path in file.parent.iterdir() if path.is_file())


def bring_up(file: Path, *of: sa.MetaData) -> None:
    database = Database(file)
    try:
        open_tables(database, *(of or ALL))
    finally:
        database.close()


def columns(file: Path, table: str) -> list[str]:
    with closing(sqlite3.connect(file)) as sql:
        return [row[1] for row in sql.execute(f"PRAGMA table_info({table})")]


def rebuild_keys(tx: sa.Connection) -> None:
    """Put a region into the key of answers and claims, which SQLite can do by building the tables anew only."""
    for name in ("responses", "claims"):
        table = grown(metadata).tables[name]
        found = tx.exec_driver_sql(f"PRAGMA table_info({name})").all()
        if not found:
            continue
        kept = ", ".join(row[1] for row in found)
        tx.exec_driver_sql(f"ALTER TABLE {name} RENAME TO old_{name}")
        table.create(tx)
        tx.exec_driver_sql(f"INSERT INTO {name} ({kept}) SELECT {kept} FROM old_{name}")
        tx.exec_driver_sql(f"DROP TABLE old_{name}")


def add_channel(tx: sa.Connection) -> None:
    if tx.exec_driver_sql("PRAGMA table_info(daily_spend)").all():
        tx.exec_driver_sql("ALTER TABLE daily_spend ADD COLUMN channel VARCHAR NOT NULL DEFAULT ''")


def to_3(tx: sa.Connection) -> None:
    rebuild_keys(tx)
    add_channel(tx)


def grown(of: sa.MetaData) -> sa.MetaData:
    """Return the tables as that version declares them."""
    new = sa.MetaData()
    for table in of.tables.values():
        copy = table.to_metadata(new)
        if table.name in ("responses", "claims"):
            copy.append_column(sa.Column("region", sa.String, primary_key=True, server_default="everywhere"))
        elif table.name == "daily_spend":
            copy.append_column(sa.Column("channel", sa.String, nullable=False, server_default=""))
    return new


GROWN = tuple(grown(one) for one in ALL)
