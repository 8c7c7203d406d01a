"""The few facts about a whole store: whose answers it holds, and in a shared database the version of its tables.

The caller gives the transaction.
"""

from typing import Final

import sqlalchemy as sa

from backlinks_assets.store.columns import TEXT
from backlinks_assets.store.database import metadata

facts = sa.Table("facts", metadata, sa.Column("name", TEXT, primary_key=True), sa.Column("value", TEXT, nullable=False))

_FACT: Final = sa.select(facts.c.value).where(facts.c.name == sa.bindparam("name"))


def fact(tx: sa.Connection, name: str) -> str | None:
    value: str | None = tx.execute(_FACT, {"name": name}).scalar()
    return value
