"""The ledger: exact sums, and a budget that calls in flight count against."""

import datetime as dt
from collections.abc import Collection

import pytest
import sqlalchemy as sa

from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.dataforseo.endpoints.summary import NAME as SUMMARY
from backlinks_assets.store import ledger
from backlinks_assets.store.budget import Budget, BudgetError, PriceUnknownError
from backlinks_assets.store.database import StoreDatabase
from backlinks_assets.store.ledger import Call

pytestmark = pytest.mark.usefixtures("each_store")

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
PRICE = 0.024036
BULK = "backlinks/bulk_pages_summary/live"


@pytest.fixture
def database(store_database: StoreDatabase) -> StoreDatabase:
    return store_database


def start(
    database: StoreDatabase,
    name: str,
    budget: float | None = None,
    at: dt.datetime = NOW,
    *,
    endpoint: str = SUMMARY,
    price: float = PRICE,
    others: Collection[str] = (),
) -> None:
    call = Call(name, at.date(), "example.com", "live", "owner", 1, at, endpoint)
    with database.write() as tx:
        ledger.start(tx, call, Budget(budget, price), others)


def end(database: StoreDatabase, name: str, outcome: str = ledger.DATA, cost: float | None = PRICE) -> None:
    with database.write() as tx:
        ledger.end(tx, name, outcome, NOW, Answer(b"", 200, cost_usd=cost))


def spend(database: StoreDatabase) -> tuple[int, int, int]:
    with database.read() as tx:
        row = tx.execute(sa.select(ledger.daily_spend)).one()
    return row.spent_microusd, row.in_flight_microusd, row.in_flight


@pytest.mark.first
def test_a_thousand_costs_add_up_exactly(database: StoreDatabase) -> None:
    for number in range(1000):
        start(database, str(number))
        end(database, str(number))
    assert spend(database) == (24_036_000, 0, 0)


def test_calls_in_flight_count_against_the_budget(database: StoreDatabase) -> None:
    start(database, "first", budget=0.1)
    end(database, "first")  # the day's price is known from here on
    start(database, "a", budget=0.1)
    start(database, "b", budget=0.1)
    start(database, "c", budget=0.1)  # 4 x 0.024036 = 0.096144
    with pytest.raises(BudgetError, match=r"BACKLINKS_BUDGET_USD_PER_DAY"):
        start(database, "d", budget=0.1)
    assert spend(database) == (24_036, 72_108, 3)


def test_with_a_budget_the_first_call_of_a_day_goes_alone_since_the_price_may_have_risen(
    database: StoreDatabase,
) -> None:
    start(database, "first", budget=0.25)
    with pytest.raises(PriceUnknownError):
        start(database, "second", budget=0.25)
    end(database, "first", cost=0.2)
    with pytest.raises(BudgetError):  # 0.2 is spent and the next may cost 0.2 too
        start(database, "second", budget=0.25)


def test_each_endpoint_is_reckoned_at_its_own_price(database: StoreDatabase) -> None:
    for endpoint, cost in ((SUMMARY, 0.02), (BULK, 0.06)):
        start(database, endpoint, endpoint=endpoint)
        end(database, endpoint, cost=cost)
    with pytest.raises(BudgetError, match=r"\$0.08 is spent and \$0 under way, and a call costs \$0.06"):
        start(database, "bulk", budget=0.14 - 1e-6, endpoint=BULK)
    with pytest.raises(BudgetError, match=r"a call costs \$0.02"):
        start(database, "summary", budget=0.1 - 1e-6)
    start(database, "summary", budget=0.12, others=["another"])  # 0.08 + 2 x 0.02: each at the price of the summary
    with pytest.raises(BudgetError, match=r"\$0.04 under way"):
        start(database, "bulk", budget=0.18 - 1e-6, endpoint=BULK)
    start(database, "bulk", budget=0.18, endpoint=BULK)
    end(database, "bulk", cost=0.07)  # a rise that is no matter of the summary's
    with pytest.raises(BudgetError, match=r"\$0.15 is spent and \$0.04 under way, and a call costs \$0.02"):
        start(database, "next", budget=0.21 - 1e-6)
    start(database, "next", budget=0.21)


def test_of_each_endpoint_the_first_call_of_a_day_goes_alone_at_what_it_is_expected_to_cost(
    database: StoreDatabase,
) -> None:
    start(database, "first", budget=1, price=0.02)
    start(database, "bulk", budget=1.02, endpoint=BULK, price=0.5, others=["bulk 2"])  # waits for no summary
    with pytest.raises(PriceUnknownError):
        start(database, "bulk 3", budget=2, endpoint=BULK, price=0.5)
    end(database, "first", cost=0.02)
    with pytest.raises(PriceUnknownError):  # what a summary costs says nothing of it
        start(database, "bulk 3", budget=2, endpoint=BULK, price=0.5)
    with pytest.raises(BudgetError, match=r"\$0.02 is spent and \$1 under way"):
        start(database, "second", budget=1.04 - 1e-6)
    start(database, "second", budget=1.04)


def test_a_call_without_an_answer_is_counted_as_charged(database: StoreDatabase) -> None:
    start(database, "lost")
    end(database, "lost", ledger.NO_ANSWER, None)
    assert spend(database) == (24_036, 0, 0)
    with database.read() as tx:
        costs = ledger.day_costs(tx, NOW.date())
    assert (costs.calls, costs.answers, costs.cost_usd, costs.charged_without_answer) == (1, 0, 0.0, 1)


def test_a_refusal_is_booked_with_what_it_says_it_cost(database: StoreDatabase) -> None:
    start(database, "free")
    end(database, "free", ledger.REFUSED, 0.0)
    start(database, "charged")
    end(database, "charged", ledger.REFUSED, 0.02)
    with database.read() as tx:
        costs = ledger.day_costs(tx, NOW.date())
    assert (costs.calls, costs.answers, costs.cost_usd, costs.charged_without_answer) == (2, 0, 0.02, 1)


def test_closing_a_call_twice_books_it_once(database: StoreDatabase) -> None:
    start(database, "once")
    end(database, "once")
    end(database, "once")
    assert spend(database) == (24_036, 0, 0)


def test_a_call_belongs_to_the_utc_day_on_which_it_started(database: StoreDatabase) -> None:
    start(database, "late", at=dt.datetime(2026, 11, 24, 23, 59, 59, tzinfo=dt.UTC))
    start(database, "early", at=dt.datetime(2026, 11, 25, 0, 0, 1, tzinfo=dt.UTC))
    with database.read() as tx:
        assert ledger.day_costs(tx, dt.date(2026, 11, 24)).calls == 1
        assert ledger.day_costs(tx, dt.date(2026, 11, 25)).calls == 1


@pytest.mark.parametrize("cost", [0.024036, 0.1 + 0.2, 0.0, 1e-6])
def test_dollars_become_whole_microdollars(cost: float) -> None:
    assert ledger.microusd(cost) == round(cost * 1e6)
