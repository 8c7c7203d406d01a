"""Targets watched in bulk, from the command to the tables, the flags and what Dagster shows."""

import dagster as dg
import duckdb
import pytest
from commands import command as backlinks

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.definitions import build_defs
from backlinks_assets.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]

SHOPS = [f"shop{number:03d}.example" for number in range(8)]


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def test_a_day_of_both_ways_of_watching_is_one_run_and_a_second_run_calls_nothing(api, write_targets) -> None:
    server = api()
    write_targets("full.example,full", *(f"{name},bulk" for name in SHOPS), "empty.example,bulk", header="target,watch")
    first = backlinks("run", "--json")
    assert first.status == 0, first.err
    summary = first.summary
    assert (summary["targets"], summary["collected"], summary["reused"], summary["calls"]) == (10, 10, 0, 5)
    assert summary["bulk"] == {
        "calls": 3,
        "targets": 9,
        "missing": ["empty.example"],
        "cost_usd": round(server.spent_usd - 2 * 0.024036, 6),
    }
    assert (summary["empty"], summary["failed"]) == (["empty.example"], [])
    assert summary["cost_usd"] == pytest.approx(server.spent_usd)
    second = backlinks("run", "--json").summary
    assert (second["calls"], second["reused"], second["collected"]) == (0, 10, 0)
    settings = Settings.from_env()
    with duckdb.connect(str(settings.duckdb_file), read_only=True) as tables:
        bulk = tables.sql(
            "SELECT target, has_data, lost_level = lost_backlinks, level_start FROM backlinks_bulk"
        ).fetchall()
        ways = tables.sql("SELECT instrument, count(*) FROM latest_readings GROUP BY ALL ORDER BY ALL").fetchall()
        judged = tables.sql("SELECT instrument, count(*) FROM backlinks_changes GROUP BY ALL ORDER BY ALL").fetchall()
    today = utc_now().date()
    assert bulk == [("empty.example", False, None, None), *((name, True, True, today) for name in SHOPS)]
    assert ways == [("bulk", 9), ("summary", 1)]
    assert judged == [("bulk", 16), ("summary", 2)]


@pytest.mark.ci
def test_the_control_sample_is_read_in_full_too_and_never_judged(api, write_targets, monkeypatch) -> None:
    server = api()
    monkeypatch.setenv("BACKLINKS_WATCH", "bulk")
    monkeypatch.setenv("BACKLINKS_CONTROL_TARGETS", "250")
    write_targets(*SHOPS)
    summary = backlinks("run", "--json").summary
    assert (summary["targets"], summary["collected"], summary["calls"]) == (8, 8, 3 + 4)
    assert sum("summary" in call.path and "bulk" not in call.path for call in server.calls) == 4
    with duckdb.connect(str(Settings.from_env().duckdb_file), read_only=True) as tables:
        assert tables.sql("SELECT count(*) FROM backlinks_summary").fetchall() == [(4,)]
        assert tables.sql("SELECT instrument, count(*) FROM backlinks_changes GROUP BY ALL").fetchall() == [
            ("bulk", 16)
        ]


@pytest.mark.ci
def test_a_thousand_domains_are_twelve_calls_and_their_control_sample_six_more(api, write_targets, monkeypatch) -> None:
    server = api()
    monkeypatch.setenv("BACKLINKS_WATCH", "bulk")
    monkeypatch.setenv("BACKLINKS_CONTROL_TARGETS", "0")
    write_targets(*(f"shop{number:03d}.example" for number in range(1000)))
    assert backlinks("run", "--json").summary["calls"] == 12
    spent_usd = server.spent_usd
    assert spent_usd <= 0.41
    monkeypatch.delenv("BACKLINKS_CONTROL_TARGETS")
    assert backlinks("run", "--json").summary["calls"] == 6
    assert server.spent_usd - spent_usd == pytest.approx(0.144, abs=0.0005)
    of_summary = [call.target for call in server.calls if call.path.endswith("/summary/live")]
    assert len(of_summary) == 2 * len(set(of_summary)) == 6


@pytest.mark.ci
def test_a_bulk_day_over_the_budget_ends_with_the_sum_and_status_1(api, write_targets, monkeypatch) -> None:
    server = api()
    monkeypatch.setenv("BACKLINKS_WATCH", "bulk")
    monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", "0.07")
    write_targets(*SHOPS)
    done = backlinks("run", "--json")
    assert (done.status, server.spent_usd) == (1, 0)
    assert "needs 3 calls of $0.072864 together" in done.err


def test_the_asset_costs_money_and_its_schedule_is_stopped() -> None:
    defs = build_defs()
    spec = next(one for one in defs.resolve_all_asset_specs() if one.key == dg.AssetKey("bulk_responses"))
    assert spec.tags["costs_money"] == "yes"
    schedule = defs.resolve_schedule_def("daily_bulk_collect_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    assert schedule.cron_schedule == "0 6 * * *"
