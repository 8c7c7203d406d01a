"""Bulk calls and evidence go through the collector, the store and the ledger as a summary does, against the simulator."""

import datetime as dt

import collecting
import orjson
import pytest
from collecting import bodies, rows, run

from backlinks_assets.collect.chunks import thousands
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.outcome import CollectRequest
from backlinks_assets.dataforseo.answer import first_result
from backlinks_assets.dataforseo.endpoints import bulk_new_lost_backlinks as links, bulk_pages_summary as pages
from backlinks_assets.dataforseo.endpoints.single_links import LOST_LINKS, LinksParameters, links_of
from backlinks_assets.dataforseo.since import SinceParameters


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting.be_quick(monkeypatch)


def test_a_day_in_bulk_is_stored_whole_paid_by_its_rows_and_made_once(api) -> None:
    server, today = api(), utc_now().date()
    targets = collecting.shops(250)
    requests = []
    for part in thousands(targets):
        asked = [pages.PagesSummaryParameters(targets=chunk) for chunk in part.pages]
        requests += [CollectRequest(today, one.batch, one, endpoint=pages.BULK_PAGES_SUMMARY) for one in asked]
        since = SinceParameters.on(today, today - dt.timedelta(days=300), part.since)
        requests.append(CollectRequest(today, since.batch, since, endpoint=links.BULK_NEW_LOST_BACKLINKS))
    for calls in (4, 0):
        outcomes, stopped = run(requests)
        assert stopped is None
        assert {one.error for one in outcomes.values()} == {None}
        assert sum(one.calls for one in outcomes.values()) == calls
    assert server.spent_usd == pytest.approx(4 * 0.024 + 500 * 0.000036)
    assert rows("SELECT sum(cost_usd) FROM responses")[0][0] == pytest.approx(server.spent_usd)
    paid = [call for call in server.calls if "bulk" in call.path]
    assert {call.tag for call in paid} == {f"{today}|{one.endpoint.name}|{one.target}" for one in requests}
    results = [first_result(body) for body in bodies("responses")]
    read = [found for result in results for found in (pages.readings(result, targets), links.readings(result, targets))]
    assert sum(map(len, read)) == 2 * len(targets)


def test_evidence_is_one_call_under_its_target(api) -> None:
    server, today = api(), utc_now().date()
    asked = LinksParameters(filters=["is_lost", "=", True], order_by=("rank,desc",), limit=10)
    request = CollectRequest(today, "shop.com", asked, endpoint=LOST_LINKS)
    for calls in (1, 0):
        outcomes, stopped = run([request])
        assert (stopped, outcomes["shop.com"].error, outcomes["shop.com"].calls) == (None, None, calls)
    (body,) = bodies("responses")
    found = links_of(first_result(body))
    assert len(found.rows) == min(10, found.total_count or 0) > 0
    assert rows("SELECT target, status_type, request_key FROM responses") == [("shop.com", "lost", asked.key)]
    assert server.calls[-1].cost_usd == pytest.approx(0.024 + len(found.rows) * 0.000036)
    assert orjson.loads(asked.text)["mode"] == "one_per_domain"
