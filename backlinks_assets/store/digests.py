"""Digests of what the store holds of a day, which tell whether it has changed.

Reading only, while others write. The store itself is `responses.py`, the ledger `ledger.py`.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from backlinks_assets.postgres_url import PostgresUrl
from backlinks_assets.store import ledger
from backlinks_assets.store.answers import BACKFILL, TABLED, responses
from backlinks_assets.store.incident_verdicts import IncidentVerdict, incident_verdicts, of_incidents
from backlinks_assets.store.opening import open_database
from backlinks_assets.store.verdicts import StoredVerdict, of_days, verdicts

T = TypeVar("T")


def digests(place: Path | PostgresUrl, dates: Iterable[dt.date]) -> dict[dt.date, str]:
    """Return the digest of each day that has answers. It changes with any answer or cost of the day.

    Cheap enough to call often: nothing is created, no lease is taken, and a store that has not been written to since the
    last call is not read again. It may be missing.

    Raises:
        StoreError: the store can't be read.
    """
    days = tuple(dates)
    state = _state(place, days)
    return _digests(place, days, *state) if state else {}


def verdicts_in(place: Path | PostgresUrl) -> tuple[StoredVerdict, ...]:
    """Return what people have said of days, in that order. Looks and raises as `digests`."""
    return _said(place, verdicts, of_days)


def incident_verdicts_in(place: Path | PostgresUrl) -> tuple[IncidentVerdict, ...]:
    """Return what people have said of incidents, in that order. Looks and raises as `digests`."""
    return _said(place, incident_verdicts, of_incidents)


def stored_days(place: Path | PostgresUrl) -> list[dt.date]:
    """Return the days of any stored answers, oldest first; none where there is no store. Raises as `digests`."""
    if isinstance(place, Path) and not place.exists():
        return []
    with _reading(place, responses) as tx:
        if tx is None:
            return []
        return list(tx.execute(_DAYS).scalars())


# From one day to the next by the key: a scan of all answers takes seconds after a year.
_DAYS: Final = sa.text("""
WITH RECURSIVE days (date) AS (
    SELECT min(date) FROM responses
    UNION ALL
    SELECT (SELECT min(date) FROM responses WHERE responses.date > days.date) FROM days WHERE days.date IS NOT NULL
)
SELECT date FROM days WHERE date IS NOT NULL
""").columns(date=sa.Date)


def _state(place: Path | PostgresUrl, days: tuple[dt.date, ...]) -> tuple[object, ...]:
    """Return what changes whenever the digests of these days do; nothing where there is no store."""
    if isinstance(place, PostgresUrl):
        with _reading(place, responses) as tx:
            return () if tx is None else (*_sums(tx, days, responses), *_sums(tx, days, ledger.api_calls))
    own, log = (_file_state(file) for file in (place, place.with_name(place.name + "-wal")))
    return (own, log) if own else ()


def _sums(tx: sa.Connection, days: tuple[dt.date, ...], table: sa.Table) -> tuple[object, ...]:
    """Return counts that grow with each answer, and with each call that is started, ended or corrected."""
    columns = table.c
    counted = [sa.func.count(), sa.func.max(columns["captured_at" if table is responses else "ended_at"])]
    if table is ledger.api_calls:
        counted += [sa.func.count(columns.cost_microusd), sa.func.sum(columns.cost_microusd)]
    return tuple(tx.execute(sa.select(*counted).where(columns.date.in_(days))).one())


def _file_state(file: Path) -> tuple[int, ...] | None:
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


@contextmanager
def _reading(place: Path | PostgresUrl, table: sa.Table) -> Iterator[sa.Connection | None]:
    """Yield a connection for reading; None where the store is just being made."""
    with closing(open_database(place)) as database, database.read() as tx:
        yield tx if sa.inspect(tx).has_table(table.name) else None


@lru_cache(maxsize=1)
def _digests(place: Path | PostgresUrl, dates: tuple[dt.date, ...], *_state: object) -> dict[dt.date, str]:
    with _reading(place, responses) as tx:
        found = {} if tx is None else {date: _digest(tx, date) for date in dates}
    return {date: digest for date, digest in found.items() if digest}


def _said(place: Path | PostgresUrl, table: sa.Table, read: Callable[[sa.Connection], tuple[T, ...]]) -> tuple[T, ...]:
    if isinstance(place, PostgresUrl):
        return _read(place, table, read)
    state = _state(place, ())
    found: tuple[T, ...] = _read_once(place, table, read, *state) if state else ()
    return found


def _read(place: Path | PostgresUrl, table: sa.Table, read: Callable[[sa.Connection], tuple[T, ...]]) -> tuple[T, ...]:
    with _reading(place, table) as tx:
        return () if tx is None else read(tx)


@lru_cache(maxsize=2)  # of days and of incidents, each in the newest state
def _read_once(file: Path, table: sa.Table, read: Callable[[sa.Connection], Any], *_state: object) -> Any:
    return _read(file, table, read)


def _digest(tx: sa.Connection, date: dt.date) -> str:
    """Of answers their keys and when they came; of the ledger what was paid, not how many attempts were made."""
    captured_at = sa.type_coerce(responses.c.captured_at, sa.String)
    answers = tx.execute(
        sa.select(
            responses.c.target, responses.c.status_type, responses.c.request_key, captured_at, responses.c.task_id
        )
        .where(responses.c.date == date, responses.c.endpoint.in_(TABLED), responses.c.status_type != BACKFILL)
        .order_by(*responses.primary_key.columns)
    ).all()
    if not answers:
        return ""
    costs = ledger.day_costs(tx, date)
    compared = [*answers, (costs.cost_usd, costs.charged_without_answer)]
    return hashlib.sha256("\n".join(map(repr, compared)).encode()).hexdigest()[:32]
