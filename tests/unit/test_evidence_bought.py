"""Evidence through the collector, the store and the ledger, against the simulator: bought once, in order, under its cap."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import collecting
import pytest
from collecting import of_links
from report_world import a_flag, write_rows

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoint import BUILT_IN
from backlinks_assets.dataforseo.endpoints.user_data import USER_DATA
from backlinks_assets.dataforseo.errors import TransientError
from backlinks_assets.evidence.files import TABLE, awaited, unbought_of, write_evidence
from backlinks_assets.evidence.flags import flags_of
from backlinks_assets.evidence.purchase import Purchase, buy, stored
from backlinks_assets.evidence.questions import Flagged, in_order, wanted
from backlinks_assets.evidence.sentences import links_of_row, share
from backlinks_assets.settings import Settings
from backlinks_assets.simulator.world import events, listing
from backlinks_assets.simulator.world.samples import scheduled_targets
from backlinks_assets.simulator.world.site import site
from backlinks_assets.tables.parquet import read_days

TODAY = utc_now().date()
YESTERDAY = TODAY - dt.timedelta(days=1)
TARGETS = [f"plain{number}.example" for number in range(12)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting.be_quick(monkeypatch)


def flagged(*flags: dict[str, Any]) -> list[Flagged]:
    """Write the day's flags, and read them as evidence does."""
    settings = Settings.from_env()
    write_rows(settings.root, "backlinks_flags", TODAY, flags)
    return wanted("all", flags_of(settings.root, TODAY))


def on(target: str, **more: Any) -> dict[str, Any]:
    return a_flag(target, **{"previous_date": YESTERDAY, **more})


def bought(flags: list[Flagged], **more: Any) -> Purchase:
    return buy(Settings.from_env(), TODAY, flags, **more)


def test_what_is_bought_is_what_the_server_sent_and_is_paid_once(api) -> None:
    server = api()
    flags = flagged(*(on(target) for target in TARGETS), on("bad.example", metric="spam_score", value=60.0))
    done = bought(flags)
    assert (done.failed, done.stopped) == ({}, None)
    assert done.calls == len(of_links(server)) >= 13  # and second tries
    assert done.cost_usd == pytest.approx(server.spent_usd)
    assert (bought(flags).calls, len(of_links(server))) == (0, done.calls)
    found = stored(Settings.from_env(), TODAY)
    for question in in_order(TODAY, flags):
        one = found[question.key]
        asked = question.parameters(100, since=one.since).model_dump(mode="json", exclude_none=True)
        (status_type,) = question.endpoint.status_types
        (sent,) = listing.result_of(question.target, {**asked, "backlinks_status_type": status_type}, TODAY) or []
        assert list(one.rows) == sent["items"]
        assert one.total_count == sent["total_count"]
    root = Settings.from_env().root
    assert write_evidence(root, TODAY, found, {}) == sum(max(1, len(one.rows)) for one in found.values())
    rows = read_days(root, TABLE, TODAY, TODAY)
    assert sum(rows["cost_usd"].to_pylist()) == pytest.approx(server.spent_usd)


def test_more_rows_are_bought_only_where_there_are_more(api) -> None:
    server = api()
    flags = flagged(on("bad.example", metric="spam_score", value=60.0))
    bought(flags, rows=10)
    (one,) = stored(Settings.from_env(), TODAY).values()
    calls = len(of_links(server))
    again = bought(flags, rows=20).calls
    assert again == (0 if one.has(20) else 1)
    assert bought(flags).calls == bought(flags, rows=10).calls == 0
    assert len(of_links(server)) == calls + again


@pytest.mark.parametrize(
    ("variable", "usd"), [("BACKLINKS_EVIDENCE_USD_PER_DAY", "0.10"), ("BACKLINKS_BUDGET_USD_PER_DAY", "0.10")]
)
def test_no_cap_is_passed_and_the_money_goes_to_the_first_in_order(api, monkeypatch, variable: str, usd: str) -> None:
    server = api()
    monkeypatch.setenv(variable, usd)
    flags = flagged(
        *(on(target, score=20.0 + at) for at, target in enumerate(TARGETS[:-1])), on(TARGETS[-1], severity="critical")
    )
    done = bought(flags)
    assert done.stopped is None
    assert 0 < server.spent_usd <= 0.10
    questions = [one.key for one in in_order(TODAY, flags)]
    assert questions[0][0] == TARGETS[-1]
    assert list(stored(Settings.from_env(), TODAY)) == sorted(questions[: len(questions) - len(done.failed)])
    assert all(variable in why for why in done.failed.values())
    assert bought(flags).calls == 0
    assert server.spent_usd <= 0.10


@pytest.mark.parametrize(("usd", "most"), [("0.05", 0), ("0.12", 2)])
def test_where_the_accounts_calls_are_dearer_than_the_built_in_price_the_cap_holds(
    api, monkeypatch, usd: str, most: int
) -> None:
    server = api(price_usd=0.050036)  # 0.0536 for 100 rows
    monkeypatch.setenv("BACKLINKS_EVIDENCE_USD_PER_DAY", usd)
    flags = flagged(*(on(target, metric="spam_score", value=60.0) for target in TARGETS[:5]))
    done = bought(flags)
    assert server.spent_usd <= float(usd)
    assert done.calls == len(of_links(server)) == most
    assert len(done.failed) == 5 - most


