"""`backlinks probe` against the simulated API: what it buys, what it finds on two days, and what it advises."""

import datetime as dt

import collecting
import faults
import pytest
from faults import Fault
from probing import CALLS_OF_FIRST, CALLS_OF_SECOND, FIRST, SECOND, TARGETS, freeze, probe

from backlinks_assets.cli.console import UsageError
from backlinks_assets.collect.collector import StopError
from backlinks_assets.collect.factory import open_store, watched_targets
from backlinks_assets.probe import calls, findings, trial, verdict
from backlinks_assets.probe.calls import ENDPOINTS, UNKNOWN
from backlinks_assets.settings import Settings

Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch, write_targets) -> None:
    collecting.be_quick(monkeypatch)
    write_targets(*TARGETS)


def paid(server) -> list:
    return [call for call in server.calls if call.cost_usd]


def test_the_first_day_reads_both_ways_and_says_come_back(api, capsys: Said) -> None:
    server = api()
    status, found, _ = probe(capsys)
    assert (status, found["verdict"], found["failed"]) == (0, "come_back", [])
    assert "Come back tomorrow (UTC): run it again." in found["says"]
    assert found["calls"] == len(paid(server)) == CALLS_OF_FIRST
    assert found["cost_usd"] == found["cost_usd_in_all"] == pytest.approx(server.spent_usd)
    assert all(f"{FIRST}|probe/backlinks/" in (call.tag or "") for call in paid(server))
    since = {call.parameters["date_from"] for call in paid(server) if "bulk_new_lost_backlinks" in call.path}
    assert since == {"2025-11-24", "2026-01-01", "2026-10-25", "2026-11-23"}
    assert found["equal"]["live"] == found["equal"]["spam"] == {"hits": 8, "of": 8}


def test_what_is_bought_is_no_days_reading_and_a_second_call_of_the_day_pays_nothing(api, capsys: Said) -> None:
    server = api()
    _, first, _ = probe(capsys)
    spent = server.spent_usd
    _, second, _ = probe(capsys)
    assert (second["calls"], second["cost_usd"], server.spent_usd) == (0, 0, spent)
    assert {**first, "calls": 0, "cost_usd": 0} == {**second, "calls": 0, "cost_usd": 0}
    with open_store(Settings.from_env()) as store:
        assert store.dates() == []
        assert store.dates(ENDPOINTS) == [FIRST]
        assert store.day_costs(FIRST).cost_usd == pytest.approx(spent)


def test_bulk_that_moves_with_the_summaries_is_found_fine_on_the_second_day(api, capsys: Said) -> None:
    server = api()
    probe(capsys)
    before = len(paid(server))
    status, found, _ = probe(capsys, SECOND)
    assert (status, found["verdict"]) == (0, "bulk")
    assert found["calls"] == len(paid(server)) - before == CALLS_OF_SECOND
    assert found["equal"]["live"] == found["equal"]["spam"] == {"hits": 16, "of": 16}
    assert found["moves"] == {
        "live": {"hits": 7, "of": 7},
        "spam": {"hits": 3, "of": 3},
        "lost": {"hits": 5, "of": 5},
    }
    assert "it saw 15 of 15 moves" in found["says"]
    assert found["dated"]["found"] > 0
    assert "Losses are dated by the day on which they are found" in found["sentences"]["losses"]


def test_bulk_that_does_not_move_is_found_and_the_fallback_is_advised(api, capsys: Said, monkeypatch) -> None:
    freeze(monkeypatch, "bulk_pages_summary")
    api()
    probe(capsys)
    _, found, _ = probe(capsys, SECOND)
    assert found["verdict"] == "full"
    assert (found["moves"]["live"]["hits"], found["moves"]["spam"]["hits"], found["moves"]["lost"]["hits"]) == (0, 0, 5)
    assert "it saw 5 of 15 moves" in found["says"]
    assert "lost and live links by bulk daily, the spam score by a live summary every 3 days" in found["says"]


