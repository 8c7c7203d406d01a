"""`backlinks backfill` and its asset, from what is typed to the table that SQL reads."""

import datetime as dt

import commands
import dagster as dg
import duckdb
import pytest
from collecting import be_quick, shops
from table_days import keep_summary

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.definitions import build_defs
from backlinks_assets.settings import Settings

pytestmark = pytest.mark.slow

TODAY = utc_now().date()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    be_quick(monkeypatch)


def rows() -> list[tuple[object, ...]]:
    with duckdb.connect(str(Settings.from_env().duckdb_file), read_only=True) as tables:
        return tables.sql(
            "SELECT target, count(*), sum(cost_usd), max(date), bool_or(simulated) FROM lost_history GROUP BY ALL ORDER BY ALL"
        ).fetchall()


def test_the_asset_buys_once_and_publishes_the_table(instance: dg.DagsterInstance, api, write_targets) -> None:
    server = api()
    write_targets(*shops(3))
    keep_summary(Settings.from_env().root, TODAY, shops(3), links=900)
    job = build_defs().resolve_job_def("backfill_job")
    config = {"ops": {"lost_history": {"config": {"days": 4}}}}
    for calls in (5, 0):
        result = job.execute_in_process(instance=instance, run_config=config)
        (event,) = result.asset_materializations_for_node("lost_history")
        numbers = {name: value.value for name, value in event.metadata.items()}
        assert (numbers["calls"], numbers["dagster/row_count"], numbers["targets"]) == (calls, 12, 3)
        assert (numbers["failed"], numbers["refused"]) == ({}, {})
    assert len(server.calls) == 5
    found = rows()
    assert [(name, many, last, simulated) for name, many, _, last, simulated in found] == [
        (name, 4, TODAY - dt.timedelta(days=1), False) for name in shops(3)
    ]
    assert sum(cost for _, _, cost, _, _ in found) == pytest.approx(server.spent_usd)


@pytest.mark.ci
@pytest.mark.usefixtures("used_folder")
def test_a_person_confirms_the_cost_once_and_a_program_says_yes(api, write_targets) -> None:
    server = api()
    write_targets("shop.example", "other.example")
    status, screen = commands.on_a_terminal("backfill", "--days", "5", question="Buy?", answer="n")
    assert (status, len(server.calls)) == (3, 0)
    assert "2 targets, 6 calls, $0.14 at most" in screen
    silent = commands.command("backfill", "--days", "5", "--json")
    assert (silent.status, silent.out, len(server.calls)) == (3, "", 0)
    assert "`--yes` buys without a question" in silent.err
    done = commands.command("backfill", "--days", "5", "--yes", "--json")
    assert done.status == 0, done.err
    assert (done.summary["calls"], done.summary["rows"], done.summary["failed"]) == (6, 0, [])
    assert done.summary["cost_usd"] == pytest.approx(server.spent_usd)
    keep_summary(Settings.from_env().root, TODAY, ["shop.example", "other.example"])
    status, screen = commands.on_a_terminal("backfill", "--days", "5", question="Buy?", answer="n")
    assert status == 0, screen  # nothing is left to buy, so nothing is asked
    assert "0 calls, $0.00. lost_history has 10 rows of 2 targets" in " ".join(screen.split())
    assert [(name, many) for name, many, *_ in rows()] == [("other.example", 5), ("shop.example", 5)]


@pytest.mark.ci
@pytest.mark.usefixtures("used_folder")
def test_bad_input_and_what_cannot_be_counted_are_named(api, write_targets, monkeypatch) -> None:
    server = api()
    write_targets("shop.example,", "blog.example,false", header="target,include_subdomains")
    unknown = commands.command("backfill", "shop.exmaple", "--yes")
    assert (unknown.status, len(server.calls)) == (2, 0)
    assert "The targets file has no shop.exmaple" in unknown.err
    monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", "0.05")
    refused = commands.command("backfill", "--days", "2", "--yes")
    assert (refused.status, len(server.calls)) == (1, 0)
    assert "Raise BACKLINKS_BUDGET_USD_PER_DAY" in refused.err
    monkeypatch.delenv("BACKLINKS_BUDGET_USD_PER_DAY")
    some = commands.command("backfill", "--days", "2", "--yes", "--json")
    assert (some.status, some.summary["calls"]) == (3, 3)
    assert some.summary["failed"] == [
        {"target": "blog.example", "reason": "it has include_subdomains=false, which bulk calls do not know"}
    ]
    assert commands.command("backfill", "shop.example", "--days", "2").status == 0
