"""The bulk endpoints' requests and answers: the API's limits, and items that are missing, null, zero or strange."""

import datetime as dt
from typing import Any

import pytest
import stand_in
from pydantic import ValidationError
from stand_in import envelope_of, task_of

from backlinks_assets.dataforseo.bulk import BulkParameters, bulk_request
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoint import PaidEndpoint, Request, Tariff
from backlinks_assets.dataforseo.endpoints import (
    bulk_new_lost_backlinks as links,
    bulk_new_lost_referring_domains as domains,
    bulk_pages_summary as pages,
)
from backlinks_assets.dataforseo.endpoints.single_links import LOST_LINKS, LinksParameters, links_of
from backlinks_assets.dataforseo.endpoints.user_data import price_list
from backlinks_assets.dataforseo.errors import TargetError
from backlinks_assets.dataforseo.parameters import TaskParameters
from backlinks_assets.dataforseo.since import SinceParameters
from backlinks_assets.dataforseo.tag import request_tag

DAY = dt.date(2026, 11, 24)
SITES = tuple(f"site{number}.example" for number in range(1001))


def since(*targets: str) -> SinceParameters:
    return SinceParameters.on(DAY, dt.date(2026, 1, 1), targets or ("shop.example",))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: pages.PagesSummaryParameters(targets=()), "at least 1"),
        (lambda: since(*SITES), "at most 1000"),
        (lambda: since("a.example", "a.example"), "a call once"),
        (lambda: pages.PagesSummaryParameters(targets=SITES[:101]), "100 main domains at most, not 101"),
        (lambda: SinceParameters.on(DAY, DAY - dt.timedelta(366), ("a.example",)), "within 365 days"),
        (lambda: SinceParameters.on(DAY, DAY + dt.timedelta(1), ("a.example",)), "within 365 days"),
        (lambda: LinksParameters(limit=1001), "less than or equal to 1000"),
        (lambda: LinksParameters(offset=20_001), "less than or equal to 20000"),
        (lambda: LinksParameters(filters=[["rank", ">", 1], *["and", ["rank", ">", 1]] * 8]), "8 filter conditions"),
        (lambda: LinksParameters(filters=["anchor", "regex", "x"]), "silently"),
        (lambda: LinksParameters(order_by=("rank",)), "domain_from_rank,desc"),
        (lambda: LinksParameters(order_by=("rank,asc",) * 4), "at most 3"),
        (lambda: LinksParameters(backlinks_status_type="lost"), "not permitted"),
    ],
)
def test_what_the_api_would_refuse_is_not_sent(make: Any, words: str) -> None:
    with pytest.raises((ValidationError, ValueError), match=words):
        make()


def test_what_is_at_the_limits_is_taken() -> None:
    pages.PagesSummaryParameters(targets=(*SITES[:100], *(f"{n}.site1.example" for n in range(900))))
    SinceParameters.on(DAY, DAY - dt.timedelta(365), SITES[:1000])


def test_a_batch_is_named_by_its_targets_in_any_order() -> None:
    one, other = since("a.example", "b.example"), since("b.example", "a.example")
    assert one.batch == other.batch != since("a.example").batch
    assert request_tag(DAY, one.batch, "", links.NAME) == f"2026-11-24|{links.NAME}|{one.batch}"
    assert dict(one.options) == {"targets": ("a.example", "b.example"), "date_from": dt.date(2026, 1, 1)}
    assert one.text == '{"date_from":"2026-01-01","targets":["a.example","b.example"]}'


def sent(endpoint: PaidEndpoint, parameters: BulkParameters, answer: Any) -> Any:
    with stand_in.serving(answer) as server, Client(server.url) as client:
        found = client.send(endpoint, bulk_request(parameters, "a tag"))
        assert server.asked[0]["targets"] == list(parameters.targets)
        return found.result


def with_items(*items: Any) -> Any:
    return lambda task: envelope_of([task_of(task, result=[{"items_count": len(items), "items": list(items)}])])


def test_missing_and_null_items_are_no_reading_and_zero_is_one() -> None:
    targets = ("zero.example", "null.example", "missing.example", "half.example", "text.example", "bücher.example")
    result = sent(
        links.BULK_NEW_LOST_BACKLINKS,
        since(*targets),
        with_items(
            {"target": "zero.example", "new_backlinks": 0, "lost_backlinks": 0},
            {"target": "null.example", "new_backlinks": None, "lost_backlinks": None},
            None,
            "nothing",
            {"target": "half.example", "lost_backlinks": 7},
            {"target": "text.example", "new_backlinks": "7", "lost_backlinks": True},
            {"target": "WWW.xn--bcher-kva.example", "new_backlinks": 1.0, "lost_backlinks": 2},
            {"target": "never.requested.example", "new_backlinks": 1, "lost_backlinks": 2},
            {"target": ["zero.example"], "new_backlinks": 1, "lost_backlinks": 2},
            {"target": "zero.example", "new_backlinks": 9, "lost_backlinks": 9},
        ),
    )
    assert links.readings(result, targets) == {
        "zero.example": links.NewLostLinks(0, 0),
        "half.example": links.NewLostLinks(None, 7),
        "bücher.example": links.NewLostLinks(1, 2),
    }


