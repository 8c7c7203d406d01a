"""A day in bulk at a server that counts: so many calls and dollars, none twice, and one bad target costs the others nothing."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import collecting
import orjson
import pytest
from bulk_days import of_day, write_bulk
from collecting import rows, shops
from faults import Fault, code, http, reset

from backlinks_assets.collect.bulk_day import BulkOutcome, BulkTarget
from backlinks_assets.collect.collector import StopError, utc_now
from backlinks_assets.collect.factory import open_collector, open_store
from backlinks_assets.collect.since_day import former_since_day, since_day
from backlinks_assets.dataforseo.endpoints import bulk_new_lost_backlinks as links
from backlinks_assets.defs.resources import BacklinksApi
from backlinks_assets.settings import Settings

PAGES, LINKS, DOMAINS = "bulk_pages_summary", "bulk_new_lost_backlinks", "bulk_new_lost_referring_domains"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting.be_quick(monkeypatch)


def watched(names, line: str = "") -> list[BulkTarget]:
    return [BulkTarget(name, line=line) for name in names]


def run(targets, day: dt.date | None = None, now=utc_now) -> tuple[list[BulkOutcome], str | None]:
    outcomes: list[BulkOutcome] = []
    with open_collector(Settings.from_env(), now=now) as collector:
        try:
            for outcome in collector.collect_in_bulk(day or now().date(), targets):
                outcomes.append(outcome)
        except StopError as error:
            return outcomes, str(error)
    return outcomes, None


def failed(outcomes) -> dict[str, str]:
    return {name: why for one in outcomes for name, why in one.failed.items()}


def calls(outcomes) -> int:
    return sum(one.calls for one in outcomes)


def paid(server) -> list[str]:
    return [call.path.split("/")[-2] for call in server.calls if "bulk" in call.path]


def of_paths(server, *names: str) -> int:
    return sum(one in names for one in paid(server))


def test_a_thousand_domains_are_twelve_calls_and_a_second_run_none(api) -> None:
    server, targets = api(), watched(shops(1000))
    for many in (12, 0):
        outcomes, stopped = run(targets)
        assert (stopped, failed(outcomes), calls(outcomes)) == (None, {}, many)
    assert [of_paths(server, name) for name in (PAGES, LINKS, DOMAINS)] == [10, 1, 1]
    assert server.spent_usd == pytest.approx(0.396)
    assert rows("SELECT count(*) FROM claims") == [(0,)]


def test_a_months_first_run_counts_from_both_days(api) -> None:
    last, first, second = dt.date(2026, 10, 31), dt.date(2026, 11, 2), dt.date(2026, 11, 3)
    targets = watched(shops(250))
    for day, many, times in ((last, 5, 1), (first, 7, 2), (second, 5, 1)):
        server = api(today=lambda day=day: day)
        now = dt.datetime.combine(day, dt.time(6), dt.UTC)
        outcomes, stopped = run(targets, now=lambda now=now: now)
        assert (stopped, failed(outcomes), calls(outcomes)) == (None, {}, many)
        assert server.spent_usd == pytest.approx((3 + 2 * times) * 0.024 + (1 + 2 * times) * 250 * 0.000036)
        assert calls(run(targets, now=lambda now=now: now)[0]) == 0


def test_a_target_that_had_no_count_on_a_months_first_run_is_counted_from_both_days_on_the_next(api) -> None:
    api()
    today, names = utc_now().date(), shops(3)
    now, former = since_day(today), former_since_day(today)
    last = today.replace(day=1) - dt.timedelta(days=1)
    live = {"backlinks": 500, "backlinks_spam_score": 12}
    write_bulk(Settings.from_env().root, last, of_day(last, {names[1]: live}, {former: {names[1]: 103}}))
    with closing(BacklinksApi().collect_in_bulk(today, watched(names))) as outcomes:
        assert sum(one.calls for one in outcomes) == 5
    with open_store(Settings.from_env()) as store:
        found = {orjson.loads(one.variant)["date_from"]: one.targets for one in store.batches(today, links.NAME)}
    assert found == {str(now): tuple(names), str(former): (names[1],)}


@pytest.mark.ci
def test_the_first_run_of_a_month_over_a_thousand_domains_is_fourteen_calls(api) -> None:
    targets = watched(shops(1000))
    for day, many, most_usd in ((dt.date(2026, 10, 31), 12, 0.41), (dt.date(2026, 11, 1), 14, 0.53)):
        server = api(today=lambda day=day: day)
        now = dt.datetime.combine(day, dt.time(6), dt.UTC)
        outcomes, stopped = run(targets, now=lambda now=now: now)
        assert (stopped, failed(outcomes), len(paid(server))) == (None, {}, many)
        assert 0.39 < server.spent_usd <= most_usd


def test_a_target_added_at_noon_is_a_small_call_of_each_endpoint(api) -> None:
    server = api()
    run(watched(shops(150)))
    before = server.spent_usd
    outcomes, _ = run(watched([*shops(150), "aaa.example"]))
    assert calls(outcomes) == 3
    assert server.spent_usd - before == pytest.approx(3 * 0.024036)
    assert {name for one in outcomes for name in one.answered} == {"aaa.example"}


@pytest.mark.ci
def test_one_poisoned_target_of_a_thousand_is_found_in_twelve_calls_more_and_left_out(api) -> None:
    server = api()
    targets = watched([*shops(999), "invalid.example"])
    outcomes, stopped = run(targets)
    assert stopped is None
    assert set(failed(outcomes)) == {"invalid.example"}
    assert calls(outcomes) <= 24
    read = {
        name: {each for one in outcomes if name in one.endpoint for each in one.answered} for name in (PAGES, LINKS)
    }
    assert read[PAGES] == read[LINKS] == set(shops(999))
    again, _ = run(targets)
    assert calls(again) == 0
    assert "left out of them until its line" in failed(again)["invalid.example"]
    before = len(paid(server))
    run([*watched(shops(999)), BulkTarget("invalid.example", line="changed")])
    assert len(paid(server)) > before


POISON = code(40501, "Invalid Field: 'targets'.")


@pytest.mark.first
@pytest.mark.parametrize("at", [0, 500, 999])
def test_a_culprit_of_a_thousand_is_found_in_twelve_calls_more_wherever_it_is(api, at: int) -> None:
    names = shops(1000)
    server = api(Fault(POISON, target=names[at], endpoint=LINKS))
    outcomes, stopped = run(watched(names))
    assert (stopped, set(failed(outcomes))) == (None, {names[at]})
    assert of_paths(server, LINKS) <= 1 + 12
    read = {each for one in outcomes if LINKS in one.endpoint for each in one.answered}
    assert read == {*names} - {names[at]}


def test_more_culprits_than_a_few_are_not_looked_for(api) -> None:
    server = api(Fault(POISON, endpoint=LINKS))
    outcomes, stopped = run(watched(shops(60)))
    assert stopped is None
    assert set(failed(outcomes)) == set(shops(60))
    assert of_paths(server, LINKS) < 60


@pytest.mark.parametrize("effect", [code(50401), code(50401, "Timeout")])
def test_a_call_that_times_out_is_made_as_halves(api, effect) -> None:
    server = api(Fault(effect, endpoint=LINKS, calls=(1, 2)))
    outcomes, stopped = run(watched(shops(40)))
    assert (stopped, failed(outcomes)) == (None, {})
    sizes = [len(call.parameters["targets"]) for call in server.calls if LINKS in call.path]
    assert sizes == [40, 20, 10, 10, 20]


def test_a_busy_gateway_is_tried_again_with_the_same_targets(api) -> None:
    server = api(Fault(http(502), endpoint=PAGES, calls=(1, 2)), Fault(reset(), endpoint=DOMAINS, calls=(1, 1)))
    outcomes, stopped = run(watched(shops(40)))
    assert (stopped, failed(outcomes)) == (None, {})
    assert {len(call.parameters["targets"]) for call in server.calls if "bulk" in call.path} == {40}


def test_where_the_api_takes_fewer_main_domains_the_run_goes_on_with_half(api, monkeypatch: pytest.MonkeyPatch) -> None:
    server = api()
    monkeypatch.setattr("backlinks_assets.simulator.http.many.MAX_MAIN_DOMAINS", 50)
    outcomes, stopped = run(watched(shops(300)))
    assert (stopped, failed(outcomes)) == (None, {})
    assert {each for one in outcomes if PAGES in one.endpoint for each in one.answered} == set(shops(300))
    assert server.spent_usd < 1


def test_a_day_that_does_not_fit_the_budget_is_refused_before_its_first_call(
    api, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = api()
    monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", "0.39")
    outcomes, stopped = run(watched(shops(1000)))
    assert calls(outcomes) == len(paid(server)) == 0
    assert "needs 12 calls of $0.396 together" in (stopped or "")
    assert "$0.39 left" in (stopped or "")
    monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", "0.4")
    assert run(watched(shops(1000)))[1] is None
    assert server.spent_usd == pytest.approx(0.396)


def test_two_runs_at_once_pay_for_each_target_once(api) -> None:
    server = api(latency_s=0.3)
    asked = [watched(shops(150)), watched([*shops(150), "late.example"])]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(run, asked))
    assert [stopped for _, stopped in found] == [None, None]
    assert [failed(outcomes) for outcomes, _ in found] == [{}, {}]
    for name in (PAGES, LINKS, DOMAINS):
        targets = [each for call in server.calls if name in call.path for each in call.parameters["targets"]]
        assert sorted(targets) == sorted([*shops(150), "late.example"])


@pytest.mark.parametrize("stop_after", [0, 1])
def test_a_run_that_is_stopped_keeps_what_it_paid_for(api, stop_after: int) -> None:
    server = api()
    seen: list[BulkOutcome] = []

    def stop_after_some(collector) -> None:
        for outcome in collector.collect_in_bulk(utc_now().date(), watched(shops(250))):
            seen.append(outcome)
            if len(seen) == 4 + stop_after:
                collector.stop("enough")

    with open_collector(Settings.from_env()) as collector, pytest.raises(StopError, match="enough"):
        stop_after_some(collector)
    before = len(paid(server))
    again, stopped = run(watched(shops(250)))
    assert (stopped, failed(again)) == (None, {})
    assert before + calls(again) == len(paid(server)) == 5