@pytest.mark.ci
def test_losses_that_do_not_move_in_bulk_leave_only_watching_in_full(api, capsys: Said, monkeypatch) -> None:
    freeze(monkeypatch, "bulk_new_lost_backlinks")
    api()
    probe(capsys)
    _, found, _ = probe(capsys, SECOND)
    assert (found["verdict"], found["moves"]["lost"]) == ("full", {"hits": 0, "of": 5})
    assert found["says"].endswith("Watch in full (BACKLINKS_WATCH=full).")


@pytest.mark.ci
def test_days_too_far_apart_are_not_compared_and_the_gap_is_said(api, capsys: Said) -> None:
    api()
    probe(capsys)
    _, found, _ = probe(capsys, FIRST + dt.timedelta(days=3))
    assert (found["apart"], found["dated"]) == ([3], None)
    assert "Readings are up to 3 days apart" in found["sentences"]["moves"]
    _, found, _ = probe(capsys, FIRST + dt.timedelta(days=60))
    assert (found["days"], found["verdict"]) == ([str(FIRST + dt.timedelta(days=60))], "come_back")


@pytest.mark.first
@pytest.mark.parametrize(
    ("name", "row", "rows"),
    [
        ("empty.example", "no row", 1),
        ("empty-null.example", "null in place of its row", 1),
        (UNKNOWN, "a row without numbers", 2),
        ("calm.example", "a row with numbers", 2),
    ],
)
def test_an_unknown_names_row_and_its_price_are_found(api, capsys: Said, monkeypatch, name, row, rows) -> None:
    for module in (calls, findings, trial, verdict):
        monkeypatch.setattr(module, "UNKNOWN", name)
    api()
    _, found, _ = probe(capsys, many=2)
    of = {one["endpoint"].split("/")[1]: one for one in found["unknown"]}
    assert set(of) == {"summary", "bulk_pages_summary", "bulk_new_lost_backlinks"}
    assert of["bulk_pages_summary"]["row"] == of["bulk_new_lost_backlinks"]["row"] == row
    assert of["bulk_pages_summary"]["cost_usd"] == pytest.approx(0.024 + rows * 0.000036)
    assert of["summary"]["row"] == ("a row with numbers" if name == "calm.example" else "no result")
    assert found["equal"]["live"] == {"hits": 2, "of": 2}
    assert f"bulk_pages_summary {row} ($0.02" in found["sentences"]["unknown"]


def test_a_refused_balance_stops_it_and_the_next_call_pays_only_the_rest(api, capsys: Said, monkeypatch) -> None:
    server = api(balance_usd=0.3)
    status, _, said = probe(capsys)
    assert status == 1
    assert "Top it up" in said
    first = len(paid(server))
    assert 0 < first < CALLS_OF_FIRST
    server.account._deposit_usd = None
    status, found, _ = probe(capsys)
    assert (status, found["calls"], len(paid(server))) == (0, CALLS_OF_FIRST - first, CALLS_OF_FIRST)
    assert len({call.tag for call in paid(server)}) == CALLS_OF_FIRST - 3  # the four first days of losses share a tag


@pytest.mark.first
@pytest.mark.parametrize(
    ("endpoint", "what"),
    [("backlinks", "backlinks of "), ("bulk_new_lost_referring_domains", "bulk_new_lost_referring_domains since ")],
)
def test_an_unknown_endpoint_is_named_and_stops_nothing_else(api, capsys: Said, endpoint, what) -> None:
    server = api(Fault(faults.code(40402), endpoint=endpoint))
    status, found, said = probe(capsys)
    assert (status, found["verdict"]) == (3, "come_back")
    (failed,) = found["failed"]
    assert failed["what"].startswith(what)
    assert "40402" in failed["reason"]
    assert failed["reason"] in " ".join(said.split())
    assert len(paid(server)) == CALLS_OF_FIRST - 1


