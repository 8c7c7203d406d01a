"""Every answer that was charged is on disk before it is judged: used, or kept as evidence; and never asked for in vain."""

import threading
from collections.abc import Callable
from typing import Any

import collecting
import faults
import pytest
import stand_in
from collecting import asks_of, bodies, kept, rows, run
from faults import Fault
from stand_in import PRICE, StandIn, envelope_of, good, result_of, task_of

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store
from backlinks_assets.settings import Settings
from backlinks_assets.tables.rows import answer_tables

pytestmark = pytest.mark.usefixtures("each_store")

Serve = Callable[[stand_in.Answer], StandIn]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting.be_quick(monkeypatch)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch):
    """Start a server whose answers are made up, and take it for the API."""
    import contextlib

    with contextlib.ExitStack() as stack:

        def start(answer: stand_in.Answer) -> StandIn:
            server = stack.enter_context(stand_in.serving(answer))
            collecting.point_at(monkeypatch, server.url)
            return server

        yield start


def named(target: str) -> stand_in.Answer:
    """The answer to what was asked, whose result names the target so."""
    return lambda task: envelope_of([task_of(task, result=[result_of(task, target=target)])])


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("xn--mnchen-3ya.de", "münchen.de"),
        ("xn--mnchen-3ya.de", "MÜNCHEN.DE"),
        ("shop.example", "www.Shop.example."),
        ("https://www.shop.example/a", "https://shop.example/a/"),
        ("https://shop.example/caf%C3%A9", "https://SHOP.example/café"),
        ("https://shop.example/a", "shop.example/a"),
    ],
)
def test_another_spelling_of_the_target_is_its_answer_and_is_paid_for_once(
    serve: Serve, asked: str, answered: str
) -> None:
    server = serve(named(answered))
    for _ in range(2):
        outcomes, stopped = run(asks_of(asked))
        assert (stopped, outcomes[asked].error) == (None, None)
        assert outcomes[asked].readings["live"].backlinks == 100
    assert len(server.asked) == 2
    assert kept() == {(asked, "live"), (asked, "lost")}


