"""The budget of a UTC day: what is spent, what calls under way may cost, and whether more calls have room.

Here belong the day's sums and whether a call may start. The calls themselves, and what each cost, are `ledger.py`.
Amounts are whole micro-dollars, exact in sums. Each endpoint has its own price. The caller gives the transaction.
"""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import sqlalchemy as sa

from backlinks_assets.dataforseo.endpoints.summary import NAME as SUMMARY
from backlinks_assets.errors import BacklinksError
from backlinks_assets.store.columns import TEXT, hold, upsert
from backlinks_assets.store.database import metadata

daily_spend = sa.Table(
    "daily_spend",
    metadata,
    sa.Column("booked_on", sa.Date, primary_key=True),
    sa.Column(
        "spent_microusd", sa.BigInteger, nullable=False, comment="costs of ended calls; the expected one if unknown"
    ),
    sa.Column("in_flight_microusd", sa.BigInteger, nullable=False, comment="expected costs of calls under way"),
    sa.Column("in_flight", sa.Integer, nullable=False),
    sa.Column("price_microusd", sa.BigInteger, comment="the highest cost of one answer seen that day"),
    sa.Column("endpoint", TEXT, primary_key=True, server_default=SUMMARY),
)

set_aside = sa.Table(
    "set_aside",
    metadata,
    sa.Column("call_id", TEXT, primary_key=True, comment="a call that is to be made, and not yet sent"),
    sa.Column("booked_on", sa.Date, nullable=False, comment="the UTC day whose budget has room for it"),
    sa.Column("owner", TEXT, nullable=False),
    sa.Column("endpoint", TEXT, nullable=False, server_default=SUMMARY),
    sa.Column("reserved_microusd", sa.BigInteger, nullable=False, server_default="0", comment="its expected cost"),
)

_SUMS: Final = sa.select(daily_spend).where(daily_spend.c.booked_on == sa.bindparam("day"))


class BudgetError(BacklinksError):
    """So many more calls could take the day's spend past its budget; the message gives the amounts."""

    def __init__(self, message: str, calls: int) -> None:
        super().__init__(message)
        self.calls = calls


class PriceUnknownError(Exception):
    """The day's first priced answer is still under way; try again when it is here."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Dollars per UTC day (None: no cap), and the price of the endpoint's calls until an answer of the day gives it.

    `cap_usd` is a cap of this endpoint's own inside it, set by `variable`. Its calls differ in rows: then the expected price
    counts where it is higher than those that were seen.
    """

    usd_per_day: float | None
    expected_price_usd: float
    cap_usd: float | None = None
    variable: str = ""

    @property
    def is_open(self) -> bool:
        """Whether nothing caps the day."""
        return self.usd_per_day is None and self.cap_usd is None


def microusd(cost_usd: float | None) -> int | None:
    """Return whole micro-dollars; decimal arithmetic, since 0.024036 has no exact float."""
    return None if cost_usd is None else int((Decimal(repr(cost_usd)) * 1_000_000).to_integral_value())


@dataclass(frozen=True, slots=True)
class _Standing:
    """A day's sums in micro-dollars. `spent` and `under_way` are of all endpoints, the others of one."""

    spent: int
    under_way: int
    price: int
    is_priced: bool
    calls_under_way: int
    own: int

    def has_room(self, calls: int, budget: Budget) -> bool:
        more = calls * self.price
        in_day = budget.usd_per_day is None or self.spent + self.under_way + more <= (microusd(budget.usd_per_day) or 0)
        return in_day and self.is_under_cap(calls, budget)

    def is_under_cap(self, calls: int, budget: Budget) -> bool:
        """Whether the endpoint's own calls stay within its cap, those under way at their price."""
        return budget.cap_usd is None or self.own + calls * self.price <= (microusd(budget.cap_usd) or 0)


