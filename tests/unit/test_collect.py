"""Collecting against a server that counts: what is asked, what is kept, what is paid, and what ends a run."""

import datetime as dt
import threading
from collections.abc import Sequence

import faults
import orjson
import pytest
from faults import Fault
from simulated_api import SimulatedApi

from backlinks_assets.collect import caller, collector as collector_module
from backlinks_assets.collect.collector import StopError, utc_now
from backlinks_assets.collect.factory import open_collector, open_store
from backlinks_assets.collect.outcome import CollectRequest, Outcome
from backlinks_assets.dataforseo.answer import first_result
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.settings import Settings
from backlinks_assets.store.database import StoreError

pytestmark = pytest.mark.usefixtures("each_store")

PRICE = 0.024036
MORE_THAN_SECONDS_OF_WORK = 2000
"""Targets: the one who stops a run may itself be stalled for some seconds, in which thirty threads go on calling."""


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the rate is not what is tested, it is not waited for."""
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def asks_of(count: int, date: dt.date | None = None, **parameters: object) -> list[CollectRequest]:
    day = date or utc_now().date()
    return [
        CollectRequest(day, f"shop{number:03d}.example", RequestParameters(**parameters)) for number in range(count)
    ]


def run(asks: Sequence[CollectRequest], now=utc_now) -> tuple[list[Outcome], str | None]:
    outcomes: list[Outcome] = []
    with open_collector(Settings.from_env(), now=now) as collector:
        try:
            outcomes.extend(collector.collect(asks))
        except StopError as error:
            return outcomes, str(error)
    return outcomes, None


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of seconds become waits of milliseconds; their number and order stay."""
    import tenacity

    monkeypatch.setattr(
        collector_module, "_backoff", tenacity.wait_exponential_jitter(multiplier=0.01, max=0.05, jitter=0.01)
    )


def test_each_target_is_asked_twice_and_charged_once_and_a_second_run_asks_nothing(api) -> None:
    server = api(calls_at_once=30, latency_s=0.05)
    outcomes, stopped = run(asks_of(40))
    assert stopped is None
    assert [outcome.error for outcome in outcomes] == [None] * 40
    assert sum(outcome.calls for outcome in outcomes) == len(server.calls) == 80
    assert {(call.target, call.status_type) for call in server.calls} == {
        (ask.target, status) for ask in asks_of(40) for status in ("live", "lost")
    }
    assert sum(outcome.cost_usd for outcome in outcomes) == pytest.approx(server.spent_usd)
    assert server.peak_at_once <= 30
    again, _ = run(asks_of(40))
    assert len(server.calls) == 80
    assert [(outcome.calls, outcome.reused, outcome.cost_usd) for outcome in again] == [(0, 2, 0.0)] * 40


def test_what_is_kept_is_what_the_server_sent(api) -> None:
    api()
    (ask,) = asks_of(1)
    ((outcome,), _) = run([ask])
    with open_store(Settings.from_env()) as store:
        live, lost = store.answers(ask.date)
    assert (live.status_type, lost.status_type) == ("live", "lost")
    result = first_result(orjson.loads(live.body))
    assert result is not None
    assert outcome.readings["live"].backlinks == result["backlinks"]
    assert outcome.readings["live"].spam_score == result["backlinks_spam_score"]
    assert live.parameters == ask.parameters.model_dump()
    assert (live.cost_usd, live.attempts, live.simulated) == (PRICE, 1, False)
    assert orjson.loads(live.body)["tasks"][0]["data"]["tag"] == f"{ask.date}|{ask.target}|live"


def test_other_parameters_are_another_answer(api) -> None:
    server = api()
    run(asks_of(1))
    run(asks_of(1, internal_list_limit=10))
    assert len(server.calls) == 4


def test_a_passing_fault_is_retried_and_charged_once(api) -> None:
    server = api(Fault(faults.http(503), first_of_each_target=1))
    outcomes, stopped = run(asks_of(5))
    assert (stopped, [outcome.error for outcome in outcomes]) == (None, [None] * 5)
    paid_for = [call for call in server.calls if call.path.endswith("/summary/live")]  # the list of tasks is free
    assert sum(outcome.calls for outcome in outcomes) == len(paid_for) == 15
    assert server.spent_usd == pytest.approx(10 * PRICE)


def test_a_call_is_attempted_five_times_at_most(api) -> None:
    server = api(Fault(faults.code(50000), target="shop000.example", status_type="lost"))
    outcomes, stopped = run(asks_of(3))
    failed = [outcome for outcome in outcomes if outcome.error]
    assert stopped is None
    assert [(outcome.target, outcome.calls) for outcome in failed] == [("shop000.example", 6)]
    assert "50000" in (failed[0].error or "")
    assert sum(call.target == "shop000.example" and call.status_type == "lost" for call in server.calls) == 5


