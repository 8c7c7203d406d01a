"""What goes on after something went wrong: who stops, who goes on, what is released, and what the person is told."""

import contextlib
import datetime as dt
import sqlite3
import time

import collecting
import faults
import pytest
import stand_in
import tenacity
from collecting import asks_of, kept, rows, run, shops
from faults import Effect, Fault, FaultPlan

from backlinks_assets.collect import caller, collector as collector_module
from backlinks_assets.collect.collector import StopError, utc_now
from backlinks_assets.collect.factory import open_collector, open_store
from backlinks_assets.collect.outcome import CollectRequest
from backlinks_assets.dataforseo import status_codes
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.settings import Settings
from backlinks_assets.store.database import StoreError
from backlinks_assets.store.responses import ResponseStore


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting.be_quick(monkeypatch)


# --- who stops, and who goes on --------------------------------------------------------------------------------------------


def test_a_targets_own_parameter_that_is_refused_concerns_no_other_target(api) -> None:
    refused = faults.code(40501, "Invalid Field: 'backlinks_filters'.")
    server = api(Fault(refused, target="own.example"))
    own = CollectRequest(utc_now().date(), "own.example", RequestParameters(internal_list_limit=7), own_parameters=True)
    outcomes, stopped = run([own, *asks_of(*shops(40))])
    assert stopped is None
    assert "backlinks_filters" in (outcomes["own.example"].error or "")
    assert [outcome.target for outcome in outcomes.values() if outcome.error] == ["own.example"]
    assert len(server.calls) <= 82


def test_of_stored_answers_one_that_cannot_be_read_fails_its_own_target_only(api) -> None:
    server = api()
    run(asks_of(*shops(5)))
    with contextlib.closing(sqlite3.connect(Settings.from_env().store_file)) as store, store:
        store.execute("UPDATE responses SET body = x'00' WHERE target = 'shop003.example' AND status_type = 'live'")
    outcomes, stopped = run(asks_of(*shops(5)))
    whole = {target: outcome.reused for target, outcome in outcomes.items() if outcome.error is None}
    assert whole == {target: 2 for target in shops(5) if target != "shop003.example"}
    assert "unexpected error" in (stopped or "")
    assert len(server.calls) == 10


def test_a_parameter_of_the_project_that_is_refused_stops_the_run(api) -> None:
    server = api(Fault(faults.code(40501, "Invalid Field: 'rank_scale'.")), latency_s=0.02)
    _, stopped = run(asks_of(*shops(100)))
    assert "rank_scale" in (stopped or "")
    assert len(server.calls) <= 60


@pytest.mark.parametrize(("at_once", "in_a_row"), [(1, 5), (4, 16)])  # of four at once more may fail at a stretch
def test_failures_with_good_answers_between_them_are_no_outage(api, monkeypatch, at_once: int, in_a_row: int) -> None:
    monkeypatch.setattr(collector_module, "MAX_CONSECUTIVE_FAILURES", in_a_row)
    monkeypatch.setattr(collector_module, "MAX_ATTEMPTS", 1)
    monkeypatch.setenv("BACKLINKS_CALLS_AT_ONCE", str(at_once))
    api(Fault(faults.code(50000), target="bad*"))
    names = [name for number in range(8) for name in (f"bad{number}.example", f"good{number}.example")]
    outcomes, stopped = run(asks_of(*names))
    assert stopped is None
    assert {outcome.target for outcome in outcomes.values() if outcome.error} == {
        f"bad{number}.example" for number in range(8)
    }


def test_as_many_failures_in_a_row_are_an_outage(api, monkeypatch) -> None:
    monkeypatch.setattr(collector_module, "MAX_CONSECUTIVE_FAILURES", 5)
    monkeypatch.setattr(collector_module, "MAX_ATTEMPTS", 1)
    monkeypatch.setenv("BACKLINKS_CALLS_AT_ONCE", "1")
    server = api(Fault(faults.code(50000), target="bad*"))
    _, stopped = run(asks_of("good.example", *[f"bad{number}.example" for number in range(8)]))
    assert "does not answer" in (stopped or "")
    assert sum(call.target is not None and call.target.startswith("bad") for call in server.calls) == 5


