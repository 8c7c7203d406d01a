"""Half a reading is worth nothing: a target's two calls have room in the day's budget together, or neither is made."""

import datetime as dt
import threading
from collections import Counter

import collecting
import faults
import pytest
from collecting import asks_of, kept, rows, run, shops
from faults import Fault
from simulated_api import PRICE_USD

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store
from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.settings import Settings
from backlinks_assets.store import budget, ledger
from backlinks_assets.store.budget import Budget, BudgetError
from backlinks_assets.store.database import StoreDatabase
from backlinks_assets.store.ledger import Call
from backlinks_assets.store.responses import ResponseStore

pytestmark = pytest.mark.usefixtures("each_store")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting.be_quick(monkeypatch)


def room_for(monkeypatch: pytest.MonkeyPatch, calls: float) -> None:
    """Set a budget that so many calls fill exactly."""
    monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", f"{calls * PRICE_USD:.6f}")


def halves() -> set[str]:
    """Targets of which one answer is kept."""
    return {target for target, count in Counter(target for target, _ in kept()).items() if count == 1}


@pytest.mark.first
@pytest.mark.parametrize("calls", [2, 3, 6, 7, 60, 61])
def test_a_budget_that_ends_in_mid_day_pays_for_whole_targets_to_the_last_cent(api, monkeypatch, calls: int) -> None:
    room_for(monkeypatch, calls)
    server = api(latency_s=0.02)
    outcomes, stopped = run(asks_of(*shops(50)))
    assert "BACKLINKS_BUDGET_USD_PER_DAY" in (stopped or "")
    assert len(outcomes) == 50
    assert halves() == set()
    assert len(server.calls) == calls // 2 * 2
    assert len(kept()) == calls // 2 * 2
    assert collecting.spent_usd() == pytest.approx(server.spent_usd)
    assert rows("SELECT * FROM set_aside") == []


def test_money_for_one_call_buys_none(api, monkeypatch) -> None:
    room_for(monkeypatch, 1)
    server = api()
    outcomes, stopped = run(asks_of(*shops(3)))
    assert "leaves no room for the 2 calls of another target" in (stopped or "")
    assert server.calls == []
    assert all("no room" in (outcome.error or "") for outcome in outcomes.values())


def test_a_target_of_which_one_answer_is_kept_needs_room_for_one(api, monkeypatch) -> None:
    server = api(Fault(faults.code(50000), target="half.example", status_type="lost"))
    run(asks_of("half.example"))
    assert halves() == {"half.example"}
    server.faults = faults.FaultPlan([])
    room_for(monkeypatch, 2)  # one is spent: refusals cost nothing
    made = len(server.calls)
    outcomes, stopped = run(asks_of(*shops(40), "half.example", *shops(60)[40:]))
    assert stopped is not None
    assert outcomes["half.example"].error is None
    assert [(call.target, call.status_type) for call in server.calls[made:]] == [("half.example", "lost")]


@pytest.mark.parametrize("status_type", ["live", "lost", None])
def test_what_an_answer_needs_again_is_not_given_to_another_target_meanwhile(api, monkeypatch, status_type) -> None:
    """A refusal that is free gives its room back, and its retry needs it a moment later."""
    api(Fault(faults.code(50000), status_type=status_type, first_of_each_target=2), latency_s=0.02)
    room_for(monkeypatch, 5)
    _, stopped = run(asks_of(*shops(40)))
    assert "BUDGET" in (stopped or "")
    assert halves() == set()
    assert len(kept()) == 4


@pytest.mark.parametrize("invalid", [1, 3, 25])
def test_the_room_of_targets_refused_for_nothing_goes_to_others_of_the_same_run(api, monkeypatch, invalid: int) -> None:
    names = [f"invalid{number}.example" for number in range(invalid)]
    server = api(Fault(faults.code(40501), target="invalid*"), latency_s=0.02)
    room_for(monkeypatch, 6)
    outcomes, _ = run(asks_of(*names, *shops(3)))
    assert len(outcomes) == invalid + 3
    assert {target for target, _ in kept()} == set(shops(3))
    assert halves() == set()
    assert server.spent_usd == pytest.approx(6 * PRICE_USD)


