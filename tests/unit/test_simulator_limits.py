"""The account's limits as the simulator holds and judges them, and its log of the calls it got."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import faults
import pytest
import requests
from audit import AuditedAccount
from faults import Fault
from simulated_api import SimulatedApi

from backlinks_assets.simulator.http.account import Call

SUMMARY = "/v3/backlinks/summary/live"
LOGIN = ("login", "password")


def ask(sim: SimulatedApi, target: str = "shop.example", **parameters: Any) -> requests.Response:
    body = [{"target": target, **parameters}]
    return requests.post(sim.url + SUMMARY, json=body, auth=LOGIN, timeout=60)


def task_code(answer: requests.Response) -> int:
    code: int = answer.json()["tasks"][0]["status_code"]
    return code


def test_calls_over_the_rate_are_refused_with_40202_for_nothing() -> None:
    with SimulatedApi(calls_per_minute=3, price_usd=1.0) as sim:
        answers = [ask(sim) for _ in range(5)]
        assert [task_code(each) for each in answers] == [20000, 20000, 20000, 40202, 40202]
        assert [each.status_code for each in answers] == [200] * 5
        assert answers[1].headers["X-RateLimit-Limit"] == "3"
        assert answers[1].headers["X-RateLimit-Remaining"] == "1"
        assert (sim.spent_usd, sim.worst_window()) == (3.0, 5)


def account_at(instants: list[float]) -> AuditedAccount:
    """Return an account whose clock reads these instants, one a call."""
    times = iter(instants)
    return AuditedAccount(calls_per_minute=2, calls_kept=10, clock=lambda: next(times))


def test_the_rate_is_judged_over_a_sliding_minute() -> None:
    instants = [0.0, 59.0, 59.9, 118.5, 180.0]
    account = account_at(instants)
    over = [account.over_the_rate(account.begin(SUMMARY), "all", 2) for _ in instants]
    # The call refused at 59.9 counts as well: at 118.5 there were two in the minute before.
    assert over == [False, False, True, True, False]


def test_free_endpoints_have_small_limits_of_their_own_where_limits_are_held() -> None:
    with SimulatedApi(calls_per_minute=100) as sim, requests.Session() as session:
        session.auth = LOGIN
        codes = [task_code(session.get(sim.url + "/v3/appendix/user_data", timeout=60)) for _ in range(7)]
        assert codes == [20000] * 6 + [40202]
        assert task_code(ask(sim)) == 20000


def test_calls_beyond_those_allowed_at_once_are_refused_with_40209() -> None:
    waiting = Fault(faults.silence(600), target="slow.example")
    with SimulatedApi(calls_at_once=2, faults=[waiting]) as sim, ThreadPoolExecutor(2) as pool:
        slow = [pool.submit(ask, sim, "slow.example") for _ in range(2)]
        while sum(call.target is not None for call in sim.calls) < 2:
            threading.Event().wait(0.01)
        assert task_code(ask(sim, "third.example")) == 40209
        assert sim.peak_at_once == 3
        sim.stop()
        for each in slow:
            with pytest.raises(requests.ConnectionError):
                each.result()


def test_a_call_is_over_before_its_answer_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with SimulatedApi() as sim:
        end = sim.account.end

        def end_slowly(call: Call) -> None:
            threading.Event().wait(0.2)
            end(call)

        monkeypatch.setattr(sim.account, "end", end_slowly)
        assert ask(sim).status_code == 200
        assert sim.calls[0].ended is not None


@pytest.mark.medium
def test_a_client_that_waits_for_each_answer_is_never_counted_twice() -> None:
    with SimulatedApi() as sim:

        def client(number: int) -> None:
            with requests.Session() as session:
                session.auth = LOGIN
                for n in range(60):
                    body = [{"target": f"c{number}-{n}.example"}]
                    assert session.post(sim.url + SUMMARY, json=body, timeout=60).status_code == 200

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(client, range(4)))
        assert 1 <= sim.peak_at_once <= 4
        assert all(call.ended is not None for call in sim.calls)
        assert sim.spent_usd == pytest.approx(240 * 0.024036)


def test_the_log_says_of_each_call_what_it_asked_and_what_it_cost() -> None:
    with SimulatedApi() as sim:
        ask(sim, "shop.example", backlinks_status_type="lost", tag="2026-11-24|shop.example|lost")
        ask(sim, "invalid.example")
        first, second = sim.calls
    assert (first.target, first.status_type, first.tag) == (
        "shop.example",
        "lost",
        "2026-11-24|shop.example|lost",
    )
    assert (first.path, first.status_code, first.http_status) == ("/simulator" + SUMMARY, 20000, 200)
    assert first.parameters["backlinks_status_type"] == "lost"
    assert first.ended is not None
    assert first.started <= first.ended <= second.started
    assert (first.cost_usd, second.cost_usd, second.status_code) == (0.024036, 0.0, 40501)


def test_the_log_keeps_the_newest_calls_and_the_totals_keep_all() -> None:
    with SimulatedApi(calls_kept=5) as sim:
        for n in range(8):
            ask(sim, f"s{n}.example")
        assert [call.target for call in sim.calls] == [f"s{n}.example" for n in range(3, 8)]
        assert sim.worst_window() == 8
        assert sim.spent_usd == pytest.approx(8 * 0.024036)


def test_the_worst_window_is_the_fullest_wherever_it_lies() -> None:
    instants = [0.0, 10.0, 50.0, 61.0, 62.0, 63.0, 130.0]
    account = account_at(instants)
    for _ in instants:
        account.begin(SUMMARY)
    assert account.worst_window() == 5
    assert account.worst_window(12.0) == 3
    assert account.worst_window(2.0) == 2  # 61 and 63 are two seconds apart: not within


def test_stopping_ends_idle_connections_and_frees_the_port() -> None:
    sim = SimulatedApi().start()
    with requests.Session() as session:
        session.auth = LOGIN
        assert session.post(sim.url + SUMMARY, json=[{"target": "a.example"}], timeout=60).status_code == 200
        port = int(sim.url.split(":")[2].split("/")[0])
        sim.stop()
        sim.stop()
        with pytest.raises(requests.ConnectionError):
            session.post(sim.url + SUMMARY, json=[{"target": "a.example"}], timeout=60)
    with SimulatedApi(port=port) as again:
        assert ask(again).status_code == 200
