"""What people say of days: that their readings count, or don't. Rows are appended and never changed; the last one holds.

Here belong their table and how a row is written and read. What it does to baselines and flags is
`detection/vendor_faults.py`. The caller gives the transaction.
"""

import datetime as dt
from typing import Final, NamedTuple

import sqlalchemy as sa

from backlinks_assets.store.columns import TEXT, Instant
from backlinks_assets.store.database import metadata

DAYS: Final = "days"
"""The kind of verdict that says whether the readings of a span of days count."""

verdicts = sa.Table(
    "verdicts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, comment="in the order in which they were said"),
    sa.Column("said_at", Instant, nullable=False, comment="UTC"),
    sa.Column("by", TEXT, nullable=False, comment="who said it"),
    sa.Column("kind", TEXT, nullable=False),
    sa.Column("counts", sa.Boolean, comment="of kind `days`: whether the readings count"),
    sa.Column("target", TEXT, comment="NULL: all targets"),
    sa.Column("metric", TEXT, comment="NULL: all metrics"),
    sa.Column("first", sa.Date, nullable=False),
    sa.Column("last", sa.Date, nullable=False, comment="the last day of the span, included"),
    sa.Column("note", TEXT),
)


class StoredVerdict(NamedTuple):
    """Whether the readings of the days `first` to `last` count; `target` and `metric` None: all of them.

    Of several about a reading the one with the highest `id` holds; it is None before it is stored.
    """

    first: dt.date
    last: dt.date
    counts: bool
    by: str
    said_at: dt.datetime
    target: str | None = None
    metric: str | None = None
    note: str | None = None
    id: int | None = None


def append(tx: sa.Connection, verdict: StoredVerdict) -> None:
    row = {name: value for name, value in verdict._asdict().items() if name != "id"}
    tx.execute(verdicts.insert(), {**row, "kind": DAYS})


def of_days(tx: sa.Connection) -> tuple[StoredVerdict, ...]:
    """Return all verdicts about days, in the order in which they were said."""
    query = sa.select(*[verdicts.c[name] for name in StoredVerdict._fields]).filter_by(kind=DAYS).order_by("id")
    return tuple(StoredVerdict(*row) for row in tx.execute(query))