def test_a_function_that_the_vendor_has_switched_off_stops_the_run_after_one_targets_attempts(api, monkeypatch) -> None:
    monkeypatch.setattr(status_codes, "UPDATE_WAIT_S", 0.01)
    monkeypatch.setenv("BACKLINKS_CALLS_AT_ONCE", "2")
    server = api(Fault(faults.code(50304)))
    _, stopped = run(asks_of(*shops(50)))
    assert "50304" in (stopped or "")
    assert "does not answer" in (stopped or "")
    assert len(server.calls) <= 2 * collector_module.MAX_ATTEMPTS


def test_an_update_of_the_index_does_not_stop_the_run(api, monkeypatch) -> None:
    monkeypatch.setattr(status_codes, "UPDATE_WAIT_S", 0.01)
    api(Fault(faults.code(50303), target="shop000.example"))
    _, stopped = run(asks_of(*shops(5)))
    assert stopped is None


def test_the_first_reason_to_stop_is_the_one_that_is_told(api) -> None:
    api(latency_s=0.05)
    with open_collector(Settings.from_env()) as collector:
        stream = collector.collect(asks_of(*shops(100)))
        next(stream)
        for reason in ("the first reason", "another", "a third"):
            collector.stop(reason)
        assert collector.stopped == "the first reason"
        with pytest.raises(StopError, match="the first reason"):
            list(stream)


def test_attempts_of_one_call_end_after_their_time(api, monkeypatch) -> None:
    waits = [tenacity.wait_fixed(seconds) for seconds in (0.2, 0.2, 59.8)]  # the third alone would be within the time
    monkeypatch.setattr(collector_module, "MAX_SECONDS_PER_CALL", 60.0)
    monkeypatch.setattr(collector_module, "MAX_ATTEMPTS", 1000)
    monkeypatch.setattr(collector_module, "_backoff", tenacity.wait_chain(*waits))
    server = api(Fault(faults.code(50000), status_type="live"))
    outcomes, stopped = run(asks_of("shop.example"))
    assert stopped is None
    assert outcomes["shop.example"].error is not None
    assert sum(call.status_type == "live" for call in server.calls) == 3


def test_a_consumer_that_goes_away_waits_for_no_retry(api) -> None:
    api(Fault(faults.http(503, retry_after=300), target="slow.example"))
    with open_collector(Settings.from_env()) as collector:
        stream = collector.collect(asks_of("slow.example", *shops(5)))
        next(stream)
        began = time.monotonic()
        stream.close()
    assert time.monotonic() - began < 120
    assert rows("SELECT * FROM claims") == []


# --- what is released ------------------------------------------------------------------------------------------------------

ENDINGS: dict[str, Effect] = {
    "target": faults.code(40501),
    "transient": faults.code(50000),
    "account": faults.code(40100),
    "request": faults.code(40506),
    "another-target": faults.wrong_target(),
    "reset": faults.reset(),
    "no-json": faults.html(),
}


@pytest.mark.parametrize("ending", [*ENDINGS, "budget", "space", "bug", "good"])
def test_whatever_ends_a_call_nothing_is_held_after_it(api, monkeypatch, ending: str) -> None:
    """This run's owner lives on, so that nobody could take over what it left behind."""
    api(*([Fault(ENDINGS[ending])] if ending in ENDINGS else []))
    if ending == "budget":
        monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", "0.06")
    with open_collector(Settings.from_env()) as collector, monkeypatch.context() as patch:
        if ending == "space":
            patch.setattr(caller, "MIN_FREE_BYTES", 1 << 60)
        if ending == "bug":
            patch.setattr(Client, "send", lambda *_: {}["no such key"])
        with contextlib.suppress(StopError):
            list(collector.collect(asks_of(*shops(3))))
        assert rows("SELECT * FROM claims") == []
        assert rows("SELECT * FROM set_aside") == []
        assert rows("SELECT count(*) FROM api_calls WHERE outcome = 'in_flight'") == [(0,)]
        assert not rows(
            "SELECT in_flight, in_flight_microusd FROM daily_spend WHERE in_flight <> 0 OR in_flight_microusd <> 0"
        )


def test_another_living_run_may_ask_at_once_for_what_one_has_failed_to_get(api) -> None:
    server = api(Fault(faults.code(50000)))
    with open_collector(Settings.from_env()) as first:
        list(first.collect(asks_of("shop.example")))
        server.faults = FaultPlan([])
        outcomes, _ = run(asks_of("shop.example"))
    assert outcomes["shop.example"].error is None