def test_what_is_begun_goes_on_whatever_becomes_of_one_answer(api) -> None:
    server = api(Fault(faults.code(50000), status_type="live"))
    (outcome,), _ = run(asks_of(1))
    assert "50000" in (outcome.error or "")
    assert list(outcome.readings) == ["lost"]
    assert sum(call.status_type == "lost" for call in server.calls) == 1


def test_where_a_stored_answer_is_gone_the_other_is_not_paid_for(api, monkeypatch) -> None:
    server = api(Fault(faults.code(50000), status_type="lost"))
    run(asks_of(1))
    made = len(server.calls)
    monkeypatch.setattr("backlinks_assets.store.responses.ResponseStore.answer", lambda *_: None)
    (outcome,), _ = run(asks_of(1))
    assert "is gone from the store" in (outcome.error or "")
    assert len(server.calls) == made


def test_a_refused_target_is_asked_once_and_concerns_no_other(api) -> None:
    server = api()
    today = utc_now().date()
    asks = [*asks_of(3), CollectRequest(today, "invalid.example", RequestParameters())]
    outcomes, stopped = run(asks)
    assert stopped is None
    assert {outcome.target for outcome in outcomes if outcome.error} == {"invalid.example"}
    assert sum(call.target == "invalid.example" for call in server.calls) == 2


@pytest.mark.parametrize(
    "refusal",
    [faults.tasks_null(40104), faults.http_402(), faults.code(40210), faults.code(40207), faults.code(40506)],
    ids=["unverified", "402", "funds", "ip", "our-request"],
)
def test_an_account_level_refusal_stops_the_day_at_once_and_keeps_what_was_paid(api, refusal) -> None:
    server = api(Fault(refusal, calls=(41, None)), latency_s=0.1)
    outcomes, stopped = run(asks_of(200))
    assert stopped is not None
    assert len(outcomes) == 200
    assert len(server.calls) <= 40 + 30 + 30  # no more are started than were in flight
    with open_store(Settings.from_env()) as store:
        assert len(store.stored_keys([utc_now().date()])) == 40
    assert any("not requested" in (outcome.error or "") for outcome in outcomes)


def test_an_outage_stops_the_run_instead_of_retrying_every_target(api, monkeypatch) -> None:
    server = api(Fault(faults.code(50000)))
    outcomes, stopped = run(asks_of(300))
    assert "does not answer" in (stopped or "")
    assert len(outcomes) == 300
    assert len(server.calls) < 5 * (collector_module.MAX_CONSECUTIVE_FAILURES + 30 + 30)


def test_the_budget_is_never_passed_with_thirty_calls_in_flight(api, monkeypatch) -> None:
    monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", "1.00")
    server = api(latency_s=0.1)
    _, stopped = run(asks_of(100))
    assert "BACKLINKS_BUDGET_USD_PER_DAY" in (stopped or "")
    assert server.spent_usd <= 1.0
    assert server.spent_usd > 1.0 - 2 * PRICE


def test_a_price_that_has_risen_does_not_break_the_budget(api, monkeypatch) -> None:
    monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", "1.00")
    server = api(latency_s=0.1, price_usd=0.3)
    run(asks_of(100))
    assert server.spent_usd == pytest.approx(0.6)  # two targets whole; what is left is for half of one


def test_a_day_that_is_over_is_built_from_what_is_kept_and_calls_nothing(api) -> None:
    server = api()
    today = utc_now().date()
    run(asks_of(2))
    tomorrow = dt.datetime.combine(today + dt.timedelta(days=1), dt.time(3), dt.UTC)
    outcomes, stopped = run(asks_of(3, today), now=lambda: tomorrow)
    assert (stopped, len(server.calls)) == (None, 4)
    by_target = {outcome.target: outcome for outcome in outcomes}
    assert by_target["shop000.example"].reused == 2
    assert "present only" in (by_target["shop002.example"].error or "")
    later, _ = run(asks_of(1, today, rank_scale="one_hundred"), now=lambda: tomorrow)  # settings may have changed since
    assert later[0].error is None


def test_a_day_that_has_not_begun_is_not_asked_about(api) -> None:
    server = api()
    outcomes, _ = run(asks_of(1, utc_now().date() + dt.timedelta(days=1)))
    assert "has not begun" in (outcomes[0].error or "")
    assert server.calls == []


