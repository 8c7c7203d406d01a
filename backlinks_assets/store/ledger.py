"""The ledger: every call that was started, and what it cost.

A call is entered before it is sent, with what it is expected to cost, so that calls in flight count against the budget
(`budget.py`); the answer's own cost takes that place when it is here. Amounts are whole micro-dollars, exact in sums. The
caller gives the transaction, so that an answer and its cost are kept together.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from backlinks_assets.statements import Statement
from backlinks_assets.store.budget import (  # noqa: F401 - the errors are raised by `start`
    Budget,
    BudgetError,
    PriceUnknownError,
    admit,
    daily_spend,
    dearest,
    metadata as budget_metadata,
    microusd,
)

metadata: Final = budget_metadata

IN_FLIGHT: Final = "in_flight"
DATA: Final = "data"
EMPTY: Final = "empty"
REFUSED: Final = "refused"
"""An answer came, with an error."""
NO_ANSWER: Final = "no_answer"
"""Nothing usable came back; whether the vendor charged it is not known, so the budget counts it as charged until
the vendor's own list of tasks says (`settle`)."""

api_calls = sa.Table(
    "api_calls",
    metadata,
    sa.Column("call_id", sa.String, primary_key=True),
    sa.Column("booked_on", sa.String, nullable=False, comment="UTC day on which the call started"),
    sa.Column(
        "date", sa.String, nullable=False, index=True, comment="the partition's day; the simulator answers for any"
    ),
    sa.Column("target", sa.String, nullable=False),
    sa.Column("status_type", sa.String, nullable=False),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("started_at", sa.String, nullable=False),
    sa.Column("ended_at", sa.String),
    sa.Column("outcome", sa.String, nullable=False),
    sa.Column("status_code", sa.Integer),
    sa.Column("message", sa.String),
    sa.Column("task_id", sa.String),
    sa.Column("reserved_microusd", sa.BigInteger, nullable=False),
    sa.Column("cost_microusd", sa.BigInteger, comment="as the answer says; NULL where none came"),
)

_day: Final[sa.BindParameter[Any]] = sa.bindparam("of_day")
_price: Final[sa.BindParameter[Any]] = sa.bindparam("price")
_cost: Final[sa.BindParameter[Any]] = sa.bindparam("cost")
_call: Final[sa.BindParameter[Any]] = sa.bindparam("call")
_ENTER: Final = Statement(
    api_calls.insert(), "call_id", "booked_on", "date", "target", "status_type", "owner", "attempt", "started_at",
    "outcome", "reserved_microusd",
)  # fmt: skip
_RESERVE: Final = Statement(
    daily_spend.update()
    .where(daily_spend.c.booked_on == _day)
    .values(in_flight_microusd=daily_spend.c.in_flight_microusd + _price, in_flight=daily_spend.c.in_flight + 1)
)
_FIND: Final = Statement(
    sa.select(
        api_calls.c.booked_on, api_calls.c.outcome, api_calls.c.reserved_microusd, api_calls.c.cost_microusd
    ).where(api_calls.c.call_id == _call)
)
_END: Final = Statement(
    api_calls.update().where(api_calls.c.call_id == _call),
    "outcome", "ended_at", "cost_microusd", "status_code", "task_id", "message",
)  # fmt: skip
_BOOK: Final = Statement(
    daily_spend.update()
    .where(daily_spend.c.booked_on == _day)
    .values(
        spent_microusd=daily_spend.c.spent_microusd + sa.bindparam("spent"),
        in_flight_microusd=daily_spend.c.in_flight_microusd - _price,
        in_flight=daily_spend.c.in_flight - 1,
        price_microusd=dearest(_cost),
    )
)


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


@dataclass(frozen=True, slots=True)
class UnknownCall:
    """A call without an answer, of which it is not known whether it was charged."""

    call_id: str
    date: dt.date
    target: str
    status_type: str
    started_at: dt.datetime


@dataclass(frozen=True, slots=True)
class DayCosts:
    """A UTC day's ledger: calls started, good answers, dollars charged, and calls charged (or perhaps charged)
    without one."""

    calls: int
    answers: int
    cost_usd: float
    charged_without_answer: int


def start(tx: sa.Connection, call: Call, budget: Budget, others: Collection[str] = ()) -> None:
    """Enter a call that is about to be sent, if the day's budget has room for it and all that are in flight.

    `others` are the ids of calls that must be made too if this one is, since neither answer is worth anything alone:
    there must be room for all, and it is set aside for them until they are started or given back (`budget.give_back`).

    With a budget set, the first call of a day goes alone: its answer tells the day's price before thirty are under
    way at a price that may have risen.

    Raises:
        BudgetError: there is no room.
        PriceUnknownError: the first answer of the day is not here yet.
    """
    price = admit(tx, call.call_id, call.owner, call.started_at, budget, others)
    day = call.started_at.date().isoformat()
    _ENTER.on(
        tx,
        {
            "call_id": call.call_id,
            "booked_on": day,
            "date": call.date.isoformat(),
            "target": call.target,
            "status_type": call.status_type,
            "owner": call.owner,
            "attempt": call.attempt,
            "started_at": call.started_at.isoformat(),
            "outcome": IN_FLIGHT,
            "reserved_microusd": price,
        },
    )
    _RESERVE.on(tx, {"of_day": day, "price": price})


