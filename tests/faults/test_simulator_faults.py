"""Each way in which the simulator can be told to misbehave, seen from a client."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import commands
import faults
import pytest
import requests
from faults import Effect, Fault, FaultPlan
from simulated_api import SimulatedApi

SUMMARY = "/v3/backlinks/summary/live"
PRICE_USD = 0.024036


def ask(
    sim: SimulatedApi, target: str = "shop.example", timeout: float = 120.0, **parameters: Any
) -> requests.Response:
    return requests.post(
        sim.url + SUMMARY,
        json=[{"target": target, **parameters}],
        auth=("login", "password"),
        timeout=timeout,
        allow_redirects=False,
    )


def is_refused_on_the_task(answer: requests.Response) -> bool:
    body = answer.json()
    return body["status_code"] == 20000 and body["tasks"][0]["status_code"] == 40202 and answer.status_code == 200


def is_refused_on_the_envelope(answer: requests.Response) -> bool:
    return bool(answer.json()["status_code"] == 40202 and answer.json()["tasks"][0]["result"] is None)


def has_no_tasks(answer: requests.Response) -> bool:
    body = answer.json()
    return (answer.status_code, body["status_code"], body["tasks"], body["tasks_count"]) == (
        200,
        40104,
        None,
        0,
    )


def is_payment_required(answer: requests.Response) -> bool:
    task = answer.json()["tasks"][0]
    return (answer.status_code, task["status_code"], task["result"]) == (402, 40200, None)


def is_told_to_come_back(answer: requests.Response) -> bool:
    return answer.status_code == 429 and answer.headers["Retry-After"] == "7"


def is_a_web_page(answer: requests.Response) -> bool:
    return answer.status_code == 200 and answer.text.startswith("<!doctype html>")


def is_no_json(answer: requests.Response) -> bool:
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    return answer.headers["Content-Type"] == "application/json"


def is_sent_elsewhere(answer: requests.Response) -> bool:
    return answer.status_code == 302 and answer.headers["Location"] == "http://127.0.0.1:9/login"


def is_about_another_target(answer: requests.Response) -> bool:
    task = answer.json()["tasks"][0]
    return bool(task["data"]["target"] == task["result"][0]["target"] == "somebody-else.example")


def is_big(answer: requests.Response) -> bool:
    return len(answer.content) > 2_000_000 and answer.json()["tasks"][0]["status_code"] == 20000


@pytest.mark.parametrize(
    ("effect", "holds", "charged"),
    [
        (faults.code(40202), is_refused_on_the_task, False),
        (faults.code(40202, level="envelope"), is_refused_on_the_envelope, False),
        (faults.tasks_null(40104), has_no_tasks, False),
        (faults.http_402(), is_payment_required, False),
        (faults.http(429, retry_after=7), is_told_to_come_back, False),
        (faults.http(503), lambda answer: answer.status_code == 503, False),
        (faults.html(), is_a_web_page, False),
        (faults.not_json(), is_no_json, False),
        (faults.redirect("http://127.0.0.1:9/login"), is_sent_elsewhere, False),
        (faults.wrong_target(), is_about_another_target, True),
        (faults.big(2), is_big, True),
    ],
    ids=lambda value: value.kind if isinstance(value, Effect) else None,
)
def test_a_fault_is_what_its_name_says(
    effect: Effect, holds: Callable[[requests.Response], bool], charged: bool
) -> None:
    with SimulatedApi(faults=[Fault(effect, target="shop.*")]) as sim:
        answer = ask(sim)
        assert holds(answer)
        assert answer.headers["X-Backlinks-Simulator"] == "simulated"
        assert sim.spent_usd == (PRICE_USD if charged else 0)
        assert ask(sim, "other.example").json()["tasks_error"] == 0  # only where the fault applies


def test_a_reset_breaks_the_connection() -> None:
    with SimulatedApi(faults=[Fault(faults.reset())]) as sim:
        with pytest.raises(requests.ConnectionError, match="reset"):
            ask(sim)
        assert (sim.spent_usd, sim.calls[0].ended is not None) == (0, True)


def test_half_an_answer_is_cut_off_and_was_paid_for() -> None:
    with SimulatedApi(faults=[Fault(faults.half())]) as sim:
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            ask(sim)
        assert sim.spent_usd == PRICE_USD


def test_silence_outlasts_a_short_timeout_and_the_call_was_paid_for() -> None:
    with SimulatedApi(faults=[Fault(faults.silence(60))]) as sim:
        with pytest.raises(requests.ReadTimeout):
            ask(sim, timeout=0.3)
        commands.wait_for(lambda: sim.spent_usd == PRICE_USD)  # a busy server may read it after the client has gone
    with SimulatedApi(faults=[Fault(faults.silence(0.2))]) as sim:
        assert ask(sim).json()["tasks_error"] == 0


def test_a_trickle_arrives_whole_if_one_waits() -> None:
    with SimulatedApi(faults=[Fault(faults.trickle(20_000))]) as sim:
        assert ask(sim).json()["tasks_error"] == 0


@pytest.mark.parametrize("effect", [faults.silence(3600), faults.trickle(1)], ids=lambda effect: effect.kind)
def test_a_wait_ends_when_the_simulator_stops(effect: Effect) -> None:
    ended = threading.Event()
    sim = SimulatedApi(faults=[Fault(effect)]).start()

    def client() -> None:
        with pytest.raises(requests.RequestException):
            ask(sim, timeout=300)
        ended.set()

    threading.Thread(target=client, daemon=True).start()
    commands.wait_for(lambda: any(call.target for call in sim.calls))
    sim.stop()
    assert ended.wait(120)
    commands.wait_for(lambda: sim.calls[0].ended is not None)  # at the server too: no thread lingers


def test_a_call_that_goes_wrong_can_cost_money_all_the_same() -> None:
    with SimulatedApi(
        faults=[
            Fault(faults.http(500), charged=True),
        ]
    ) as sim:
        ask(sim)
        assert sim.spent_usd == PRICE_USD
        assert sim.calls[0].task_id is not None  # id_list tells it
    with SimulatedApi(faults=[Fault(faults.code(40501), charged=True)]) as sim:
        assert ask(sim).json()["cost"] == PRICE_USD


def hit(plan: FaultPlan, *calls: tuple[str, str]) -> list[bool]:
    return [plan.next(target, status) is not None for target, status in calls]


def test_a_fault_happens_when_it_is_told_to() -> None:
    a, b, lost = ("a.example", "live"), ("b.example", "live"), ("a.example", "lost")
    assert hit(FaultPlan([Fault(faults.html(), calls=(2, 3))]), a, b, a, b) == [False, True, True, False]
    assert hit(FaultPlan([Fault(faults.html(), calls=(3, None))]), a, a, a, a) == [False, False, True, True]
    assert hit(FaultPlan([Fault(faults.html(), first_of_each_target=1)]), a, b, a, lost) == [
        True,
        True,
        False,
        False,
    ]
    assert hit(FaultPlan([Fault(faults.html(), status_type="lost", calls=(1, 1))]), a, lost, lost) == [
        False,
        True,
        False,
    ]
    assert hit(FaultPlan([Fault(faults.html(), target="b.*")]), a, b) == [False, True]


def test_the_first_fault_that_matches_decides() -> None:
    plan = FaultPlan([Fault(faults.html(), calls=(1, 1)), Fault(faults.reset())])
    kinds = [fault.effect.kind for fault in (plan.next("a.example", "live") for _ in range(2)) if fault]
    assert kinds == ["html", "reset"]