def test_with_thirty_in_flight_and_two_runs_no_target_is_paid_for_by_half(api, monkeypatch) -> None:
    room_for(monkeypatch, 41)
    server = api(latency_s=0.03)
    stops: list[str | None] = []
    threads = [threading.Thread(target=lambda: stops.append(run(asks_of(*shops(60)))[1])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("BUDGET" in (stop or "") for stop in stops)
    assert halves() == set()
    assert len(server.calls) == len(kept()) == 40
    assert rows("SELECT * FROM set_aside") == []


def test_what_a_killed_run_had_begun_and_set_aside_is_no_obstacle_to_the_next(api, monkeypatch) -> None:
    """Its call is not in the vendor's list and old enough, so it was not charged; what was set aside was never sent."""
    monkeypatch.setenv("BACKLINKS_READ_TIMEOUT_S", "30")  # and an eighth: the call is older
    api()
    room_for(monkeypatch, 2)
    settings = Settings.from_env()
    with open_store(settings) as store:
        a_while_ago = utc_now() - dt.timedelta(minutes=1)
        call = Call("killed", utc_now().date(), "dead.example", "live", store._lease.name, 1, a_while_ago)
        store.start_call(call, Budget(settings.budget_usd_per_day, PRICE_USD), ["never-sent"])
    outcomes, stopped = run(asks_of("shop.example"))
    assert (stopped, outcomes["shop.example"].error) == (None, None)
    assert rows("SELECT * FROM set_aside") == []


def test_a_stop_by_a_person_gives_back_what_was_set_aside(api, monkeypatch) -> None:
    from backlinks_assets.collect.factory import open_collector

    monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", "100")
    api(latency_s=0.1)
    with open_collector(Settings.from_env()) as collector:
        stream = collector.collect(asks_of(*shops(200)))
        next(stream)
        stream.close()
        assert rows("SELECT * FROM set_aside") == []
        assert rows("SELECT * FROM claims") == []
        assert rows("SELECT in_flight FROM daily_spend") == [(0,)]


# --- the budget itself ---------------------------------------------------------------------------------------------------

NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
PRICE = 0.024036


@pytest.fixture
def database(store_database: StoreDatabase) -> StoreDatabase:
    return store_database


def start(database: StoreDatabase, name: str, usd: float | None, *others: str, at: dt.datetime = NOON) -> None:
    with database.write() as tx:
        ledger.start(tx, Call(name, at.date(), "example.com", "live", "owner", 1, at), Budget(usd, PRICE), others)


def end(database: StoreDatabase, name: str, outcome: str = ledger.DATA, cost: float | None = PRICE) -> None:
    with database.write() as tx:
        ledger.end(tx, name, outcome, NOON, Answer(b"", 200, cost_usd=cost))


def aside(database: StoreDatabase) -> list[str]:
    with database.read() as tx:
        return [call for call, _ in budget.room_set_aside(tx)]


def test_what_is_set_aside_counts_until_its_call_starts_or_it_is_given_back(database: StoreDatabase) -> None:
    start(database, "a", 4 * PRICE, "b")
    end(database, "a")
    with pytest.raises(BudgetError) as refused:
        start(database, "c", 4 * PRICE - 0.000001, "d")
    assert refused.value.calls == 2
    assert aside(database) == ["b"]
    start(database, "c", 4 * PRICE, "d")
    start(database, "b", 4 * PRICE)
    with pytest.raises(BudgetError):
        start(database, "e", 4 * PRICE)
    with database.write() as tx:
        budget.give_back(tx, ["d"])
    start(database, "e", 4 * PRICE)
    assert aside(database) == []


def test_what_is_set_aside_is_reckoned_at_the_price_that_is_known_by_then(database: StoreDatabase) -> None:
    start(database, "a", 0.95, "b")
    end(database, "a", cost=0.3)  # the first answer of the day tells that the price has risen
    with pytest.raises(BudgetError):
        start(database, "c", 0.95, "d")  # 0.3 spent, 0.3 promised to b
    start(database, "b", 0.95)
    end(database, "b", cost=0.3)


def test_calls_in_flight_are_reckoned_at_the_price_that_is_known_by_then(database: StoreDatabase) -> None:
    start(database, "a", 1.0)
    end(database, "a")
    start(database, "b", 1.0)
    start(database, "c", 1.0)
    end(database, "b", cost=0.4)
    with pytest.raises(BudgetError):
        start(database, "d", 1.0)  # 0.424036 spent, c may cost 0.4 as well


def test_room_set_aside_before_midnight_is_the_old_days_and_the_call_is_booked_on_the_new_one(
    database: StoreDatabase,
) -> None:
    late, early = NOON.replace(hour=23, minute=59), NOON + dt.timedelta(hours=12, minutes=1)
    start(database, "a", 2 * PRICE, "b", at=late)
    start(database, "b", 2 * PRICE, at=early)
    assert aside(database) == []
    with pytest.raises(BudgetError):
        start(database, "c", 2 * PRICE, "d", at=early)
    with database.read() as tx:
        days = tx.execute(ledger.daily_spend.select().order_by("booked_on")).all()
    assert [(str(day.booked_on), day.in_flight) for day in days] == [("2026-11-24", 1), ("2026-11-25", 1)]


def test_without_a_budget_nothing_is_set_aside(database: StoreDatabase) -> None:
    start(database, "a", None, "b")
    assert aside(database) == []


def test_a_dead_process_room_is_given_back_and_a_living_ones_is_not(settings, api) -> None:
    api()
    settings = Settings.from_env()
    with open_store(settings) as store:
        database = store._database
        for owner in ("long-dead", store._lease.name):
            with database.write() as tx:
                tx.execute(budget.set_aside.insert(), {"call_id": owner, "booked_on": NOON.date(), "owner": owner})
        assert store.close_dead_calls(utc_now()) == 0
        assert aside(database) == [store._lease.name]
    assert isinstance(store, ResponseStore)