def test_while_the_accounts_prices_cannot_be_read_nothing_is_bought(api, monkeypatch) -> None:
    server = api(price_usd=0.050036)
    flags = flagged(on(TARGETS[0], metric="spam_score", value=60.0))
    real = Client.send

    def refused(client: Client, endpoint: Any, request: Any, *more: Any, **named: Any) -> Any:
        if endpoint is USER_DATA:
            raise TransientError("HTTP 503")
        return real(client, endpoint, request, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Client, "send", refused)
        done = bought(flags)
    assert (done.calls, server.spent_usd) == (0, 0)
    assert done.stopped is not None
    assert "list could not be read: HTTP 503" in done.stopped
    assert bought(flags).calls == 1


def test_a_cap_below_one_call_buys_nothing(api, monkeypatch) -> None:
    server = api()
    monkeypatch.setenv("BACKLINKS_EVIDENCE_USD_PER_DAY", str(BUILT_IN.price_usd(100) - 0.001))
    done = bought(flagged(on(TARGETS[0])))
    assert (done.calls, server.spent_usd, len(done.failed)) == (0, 0, 1)


def test_two_runs_at_once_pay_for_each_question_once(api) -> None:
    server = api(latency_s=0.05)
    flags = flagged(*(on(target, metric="spam_score", value=60.0) for target in TARGETS[:5]))
    with ThreadPoolExecutor(2) as pool:
        done = [each.result() for each in [pool.submit(bought, flags) for _ in range(2)]]
    assert sum(one.calls for one in done) == len(of_links(server)) == 5
    assert [one.failed for one in done] == [{}, {}]


def test_losses_without_a_link_in_the_answer_are_asked_about_once_more(api) -> None:
    quiet = next(
        name for name in (f"tiny{n}.example" for n in range(5000)) if _lost_since(name, 4) == 0 < _lost_since(name, 28)
    )
    server = api()
    flags = flagged(on(quiet))
    assert bought(flags).calls == len(of_links(server)) == 2
    (one,) = stored(Settings.from_env(), TODAY).values()
    assert one.since == TODAY - dt.timedelta(days=28)
    assert len(one.rows) == min(100, _lost_since(quiet, 28))
    assert one.cost_usd == pytest.approx(server.spent_usd)
    assert bought(flags).calls == 0


def _lost_since(target: str, days: int) -> int:
    since = ["last_seen", ">=", f"{TODAY - dt.timedelta(days=days)} 00:00:00 +00:00"]
    asked = {
        "backlinks_status_type": "lost",
        "mode": "one_per_domain",
        "filters": [["is_lost", "=", True], "and", since],
        "limit": 1,
    }
    return int((listing.result_of(target, asked, TODAY) or [])[0]["total_count"])


def test_a_day_that_is_over_is_bought_only_where_a_person_wants_it(api) -> None:
    server = api()
    settings = Settings.from_env()
    write_rows(settings.root, "backlinks_flags", YESTERDAY, [on(TARGETS[0], metric="spam_score", value=60.0)])
    flags = flags_of(settings.root, YESTERDAY)
    done = buy(settings, YESTERDAY, flags)
    assert "is over" in next(iter(done.failed.values()))
    assert not of_links(server)
    assert buy(settings, YESTERDAY, flags, any_day=True).calls == 1


def test_a_question_is_waited_for_until_it_is_answered_or_known_not_to_be(api, monkeypatch) -> None:
    api()
    monkeypatch.setenv("BACKLINKS_EVIDENCE", "critical")
    settings = Settings.from_env()
    flags = flagged(on(TARGETS[0]), on(TARGETS[1], severity="critical"), on(TARGETS[2], severity="critical"))
    assert {one.target for one in awaited(settings, TODAY)} == {TARGETS[1], TARGETS[2]}
    write_evidence(settings.root, TODAY, {}, {(TARGETS[1], "lost_domains"): "there was no money"})
    assert {one.target for one in awaited(settings, TODAY)} == {TARGETS[2]}
    assert unbought_of(settings.root, TODAY) == {(TARGETS[1], "lost_domains"): "there was no money"}
    bought(flags)
    write_evidence(settings.root, TODAY, stored(settings, TODAY), {})
    assert awaited(settings, TODAY) == []


@pytest.mark.medium
def test_of_a_lost_hub_the_rows_sum_to_the_flags_change() -> None:
    from backlinks_assets.simulator.world.answers import result_of

    first, last = dt.date(2026, 9, 1).toordinal(), dt.date(2026, 11, 20).toordinal()
    checked = 0
    for target in sorted(scheduled_targets()):
        if site(target).links >= 20_000:
            continue
        for event in events.begun(site(target), first, last):
            day = dt.date.fromordinal(event.day)
            if event.kind != events.HUB_LOST or any(
                abs(each.day - event.day) <= 4 for each in events.refreshes(event.day)
            ):
                continue
            before = day - dt.timedelta(days=1)
            value, previous = (
                (result_of(target, {"backlinks_status_type": "lost"}, each) or [])[0]["backlinks"]
                for each in (day, before)
            )
            flag = Flagged(target, "lost_backlinks", value, previous, before, 20.0, "up", "step", "warning")
            (question,) = in_order(day, [flag])
            asked = question.parameters(1000).model_dump(mode="json", exclude_none=True)
            (sent,) = listing.result_of(target, {**asked, "backlinks_status_type": "lost"}, day) or []
            part = share(flag, question.name, sent["items"])
            assert part is not None
            assert 0.8 < part < 1.35, (target, day, sum(map(links_of_row, sent["items"])), value - previous)
            checked += 1
    assert checked > 5
