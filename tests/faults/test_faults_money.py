"""Money that a fault leaves in doubt: the vendor's own list of tasks decides, and the budget holds meanwhile."""

import datetime as dt
import sqlite3

import commands
import faults
import pytest
import tenacity
from faults import Fault, FaultPlan
from simulated_api import PRICE_USD

from backlinks_assets.collect import collector as collector_module
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_collector, open_store
from backlinks_assets.collect.outcome import CollectRequest, Outcome
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]


NOW, LATER = dt.timedelta(), dt.timedelta(minutes=1)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")
    monkeypatch.setenv("BACKLINKS_READ_TIMEOUT_S", "30")  # and an eighth is how long a call is young
    monkeypatch.setattr(
        collector_module, "_backoff", tenacity.wait_exponential_jitter(multiplier=0.01, max=0.05, jitter=0.01)
    )


def ask(target: str = "shop.example", later: dt.timedelta = NOW) -> list[Outcome]:
    """Ask for a target, by a clock that is so much later."""

    def now() -> dt.datetime:
        return utc_now() + later

    with open_collector(Settings.from_env(), now=now) as collector:
        return list(collector.collect([CollectRequest(now().date(), target, RequestParameters())]))


def unsaid() -> int:
    """How many calls there are of which nobody has said what they cost."""
    with sqlite3.connect(Settings.from_env().store_file) as store:
        (count,) = store.execute("SELECT count(*) FROM api_calls WHERE cost_microusd IS NULL").fetchone()
    store.close()
    return count


def spent_usd() -> float:
    """What the budget takes for spent today."""
    with sqlite3.connect(Settings.from_env().store_file) as store:
        (micro,) = store.execute("SELECT sum(spent_microusd + in_flight_microusd) FROM daily_spend").fetchone()
    store.close()
    return micro / 1e6


def test_a_timed_out_call_that_was_charged_is_booked_with_what_it_cost(api, monkeypatch) -> None:
    monkeypatch.setenv("BACKLINKS_READ_TIMEOUT_S", "8")  # it is waited for
    server = api(Fault(faults.silence(60), first_of_each_target=1, status_type="live"), price_usd=0.05)
    assert ask()[0].error is None
    assert server.spent_usd == pytest.approx(0.15)
    assert (unsaid(), spent_usd()) == (0, pytest.approx(0.15))
    with open_store(Settings.from_env()) as store:
        assert store.day_costs(utc_now().date()).charged_without_answer == 1


@pytest.mark.ci
def test_a_call_that_was_not_charged_gives_its_room_in_the_budget_back_once_it_is_old_enough(api, monkeypatch) -> None:
    server = api(Fault(faults.http(503), first_of_each_target=1, status_type="live"))
    ask("shop.example")
    assert unsaid() == 1  # too young: it might be under way
    assert spent_usd() == pytest.approx(3 * PRICE_USD)
    server.faults = FaultPlan([])
    ask("other.example", LATER)
    assert (unsaid(), spent_usd()) == (0, pytest.approx(4 * PRICE_USD))
    with open_store(Settings.from_env()) as store:
        assert store.day_costs(utc_now().date()).charged_without_answer == 0


def test_two_lost_calls_of_one_target_are_not_taken_for_the_same_task(api) -> None:
    charged = Fault(faults.half(), status_type="live", calls=(1, 1))
    server = api(charged, Fault(faults.http(502), status_type="live", calls=(2, 2)))
    ask()
    assert server.spent_usd == pytest.approx(3 * PRICE_USD)
    assert unsaid() == 1  # the list names one of the two; the other may still come
    assert spent_usd() == pytest.approx(4 * PRICE_USD)


def test_where_the_list_cannot_be_had_the_call_stays_counted_as_charged_and_the_run_is_well(api, monkeypatch) -> None:
    from dataclasses import replace

    from backlinks_assets.dataforseo.endpoints.id_list import ID_LIST

    monkeypatch.setattr("backlinks_assets.collect.reconcile.ID_LIST", replace(ID_LIST, name="backlinks/nowhere"))
    server = api(Fault(faults.reset(), first_of_each_target=1, status_type="live"))
    assert ask()[0].error is None
    assert server.spent_usd == pytest.approx(2 * PRICE_USD)
    assert (unsaid(), spent_usd()) == (1, pytest.approx(3 * PRICE_USD))


def test_absence_from_a_list_that_was_not_read_to_its_end_proves_nothing(api, monkeypatch) -> None:
    from backlinks_assets.collect import reconcile

    monkeypatch.setattr(reconcile, "MAX_ROWS_PER_CALL", 1)  # a page of one row is full, so that there may be more
    monkeypatch.setattr(reconcile, "MAX_PAGES", 2)
    server = api(Fault(faults.http(502), first_of_each_target=1, status_type="live"))
    ask("shop.example")
    server.faults = FaultPlan([])
    ask("other.example", LATER)
    assert unsaid() == 1


def test_the_list_is_not_asked_when_nothing_is_in_doubt(api) -> None:
    server = api()
    ask()
    assert {call.path for call in server.calls} == {"/v3/backlinks/summary/live"}


@pytest.mark.ci
def test_the_budget_holds_with_thirty_in_flight_two_runs_and_calls_in_doubt(api, write_targets, monkeypatch) -> None:
    monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", "1.00")
    server = api(Fault(faults.half(), first_of_each_target=1, status_type="lost"), latency_s=0.05)
    write_targets(*[f"shop{number:03d}.example" for number in range(60)])
    patches = {"collect.collector._backoff": tenacity.wait_fixed(0.02)}
    runs = [commands.start("run", "--json", patches=patches) for _ in range(2)]
    ended = [run.end() for run in runs]
    assert server.spent_usd <= 1.0
    assert server.spent_usd > 1.0 - 2 * PRICE_USD
    assert [run.status for run in ended] == [1, 1]
    for run in ended:
        assert "BACKLINKS_BUDGET_USD_PER_DAY" in run.err
        assert "Traceback" not in run.err