def end(
    tx: sa.Connection,
    call_id: str,
    outcome: str,
    *,
    ended_at: dt.datetime,
    cost_usd: float | None = None,
    status_code: int | None = None,
    task_id: str | None = None,
    message: str | None = None,
) -> None:
    """Close a call's entry and book its cost. A second closing of the same call changes nothing."""
    booked_on, held, reserved, _ = _found(tx, call_id)
    if held != IN_FLIGHT:
        return
    cost = microusd(cost_usd)
    _END.on(
        tx,
        {
            "call": call_id,
            "outcome": outcome,
            "ended_at": ended_at.isoformat(),
            "cost_microusd": cost,
            "status_code": status_code,
            "task_id": task_id,
            "message": message[:500] if message else None,
        },
    )
    spent = reserved if cost is None else cost
    _BOOK.on(tx, {"of_day": booked_on, "spent": spent, "price": reserved, "cost": cost or 0})


def _found(tx: sa.Connection, call_id: str) -> tuple[str, str, int, int | None]:
    """Return a call's UTC day, outcome, and micro-dollars reserved and charged; a call that is not there is a bug."""
    found: tuple[str, str, int, int | None] | None = _FIND.on(tx, {"call": call_id}).fetchone()
    if found is None:
        raise LookupError(f"the ledger has no call {call_id}")
    return found


def open_calls(tx: sa.Connection) -> list[tuple[str, str]]:
    """Return (call_id, owner) of the calls that have not ended, so that dead owners' can be closed."""
    rows = tx.execute(sa.select(api_calls.c.call_id, api_calls.c.owner).where(api_calls.c.outcome == IN_FLIGHT))
    return [(row.call_id, row.owner) for row in rows]


def unknown_calls(tx: sa.Connection, since: dt.datetime) -> list[UnknownCall]:
    """Return the ended calls, started since then, that nobody has said the cost of; oldest first."""
    rows = tx.execute(
        sa.select(api_calls)
        .where(api_calls.c.outcome == NO_ANSWER, api_calls.c.cost_microusd.is_(None))
        .where(api_calls.c.started_at >= since.isoformat())
        .order_by(api_calls.c.started_at, api_calls.c.call_id)
    )
    return [
        UnknownCall(
            row.call_id,
            dt.date.fromisoformat(row.date),
            row.target,
            row.status_type,
            dt.datetime.fromisoformat(row.started_at),
        )
        for row in rows
    ]


def known_task_ids(tx: sa.Connection, dates: Collection[dt.date]) -> set[str]:
    """Return the vendor's ids of the calls whose answer, or whose place in its list, is known already."""
    days = [date.isoformat() for date in dates]
    found = sa.select(api_calls.c.task_id).where(api_calls.c.date.in_(days), api_calls.c.task_id.is_not(None))
    return set(tx.execute(found).scalars())


def settle(tx: sa.Connection, call_id: str, cost_usd: float, task_id: str | None) -> None:
    """Put what a call without an answer did cost in the place of what it was counted with; once only."""
    booked_on, outcome, reserved, charged = _found(tx, call_id)
    if outcome != NO_ANSWER or charged is not None:
        return
    cost = microusd(cost_usd) or 0
    tx.execute(api_calls.update().where(api_calls.c.call_id == call_id).values(cost_microusd=cost, task_id=task_id))
    tx.execute(
        daily_spend.update()
        .where(daily_spend.c.booked_on == booked_on)
        .values(spent_microusd=daily_spend.c.spent_microusd + cost - reserved, price_microusd=dearest(sa.literal(cost)))
    )


def targets_called(tx: sa.Connection, day: dt.date) -> set[str]:
    """Return the targets of which any call for a partition's day was started, whatever came of it."""
    return set(
        tx.execute(sa.select(api_calls.c.target).distinct().where(api_calls.c.date == day.isoformat())).scalars()
    )


def day_costs(tx: sa.Connection, day: dt.date) -> DayCosts:
    """Return what the ledger holds of a partition's day."""
    known = sa.func.coalesce(api_calls.c.cost_microusd, 0)
    row = tx.execute(
        sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(sa.case((api_calls.c.outcome.in_([DATA, EMPTY]), 1), else_=0)), 0),
            sa.func.coalesce(sa.func.sum(known), 0),
            sa.func.coalesce(
                sa.func.sum(
                    sa.case(
                        (sa.and_(api_calls.c.outcome == NO_ANSWER, api_calls.c.cost_microusd.is_(None)), 1),
                        (sa.and_(api_calls.c.outcome.in_([NO_ANSWER, REFUSED]), known > 0), 1),
                        else_=0,
                    )
                ),
                0,
            ),
        ).where(api_calls.c.date == day.isoformat())
    ).one()
    return DayCosts(calls=row[0], answers=row[1], cost_usd=row[2] / 1e6, charged_without_answer=row[3])