def admit(
    tx: sa.Connection,
    call_id: str,
    owner: str,
    at: dt.datetime,
    budget: Budget,
    others: Collection[str] = (),
    endpoint: str = SUMMARY,
) -> int:
    """Return the micro-dollars that a call is expected to cost, if the day has room for it and for `others`.

    Raises:
        BudgetError, PriceUnknownError: as `ledger.start`, which enters the call.
    """
    day = at.date()
    if budget.is_open:
        return _standing(tx, day, budget, endpoint).price
    hold_day(tx, day)
    give_back(tx, [call_id])
    standing = _standing(tx, day, budget, endpoint)
    calls = 1 + len(others)
    if not standing.is_under_cap(calls, budget):
        raise BudgetError(
            f"{budget.variable} of ${budget.cap_usd:,.2f} for {day} (UTC) leaves no room for another call: "
            f"${standing.own / 1e6:,.6g} is spent or under way, and a call costs up to ${standing.price / 1e6:,.6g}.",
            calls,
        )
    if not standing.has_room(calls, budget):
        wanted = "another call" if calls == 1 else f"the {calls} calls of another target"
        raise BudgetError(
            f"The budget of ${budget.usd_per_day:,.2f} for {day} (UTC) leaves no room for {wanted}: "
            f"${standing.spent / 1e6:,.6g} is spent and ${standing.under_way / 1e6:,.6g} under way, and a call costs "
            f"${standing.price / 1e6:,.6g}. Raise BACKLINKS_BUDGET_USD_PER_DAY, or go on tomorrow.",
            calls,
        )
    if not standing.is_priced and standing.calls_under_way > 0:
        raise PriceUnknownError
    for other in others:
        _set_aside(tx, other, owner, day, endpoint, standing.price)
    return standing.price


def hold_day(tx: sa.Connection, day: dt.date) -> None:
    """Let no other transaction look for room in a day's budget until this one ends."""
    hold(tx, f"budget {day}")


def _standing(tx: sa.Connection, day: dt.date, budget: Budget, endpoint: str) -> _Standing:
    """Return a day's sums. A call under way counts at the price known now, which may have risen since it started."""
    rows = {row.endpoint: row for row in tx.execute(_SUMS, {"day": day})}
    if (own := rows.get(endpoint)) is None:
        new = {"booked_on": day, "endpoint": endpoint, "spent_microusd": 0, "in_flight_microusd": 0, "in_flight": 0}
        upsert(tx, daily_spend, new)
    prices = {each: row.price_microusd for each, row in rows.items() if row.price_microusd is not None}
    expected = microusd(budget.expected_price_usd) or 0
    price = prices.get(endpoint, expected)
    if endpoint != SUMMARY or budget.cap_usd is not None:  # calls differ in rows: a cheap one says nothing of a larger
        price = max(price, expected)
    reserved = dict.fromkeys(rows, 0)
    for each, row in rows.items():
        reserved[each] += max(
            row.in_flight_microusd, row.in_flight * (price if each == endpoint else prices.get(each, 0))
        )
    if not budget.is_open:
        aside = sa.select(set_aside.c.endpoint, set_aside.c.reserved_microusd).filter_by(booked_on=day)
        for each, amount in tx.execute(aside):
            reserved[each] = reserved.get(each, 0) + (price if each == endpoint else prices.get(each, amount))
    return _Standing(
        spent=sum(row.spent_microusd for row in rows.values()),
        under_way=sum(reserved.values()),
        price=price,
        is_priced=endpoint in prices,
        calls_under_way=own.in_flight if own else 0,
        own=(own.spent_microusd if own else 0) + reserved.get(endpoint, 0),
    )


def set_room_aside(
    tx: sa.Connection, call_id: str, owner: str, at: dt.datetime, budget: Budget, endpoint: str = SUMMARY
) -> bool:
    """Set room aside for a later call; return False where the UTC day's budget has none."""
    if budget.is_open:
        return False
    hold_day(tx, at.date())
    if call_id in dict(room_set_aside(tx)):  # by the same transaction, before it was repeated
        return True
    standing = _standing(tx, at.date(), budget, endpoint)
    if has_room := standing.has_room(1, budget):
        _set_aside(tx, call_id, owner, at.date(), endpoint, standing.price)
    return has_room


def _set_aside(tx: sa.Connection, call_id: str, owner: str, day: dt.date, endpoint: str, price: int) -> None:
    row = {"call_id": call_id, "booked_on": day, "owner": owner, "endpoint": endpoint, "reserved_microusd": price}
    upsert(tx, set_aside, row)


def give_back(tx: sa.Connection, call_ids: Iterable[str]) -> None:
    """Give back the room set aside for calls that are started now, or will not be made."""
    tx.execute(set_aside.delete().where(set_aside.c.call_id.in_(list(call_ids))))


def room_set_aside(tx: sa.Connection) -> list[tuple[str, str]]:
    """Return (call_id, owner) of the calls that room is set aside for: that of dead processes can be given back."""
    return [(row.call_id, row.owner) for row in tx.execute(sa.select(set_aside))]


def left_usd(tx: sa.Connection, day: dt.date, budget: Budget) -> float | None:
    """Return what a day's budget has left when all calls under way are charged; None without a budget."""
    if budget.usd_per_day is None:
        return None
    standing = _standing(tx, day, budget, SUMMARY)
    return max(0.0, budget.usd_per_day - (standing.spent + standing.under_way) / 1e6)