@pytest.mark.parametrize(
    ("what", "answer"),
    [
        ("result-only", lambda task: envelope_of([task_of(task, result=[result_of(task, target="other.example")])])),
        ("page-for-its-site", named("https://shop.example/")),
        ("site-for-its-subdomain", named("example")),
        ("echo-of-an-empty-answer", lambda task: envelope_of([task_of(task, data={"target": "other.example"}, result=None)])),
        ("echo-beside-no-name", lambda task: envelope_of([
            task_of(task, data={"target": "other.example"}, result=[{"backlinks": 7}])])),
        ("other-status-type", lambda task: envelope_of([
            task_of(task, data={**task, "backlinks_status_type": "all"})])),
        ("of-two-results-none", lambda task: envelope_of([
            task_of(task, result=[result_of(task, target=f"other{n}.example") for n in range(2)])])),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_an_answer_to_another_question_is_evidence_and_is_not_asked_for_again_that_day(
    serve: Serve, what: str, answer: stand_in.Answer
) -> None:
    target = "sub.shop.example" if what.startswith("site") else "shop.example"
    server = serve(answer)
    outcomes, stopped = run(asks_of(target))
    assert stopped is None
    assert "can't be used" in (outcomes[target].error or "")
    assert "about" in (outcomes[target].error or "")
    assert outcomes[target].cost_usd == pytest.approx(2 * PRICE)
    assert [body["tasks"][0]["id"] for body in bodies("evidence")] == ["task-1", "task-1"]
    assert kept() == set()
    assert len(server.asked) == 2
    for _ in range(2):
        again, stopped = run(asks_of(target))
        assert stopped is None
        assert "not made again for this day" in (again[target].error or "")
        assert (again[target].calls, again[target].cost_usd) == (0, 0.0)
    assert len(server.asked) == 2
    assert collecting.spent_usd() == pytest.approx(2 * PRICE)


def test_also_an_answer_that_names_no_cost_or_none_is_kept_and_not_asked_for_again(serve: Serve) -> None:
    costs = {"live": 0, "lost": ...}

    def answer(task: dict[str, Any]) -> Any:
        cost: Any = costs[task["backlinks_status_type"]]
        return envelope_of([task_of(task, cost=cost, result=[result_of(task, target="other.example")])], cost=cost)

    server = serve(answer)
    for _ in range(2):
        run(asks_of("shop.example"))
    assert len(server.asked) == len(bodies("evidence")) == 2


def test_a_target_of_which_one_answer_cannot_be_had_is_not_paid_for_by_half(serve: Serve) -> None:
    server = serve(lambda task: {"live": named("other.example"), "lost": lambda _: (401, b"")}[
        task["backlinks_status_type"]
    ](task))  # fmt: skip
    run(asks_of("shop.example"))
    asked = len(server.asked)
    server.answer = good
    outcomes, _ = run(asks_of("shop.example", "new.example"))
    assert "not made again" in (outcomes["shop.example"].error or "")
    assert outcomes["new.example"].error is None
    assert {task["target"] for task in server.asked[asked:]} == {"new.example"}


def test_two_runs_at_once_ask_once_for_an_answer_that_is_about_another_target(api) -> None:
    server = api(Fault(faults.wrong_target()), latency_s=0.2)
    threads = [threading.Thread(target=run, args=[asks_of("shop.example")]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.calls) == 2


def test_other_parameters_are_another_question(serve: Serve) -> None:
    server = serve(named("other.example"))
    run(asks_of("shop.example"))
    server.answer = good
    outcomes, _ = run(asks_of("shop.example", internal_list_limit=10))
    assert outcomes["shop.example"].error is None


SHAPES_USED = {
    "result-an-object": lambda task: task_of(task, result=result_of(task)),
    "two-results": lambda task: task_of(task, result=[result_of(task), result_of(task, target="b.example")]),
    "the-second-of-two-results": lambda task: task_of(
        task, result=[result_of(task, target="b.example"), result_of(task)]
    ),
    "null-before-the-result": lambda task: task_of(task, result=[None, result_of(task)]),
    "no-target-in-the-result": lambda task: task_of(task, result=[{"backlinks": 100}]),
    "no-data": lambda task: task_of(task, data=None),
    "few-fields": lambda task: task_of(task, result=[{"target": task["target"], "backlinks": 100, "rank": None}]),
}


@pytest.mark.parametrize("shape", SHAPES_USED)
def test_an_odd_shape_that_can_be_read_is_used_and_is_in_the_tables(serve: Serve, shape: str) -> None:
    serve(lambda task: envelope_of([SHAPES_USED[shape](task)]))
    outcomes, _ = run(asks_of("shop.example"))
    assert outcomes["shop.example"].error is None
    assert outcomes["shop.example"].readings["lost"].backlinks == 100
    today = utc_now().date()
    with open_store(Settings.from_env()) as store:
        table = answer_tables(today, store.answers(today)).summary
    assert table.column("backlinks").to_pylist() == [100, 100]
    assert table.column("has_data").to_pylist() == [True, True]


SHAPES_NOT_READ = {
    "empty-object": [{}],
    "an-empty-object-alone": {},
    "only-the-target": [{"target": "shop.example"}],
    "items": [{"total_count": 1, "items_count": 1, "items": [{"target": "shop.example", "backlinks": 5}]}],
    "a-list-in-a-list": [[{"target": "shop.example", "backlinks": 5}]],
    "a-text": "see attachment",
    "texts": ["x"],
    "nulls": [None, None],
    "zero": 0,
    "false": False,
    "left-out": ...,
}


@pytest.mark.parametrize("shape", SHAPES_NOT_READ)
def test_a_charged_answer_that_holds_no_summary_is_neither_empty_nor_asked_for_again(serve: Serve, shape: str) -> None:
    server = serve(lambda task: envelope_of([task_of(task, result=SHAPES_NOT_READ[shape])]))
    for _ in range(2):
        outcomes, stopped = run(asks_of("shop.example"))
        assert stopped is None
        assert "no summary that could be read" in (outcomes["shop.example"].error or "")
        assert not outcomes["shop.example"].empty
    assert len(server.asked) == 2
    assert (kept(), len(bodies("evidence"))) == (set(), 2)


@pytest.mark.parametrize("result", [None, [], [None]], ids=str)
def test_only_an_ok_task_that_says_so_is_empty(serve: Serve, result: object) -> None:
    serve(lambda task: envelope_of([task_of(task, result=result)]))
    outcomes, _ = run(asks_of("shop.example"))
    assert outcomes["shop.example"].empty
    assert len(kept()) == 2
    assert bodies("evidence") == []


NO_TASK = {
    "tasks-empty": envelope_of([]),
    "tasks-null": envelope_of(None),
    "tasks-of-null": envelope_of([None]),
    "tasks-left-out": envelope_of(...),
    "tasks-a-text": envelope_of("none"),
    "task-empty": envelope_of([{}]),
    "task-without-a-code": envelope_of([{"id": "x", "cost": PRICE, "result": None}]),
    "task-with-a-null-code": envelope_of([{"id": "x", "status_code": None, "result": []}]),
    "task-with-a-code-of-text": envelope_of([{"id": "x", "status_code": "20000", "result": []}]),
    "empty-above-without-a-task": envelope_of(None, status_code=40102, status_message="No Search Results."),
    "nothing-at-all": {},
}


@pytest.mark.first
@pytest.mark.parametrize("shape", NO_TASK)
def test_an_answer_without_a_task_is_no_answer(serve: Serve, shape: str) -> None:
    server = serve(lambda _: NO_TASK[shape])
    outcomes, stopped = run(asks_of("shop.example"))
    assert stopped is None
    outcome = outcomes["shop.example"]
    assert not outcome.empty
    assert outcome.error is not None
    assert outcome.error[0] != "{"
    assert len(server.asked) == 10  # five attempts each: it passes, or the target has failed
    assert kept() == set()
    server.answer = good
    assert run(asks_of("shop.example"))[0]["shop.example"].error is None  # a later run of the day tries again


def test_an_answer_without_a_task_passes_and_what_it_cost_is_booked_and_kept(serve: Serve) -> None:
    seen = set()

    def answer(task: dict[str, Any]) -> Any:
        first = task["backlinks_status_type"] not in seen
        seen.add(task["backlinks_status_type"])
        return envelope_of([]) if first else good(task)

    serve(answer)
    outcomes, _ = run(asks_of("shop.example"))
    assert outcomes["shop.example"].error is None
    assert outcomes["shop.example"].cost_usd == pytest.approx(4 * PRICE)
    assert bodies("evidence") == [envelope_of([])] * 2
    assert collecting.spent_usd() == pytest.approx(4 * PRICE)


@pytest.mark.parametrize(
    ("what", "fault", "is_kept"),
    [
        ("web-page", faults.html(), True),
        ("broken-json", faults.not_json(), True),
        ("half", faults.half(), True),
        ("a-gateways-page", faults.http(502), False),
        ("refused-for-nothing", faults.code(40501), False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_could_not_be_read_is_kept_where_it_may_have_been_charged(api, what: str, fault, is_kept: bool) -> None:
    api(Fault(fault, first_of_each_target=1, status_type="live"))
    run(asks_of("shop.example"))
    assert len(bodies("evidence")) == is_kept
    ((outcome, unknown),) = rows("SELECT outcome, cost_microusd IS NULL FROM api_calls WHERE outcome NOT IN ('data')")[
        :1
    ]
    assert outcome == ("refused" if what == "refused-for-nothing" else "no_answer")
    assert unknown or what in {"half", "refused-for-nothing"}  # the vendor's list names what was charged


@pytest.mark.parametrize("status", [402, 404, 429, 500, 503])
def test_an_answer_that_says_what_it_cost_is_kept_whatever_its_http_status(serve: Serve, status: int) -> None:
    server = serve(lambda task: (status, good(task)))
    run(asks_of("shop.example"))
    assert [body["cost"] for body in bodies("evidence")] == [PRICE] * len(server.asked)


def test_an_answer_too_large_to_be_read_is_not_asked_for_again_that_day(api, monkeypatch) -> None:
    monkeypatch.setattr("backlinks_assets.dataforseo.client.MAX_BYTES", 200_000)
    server = api(Fault(faults.big(1), status_type="live"))
    for _ in range(2):
        outcomes, _ = run(asks_of("shop.example"))
        assert "larger than" in (outcomes["shop.example"].error or "")
    assert sum(call.status_type == "live" for call in server.calls) == 1
    assert len(bodies("evidence")) == 1


@pytest.mark.parametrize("code", [40501, 40205, 40206])
def test_a_refusal_that_was_charged_is_kept_and_not_paid_for_at_every_run(api, code: int) -> None:
    server = api(Fault(faults.code(code), target="shop.example", charged=True))
    for _ in range(2):
        outcomes, stopped = run(asks_of("shop.example", "good.example"))
        assert stopped is None
        assert str(code) in (outcomes["shop.example"].error or "")
        assert outcomes["good.example"].error is None
    assert server.spent_usd == pytest.approx(4 * PRICE)
    assert [body["tasks"][0]["status_code"] for body in bodies("evidence")] == [code, code]


def test_a_refusal_of_the_account_is_asked_about_again_once_a_person_has_acted(api) -> None:
    server = api(Fault(faults.code(40210), charged=True))
    outcomes, stopped = run(asks_of("shop.example"))
    assert "40210" in (stopped or "")
    server.faults = faults.FaultPlan([])
    outcomes, stopped = run(asks_of("shop.example"))
    assert (stopped, outcomes["shop.example"].error) == (None, None)


@pytest.mark.parametrize(
    "part", ["backlinks_assets.dataforseo.endpoints.summary._text", "backlinks_assets.dataforseo.client.parse_answer"]
)
def test_a_fault_of_this_program_in_judging_loses_nothing_and_stops_the_run(
    serve: Serve, monkeypatch, part: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise LookupError("of ours")

    server = serve(good)
    monkeypatch.setattr(part, broken)
    outcomes, stopped = run(asks_of("shop.example", *collecting.shops(100)))
    assert "LookupError: of ours" in (stopped or "")
    assert len(outcomes) == 101
    assert len(server.asked) < 100
    assert len(bodies("evidence")) == len(server.asked)
    assert rows("SELECT DISTINCT outcome FROM api_calls") == [("no_answer",)] if "parse" in part else True


def test_costs_that_cannot_be_costs_say_nothing_and_spoil_no_sum(serve: Serve) -> None:
    odd = iter([-5, "0.02", True, 1e12, None, [1]])
    serve(lambda task: envelope_of([task_of(task, cost=next(odd))], cost=None))
    outcomes, stopped = run(asks_of(*collecting.shops(3)))
    assert stopped is None
    assert [outcome.error for outcome in outcomes.values()] == [None] * 3
    assert collecting.spent_usd() == pytest.approx(6 * PRICE)  # each is counted with the expected price
