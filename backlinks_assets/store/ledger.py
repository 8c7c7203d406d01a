"""The ledger: every call that was started, and what it cost.

A call is entered before it is sent, with its expected cost, so that calls in flight count against the budget
(`budget.py`). The answer's own cost replaces it. Amounts are whole micro-dollars, exact in sums. The caller gives the
transaction, so that an answer and its cost are stored together.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import sqlalchemy as sa

from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.dataforseo.endpoints.summary import NAME as SUMMARY
from backlinks_assets.store.budget import Budget, admit, daily_spend, microusd
from backlinks_assets.store.columns import TEXT, Instant
from backlinks_assets.store.database import metadata

IN_FLIGHT: Final = "in_flight"
DATA: Final = "data"
EMPTY: Final = "empty"
REFUSED: Final = "refused"
"""An answer came, with an error."""
NO_ANSWER: Final = "no_answer"
"""Nothing usable came back. The budget counts it as charged until the vendor's own list of tasks says (`correct`)."""

api_calls = sa.Table(
    "api_calls",
    metadata,
    sa.Column("call_id", TEXT, primary_key=True),
    sa.Column("booked_on", sa.Date, nullable=False, comment="UTC day on which the call started"),
    sa.Column(
        "date", sa.Date, nullable=False, index=True, comment="the partition's day; the simulator answers for any"
    ),
    sa.Column("target", TEXT, nullable=False),
    sa.Column("status_type", TEXT, nullable=False),
    sa.Column("owner", TEXT, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("started_at", Instant, nullable=False),
    sa.Column("ended_at", Instant),
    sa.Column("outcome", TEXT, nullable=False),
    sa.Column("status_code", sa.Integer),
    sa.Column("message", TEXT),
    sa.Column("task_id", TEXT),
    sa.Column("reserved_microusd", sa.BigInteger, nullable=False),
    sa.Column("cost_microusd", sa.BigInteger, comment="as the answer says; NULL where none came"),
    sa.Column("endpoint", TEXT, nullable=False, server_default=SUMMARY),
)

_added: Final[dict[str, sa.BindParameter[int]]] = {
    name: sa.bindparam(f"added_{name}", 0) for name in ("spent_microusd", "in_flight_microusd", "in_flight")
}
_cost: Final[sa.BindParameter[int]] = sa.bindparam("cost", 0)
_price: Final = daily_spend.c.price_microusd
_FIND: Final = sa.select(api_calls).where(api_calls.c.call_id == sa.bindparam("call"))
_LOCKED: Final = _FIND.with_for_update()
"""On Postgres no other transaction closes the same call meanwhile; SQLite has one writer anyhow."""
_CHANGE: Final = api_calls.update().where(api_calls.c.call_id == sa.bindparam("call"))
_BOOK: Final = (
    daily_spend.update()
    .where(daily_spend.c.booked_on == sa.bindparam("day"), daily_spend.c.endpoint == sa.bindparam("of"))
    .values({name: daily_spend.c[name] + value for name, value in _added.items()})
    .values(price_microusd=sa.case((_cost > sa.func.coalesce(_price, 0), _cost), else_=_price))
)
"""Adds to the sums of a day and endpoint; its price is the highest cost that was seen."""


@dataclass(frozen=True, slots=True)
class Call:
    """What the ledger enters about a call before it is sent."""

    call_id: str
    date: dt.date
    target: str
    status_type: str
    owner: str
    attempt: int
    started_at: dt.datetime
    endpoint: str = SUMMARY


@dataclass(frozen=True, slots=True)
class DayCosts:
    """A day's ledger: calls started, good answers, dollars charged, and calls (perhaps) charged without an answer."""

    calls: int
    answers: int
    cost_usd: float
    charged_without_answer: int


def start(tx: sa.Connection, call: Call, budget: Budget, others: Collection[str] = ()) -> None:
    """Enter a call that is about to be sent, if the day's budget has room for it and all that are in flight.

    `others` are the ids of calls to the same endpoint that must be made too, since one answer alone has no use. There must
    be room for all, and it is set aside until they are started or given back (`budget.give_back`).

    With a budget, the first call of a day to an endpoint goes alone: its answer gives the day's price, which may have
    risen, before thirty are under way.

    Raises:
        BudgetError: there is no room.
        PriceUnknownError: the first answer of the day is not here yet.
    """
    price = admit(tx, call.call_id, call.owner, call.started_at, budget, others, call.endpoint)
    day = call.started_at.date()
    row = {**asdict(call), "booked_on": day, "outcome": IN_FLIGHT, "reserved_microusd": price}
    tx.execute(api_calls.insert(), row)
    _book(tx, day, call.endpoint, in_flight_microusd=price, in_flight=1)


def end(
    tx: sa.Connection, call_id: str, outcome: str, now: dt.datetime, answer: Answer | None, message: str = ""
) -> None:
    """Close a call's entry and book what its answer cost. A second closing of the same call changes nothing.

    But the cost of an answer that comes after its process was taken for dead takes the expected one's place.
    """
    call = _found(tx, call_id)
    cost = microusd(answer.known_cost_usd) if answer else None
    is_late = call.outcome == NO_ANSWER and call.cost_microusd is None and cost is not None
    if call.outcome != IN_FLIGHT and not is_late:
        return
    changes = {
        "outcome": outcome,
        "ended_at": now,
        "cost_microusd": cost,
        "status_code": answer.status_code if answer else None,
        "task_id": answer.task_id if answer and outcome != NO_ANSWER else None,
        "message": message[:500] or None,
    }
    tx.execute(_CHANGE, {"call": call_id, **changes})
    reserved = call.reserved_microusd
    if is_late:
        _book(tx, call.booked_on, call.endpoint, cost or 0, spent_microusd=(cost or 0) - reserved)
        return
    spent = reserved if cost is None else cost
    _book(
        tx, call.booked_on, call.endpoint, cost or 0, spent_microusd=spent, in_flight_microusd=-reserved, in_flight=-1
    )


def correct(tx: sa.Connection, call_id: str, cost_usd: float, task_id: str | None) -> None:
    """Book what a call without an answer cost, instead of the expected cost; once only."""
    call = _found(tx, call_id)
    if call.outcome == NO_ANSWER and call.cost_microusd is None:
        cost = microusd(cost_usd) or 0
        tx.execute(_CHANGE, {"call": call_id, "cost_microusd": cost, "task_id": task_id})
        _book(tx, call.booked_on, call.endpoint, cost, spent_microusd=cost - call.reserved_microusd)


def is_entered(tx: sa.Connection, call_id: str) -> bool:
    return tx.execute(_FIND, {"call": call_id}).first() is not None


def _found(tx: sa.Connection, call_id: str) -> sa.Row[Any]:
    found = tx.execute(_LOCKED, {"call": call_id}).first()
    if found is None:
        raise LookupError(f"the ledger has no call {call_id}")
    return found


def _book(tx: sa.Connection, day: dt.date, endpoint: str, cost: int = 0, **added: int) -> None:
    tx.execute(_BOOK, {"day": day, "of": endpoint, "cost": cost} | {f"added_{name}": n for name, n in added.items()})


def open_calls(tx: sa.Connection) -> list[tuple[str, str]]:
    """Return (call_id, owner) of the calls that have not ended, so that those of dead processes can be closed."""
    rows = tx.execute(sa.select(api_calls.c.call_id, api_calls.c.owner).filter_by(outcome=IN_FLIGHT))
    return [(row.call_id, row.owner) for row in rows]


def unknown_calls(tx: sa.Connection, since: dt.datetime) -> list[Call]:
    """Return the ended calls, started since then, whose cost is not known; oldest first."""
    rows = tx.execute(
        sa.select(*[api_calls.c[field.name] for field in fields(Call)])
        .filter_by(outcome=NO_ANSWER, cost_microusd=None)
        .where(api_calls.c.started_at >= since)
        .order_by("started_at", "call_id")
    )
    return [Call(*row) for row in rows]


def known_task_ids(tx: sa.Connection, dates: Collection[dt.date]) -> set[str]:
    """Return the vendor's task ids of the calls whose answer, or whose entry in its list, is known."""
    found = sa.select(api_calls.c.task_id).where(api_calls.c.date.in_(dates), api_calls.c.task_id.is_not(None))
    return set(tx.execute(found).scalars())


def targets_called(tx: sa.Connection, day: dt.date, endpoint: str) -> set[str]:
    """Return the targets for which a call to an endpoint was started for a partition's day."""
    return set(tx.execute(sa.select(api_calls.c.target).distinct().filter_by(date=day, endpoint=endpoint)).scalars())


def day_costs(tx: sa.Connection, day: dt.date) -> DayCosts:
    """Return what the ledger holds of a partition's day, all endpoints together."""
    outcome, cost = api_calls.c.outcome, api_calls.c.cost_microusd
    charged_in_vain = sa.or_(
        sa.and_(outcome == NO_ANSWER, cost.is_(None)), sa.and_(outcome.in_([NO_ANSWER, REFUSED]), cost > 0)
    )
    row = tx.execute(
        sa.select(
            sa.func.count(),
            sa.func.count().filter(outcome.in_([DATA, EMPTY])),
            sa.func.coalesce(sa.func.sum(cost), 0),
            sa.func.count().filter(charged_in_vain),
        ).where(api_calls.c.date == day)
    ).one()
    return DayCosts(row[0], row[1], int(row[2]) / 1e6, row[3])
