"""Money to the micro-dollar: the day's price, the day that is booked, calls of unknown cost, and what reconciling corrects."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import collecting
import faults
import pytest
import stand_in
from collecting import asks_of, rows, run
from faults import Fault, FaultPlan
from stand_in import envelope_of, task_of

from backlinks_assets.collect import reconcile as reconciling
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store
from backlinks_assets.collect.outcome import CollectRequest
from backlinks_assets.dataforseo.answer import Answer, parse_answer
from backlinks_assets.dataforseo.endpoints import id_list
from backlinks_assets.dataforseo.endpoints.id_list import ListedTask, Span, listed_tasks
from backlinks_assets.dataforseo.errors import AccountError, RequestError, TargetError, TransientError
from backlinks_assets.dataforseo.status_codes import error_of
from backlinks_assets.dataforseo.tag import request_tag
from backlinks_assets.settings import Settings
from backlinks_assets.store import ledger
from backlinks_assets.store.budget import Budget, BudgetError
from backlinks_assets.store.ledger import Call
from backlinks_assets.store.responses import ResponseStore

pytestmark = pytest.mark.usefixtures("each_store")

NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
PRICE = 0.024036
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting.be_quick(monkeypatch)


@pytest.fixture
def store(settings: Settings) -> Iterator[ResponseStore]:
    with open_store(settings) as store:
        yield store


def start(store: ResponseStore, name: str, budget: float | None = None, at: dt.datetime = NOON, **other: Any) -> None:
    call = Call(name, other.get("date", at.date()), "shop.example", "live", store._lease.name, 1, at)
    store.start_call(call, Budget(budget, PRICE))


def end(store: ResponseStore, name: str, cost: float | None, outcome: str = ledger.DATA) -> None:
    with store._database.write() as tx:
        ledger.end(tx, name, outcome, NOON, Answer(b"", 200, cost_usd=cost))


def spent() -> dict[str, int]:
    return dict(rows("SELECT booked_on, spent_microusd FROM daily_spend"))


# --- the day's price and the budget's edge --------------------------------------------------------------------------------


@pytest.mark.parametrize("costs", [(0.03, 0.02), (0.02, 0.03), (0.03, 0.0), (0.02, 0.03, 0.01)])
def test_the_price_of_a_day_is_the_highest_that_was_seen(store: ResponseStore, costs: tuple[float, ...]) -> None:
    for number, cost in enumerate(costs):
        start(store, str(number))
        end(store, str(number), cost)
    left = sum(costs) + 0.03
    with pytest.raises(BudgetError):
        start(store, "next", budget=left - 0.000001)
    start(store, "next", budget=left)


def test_a_price_that_is_learned_late_from_the_vendors_list_counts_too(store: ResponseStore) -> None:
    start(store, "known")
    end(store, "known", PRICE)
    start(store, "lost")
    end(store, "lost", None, ledger.NO_ANSWER)
    store.reconcile_calls([("lost", 0.05, "task-1")])
    with pytest.raises(BudgetError):
        start(store, "next", budget=PRICE + 0.05 + 0.04)


@pytest.mark.parametrize("calls", [1, 2, 5, 41])
def test_a_budget_may_be_filled_exactly_and_not_by_a_micro_dollar_more(store: ResponseStore, calls: int) -> None:
    for number in range(calls - 1):
        start(store, str(number))
        end(store, str(number), PRICE)
    with pytest.raises(BudgetError):
        start(store, "last", budget=calls * PRICE - 0.000001)
    start(store, "last", budget=calls * PRICE)
    with pytest.raises(BudgetError):
        start(store, "one more", budget=calls * PRICE)


@pytest.mark.parametrize("hours", [-30, 14, 1000])
def test_a_call_is_booked_on_its_own_utc_day_whatever_day_it_is_about(store: ResponseStore, hours: int) -> None:
    at = NOON + dt.timedelta(hours=hours)
    start(store, "a", at=at, date=NOON.date())
    end(store, "a", PRICE)
    assert spent() == {str(at.date()): 24_036}


@pytest.mark.embedded
def test_simulated_days_of_the_past_are_booked_on_the_day_of_their_calls(settings) -> None:
    past = utc_now().date() - dt.timedelta(days=40)
    from backlinks_assets.dataforseo.endpoints.summary import RequestParameters

    run([CollectRequest(past, "velotrail.example", RequestParameters())])
    assert rows("SELECT DISTINCT booked_on, date FROM api_calls") == [(str(utc_now().date()), str(past))]
    assert list(spent()) == [str(utc_now().date())]


# --- task and envelope that differ -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task_cost", "envelope_cost", "booked"),
    [
        (0, 0.5, 0.0),
        (0.5, 0, 0.5),
        (0.02, 0.5, 0.02),
        (..., 0.5, 0.5),
        (None, 0.5, 0.5),
        (0, ..., 0.0),
        (..., ..., PRICE),
    ],
    ids=str,
)
def test_the_tasks_own_cost_is_booked_and_the_envelopes_only_where_it_has_none(
    monkeypatch, task_cost: Any, envelope_cost: Any, booked: float
) -> None:
    def answer(task: dict[str, Any]) -> Any:
        return envelope_of([task_of(task, cost=task_cost)], cost=envelope_cost)

    with stand_in.serving(answer) as server:
        collecting.point_at(monkeypatch, server.url)
        run(asks_of("shop.example"))
    assert collecting.spent_usd() == pytest.approx(2 * booked)


def test_two_tasks_that_were_charged_are_both_booked(monkeypatch) -> None:
    def answer(task: dict[str, Any]) -> Any:
        refused = task_of(task, status_code=40000, status_message="One task at a time.", result=None, cost=0.01)
        return envelope_of([refused, task_of(task, cost=0.02)], cost=0.5)

    with stand_in.serving(answer) as server:
        collecting.point_at(monkeypatch, server.url)
        outcomes, _ = run(asks_of("shop.example"))
    assert outcomes["shop.example"].error is None  # the task that was carried out answers
    assert outcomes["shop.example"].cost_usd == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("envelope", "task", "kind"),
    [
        (50000, 40100, AccountError),
        (40100, 50000, TransientError),
        (50000, 40501, TargetError),
        (40000, 40202, TransientError),
        (20000, 40210, AccountError),
        (40210, 20000, AccountError),
        (40210, None, AccountError),
        (40000, 20000, RequestError),
    ],
)
def test_of_two_refusals_the_tasks_own_counts_and_the_envelopes_before_an_ok(
    envelope: int, task: Any, kind: type
) -> None:
    import orjson

    body = envelope_of(
        [task_of({"target": "a.de"}, status_code=task, status_message="Invalid Field: 'target'.")], status_code=envelope
    )
    assert type(error_of(parse_answer(orjson.dumps(body), 200))) is kind


# --- reconciling -----------------------------------------------------------------------------------------------------------


def lost_call(store: ResponseStore, name: str, at: dt.datetime) -> None:
    start(store, name, at=at)
    end(store, name, None, ledger.NO_ANSWER)


def pages(*of: list[ListedTask]) -> Callable[..., list[ListedTask]]:
    def listed_from(span: Span) -> list[ListedTask]:
        number = span.offset // reconciling.MAX_ROWS_PER_CALL
        return of[number] if number < len(of) else []

    return listed_from


def listed_as(tag: str, name: str, cost: float | None = 0.05) -> ListedTask:
    return ListedTask(name, tag, cost, "2026-11-24 12:00:00 +00:00")


TAG = request_tag(NOON.date(), "shop.example", "live")


def test_two_reconcilers_at_once_book_once(store: ResponseStore, settings) -> None:
    lost_call(store, "lost", NOON)
    with open_store(settings) as other:
        both = [each.unknown_calls(NOON - MINUTE) for each in (store, other)]  # each has looked before the other books
        assert both[0] == both[1] != []
        for each in (store, other):
            each.reconcile_calls([("lost", 0.01, "task-1")])
    assert spent() == {"2026-11-24": 10_000}


def test_what_was_reconciled_stays_when_the_list_says_otherwise_later(store: ResponseStore) -> None:
    lost_call(store, "lost", NOON)
    for cost in (0.05, 0.0, 0.05):
        store.reconcile_calls([("lost", cost, None)])
    assert spent() == {"2026-11-24": 50_000}


@pytest.mark.parametrize(("days", "is_asked"), [(0, True), (24, True), (26, False), (300, False)])
def test_a_call_older_than_the_vendors_memory_of_tags_is_not_looked_up(
    store: ResponseStore, days: int, is_asked: bool
) -> None:
    lost_call(store, "lost", NOON - dt.timedelta(days=days))
    asked: list[int] = []

    def listed_from(span: Span) -> list[ListedTask]:
        asked.append(span.offset)
        return []

    reconciling.reconcile(store, listed_from, NOON, MINUTE)
    assert bool(asked) is is_asked


@pytest.mark.parametrize("last_page", [0, 1])
def test_a_page_that_is_exactly_full_is_not_the_last(store: ResponseStore, monkeypatch, last_page: int) -> None:
    monkeypatch.setattr(reconciling, "MAX_ROWS_PER_CALL", 3)
    lost_call(store, "lost", NOON - 2 * MINUTE)
    others = [listed_as("another tag", f"other-{number}") for number in range(3)]
    mine = [listed_as(TAG, "mine")] * last_page
    assert reconciling.reconcile(store, pages(others, mine), NOON, MINUTE) == 1
    assert spent() == {"2026-11-24": 50_000 * last_page}  # found on the second page, or in no page of a whole list


def test_rows_that_say_nothing_count_as_rows_of_a_full_page(store: ResponseStore, monkeypatch) -> None:
    """A page is full by what the vendor lists, not by what can be made of it."""
    monkeypatch.setattr(reconciling, "MAX_ROWS_PER_CALL", 3)
    lost_call(store, "lost", NOON - 2 * MINUTE)
    body = envelope_of([{"status_code": 20000, "result": [{"id": "a"}, None, {"id": "b", "metadata": {"tag": "x"}}]}])
    import orjson

    page = listed_tasks(parse_answer(orjson.dumps(body), 200))
    assert len(page) == 3
    reconciling.reconcile(store, pages(page, [listed_as(TAG, "mine")]), NOON, MINUTE)
    assert spent() == {"2026-11-24": 50_000}


@pytest.mark.parametrize(
    "tasks", [[], None, [{"status_code": 20000}], [{"status_code": 20000, "result": "?"}]], ids=str
)
def test_a_list_that_is_none_proves_nothing(monkeypatch, tasks: Any) -> None:
    """Absence from it would give the call's room in the budget back."""
    monkeypatch.setenv("BACKLINKS_READ_TIMEOUT_S", "1")
    with stand_in.serving(stand_in.good) as server:
        collecting.point_at(monkeypatch, server.url)
        with open_store(Settings.from_env()) as store:
            lost_call(store, "lost", utc_now() - 60 * MINUTE)
        monkeypatch.setattr(
            server, "reply", lambda path, task: envelope_of(tasks) if "id_list" in path else stand_in.good(task)
        )
        _, stopped = run(asks_of("shop.example"))
    assert stopped is None
    assert rows("SELECT cost_microusd FROM api_calls WHERE call_id = 'lost'") == [(None,)]


def test_nothing_listed_is_a_list() -> None:
    import orjson

    for result in ([], None):
        assert (
            listed_tasks(parse_answer(orjson.dumps(envelope_of([{"status_code": 20000, "result": result}])), 200)) == []
        )
    assert id_list.MAX_ROWS_PER_CALL == reconciling.MAX_ROWS_PER_CALL


# --- what a run says it cost -----------------------------------------------------------------------------------------------


def test_a_runs_cost_includes_refusals_that_were_charged(api) -> None:
    charged = [
        Fault(faults.code(40501), target="refused.example", charged=True),
        Fault(faults.code(50000), target="retried.example", first_of_each_target=2, charged=True),
        Fault(faults.wrong_target(), target="another.example"),
    ]
    server = api(*charged)
    outcomes, _ = run(asks_of("refused.example", "retried.example", "another.example", "good.example"))
    assert sum(outcome.cost_usd for outcome in outcomes.values()) == pytest.approx(server.spent_usd)
    assert server.spent_usd > 8 * PRICE
    assert collecting.spent_usd() == pytest.approx(server.spent_usd)
    server.faults = FaultPlan([])
    again, _ = run(asks_of("retried.example", "good.example"))
    assert sum(outcome.cost_usd for outcome in again.values()) == 0.0
