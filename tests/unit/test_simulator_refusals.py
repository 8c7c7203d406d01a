"""What the simulated API refuses, with which code, on which level, and at what price."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from simulated_api import SimulatedApi

SUMMARY = "/v3/backlinks/summary/live"
PRICE_USD = 0.024036
LOGIN = ("login", "password")


@pytest.fixture
def sim() -> Iterator[SimulatedApi]:
    with SimulatedApi() as running:
        yield running


def post(sim: SimulatedApi, body: Any, path: str = SUMMARY, auth: Any = LOGIN) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(sim.url + path, data=data, auth=auth, timeout=60)


def get(sim: SimulatedApi, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = requests.get(sim.url + path, auth=LOGIN, timeout=60).json()
    assert answer["cost"] == 0
    return answer


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("target", "invalid.example"),
        ("target", "shop.notatld"),
        ("target", "localhost"),
        ("target", "two words.example"),
        ("target", "shop.example/path-without-scheme"),
        ("target", "ftp://shop.example/"),
        ("target", "https://"),
        ("target", "bücher.example"),
        ("target", ""),
        ("target", 7),
        ("target", None),
        ("include_subdomains", "yes"),
        ("include_indirect_links", 1),
        ("exclude_internal_backlinks", "false"),
        ("internal_list_limit", 0),
        ("internal_list_limit", 1001),
        ("internal_list_limit", True),
        ("internal_list_limit", "10"),
        ("backlinks_status_type", "new"),
        ("rank_scale", "ten"),
        ("tag", "x" * 256),
        ("tag", 5),
        ("backlinks_filters", []),
        ("backlinks_filters", ["dofollow", "is", True]),
        ("backlinks_filters", ["no_such_field", "=", True]),
        ("backlinks_filters", [["dofollow", "=", True], "xor", ["rank", ">", 1]]),
        ("backlinks_filters", [["rank", ">", 1], *["and", ["rank", ">", 1]] * 8]),
    ],
    ids=repr,
)
def test_a_bad_field_is_named_and_costs_nothing(sim: SimulatedApi, field: str, value: Any) -> None:
    answer = post(sim, [{"target": "shop.example", field: value}])
    task = answer.json()["tasks"][0]
    assert (answer.status_code, answer.json()["status_code"], answer.json()["tasks_error"]) == (200, 20000, 1)
    assert (task["status_code"], task["status_message"]) == (40501, f"Invalid Field: '{field}'.")
    assert (task["result"], task["result_count"], task["cost"], sim.spent_usd) == (None, 0, 0, 0)


def test_eight_filters_are_not_too_many(sim: SimulatedApi) -> None:
    eight = [["rank", ">", 1], *["and", ["rank", ">", 1]] * 7]
    assert post(sim, [{"target": "shop.example", "backlinks_filters": eight}]).json()["tasks_error"] == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 40502),
        ([], 40502),
        (b"{not json", 40503),
        ({"target": "shop.example"}, 40503),
        (["shop.example"], 40503),
        ([{"target": "shop.example", "limit": 5}], 40506),
        ([{"target": "shop.example"}] * 101, 40006),
    ],
    ids=["no body", "empty array", "not JSON", "no array", "no object", "unknown field", "101 tasks"],
)
def test_a_body_that_is_no_task_is_refused_for_nothing(sim: SimulatedApi, body: Any, code: int) -> None:
    answer = post(sim, body)
    assert (answer.status_code, answer.json()["tasks"][0]["status_code"], sim.spent_usd) == (200, code, 0)


def test_of_two_tasks_the_first_is_served_and_charged_and_the_second_refused(sim: SimulatedApi) -> None:
    answer = post(sim, [{"target": "one.example"}, {"target": "two.example"}]).json()
    assert (answer["tasks_count"], answer["tasks_error"], answer["cost"]) == (2, 1, PRICE_USD)
    assert [task["status_code"] for task in answer["tasks"]] == [20000, 40000]
    assert [task["data"]["target"] for task in answer["tasks"]] == ["one.example", "two.example"]
    assert (answer["tasks"][1]["cost"], answer["tasks"][1]["result"]) == (0, None)
    assert sim.spent_usd == PRICE_USD


@pytest.mark.parametrize("auth", [None, ("", "password"), ("login", "wrong"), ("other", "password")])
def test_wrong_credentials_are_401_with_a_json_body(auth: tuple[str, str] | None) -> None:
    with SimulatedApi(credentials=LOGIN) as sim:
        answer = post(sim, [{"target": "shop.example"}], auth=auth)
        assert (answer.status_code, answer.json()["status_code"], answer.json()["tasks"]) == (
            401,
            40100,
            None,
        )
        assert answer.headers["X-Backlinks-Simulator"] == "simulated"
        assert post(sim, [{"target": "shop.example"}]).status_code == 200


def test_without_credentials_of_its_own_it_takes_any_login_but_none(sim: SimulatedApi) -> None:
    assert post(sim, [{"target": "shop.example"}], auth=("anyone", "")).status_code == 200
    assert post(sim, [{"target": "shop.example"}], auth=None).status_code == 401


def test_a_path_outside_the_simulators_says_what_the_base_url_is(sim: SimulatedApi) -> None:
    outside = requests.post(sim.url.removesuffix("/simulator") + SUMMARY, json=[], auth=LOGIN, timeout=60)
    assert (outside.status_code, outside.json()["status_code"]) == (404, 40400)
    assert sim.url in outside.json()["status_message"]


@pytest.mark.parametrize("path", ["/v3/backlinks/summary", "/v3/backlinks/history/live", "/v3/nothing", "/"])
def test_an_endpoint_that_is_not_simulated_is_404(sim: SimulatedApi, path: str) -> None:
    answer = post(sim, [{"target": "shop.example"}], path=path)
    assert (answer.status_code, answer.json()["status_code"]) == (404, 40402)


def test_other_methods_are_refused_and_marked_as_simulated(sim: SimulatedApi) -> None:
    answer = requests.put(sim.url + SUMMARY, data=b"", auth=LOGIN, timeout=60)
    assert (answer.status_code, answer.headers["X-Backlinks-Simulator"]) == (501, "simulated")


def test_an_empty_balance_stops_the_answers() -> None:
    with SimulatedApi(balance_usd=0.06) as sim:
        codes = [post(sim, [{"target": "shop.example"}]).json()["tasks"][0]["status_code"] for _ in range(4)]
        assert codes == [20000, 20000, 40210, 40210]
        assert sim.spent_usd == 2 * PRICE_USD
        money = get(sim, "/v3/appendix/user_data")["tasks"][0]["result"][0]["money"]
        assert (money["total"], money["balance"]) == (0.06, round(0.06 - 2 * PRICE_USD, 6))
    with SimulatedApi(balance_usd=PRICE_USD) as sim:
        assert post(sim, [{"target": "shop.example"}]).status_code == 200
        unpaid = post(sim, [{"target": "shop.example"}])
        assert (unpaid.status_code, unpaid.json()["tasks"][0]["status_code"]) == (402, 40200)


def test_the_price_is_the_one_it_was_told() -> None:
    with SimulatedApi(price_usd=0.02003) as sim:
        assert post(sim, [{"target": "shop.example"}]).json()["cost"] == 0.02003
        price = get(sim, "/v3/appendix/user_data")["tasks"][0]["result"][0]["price"]
        costs = price["backlinks"]["summary"]["live"]["priority_normal"]
        assert sum(each["cost"] for each in costs) == pytest.approx(0.02003)
        assert sim.spent_usd == 0.02003


def test_user_data_tells_the_account_for_free() -> None:
    with SimulatedApi(calls_per_minute=500) as sim:
        account = get(sim, "/v3/appendix/user_data")["tasks"][0]["result"][0]
        assert account["login"] == "login"
        assert account["rates"]["limits"]["minute"]["backlinks"]["summary"]["live"] == 500
        assert account["money"]["balance"] > 0
        assert sim.spent_usd == 0


def test_id_list_tells_what_was_executed_and_what_it_cost(sim: SimulatedApi) -> None:
    ids = [post(sim, [{"target": t, "tag": "mine"}]).json()["tasks"][0]["id"] for t in ("a.example", "b.example")]
    post(sim, [{"target": "invalid.example"}])
    now = datetime.now(UTC)
    span = {
        "datetime_from": f"{now - timedelta(hours=1):%Y-%m-%d %H:%M:%S} +00:00",
        "datetime_to": f"{now + timedelta(hours=1):%Y-%m-%d %H:%M:%S} +00:00",
    }
    rows = post(sim, [{**span, "include_metadata": True}], "/v3/backlinks/id_list").json()["tasks"][0]["result"]
    assert [row["id"] for row in rows] == ids[::-1]
    assert {row["cost"] for row in rows} == {PRICE_USD}
    assert rows[0]["metadata"]["target"] == "b.example"
    assert rows[0]["metadata"]["tag"] == "mine"
    before = {**span, "datetime_to": span["datetime_from"]}
    assert post(sim, [before], "/v3/backlinks/id_list").json()["tasks"][0]["result_count"] == 0
    assert sim.spent_usd == pytest.approx(2 * PRICE_USD)


def test_index_and_status_answer(sim: SimulatedApi) -> None:
    index = get(sim, "/v3/backlinks/index")["tasks"][0]["result"][0]
    assert index["total_backlinks"] > 1e12
    assert len(index["history"]) == 12
    assert get(sim, "/v3/appendix/status")["tasks"][0]["result"][0]["api"] == "backlinks"


def test_bodies_may_be_gzipped_both_ways(sim: SimulatedApi) -> None:
    body = gzip.compress(json.dumps([{"target": "velotrail.example", "internal_list_limit": 100}]).encode())
    headers = {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    zipped = requests.post(sim.url + SUMMARY, data=body, headers=headers, auth=LOGIN, timeout=60)
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert zipped.json()["tasks_error"] == 0
    plain = requests.post(
        sim.url + SUMMARY,
        data=body,
        headers={**headers, "Accept-Encoding": "identity"},
        auth=LOGIN,
        timeout=60,
    )
    assert "Content-Encoding" not in plain.headers
    assert plain.json()["tasks"][0]["result"] == zipped.json()["tasks"][0]["result"]