@pytest.mark.ci
def test_without_live_counts_in_bulk_nothing_can_be_compared(api, capsys: Said) -> None:
    api(Fault(faults.code(40402), endpoint="bulk_*"))
    status, found, _ = probe(capsys)
    assert (status, found["verdict"]) == (3, "no_answer")


@pytest.mark.ci
def test_a_target_that_its_summary_refuses_is_in_no_bulk_call(api, capsys: Said) -> None:
    bad = Fault(faults.code(40501, "Invalid Field: 'target'."), target=TARGETS[0], endpoint="summary")
    server = api(bad, Fault(faults.code(40501, "Invalid Field: 'targets'."), target=TARGETS[0], endpoint="bulk_*"))
    status, found, _ = probe(capsys)
    assert status == 3
    assert [one["what"] for one in found["failed"]] == [f"summary of {TARGETS[0]}"]
    assert found["equal"]["live"] == {"hits": 7, "of": 7}
    assert all(TARGETS[0] not in call.parameters.get("targets", ()) for call in server.calls)


@pytest.mark.ci
def test_a_made_up_name_that_is_refused_leaves_the_rest_as_it_is(api, capsys: Said) -> None:
    api(
        Fault(faults.code(40501, "Invalid Field: 'target'."), target=UNKNOWN, endpoint="summary"),
        Fault(faults.code(40501, "Invalid Field: 'targets'."), target=UNKNOWN, endpoint="bulk_*"),
    )
    status, found, _ = probe(capsys)
    assert (status, found["unknown"], len(found["failed"])) == (3, [], 3)
    assert found["equal"]["live"] == {"hits": 8, "of": 8}
    assert "Nothing was answered for the made-up name" in found["sentences"]["unknown"]


def test_a_budget_that_is_too_small_refuses_it_before_the_first_call_with_the_sum(
    api, capsys: Said, monkeypatch
) -> None:
    server = api()
    monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", "0.5")
    with pytest.raises(
        StopError, match=r"needs 27 calls of \$0\.65\d* together, and the budget of \$0\.50 .* has \$0\.5 left"
    ):
        probe(capsys)
    assert {call.path for call in server.calls} == {"/v3/appendix/user_data"}
    monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", "0.7")
    status, found, _ = probe(capsys)
    assert (status, found["calls"]) == (0, CALLS_OF_FIRST)


def test_a_program_says_yes_or_reads_what_is_stored(api, capsys: Said) -> None:
    server = api()
    with pytest.raises(UsageError, match=r"Nothing was probed yet: 27 calls of \$0\.65 at most\. Say --yes\."):
        probe(capsys, yes=False)
    assert not paid(server)
    probe(capsys)
    spent = server.spent_usd
    status, found, said = probe(capsys, SECOND, yes=False)
    assert (status, found["days"], found["calls"], server.spent_usd) == (0, [str(FIRST)], 0, spent)
    assert "Nothing was requested" in said


def test_without_a_target_that_bulk_can_count_there_is_nothing_to_probe(write_targets, capsys: Said) -> None:
    write_targets("shop.example,false", header="target,include_subdomains")
    with pytest.raises(UsageError, match="so there is nothing to probe"):
        probe(capsys)


@pytest.mark.ci
@pytest.mark.medium
def test_the_simulator_is_probed_without_a_question_and_says_so(capsys: Said) -> None:
    status, found, said = probe(capsys, yes=False)
    assert (status, found["simulated"], found["verdict"]) == (0, True, "come_back")
    assert "Simulated numbers" in said


def test_without_a_lost_link_no_list_is_bought_and_nothing_is_missing(api, write_targets, capsys: Said) -> None:
    write_targets("plain15.example")
    api()
    status, found, _ = probe(capsys)
    assert (status, found["calls"], found["listed"]) == (0, 2 * 2 + 6 + 2, None)
    settings = Settings.from_env()
    plan = trial.plan_of(settings, FIRST, watched_targets(settings), 20)
    assert trial.missing(plan) == []
