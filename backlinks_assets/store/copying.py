"""Copies an embedded store into a database that machines share, and compares both.

A day's answers are copied in one transaction, and days that are there already are left alone: so a copy that was interrupted
goes on, and one that is repeated copies what has come since. Claims and room set aside belong to processes that have ended,
and are not copied. Nothing is written to the source.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from backlinks_assets.store.answers import Key, responses
from backlinks_assets.store.budget import daily_spend, hold_day
from backlinks_assets.store.columns import hold, upsert
from backlinks_assets.store.database import Database, StoreError, metadata
from backlinks_assets.store.facts import fact, facts
from backlinks_assets.store.incident_verdicts import incident_verdicts
from backlinks_assets.store.ledger import IN_FLIGHT, api_calls
from backlinks_assets.store.opening import open_tables
from backlinks_assets.store.postgres import PostgresDatabase
from backlinks_assets.store.unusable_answers import evidence
from backlinks_assets.store.verdicts import verdicts

ROWS_PER_STATEMENT: Final = 500

Digests = dict[Key, str]


@dataclass(frozen=True, slots=True)
class Copied:
    """Rows of a table: in the source, how many of these the target has, and how many were written now."""

    table: str
    rows: int
    there: int
    written: int


def copy_store(
    source: Database,
    target: PostgresDatabase,
    at_work: Callable[[], Sequence[str]],
    step: Callable[[int], Callable[[], None]],
) -> list[Copied]:
    """Copy all answers, calls and verdicts, and return what each table holds then.

    No run can begin on the source meanwhile. `at_work` names the processes that work on it; `step` is called with the number
    of days, and what it returns after each.

    Raises:
        StoreError: a process works on the source, the source holds nothing, or the target holds answers of another origin.
    """
    open_tables(source, metadata)
    open_tables(target, metadata)
    with source.alone() as old:
        if names := at_work():
            raise StoreError(
                f"{source.place} is in use (process {', '.join(names)}). Let the run end, stop Dagster's daemon, and copy "
                "again. Nothing was copied."
            )
        _take_origin(old, source, target)
        days = sorted({*_days(old, responses), *_days(old, api_calls)})
        done = step(len(days))
        answers, calls = [], []
        booked: set[tuple[dt.date, str]] = set()
        for day in days:
            with target.write() as tx:
                answers.append(_copy_answers(old, tx, day))
                calls.append(_copy_calls(old, tx, day, booked))
            done()
        with target.write() as tx:
            for day, endpoint in sorted(booked):
                hold_day(tx, day)
                _sum_up(tx, day, endpoint)
            rest = [_copy_evidence(old, tx), *(_copy_verdicts(old, tx, said) for said in (verdicts, incident_verdicts))]
    return [_together(responses, answers), _together(api_calls, calls), *rest]


def _days(old: sa.Connection, table: sa.Table) -> list[dt.date]:
    return list(old.execute(sa.select(table.c.date).distinct()).scalars())


def _together(table: sa.Table, counts: Sequence[tuple[int, int, int]]) -> Copied:
    rows, there, written = (sum(each) for each in zip((0, 0, 0), *counts, strict=True))
    return Copied(table.name, rows, there, written)


def _take_origin(old: sa.Connection, source: Database, target: PostgresDatabase) -> None:
    origin = fact(old, "origin")
    if origin is None:
        raise StoreError(f"{source.place} holds no answers yet: there is nothing to copy.")
    with target.write() as tx:
        hold(tx, "origin")
        held = fact(tx, "origin")
        if held not in {None, origin}:
            raise StoreError(
                f"{target.place} holds answers from {held}, and {source.place} from {origin}: they would mix. Name an empty "
                "database. Nothing was copied."
            )
        upsert(tx, facts, {"name": "origin", "value": origin})


def _copy_answers(old: sa.Connection, tx: sa.Connection, day: dt.date) -> tuple[int, int, int]:
    """Copy a day's answers; return how many there are, how many the target has as they are, and how many were written."""
    wanted = {_key(row): _digest(row.body) for row in _answers(old, day)}
    found = _found(tx, day)
    missing = wanted.keys() - found.keys()
    for rows in _parts(row._asdict() for row in _answers(old, day) if _key(row) in missing):
        upsert(tx, responses, rows)
    if missing:
        found = _found(tx, day)
    return len(wanted), sum(found.get(key) == digest for key, digest in wanted.items()), len(missing)


def _answers(old: sa.Connection, day: dt.date) -> Iterator[sa.Row[Any]]:
    query = sa.select(responses).where(responses.c.date == day)
    with old.execute(query, execution_options={"yield_per": ROWS_PER_STATEMENT}) as rows:
        yield from rows