@pytest.mark.parametrize("result", [None, [], [None], [{"items": None}], [{"items": []}]])
def test_an_answer_without_items_has_no_readings(result: Any) -> None:
    found = sent(links.BULK_NEW_LOST_BACKLINKS, since(), lambda task: envelope_of([task_of(task, result=result)]))
    assert links.readings(found, ["shop.example"]) == {}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"result": [{"items": {"target": "shop.example"}}]}, "no list of items"),
        ({"result": [{"target": "shop.example", "backlinks": 1}]}, "no list of items"),
        ({"result": [{"items": []}], "data": {"targets": ["other.example"]}}, "about other targets"),
    ],
)
def test_an_answer_that_cannot_be_used_says_why(fields: dict[str, Any], words: str) -> None:
    for endpoint in (links.BULK_NEW_LOST_BACKLINKS, domains.BULK_NEW_LOST_REFERRING_DOMAINS, pages.BULK_PAGES_SUMMARY):
        with pytest.raises(TargetError, match=words):
            sent(endpoint, since(), lambda task: envelope_of([task_of(task, **fields)]))


def test_a_pages_summary_is_keyed_by_its_url_and_all_of_it_may_be_null() -> None:
    targets = ("a.example", "https://b.example/x", "c.example")
    result = sent(
        pages.BULK_PAGES_SUMMARY,
        pages.PagesSummaryParameters(targets=targets),
        with_items(
            {"url": "a.example", "backlinks": 10, "first_seen": 5, "referring_links_tld": {"com": 3, "": None}},
            {"url": "https://b.example/x", "backlinks": 0, "backlinks_spam_score": None, "lost_date": "2026-01-01"},
            {"target": "c.example", "backlinks": 3},
        ),
    )
    found = pages.readings(result, targets)
    assert list(found) == ["a.example", "https://b.example/x"]
    a, b = found.values()
    assert (a.backlinks, a.backlinks_spam_score, a.first_seen, a.rank) == (10, None, None, None)
    assert a.breakdowns == {"referring_links_tld": {"com": 3, "": None}}
    assert (b.backlinks, b.lost_date) == (0, "2026-01-01")


def test_lost_domains_are_read_with_their_main_domains() -> None:
    item = {"target": "shop.example", "lost_referring_domains": 4, "lost_referring_main_domains": 3}
    result = sent(domains.BULK_NEW_LOST_REFERRING_DOMAINS, since(), with_items(item))
    assert domains.readings(result, ["shop.example"]) == {"shop.example": domains.NewLostDomains(None, 4, None, 3)}


@pytest.mark.parametrize(
    ("parameters", "endpoint", "usd"),
    [
        (since(*SITES[:1000]), links.BULK_NEW_LOST_BACKLINKS, 0.06),
        (pages.PagesSummaryParameters(targets=SITES[:5]), pages.BULK_PAGES_SUMMARY, 0.02418),
        (LinksParameters(limit=100), LOST_LINKS, 0.0276),
    ],
)
def test_a_call_is_priced_by_its_rows(parameters: TaskParameters, endpoint: PaidEndpoint, usd: float) -> None:
    request = Request("any", parameters)
    assert endpoint.expected_price_usd(request) == pytest.approx(usd)
    assert endpoint.expected_price_usd(request, Tariff(1, 0)) == 1


def test_links_keep_their_rows_as_they_came_and_only_what_is_said_is_counted() -> None:
    rows = [{"domain_from": "<script>", "anchor": None}, None, 7]
    assert links_of({"total_count": 3, "items": rows}).rows == ({"domain_from": "<script>", "anchor": None},)
    assert links_of({"items": None}) == links_of(None)
    assert links_of({}).total_count is None


@pytest.mark.parametrize(
    ("node", "tariff"),
    [
        (
            {
                "priority_normal": [
                    {"cost_type": "per_request", "cost": 0.02},
                    {"cost_type": "per_result", "cost": 3e-5},
                ]
            },
            Tariff(0.02, 3e-5),
        ),
        ([{"cost_type": "per_request", "cost": 0.02}], Tariff(0.02, 0)),
        (0.024, Tariff(0.024, 0)),
        ({"priority_normal": None, "priority_high": [{"cost": 1}]}, None),
        ([{"cost_type": "per_result", "cost": 3e-5}], None),
        ({"priority_normal": [{"cost_type": "per_request", "cost": -1}]}, None),
        ("free", None),
        (None, None),
    ],
)
def test_the_accounts_prices_are_read_where_they_can_be(node: Any, tariff: Tariff | None) -> None:
    data = {"price": {"backlinks": {"bulk_pages_summary": {"live": node}, "history": None}, "serp": 3}}
    assert price_list(data) == ({pages.NAME: tariff} if tariff else {})
    assert price_list({"price": None}) == price_list({}) == {}
