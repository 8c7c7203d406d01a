"""Digests of what the store holds of a day, which tell whether it has changed.

Reading only, while others write. The store itself is `responses.py`, the ledger `ledger.py`.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable
from contextlib import closing
from functools import lru_cache
from pathlib import Path

import sqlalchemy as sa

from backlinks_assets.dataforseo.endpoints.summary import NAME as SUMMARY
from backlinks_assets.store import ledger
from backlinks_assets.store.database import Database
from backlinks_assets.store.responses import responses


def digests(file: Path, dates: Iterable[dt.date]) -> dict[dt.date, str]:
    """Return the digest of each day that has answers. It changes with any answer or cost of the day.

    Cheap enough to call often: nothing is created, no lease is taken, and a store that has not been written to since the
    last call is not read again. The file may be missing.

    Raises:
        StoreError: the file can't be read.
    """
    state = [_state(file), _state(file.with_name(file.name + "-wal"))]
    return _digests(file, tuple(dates), *state) if state[0] else {}


def _state(file: Path) -> tuple[int, ...] | None:
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


@lru_cache(maxsize=1)
def _digests(file: Path, dates: tuple[dt.date, ...], *_states: tuple[int, ...] | None) -> dict[dt.date, str]:
    with closing(Database(file)) as database, database.read() as tx:
        if not sa.inspect(tx).has_table(responses.name):
            return {}  # just being made
        found = {date: _digest(tx, date) for date in dates}
    return {date: digest for date, digest in found.items() if digest}


def _digest(tx: sa.Connection, date: dt.date) -> str:
    """Of answers their keys and when they came; of the ledger what was paid, not how many attempts were made."""
    captured_at = sa.type_coerce(responses.c.captured_at, sa.String)
    answers = tx.execute(
        sa.select(
            responses.c.target, responses.c.status_type, responses.c.request_key, captured_at, responses.c.task_id
        )
        .where(responses.c.date == date, responses.c.endpoint == SUMMARY)
        .order_by(*responses.primary_key.columns)
    ).all()
    if not answers:
        return ""
    costs = ledger.day_costs(tx, date)
    compared = [*answers, (costs.cost_usd, costs.charged_without_answer)]
    return hashlib.sha256("\n".join(map(repr, compared)).encode()).hexdigest()[:32]
