"""Statements that are carried out for each call: put together once, by SQLAlchemy, and then handed to SQLite as text.

SQLAlchemy would take longer over each than SQLite does. What they say is the store's and the ledger's.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler


def sqlite_of(connection: sa.Connection) -> sqlite3.Connection:
    """Return SQLite's own connection under one of SQLAlchemy."""
    sql = connection.connection.driver_connection
    assert isinstance(sql, sqlite3.Connection)
    return sql


class Statement:
    """One statement with named parameters; rows come as SQLite gives them, and values go as they are."""

    def __init__(self, statement: sa.ClauseElement, *columns: str) -> None:
        """Takes a statement for SQLite, and of an INSERT or UPDATE the columns that it is given, if not all."""
        compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"), column_keys=columns or None)
        assert isinstance(compiled, SQLCompiler)
        self._text = str(compiled)
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}

    def on(self, connection: sa.Connection, values: Mapping[str, Any]) -> sqlite3.Cursor:
        """Carry it out; raises errors of `sqlite3`, also where a parameter is missing."""
        return sqlite_of(connection).execute(self._text, {**self._constants, **values})
