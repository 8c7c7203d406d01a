"""The budget of a UTC day: what is spent, what calls under way may cost, and whether more calls have room.

Here belong the day's sums and the question whether a call may start. The calls themselves, and what each did cost, are
`ledger.py`. Amounts are whole micro-dollars, exact in sums; the caller gives the transaction.
"""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa

from backlinks_assets.errors import BacklinksError
from backlinks_assets.statements import Statement

metadata = sa.MetaData()

daily_spend = sa.Table(
    "daily_spend",
    metadata,
    sa.Column("booked_on", sa.String, primary_key=True),
    sa.Column(
        "spent_microusd", sa.BigInteger, nullable=False, comment="costs of ended calls; the expected one if unknown"
    ),
    sa.Column("in_flight_microusd", sa.BigInteger, nullable=False, comment="expected costs of calls under way"),
    sa.Column("in_flight", sa.Integer, nullable=False),
    sa.Column("price_microusd", sa.BigInteger, comment="the highest cost of one answer seen that day"),
)

set_aside = sa.Table(
    "set_aside",
    metadata,
    sa.Column("call_id", sa.String, primary_key=True, comment="a call that is to be made, and not yet sent"),
    sa.Column("booked_on", sa.String, nullable=False, comment="the UTC day whose budget has room for it"),
    sa.Column("owner", sa.String, nullable=False),
)


_day: Final[sa.BindParameter[Any]] = sa.bindparam("of_day")
_call: Final[sa.BindParameter[Any]] = sa.bindparam("call")
_BEGIN_DAY: Final = Statement(daily_spend.insert(), "booked_on", "spent_microusd", "in_flight_microusd", "in_flight")
_SPEND: Final = Statement(
    sa.select(
        daily_spend.c.spent_microusd,
        daily_spend.c.in_flight_microusd,
        daily_spend.c.in_flight,
        daily_spend.c.price_microusd,
    ).where(daily_spend.c.booked_on == _day)
)
_ASIDE: Final = Statement(sa.select(sa.func.count()).select_from(set_aside).where(set_aside.c.booked_on == _day))
_SET_ASIDE: Final = Statement(set_aside.insert())
_GIVE_BACK: Final = Statement(set_aside.delete().where(set_aside.c.call_id == _call))


class BudgetError(BacklinksError):
    """So many more calls could take the day's spend past its budget; the message gives the amounts."""

    def __init__(self, message: str, calls: int) -> None:
        super().__init__(message)
        self.calls = calls


class PriceUnknownError(Exception):
    """The day's first priced answer is still under way; ask again when it is here."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Dollars a UTC day (None: no cap), and what a call is taken to cost before an answer of the day said so."""

    usd_per_day: float | None
    expected_price_usd: float


def microusd(cost_usd: float | None) -> int | None:
    """Return whole micro-dollars; decimal arithmetic, since 0.024036 has no exact float."""
    return None if cost_usd is None else int((Decimal(repr(cost_usd)) * 1_000_000).to_integral_value())


@dataclass(frozen=True, slots=True)
class _Standing:
    """How a day's budget stands, in micro-dollars: what is spent, and what calls that are begun or promised may cost."""

    spent: int
    under_way: int
    calls_under_way: int
    calls_set_aside: int
    price: int
    is_priced: bool

    @property
    def committed(self) -> int:
        """All at the price that is known now: it may have risen since a call under way was entered."""
        under_way = max(self.under_way, self.calls_under_way * self.price)
        return self.spent + under_way + self.calls_set_aside * self.price

    def has_room(self, calls: int, budget: Budget) -> bool:
        return self.committed + calls * self.price <= (microusd(budget.usd_per_day) or 0)


def admit(tx: sa.Connection, call_id: str, owner: str, at: dt.datetime, budget: Budget, others: Collection[str]) -> int:
    """Return the micro-dollars that a call is expected to cost, if the day has room for it and for `others`.

    Raises:
        BudgetError, PriceUnknownError: as `ledger.start`, which enters the call.
    """
    day = at.date().isoformat()
    if budget.usd_per_day is not None:
        give_back(tx, [call_id])
    standing = _standing(tx, day, budget)
    if budget.usd_per_day is not None:
        calls = 1 + len(others)
        if not standing.has_room(calls, budget):
            wanted = "another call" if calls == 1 else f"the {calls} calls of another target"
            raise BudgetError(
                f"The budget of ${budget.usd_per_day:,.2f} for {day} (UTC) leaves no room for {wanted}: "
                f"${standing.spent / 1e6:,.6g} is spent and ${(standing.committed - standing.spent) / 1e6:,.6g} under "
                f"way, and a call costs ${standing.price / 1e6:,.6g}. Raise BACKLINKS_BUDGET_USD_PER_DAY, or go on "
                "tomorrow.",
                calls,
            )
        if not standing.is_priced and standing.calls_under_way > 0:
            raise PriceUnknownError
        for other in others:
            _SET_ASIDE.on(tx, {"call_id": other, "booked_on": day, "owner": owner})
    return standing.price


def _standing(tx: sa.Connection, day: str, budget: Budget) -> _Standing:
    if (spend := _SPEND.on(tx, {"of_day": day}).fetchone()) is None:
        _BEGIN_DAY.on(tx, {"booked_on": day, "spent_microusd": 0, "in_flight_microusd": 0, "in_flight": 0})
        spend = (0, 0, 0, None)
    spent, under_way, calls_under_way, price = spend
    (aside,) = _ASIDE.on(tx, {"of_day": day}).fetchone()
    expected = microusd(budget.expected_price_usd) or 0
    return _Standing(spent, under_way, calls_under_way, aside, expected if price is None else price, price is not None)


def set_room_aside(tx: sa.Connection, call_id: str, owner: str, at: dt.datetime, budget: Budget) -> bool:
    """Set room aside for a call that is to be made later, if the budget of the UTC day has it; return whether it has."""
    day = at.date().isoformat()
    if budget.usd_per_day is None or not _standing(tx, day, budget).has_room(1, budget):
        return False
    _SET_ASIDE.on(tx, {"call_id": call_id, "booked_on": day, "owner": owner})
    return True


def give_back(tx: sa.Connection, call_ids: Iterable[str]) -> None:
    """Give back the room that was set aside for calls, if any was: they are started now, or will not be made."""
    for call_id in call_ids:
        _GIVE_BACK.on(tx, {"call": call_id})


def room_set_aside(tx: sa.Connection) -> list[tuple[str, str]]:
    """Return (call_id, owner) of the calls that room is set aside for, so that dead owners' can be given back."""
    rows = tx.execute(sa.select(set_aside.c.call_id, set_aside.c.owner))
    return [(row.call_id, row.owner) for row in rows]


def dearest(cost: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the day's price after an answer of this cost: the highest that was seen."""
    return sa.case((cost > sa.func.coalesce(daily_spend.c.price_microusd, 0), cost), else_=daily_spend.c.price_microusd)
