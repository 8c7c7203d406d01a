"""The answers that were paid for, by day and key: their tables, and how they are read.

How they are stored, and the claims of calls under way, are `responses.py`.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson
import sqlalchemy as sa
import zstandard

from backlinks_assets.dataforseo.endpoints.summary import NAME as SUMMARY
from backlinks_assets.store import ledger
from backlinks_assets.store.columns import TEXT, Instant
from backlinks_assets.store.database import StoreDatabase, metadata
from backlinks_assets.store.outage import Patience, repeated
from backlinks_assets.store.stored_answer import StoredAnswer


def _key() -> list[sa.Column[Any]]:
    return [
        sa.Column("date", sa.Date, primary_key=True),
        *[sa.Column(name, TEXT, primary_key=True) for name in ("target", "status_type", "request_key")],
        sa.Column("endpoint", TEXT, primary_key=True, server_default=SUMMARY),
    ]


responses = sa.Table(
    "responses",
    metadata,
    *_key(),
    sa.Column("parameters", TEXT, nullable=False, comment="the request's parameters, JSON"),
    sa.Column("task_id", TEXT),
    sa.Column("cost_usd", sa.Float, comment="as the answer says"),
    sa.Column("captured_at", Instant, nullable=False, comment="when the answer had been read, UTC"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("simulated", sa.Boolean, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False, comment="the vendor's JSON as it came, zstd"),
)

claims = sa.Table(
    "claims",
    metadata,
    *_key(),
    sa.Column("owner", TEXT, nullable=False),
    sa.Column("claimed_at", Instant, nullable=False),
)


TABLED: Final = (
    SUMMARY,
    *("backlinks/bulk_pages_summary/live", "backlinks/bulk_new_lost_backlinks/live"),
    "backlinks/bulk_new_lost_referring_domains/live",
)
"""The endpoints whose answers make tables by themselves."""
BACKFILL: Final = "backfill"
"""The status type of stored bulk answers that are about days before the first reading: they make no table of their day."""


class Key(NamedTuple):
    """What makes two answers the same one."""

    date: dt.date
    target: str
    status_type: str
    request_key: str
    endpoint: str = SUMMARY


class StoredAnswers:
    """Reads a store, while others write. While a shared database is away, all but `answers` wait for it."""

    def __init__(self, database: StoreDatabase, patience: Patience | None = None) -> None:
        self._database = database
        self.patience = patience or Patience(0)

    @repeated
    def wait_until_back(self) -> None:
        """Return once the database answers; raises UnreachableError when that takes too long."""
        with self._database.read() as tx:
            tx.execute(sa.select(1))

    @repeated
    def stored_keys(self, dates: Iterable[dt.date], endpoint: str = SUMMARY) -> set[Key]:
        """Return the keys of all answers stored for these days."""
        query = sa.select(*[responses.c[name] for name in Key._fields]).filter_by(endpoint=endpoint)
        with self._database.read() as tx:
            return {Key(*row) for row in tx.execute(query.where(responses.c.date.in_(list(dates))))}

    @repeated
    def answer(self, key: Key) -> StoredAnswer | None:
        return next(self._answers(**key._asdict()), None)

    @repeated
    def answers_to(self, keys: Collection[Key]) -> dict[Key, StoredAnswer]:
        """Return the stored answers of some keys: for thousands of them a tenth of the time of one after the other."""
        of = {name: {getattr(key, name) for key in keys} for name in ("date", "target", "endpoint")}
        found = {Key(*(getattr(one, name) for name in Key._fields)): one for one in self._answers(**of)}
        return {key: found[key] for key in keys if key in found}

    @repeated
    def latest(self, date: dt.date, target: str, status_type: str, endpoint: str = SUMMARY) -> StoredAnswer | None:
        """Return the newest answer stored for a day and target, with any parameters."""
        found = self._answers(date=date, target=target, status_type=status_type, endpoint=endpoint)
        return max(found, key=lambda answer: answer.captured_at, default=None)

    def answers(self, date: dt.date, endpoint: str = SUMMARY, status_type: str | None = None) -> Iterator[StoredAnswer]:
        """Yield the answers stored for a day, in the order of the key, one at a time; of one status type, where it is given."""
        of = {"date": date, "endpoint": endpoint}
        return self._answers(**of if status_type is None else of | {"status_type": status_type})

    def _answers(self, **of: Any) -> Iterator[StoredAnswer]:
        columns = [responses.c[name] for name in StoredAnswer._fields]
        query = sa.select(*columns).order_by(*responses.primary_key.columns)
        for name, wanted in of.items():
            column = responses.c[name]
            query = query.where(column.in_(sorted(wanted)) if isinstance(wanted, set) else column == wanted)
        with self._database.read() as tx, tx.execute(query, execution_options={"yield_per": 100}) as rows:
            for row in rows:
                found = StoredAnswer(*row)
                yield found._replace(parameters=orjson.loads(row.parameters), body=zstandard.decompress(found.body))

    @repeated
    def dates(self, endpoints: Collection[str] = TABLED, *, backfilled: bool = False) -> list[dt.date]:
        """Return the days for which anything of these endpoints is stored, oldest first: by default, what tables are made of.

        What was back-filled on a day is no answer of it: it counts alone, or not at all.
        """
        is_backfill = responses.c.status_type == BACKFILL
        of = is_backfill if backfilled else ~is_backfill
        query = sa.select(responses.c.date).distinct().where(responses.c.endpoint.in_(list(endpoints)), of)
        with self._database.read() as tx:
            return list(tx.execute(query.order_by("date")).scalars())

    @repeated
    def called(self, day: dt.date, endpoint: str = SUMMARY) -> set[str]:
        """Return the targets that have an answer of a day, or for which a call was started."""
        with self._database.read() as tx:
            stored = tx.execute(sa.select(responses.c.target).distinct().filter_by(date=day, endpoint=endpoint))
            return ledger.targets_called(tx, day, endpoint).union(stored.scalars())

    @repeated
    def day_costs(self, day: dt.date) -> ledger.DayCosts:
        with self._database.read() as tx:
            return ledger.day_costs(tx, day)