def _found(tx: sa.Connection, day: dt.date) -> Digests:
    """Return the digest of each stored body of a day, made by the server."""
    digest = sa.func.encode(sa.func.sha256(responses.c.body), "hex", type_=sa.String)
    query = sa.select(*[responses.c[name] for name in Key._fields], digest).where(responses.c.date == day)
    return {Key(*of): digest for *of, digest in tx.execute(query)}


def _key(row: sa.Row[Any]) -> Key:
    return Key(*[getattr(row, name) for name in Key._fields])


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _parts(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    part: list[dict[str, Any]] = []
    for row in rows:
        part.append(row)
        if len(part) == ROWS_PER_STATEMENT:
            yield part
            part = []
    if part:
        yield part


def _rows(tx: sa.Connection, table: sa.Table) -> list[dict[str, Any]]:
    return [row._asdict() for row in tx.execute(sa.select(table).order_by(*table.primary_key.columns))]


def _copy_calls(
    old: sa.Connection, tx: sa.Connection, day: dt.date, booked: set[tuple[dt.date, str]]
) -> tuple[int, int, int]:
    """Copy the ledger of a day, and add to `booked` whose sums that changes. Counts as `_copy_answers`."""
    rows = [row._asdict() for row in old.execute(sa.select(api_calls).where(api_calls.c.date == day))]
    of_day = sa.select(api_calls.c.call_id).where(api_calls.c.date == day)
    before = set(tx.execute(of_day).scalars())
    for part in _parts(iter(rows)):
        tx.execute(_CALLS, part)
    booked.update((row["booked_on"], row["endpoint"]) for row in rows)
    found = set(tx.execute(of_day).scalars())
    ids = {row["call_id"] for row in rows}
    return len(ids), len(ids & found), len(ids - before)


_INSERT: Final = postgresql.insert(api_calls)
_CALLS: Final = _INSERT.on_conflict_do_update(
    index_elements=["call_id"],
    set_={column.name: _INSERT.excluded[column.name] for column in api_calls.columns if not column.primary_key},
    # What the target knows of a call by now stays.
    where=sa.or_(api_calls.c.outcome == IN_FLIGHT, api_calls.c.cost_microusd.is_(None)),
)


def _sum_up(tx: sa.Connection, day: dt.date, endpoint: str) -> None:
    """Make a day's sums from its calls: the target may have some of other machines, or know more of these by now."""
    cost, reserved, open_ = api_calls.c.cost_microusd, api_calls.c.reserved_microusd, api_calls.c.outcome == IN_FLIGHT
    sums = sa.select(
        sa.func.coalesce(sa.func.sum(sa.func.coalesce(cost, reserved)).filter(~open_), 0),
        sa.func.coalesce(sa.func.sum(reserved).filter(open_), 0),
        sa.func.count().filter(open_),
        sa.func.max(cost),
    ).where(api_calls.c.booked_on == day, api_calls.c.endpoint == endpoint)
    spent, in_flight, calls, price = tx.execute(sums).one()
    values = {
        "spent_microusd": spent,
        "in_flight_microusd": in_flight,
        "in_flight": calls,
        "price_microusd": price or None,
    }
    row = {"booked_on": day, "endpoint": endpoint, **values}
    upsert(tx, daily_spend, row, *values)


def _copy_evidence(old: sa.Connection, tx: sa.Connection) -> Copied:
    rows, before = _rows(old, evidence), _digests_of_evidence(tx)
    for part in _parts(row for row in rows if row["call_id"] not in before):
        upsert(tx, evidence, part)
    found = _digests_of_evidence(tx)
    there = sum(found.get(row["call_id"]) == _digest(row["body"]) for row in rows)
    return Copied(evidence.name, len(rows), there, len(found) - len(before))


def _digests_of_evidence(tx: sa.Connection) -> dict[str, str]:
    digest = sa.func.encode(sa.func.sha256(evidence.c.body), "hex", type_=sa.String).label("digest")
    return {row.call_id: row.digest for row in tx.execute(sa.select(evidence.c.call_id, digest))}


def _copy_verdicts(old: sa.Connection, tx: sa.Connection, table: sa.Table) -> Copied:
    """Copy what people said, in that order, under numbers of the target's own."""

    def said(row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(value for name, value in row.items() if name != "id")

    rows = _rows(old, table)
    there = set(map(said, _rows(tx, table)))
    new = [row for row in rows if said(row) not in there]
    for row in new:
        tx.execute(table.insert(), {name: value for name, value in row.items() if name != "id"})
    found = set(map(said, _rows(tx, table)))
    return Copied(table.name, len(rows), sum(said(row) in found for row in rows), len(new))
