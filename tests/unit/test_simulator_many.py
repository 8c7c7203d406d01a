"""The simulated bulk endpoints and single links over HTTP, by the project's own client: answers, refusals, prices."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import faults
import pytest
import requests
from faults import Fault
from simulated_api import SimulatedApi

from backlinks_assets.dataforseo.bulk import bulk_request
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoint import Request, Tariff
from backlinks_assets.dataforseo.endpoints import (
    bulk_new_lost_backlinks as links,
    bulk_new_lost_referring_domains as domains,
    bulk_pages_summary as pages,
)
from backlinks_assets.dataforseo.endpoints.single_links import LIVE_LINKS, LOST_LINKS, LinksParameters, links_of
from backlinks_assets.dataforseo.endpoints.summary import SUMMARY, RequestParameters
from backlinks_assets.dataforseo.endpoints.user_data import USER_DATA, price_list
from backlinks_assets.dataforseo.errors import RequestError, TargetError, TransientError
from backlinks_assets.dataforseo.since import SinceParameters

DAY = dt.date(2026, 11, 24)
TAG = f"{DAY}|any"
SITES = [f"site{number}.example" for number in range(1000)]


@pytest.fixture
def sim() -> Iterator[SimulatedApi]:
    with SimulatedApi(today=lambda: DAY) as running:
        yield running


@pytest.fixture
def client(sim: SimulatedApi) -> Iterator[Client]:
    with Client(sim.url) as client:
        yield client


def since(targets: list[str], date_from: dt.date = dt.date(2026, 1, 1), day: dt.date = DAY) -> Request:
    return bulk_request(SinceParameters.on(day, date_from, tuple(targets)), f"{day}|any")


@pytest.mark.medium
def test_a_thousand_targets_are_read_by_one_call_at_its_price(sim: SimulatedApi, client: Client) -> None:
    spent = sim.spent_usd
    answer = client.send(links.BULK_NEW_LOST_BACKLINKS, since(SITES))
    assert answer.cost_usd == pytest.approx(0.06)
    assert sim.spent_usd == pytest.approx(spent + 0.06)
    assert list(links.readings(answer.result, SITES)) == SITES
    assert (sim.calls[-1].parameters["targets"], sim.calls[-1].tag) == (SITES, TAG)


def test_evidence_sums_to_the_days_change_of_the_bulk_counts(client: Client) -> None:
    """As a watch does it: the same `date_from` on two days, differenced, and the rows since the day before."""
    names, before = [*SITES[:60], "velotrail.example"], DAY - dt.timedelta(days=1)
    now, then = (
        links.readings(client.send(links.BULK_NEW_LOST_BACKLINKS, since(names, day=day)).result, names)
        for day in (DAY, before)
    )
    changed = {t: now[t].lost_backlinks - then[t].lost_backlinks for t in names}
    lost = [name for name, change in changed.items() if change > 0]
    assert len(lost) > 5
    for name in lost[:20]:
        wanted = [["is_lost", "=", True], "and", ["last_seen", ">=", f"{DAY} 00:00:00 +00:00"]]
        asked = LinksParameters(filters=wanted, order_by=("domain_from_rank,desc", "rank,desc"), limit=1000)
        found = links_of(client.send(LOST_LINKS, Request(name, asked, "lost", TAG)).result)
        assert sum(row["group_count"] for row in found.rows) == changed[name]


def test_a_pages_summary_says_what_a_live_summary_says(client: Client) -> None:
    names = [*SITES[:90], "velotrail.example", "https://shop.example/a", "dead.example"]
    asked = bulk_request(pages.PagesSummaryParameters(targets=tuple(names)), TAG)
    found = pages.readings(client.send(pages.BULK_PAGES_SUMMARY, asked).result, names)
    for name in names[::7] + names[-3:]:
        live = client.send(SUMMARY, Request(name, RequestParameters(internal_list_limit=10), "live", TAG)).result
        assert live is not None
        one = found[name]
        for field in ("backlinks", "backlinks_spam_score", "referring_main_domains", "rank", "lost_date", "first_seen"):
            assert getattr(one, field) == live[field]
        assert one.breakdowns["referring_links_tld"] == live["referring_links_tld"]


def test_unknown_targets_have_no_reading_in_any_of_three_shapes(client: Client) -> None:
    names = ["shop.example", "empty.example", "empty-list.example", "empty-null.example"]
    answer = client.send(links.BULK_NEW_LOST_BACKLINKS, since(names))
    assert len((answer.result or {})["items"]) == 3
    assert answer.cost_usd == pytest.approx(0.024 + 2 * 0.000036)
    assert list(links.readings(answer.result, names)) == ["shop.example"]
    found = domains.readings(client.send(domains.BULK_NEW_LOST_REFERRING_DOMAINS, since(names)).result, names)
    assert list(found) == ["shop.example"]
    empty = client.send(LIVE_LINKS, Request("empty.example", LinksParameters(), "live", TAG))
    assert (links_of(empty.result).rows, empty.cost_usd) == ((), 0.024)


def test_one_poisoned_target_refuses_the_call_and_is_not_named(sim: SimulatedApi, client: Client) -> None:
    spent = sim.spent_usd
    with pytest.raises(TargetError, match=r"Invalid Field: 'targets'\. \(40501\)"):
        client.send(links.BULK_NEW_LOST_BACKLINKS, since([*SITES[:999], "invalid.example"]))
    assert sim.spent_usd == spent


@pytest.mark.parametrize(
    ("function", "task", "said"),
    [
        ("bulk_pages_summary", {"targets": SITES[:101]}, "'targets'"),
        ("bulk_pages_summary", {"targets": ["shop.example"], "rank_scale": "ten"}, "'rank_scale'"),
        ("bulk_pages_summary", {"targets": ["shop.example"], "date_from": "2026-01-01"}, "Unknown Fields"),
        ("bulk_new_lost_backlinks", {"targets": [*SITES, "shop.example"]}, "'targets'"),
        ("bulk_new_lost_backlinks", {"targets": '["shop.example"]'}, "'targets'"),
        ("bulk_new_lost_backlinks", {"targets": []}, "'targets'"),
        ("bulk_new_lost_backlinks", {"targets": ["shop.example"], "date_from": "2025-11-23"}, "'date_from'"),
        ("bulk_new_lost_backlinks", {"targets": ["shop.example"], "date_from": "2026-11-25"}, "'date_from'"),
        ("bulk_new_lost_backlinks", {"targets": ["shop.example"], "date_from": 20260101}, "'date_from'"),
        ("bulk_backlinks", {"targets": ["shop.example"], "date_from": "2026-01-01"}, "Unknown Fields"),
        ("backlinks", {"target": "shop.example", "limit": 1001}, "'limit'"),
        ("backlinks", {"target": "shop.example", "offset": 20_001}, "'offset'"),
        ("backlinks", {"target": "shop.example", "mode": "one"}, "'mode'"),
        ("backlinks", {"target": "shop.example", "order_by": ["rank"]}, "'order_by'"),
        ("backlinks", {"target": "shop.example", "order_by": ["rank,asc"] * 4}, "'order_by'"),
        (
            "backlinks",
            {"target": "shop.example", "filters": [["rank", ">", 1], *["and", ["rank", ">", 1]] * 8]},
            "'filters'",
        ),
        ("backlinks", {"target": "shop.example", "date_from": "2026-01-01"}, "Unknown Fields"),
        ("backlinks", {"target": "invalid.example"}, "'target'"),
    ],
)
def test_what_the_api_does_not_take_is_named_and_costs_nothing(
    sim: SimulatedApi, function: str, task: dict[str, Any], said: str
) -> None:
    url, login = f"{sim.url}/v3/backlinks/{function}/live", ("login", "password")
    spent = sim.spent_usd
    (refused,) = requests.post(url, json=[task], auth=login, timeout=60).json()["tasks"]
    assert refused["status_code"] == (40506 if "Unknown" in said else 40501)
    assert said in refused["status_message"]
    assert (refused["cost"], refused["result"], sim.spent_usd) == (0, None, spent)


def test_a_bad_date_is_the_settings_fault_and_not_a_targets(client: Client) -> None:
    asked = bulk_request(SinceParameters(targets=("shop.example",), date_from=dt.date(2020, 1, 1)), TAG)
    with pytest.raises(RequestError, match="'date_from'"):
        client.send(links.BULK_NEW_LOST_BACKLINKS, asked)


def test_user_data_has_a_price_for_each_endpoint_and_answers_cost_that() -> None:
    with SimulatedApi(price_usd=0.02003) as sim, Client(sim.url) as client:
        prices = price_list(client.send(USER_DATA, None))
        assert {SUMMARY.name, pages.NAME, links.NAME, domains.NAME, LOST_LINKS.name} <= prices.keys()
        tariff = prices[links.NAME]
        assert (tariff.call_usd, tariff.row_usd) == (pytest.approx(0.019994), 0.000036)
        request = bulk_request(SinceParameters(targets=tuple(SITES[:50]), date_from=sim.api.today()))
        expected = links.BULK_NEW_LOST_BACKLINKS.expected_price_usd(request, tariff)
        assert client.send(links.BULK_NEW_LOST_BACKLINKS, request).cost_usd == pytest.approx(expected)
        assert links.BULK_NEW_LOST_BACKLINKS.expected_price_usd(request) == Tariff().price_usd(50)


def test_faults_may_be_for_some_endpoints_or_for_a_call_that_holds_a_target() -> None:
    slow = Fault(faults.http(503), endpoint="bulk_new_*", calls=(1, 1))
    poison = Fault(faults.code(50401), target="site7.example", endpoint="bulk_*")
    with SimulatedApi(faults=[slow, poison], today=lambda: DAY) as sim, Client(sim.url) as client:
        client.send(SUMMARY, Request("site7.example", RequestParameters(), "live", TAG))
        for targets, fails in ((SITES[:3], True), (SITES[:3], False), (SITES[:9], True), (SITES[8:], False)):
            try:
                client.send(links.BULK_NEW_LOST_BACKLINKS, since(targets))
                assert not fails
            except TransientError:
                assert fails


def test_the_list_of_tasks_has_bulk_calls_with_their_tags_and_costs(sim: SimulatedApi) -> None:
    with Client(sim.url) as client:
        client.send(links.BULK_NEW_LOST_BACKLINKS, since(SITES[:3]))
    login = ("login", "password")
    listed = requests.post(f"{sim.url}/v3/backlinks/id_list", json=[{"include_metadata": True}], auth=login, timeout=60)
    newest = listed.json()["tasks"][0]["result"][0]
    assert (newest["cost"], newest["metadata"]["function"]) == (0.024108, "bulk_new_lost_backlinks")
    assert (newest["metadata"]["tag"], newest["metadata"]["targets"]) == (TAG, SITES[:3])
