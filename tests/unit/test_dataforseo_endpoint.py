"""What another endpoint needs: one object. A bulk call goes through client, collector, store and ledger like a summary."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import collecting
import orjson
import pytest
import stand_in
from collecting import bodies, rows, run
from stand_in import envelope_of, task_of

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.outcome import CollectRequest
from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoint import PaidEndpoint, Request, UnusableError
from backlinks_assets.dataforseo.endpoints.index import INDEX
from backlinks_assets.dataforseo.endpoints.summary import SUMMARY, RequestParameters
from backlinks_assets.dataforseo.errors import AccountError, RequestError, TargetError, TransientError
from backlinks_assets.dataforseo.tag import request_tag

BATCH = "batch-1"


@dataclass(frozen=True)
class Batch:
    targets: tuple[str, ...]
    key: str = "0123456789abcdef"

    @property
    def options(self) -> dict[str, Any]:
        return {"targets": list(self.targets)}

    @property
    def text(self) -> str:
        return orjson.dumps(self.options).decode()


def parse(answer: Answer, _: Request) -> Answer:
    if "items" not in (answer.result or {}):
        raise UnusableError("it holds no items")
    return answer


BULK = PaidEndpoint(
    name="backlinks/bulk_ranks/live",
    task=lambda request: request.task(),
    parse=parse,
    rows=lambda request: len(request.parameters.options["targets"]),
    target_fields=frozenset({"targets"}),
)
SHOPS = Batch(tuple(collecting.shops(1000)))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting.be_quick(monkeypatch)


def ranks(task: dict[str, Any]) -> Any:
    return envelope_of([task_of(task, result=[{"items": [{"target": name, "rank": 1} for name in task["targets"]]}])])


def batch(targets: Batch = SHOPS) -> list[CollectRequest]:
    return [CollectRequest(utc_now().date(), BATCH, targets, endpoint=BULK)]


def test_a_batch_of_a_thousand_is_one_call_stored_under_its_name_and_made_once(monkeypatch) -> None:
    monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", "1")
    paths: list[str] = []
    with stand_in.serving(ranks) as server:
        reply = server.reply
        monkeypatch.setattr(server, "reply", lambda path, task: (paths.append(path), reply(path, task))[1])
        collecting.point_at(monkeypatch, server.url)
        for calls in (1, 0):
            outcomes, stopped = run(batch())
            assert (stopped, outcomes[BATCH].error, outcomes[BATCH].calls) == (None, None, calls)
    assert paths == ["/v3/backlinks/bulk_ranks/live"]
    assert server.asked == [{"targets": list(SHOPS.targets), "tag": f"{utc_now():%Y-%m-%d}|{BULK.name}|{BATCH}"}]
    assert rows("SELECT target, status_type, request_key FROM responses") == [(BATCH, "", SHOPS.key)]
    assert len(bodies("responses")[0]["tasks"][0]["result"][0]["items"]) == 1000


def test_a_call_is_expected_to_cost_what_its_rows_cost(monkeypatch) -> None:
    monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", "0.05")
    assert BULK.expected_price_usd(Request(BATCH, SHOPS)) == pytest.approx(0.06)
    assert SUMMARY.expected_price_usd(Request("a.example", RequestParameters(), "live")) == pytest.approx(0.024036)
    with stand_in.serving(ranks) as server:
        collecting.point_at(monkeypatch, server.url)
        _, stopped = run(batch())
        assert "a call costs $0.06" in (stopped or "")
        assert server.asked == []
        _, stopped = run(batch(Batch(("shop.example",))))
    assert stopped is None


def test_an_answer_that_cannot_be_used_is_evidence_whatever_its_endpoint(monkeypatch) -> None:
    with stand_in.serving(stand_in.good) as server:
        monkeypatch.setattr(server, "answer", lambda task: envelope_of([task_of(task, result=[{}])]))
        collecting.point_at(monkeypatch, server.url)
        outcomes, stopped = run(batch())
    assert stopped is None
    assert "holds no items" in (outcomes[BATCH].error or "")
    assert len(bodies("evidence")) == 1


@pytest.mark.parametrize(("field", "kind"), [("targets", TargetError), ("target", RequestError), ("tag", RequestError)])
def test_the_endpoint_says_which_fields_name_its_targets(field: str, kind: type) -> None:
    refusal = {"status_code": 40501, "status_message": f"Invalid Field: '{field}'.", "result": None, "cost": 0}
    with stand_in.serving(lambda task: envelope_of([task_of(task, **refusal)])) as server, Client(server.url) as client:
        with pytest.raises((TargetError, RequestError)) as refused:
            client.send(BULK, Request(BATCH, SHOPS))
    assert type(refused.value) is kind


def test_what_is_free_and_cannot_be_used_may_be_tried_again(api, monkeypatch) -> None:
    from dataclasses import replace

    def no(*_: object) -> None:
        raise UnusableError("it holds nothing")

    with Client(api().url) as client, pytest.raises(TransientError, match="holds nothing"):
        client.send(replace(INDEX, parse=no), None)


def test_the_index_is_refused_to_an_account_that_may_make_no_calls(api) -> None:
    server = api(credentials=("someone@example.com", "another"))
    with Client(server.url, "someone@example.com", "wrong") as client, pytest.raises(AccountError):
        client.send(INDEX, None)


def test_tags_of_batches_and_endpoints_differ() -> None:
    day = dt.date(2026, 11, 24)
    assert request_tag(day, BATCH, "", BULK.name) == f"2026-11-24|backlinks/bulk_ranks/live|{BATCH}"
    assert request_tag(day, BATCH, "") != request_tag(day, BATCH, "", BULK.name)
