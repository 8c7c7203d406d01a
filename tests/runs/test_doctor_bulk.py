"""What `backlinks doctor` says of watching in bulk and of evidence."""

import datetime as dt
import json

import collecting
import pytest
from probing import TARGETS, probe
from report_world import a_flag, write_rows

from backlinks_assets.cli.doctor import account
from backlinks_assets.cli.doctor.bulk import bulk
from backlinks_assets.cli.doctor.finding import Finding, tried
from backlinks_assets.cli.doctor.machine import store
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.env_values import SettingsError
from backlinks_assets.evidence.flags import flags_of
from backlinks_assets.evidence.purchase import buy
from backlinks_assets.evidence.questions import wanted
from backlinks_assets.settings import Settings


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting.be_quick(monkeypatch)


def look(check) -> Finding:
    return tried(check, Settings.from_env())


def in_bulk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_WATCH", "bulk")


def test_targets_in_bulk_without_a_probe_are_noted_until_two_days_agree(
    api, write_targets, monkeypatch, capsys
) -> None:
    api()
    write_targets(*TARGETS)
    assert look(bulk) == Finding("no target is watched in bulk")
    in_bulk(monkeypatch)
    found = look(bulk)
    assert (found.mark, found.status) == ("note", 0)
    assert found.says.startswith("8 targets are watched in bulk, which was never tried on this account")
    assert "Run `backlinks probe`, on two days" in found.says
    first = dt.date(2026, 11, 24)
    probe(capsys, first)
    found = look(bulk)
    assert (found.mark, "Come back tomorrow" in found.says) == ("note", True)
    probe(capsys, first + dt.timedelta(days=1))
    found = look(bulk)
    assert found.mark == "fine"
    assert "Probe of 2026-11-24 and 2026-11-25: Bulk moves with the summary" in found.says


def test_the_simulators_targets_in_bulk_are_no_reason_for_a_note(write_targets, monkeypatch) -> None:
    in_bulk(monkeypatch)
    write_targets("shop.example")
    found = look(bulk)
    assert (found.mark, found.says) == (
        "fine",
        "1 target is watched in bulk, by the simulator; with an account begin with `backlinks probe`",
    )
    write_targets("not a target")
    assert look(bulk).mark == "fine"  # the check of the targets says so


def test_the_calls_of_a_day_are_those_of_both_ways(api, write_targets, monkeypatch) -> None:
    api()
    write_targets(*[f"shop{number}.example,bulk" for number in range(150)], "full.example,full", header="target,watch")
    # Two of live counts, two of losses, two summaries: $0.024 each, and $0.000036 a row and count.
    assert "a day of your 6 calls $0.16;" in look(account.account).says
    assert "151 active of 151" in look(account.targets).says
    assert look(account.targets).says.endswith(": 6 calls a day")


def test_targets_that_must_stay_full_are_a_note_with_their_parameter(write_targets, monkeypatch) -> None:
    in_bulk(monkeypatch)
    write_targets("shop.example,", "alone.example,false", header="target,include_subdomains")
    found = look(account.targets)
    assert (found.mark, found.status) == ("note", 0)
    assert (
        "Watched in full, since bulk calls know no such parameters: alone.example (include_subdomains=false)."
        in found.says
    )


@pytest.mark.parametrize(
    ("control", "lines", "says"),
    [
        ("3", ["shop.example,full"], "while daily_collect_schedule is on"),
        ("0", ["shop.example,bulk"], "while daily_bulk_collect_schedule is on"),
        (
            "500",
            ["a.example,bulk", "b.example,bulk"],
            "while daily_collect_schedule and daily_bulk_collect_schedule are on",
        ),
        (
            "0",
            ["a.example,bulk", "b.example,full"],
            "while daily_collect_schedule and daily_bulk_collect_schedule are on",
        ),
    ],
    ids=["full", "bulk", "control sample", "both"],
)
def test_the_schedules_that_are_needed_are_named(write_targets, monkeypatch, control, lines, says) -> None:
    monkeypatch.setenv("BACKLINKS_CONTROL_TARGETS", control)
    write_targets(*lines, header="target,watch")
    assert says in look(account.schedule).says


def test_what_evidence_cost_today_is_among_the_stores_calls(api, write_targets) -> None:
    server = api()
    write_targets("plain2.example")
    settings, today = Settings.from_env(), utc_now().date()
    write_rows(settings.root, "backlinks_flags", today, [a_flag("plain2.example", metric="spam_score")])
    buy(settings, today, wanted("all", flags_of(settings.root, today)))
    assert server.spent_usd > 0
    paid = sum(bool(call.cost_usd) for call in server.calls)  # the price list is read for nothing
    assert look(store).says == f"nothing stored yet; today {paid} calls, ${server.spent_usd:,.6g}"


def test_evidence_changes_nothing_of_what_a_day_of_readings_costs(api, write_targets, monkeypatch) -> None:
    api()
    write_targets("shop.example")
    before = look(account.account)
    monkeypatch.setenv("BACKLINKS_EVIDENCE", "all")
    assert look(account.account) == before
    assert "a day of your 2 calls" in before.says


def test_a_setting_of_evidence_that_is_wrong_is_named_before_any_check(monkeypatch) -> None:
    monkeypatch.setenv("BACKLINKS_EVIDENCE", "sometimes")
    with pytest.raises(SettingsError, match="BACKLINKS_EVIDENCE") as error:
        Settings.from_env()
    assert error.value.exit_status == 2


@pytest.mark.medium
def test_the_whole_doctor_has_the_check(api, write_targets, monkeypatch, capsys) -> None:
    from backlinks_assets.cli.doctor.examine import examine

    in_bulk(monkeypatch)
    api()
    write_targets("shop.example")
    examine(as_json=True)
    checks = {one["check"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert (checks["bulk"]["state"], checks["bulk"]["status"]) == ("note", 0)