@pytest.mark.ci
@pytest.mark.parametrize("effect", [faults.silence(1.5), faults.trickle(20)], ids=["silence", "trickle"])
def test_the_slot_of_a_call_that_was_given_up_stays_taken_while_the_server_may_be_at_it(
    api, monkeypatch, effect: Effect
) -> None:
    monkeypatch.setattr("backlinks_assets.collect.factory.slot_held_s", lambda _: 8.0)  # a stall of seconds is less
    monkeypatch.setattr("backlinks_assets.dataforseo.client.max_seconds", lambda _: 0.5)
    monkeypatch.setenv("BACKLINKS_READ_TIMEOUT_S", "1")
    monkeypatch.setenv("BACKLINKS_CALLS_AT_ONCE", "3")
    server = api(Fault(effect, calls=(1, 3)))
    outcomes, stopped = run(asks_of(*shops(3)))
    assert (stopped, {outcome.error for outcome in outcomes.values()}) == (None, {None})
    assert server.peak_at_once <= 3


# --- what is told ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [StoreError("the disk is full"), RuntimeError("of ours"), sqlite3.OperationalError("x")], ids=repr
)
@pytest.mark.parametrize("where", ["unknown_calls", "reconcile_calls", "known_task_ids"])
def test_an_error_of_reconciling_hides_no_outcome(api, monkeypatch, error: Exception, where: str) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setenv("BACKLINKS_READ_TIMEOUT_S", "1")
    api(
        Fault(faults.reset(), first_of_each_target=1, status_type="live", charged=True),
        Fault(faults.code(40501), target="shop001*"),
    )
    monkeypatch.setattr(ResponseStore, where, fail)
    outcomes, stopped = run(asks_of(*shops(3)))
    assert stopped is None
    assert {outcome.target for outcome in outcomes.values() if outcome.error} == {"shop001.example"}


def test_an_error_of_reconciling_at_the_start_stops_nothing_either(api, monkeypatch) -> None:
    monkeypatch.setattr(ResponseStore, "close_dead_calls", lambda *_: 3)
    monkeypatch.setattr(ResponseStore, "unknown_calls", lambda *_: {}["bug"])
    api()
    outcomes, stopped = run(asks_of(*shops(3)))
    assert (stopped, len(kept())) == (None, 6)
    assert all(outcome.error is None for outcome in outcomes.values())


# --- the simulator's answers among real ones -------------------------------------------------------------------------------

SIMULATED = {"X-Backlinks-Simulator": "simulated"}


@pytest.mark.parametrize(
    "answer",
    [
        stand_in.good,
        lambda task: stand_in.envelope_of([stand_in.task_of(task, result=None)]),
        lambda task: stand_in.envelope_of([stand_in.task_of(task, result=[{"target": "other.example"}])]),
        lambda task: stand_in.envelope_of([stand_in.task_of(task, status_code=40501, status_message="Invalid Field: 'target'.")]),
        lambda _: b"no JSON",
    ],
    ids=["good", "empty", "another-target", "refused", "unreadable"],
)  # fmt: skip
def test_nothing_that_the_bundled_simulator_says_is_taken_for_the_real_apis(monkeypatch, answer) -> None:
    with stand_in.serving(answer, SIMULATED) as server:
        collecting.point_at(monkeypatch, server.url)
        outcomes, stopped = run(asks_of(*shops(100)))
    assert "Add /simulator to DATAFORSEO_BASE_URL" in (stopped or "")
    assert len(server.asked) < 100
    assert kept() == set()
    assert rows("SELECT * FROM evidence") == []
    assert sum(outcome.cost_usd for outcome in outcomes.values()) == 0.0
    assert collecting.spent_usd() == 0.0


# --- reading back ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_two_answers_of_a_day_with_other_parameters_the_latest_is_the_newest(api, order: tuple[int, int]) -> None:
    api()
    day = dt.date(2026, 11, 24)
    for minute in order:
        at = dt.datetime(2026, 11, 24, 12, minute, tzinfo=dt.UTC)
        ask = CollectRequest(day, "shop.example", RequestParameters(internal_list_limit=minute))
        run([ask], now=lambda at=at: at)
    with open_store(Settings.from_env()) as store:
        newest = store.latest(day, "shop.example", "live")
    assert newest is not None
    assert newest.parameters["internal_list_limit"] == 2