def test_midnight_in_mid_run_books_nothing_on_the_wrong_day(api) -> None:
    server = api(latency_s=0.1)
    before = dt.datetime(2026, 11, 24, 23, 59, 59, tzinfo=dt.UTC)
    ticks = iter(range(10_000))
    lock = threading.Lock()

    def now() -> dt.datetime:  # midnight, and the hour after it, pass after some calls have been made
        with lock:
            return before + (dt.timedelta(minutes=61) if next(ticks) > 400 else dt.timedelta())

    outcomes, _ = run(asks_of(100, before.date()), now=now)
    done = [outcome for outcome in outcomes if outcome.error is None]
    over = [outcome for outcome in outcomes if outcome.error]
    assert done
    assert over
    assert all("is over" in (outcome.error or "") for outcome in over)
    with open_store(Settings.from_env()) as store:
        assert store.day_costs(before.date()).calls == len(server.calls)
        assert store.day_costs(before.date() + dt.timedelta(days=1)).calls == 0


def test_two_runs_of_a_day_at_once_pay_for_each_answer_once(api) -> None:
    server = api(latency_s=0.1, calls_at_once=30)
    results: list[list[Outcome]] = []
    threads = [threading.Thread(target=lambda: results.append(run(asks_of(60))[0])) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.calls) == 120
    assert server.spent_usd == pytest.approx(120 * PRICE)
    assert [[outcome.error for outcome in outcomes] for outcomes in results] == [[None] * 60] * 2
    assert sum(outcome.calls for outcomes in results for outcome in outcomes) == 120


def test_an_answer_about_another_target_is_refused_but_booked(api) -> None:
    api(Fault(faults.wrong_target(), target="shop001.example"))
    outcomes, _ = run(asks_of(3))
    assert {outcome.target for outcome in outcomes if outcome.error} == {"shop001.example"}
    with open_store(Settings.from_env()) as store:
        costs = store.day_costs(utc_now().date())
    assert (costs.calls, costs.answers, costs.charged_without_answer) == (6, 4, 2)
    assert costs.cost_usd == pytest.approx(6 * PRICE)


def test_stopping_keeps_the_calls_in_flight(api) -> None:
    server = api(latency_s=0.1)
    outcomes: list[Outcome] = []
    with open_collector(Settings.from_env()) as collector:
        stream = collector.collect(asks_of(MORE_THAN_SECONDS_OF_WORK))
        outcomes.append(next(stream))
        collector.stop("enough")
        with pytest.raises(StopError, match="enough"):
            outcomes.extend(stream)
    assert len(server.calls) < MORE_THAN_SECONDS_OF_WORK
    with open_store(Settings.from_env()) as store:
        assert len(store.stored_keys([utc_now().date()])) == len(server.calls)


def test_a_consumer_that_goes_away_stops_the_run_and_keeps_what_was_in_flight(api) -> None:
    server = api(latency_s=0.1)
    with open_collector(Settings.from_env()) as collector:
        stream = collector.collect(asks_of(MORE_THAN_SECONDS_OF_WORK))
        next(stream)
        stream.close()
    assert len(server.calls) < MORE_THAN_SECONDS_OF_WORK
    with open_store(Settings.from_env()) as store:
        assert len(store.stored_keys([utc_now().date()])) == len(server.calls)


def test_without_room_for_the_answer_no_call_is_started(api, monkeypatch) -> None:
    server = api()
    monkeypatch.setattr(caller, "MIN_FREE_BYTES", 1 << 60)
    _, stopped = run(asks_of(5))
    assert "free" in (stopped or "")
    assert server.calls == []


def test_simulated_answers_are_not_kept_among_real_ones(monkeypatch, settings) -> None:
    with SimulatedApi() as simulator:  # its url without /simulator, as a person could mistype it
        monkeypatch.setenv("DATAFORSEO_BASE_URL", simulator.url.removesuffix("/simulator"))
        outcomes, stopped = run(asks_of(1))
    assert stopped is not None
    assert outcomes[0].error is not None


def test_a_store_holds_the_answers_of_one_origin(api, monkeypatch, each_store: str) -> None:
    variable = {"embedded": "BACKLINKS_DATA_DIR", "postgres": "BACKLINKS_DATABASE_URL"}[each_store]
    api()
    run(asks_of(1))
    monkeypatch.setenv("DATAFORSEO_BASE_URL", "https://sandbox.dataforseo.com")
    with (
        pytest.raises(StoreError, match=f"holds answers from loopback.*Let {variable} name another"),
        open_store(Settings.from_env()),
    ):
        pass


@pytest.mark.embedded
def test_a_damaged_store_is_told_and_left_alone(settings) -> None:
    settings.root.mkdir(parents=True)
    settings.store_file.write_bytes(b"this is no database" * 1000)
    with pytest.raises(StoreError, match=r"is damaged.*backup"), open_store(settings):
        pass
    assert settings.store_file.read_bytes().startswith(b"this is no database")


@pytest.mark.embedded
def test_a_data_folder_that_cannot_be_made_is_told(monkeypatch, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BACKLINKS_DATA_DIR", str(tmp_path / "file" / "data"))
    with pytest.raises(StoreError, match="BACKLINKS_DATA_DIR"), open_store(Settings.from_env()):
        pass
