"""What SQLite and Postgres differ in: types of columns, inserting what may be there, and holding others off.

The tables are declared where they are used; connections are `database.py` and `postgres.py`.
"""

import datetime as dt
import hashlib
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


class _PostgresText(sa.TypeDecorator[str]):
    """Text in the order of its bytes, as SQLite has it: a server's own collation may ignore dots and hyphens.

    Postgres stores no NUL, which a vendor's message may hold: an answer must not be lost for it.
    """

    impl = sa.String(collation="C")
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        return value.replace("\0", "\ufffd") if value is not None and "\0" in value else value


TEXT: Final = sa.String().with_variant(_PostgresText(), "postgresql")


class Instant(sa.TypeDecorator[dt.datetime]):
    """A UTC instant as ISO text, which sorts as time does."""

    impl = sa.String
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(sa.String(collation="C") if dialect.name == "postgresql" else sa.String())

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else value.isoformat()

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> dt.datetime | None:  # noqa: ARG002
        return None if value is None else dt.datetime.fromisoformat(value)


def upsert(tx: sa.Connection, table: sa.Table, rows: Any, *replaced: str) -> None:
    """Insert rows. Of a row whose key is there, replace these columns; without any, leave it as it is."""
    tx.execute(_upsert(tx.dialect.name, table, replaced), rows)


@cache
def _upsert(dialect: str, table: sa.Table, replaced: tuple[str, ...]) -> Any:
    insert: Any = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[dialect](table)
    if not replaced:
        return insert.on_conflict_do_nothing()
    new = {name: insert.excluded[name] for name in replaced}
    return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=new)


_KEY: Final = sa.bindparam("key", type_=sa.BigInteger)
_HOLD: Final = sa.select(sa.func.pg_advisory_xact_lock(_KEY))
_HOLD_SHARED: Final = sa.select(sa.func.pg_advisory_xact_lock_shared(_KEY))


def hold(tx: sa.Connection, *names: object, shared: bool = False) -> None:
    """Hold off other transactions of the same names until this one ends; what it reads from now on is what they left.

    Rows can't be held that are not there yet, which is why no `FOR UPDATE` is enough. `shared` holds off those that are
    not. A server that restarts ends the transaction too. SQLite has one writer anyhow.
    """
    if tx.dialect.name == "postgresql":
        for key in sorted({_number(name) for name in names}):  # in one order, so that no two wait for each other
            tx.execute(_HOLD_SHARED if shared else _HOLD, {"key": key})


def _number(name: object) -> int:
    return int.from_bytes(hashlib.blake2b(f"backlinks {name}".encode(), digest_size=8).digest(), signed=True)
