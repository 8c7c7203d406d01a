"""What makes a day quick changes nothing of it: collecting ahead of the runs, skipping what is finished, days in parallel."""

import datetime as dt
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import dagster as dg
import faults
import pyarrow.parquet as pq
import pytest
from commands import command
from faults import Fault

from backlinks_assets import pipeline
from backlinks_assets.cli.ahead import Ahead
from backlinks_assets.collect.collector import Ask, StopError, utc_now
from backlinks_assets.collect.factory import open_collector, open_store, watched_targets
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.resources import BacklinksApi
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.pipeline import NothingKeptError, publish_days
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import parquet_path, write_day, writing_day
from backlinks_assets.tables.rows import answer_tables
from backlinks_assets.tables.schemas import TABLES

pytestmark = pytest.mark.slow

RESPONSES = dg.AssetKey("summary_responses")
TARGETS = [f"shop{number:03d}.example" for number in range(20)]
TODAY = utc_now().date()


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def last_line(done) -> dict[str, object]:
    assert done.out, done.err
    return json.loads(done.out.splitlines()[-1])


def runs_of(settings: Settings) -> list[str]:
    with open_instance(settings) as instance:
        return [run.job_name for run in instance.get_runs()]


# --- collecting ahead ---------------------------------------------------------------------------------------------------


@pytest.fixture
def ahead() -> Ahead:
    return Ahead(BacklinksApi())


def asks_of(ahead: Ahead, settings: Settings) -> list[Ask]:
    return [ahead.ask(str(TODAY), target) for target in watched_targets(settings)]


def test_the_account_is_not_idle_before_the_first_run_asks(ahead, api, write_targets) -> None:
    server = api()
    write_targets(*TARGETS)
    settings = Settings.from_env()
    told = []
    everything_told = threading.Event()

    def tell(outcome) -> None:
        told.append(outcome.target)
        if len(told) == len(TARGETS):
            everything_told.set()

    asks = asks_of(ahead, settings)
    with ahead.at_work(asks, tell):
        assert everything_told.wait(60)  # and no run has asked for any
        assert len(server.calls) == 2 * len(TARGETS)
        first = {outcome.target for outcome in ahead.collect(asks[:5])}
        rest = {outcome.target for outcome in ahead.collect(asks[5:])}
    assert first == set(TARGETS[:5])
    assert rest == set(TARGETS[5:])
    assert len(server.calls) == 2 * len(TARGETS)


def test_a_run_that_asks_for_more_than_was_begun_gets_it(ahead, api, write_targets) -> None:
    server = api()
    write_targets(*TARGETS)
    asks = asks_of(ahead, Settings.from_env())
    with ahead.at_work(asks[:5], lambda _: None):
        assert {outcome.target for outcome in ahead.collect(asks[3:8])} == set(TARGETS[3:8])
    assert len(server.calls) == 16


def test_a_stop_reaches_the_run_that_waits_and_says_why(ahead, api, write_targets) -> None:
    api(credentials=("someone@example.com", "the right one"))
    write_targets(*TARGETS)
    asks = asks_of(ahead, Settings.from_env())
    outcomes = []
    with ahead.at_work(asks, lambda _: None), pytest.raises(StopError, match="DATAFORSEO_PASSWORD"):
        outcomes.extend(ahead.collect(asks))
    assert len(outcomes) == len(TARGETS)
    assert all(outcome.error for outcome in outcomes)
    assert ahead.stopped


def test_when_the_command_fails_no_further_call_is_made_and_what_came_is_kept(ahead, api, write_targets) -> None:
    server = api(latency_s=0.2)
    write_targets(*[f"many{number:04d}.example" for number in range(400)])
    asks = asks_of(ahead, Settings.from_env())

    def fail_halfway() -> None:
        with ahead.at_work(asks, lambda _: None):
            next(ahead.collect(asks))
            raise RuntimeError("of ours")

    with pytest.raises(RuntimeError, match="of ours"):
        fail_halfway()
    made = len(server.calls)
    assert 0 < made < 800
    with open_collector(Settings.from_env()) as collector:
        reused = sum(outcome.reused for outcome in collector.collect(asks))
    assert reused == made


def test_an_error_of_the_collecting_thread_ends_the_command(ahead, api, write_targets) -> None:
    api()
    write_targets(*TARGETS)
    asks = asks_of(ahead, Settings.from_env())

    def break_down(_outcome) -> None:
        raise RuntimeError("the bar broke")

    def work() -> None:
        with ahead.at_work(asks, break_down):
            pass

    with pytest.raises(RuntimeError, match="the bar broke"):
        work()


# --- the command --------------------------------------------------------------------------------------------------------


def test_what_is_kept_and_reported_is_not_reported_again(api, write_targets, settings) -> None:
    api()
    write_targets(*TARGETS, "empty.example")
    assert command("run").status == 0
    assert runs_of(Settings.from_env()).count("collect_job") == 1
    few = {"cli.execution.PARTITIONS_A_QUERY": 8}  # Dagster is asked three times
    again = last_line(command("run", "--json", patches=few))
    assert (again["reused"], again["collected"], again["calls"]) == (21, 0, 0)
    assert again["empty"] == ["empty.example"]
    assert runs_of(Settings.from_env()).count("collect_job") == 1


def test_what_is_kept_but_was_never_reported_is_reported_without_a_call(api, write_targets) -> None:
    server = api()
    write_targets(*TARGETS)
    settings = Settings.from_env()
    ahead = Ahead(BacklinksApi())
    with open_collector(settings) as collector:  # as a run killed before its events
        assert all(outcome.error is None for outcome in collector.collect(asks_of(ahead, settings)))
    calls = len(server.calls)
    done = last_line(command("run", "--json"))
    assert (done["reused"], done["calls"]) == (20, 0)
    assert len(server.calls) == calls
    with open_instance(settings) as instance:
        assert len(instance.get_materialized_partitions(RESPONSES)) == 20


def test_new_targets_and_failed_ones_are_all_that_a_second_run_reports(api, write_targets) -> None:
    server = api(Fault(faults.code(40501, "Invalid Field: 'target'."), target="shop007.example"))
    write_targets(*TARGETS)
    assert command("run").status == 3
    write_targets(*TARGETS, "fresh.example")
    calls = len(server.calls)
    done = last_line(command("run", "--json"))
    assert (done["collected"], done["reused"]) == (1, 19)
    assert [one["target"] for one in done["failed"]] == ["shop007.example"]
    assert {call.target for call in server.calls[calls:]} == {"shop007.example", "fresh.example"}
    settings = Settings.from_env()
    with open_instance(settings) as instance:
        assert len(instance.get_materialized_partitions(RESPONSES)) == 20


# --- tables -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def kept_days(write_targets) -> list[dt.date]:
    """Answers of the simulator for 25 days."""
    write_targets(*TARGETS[:3])
    settings = Settings.from_env()
    days = [TODAY - dt.timedelta(days=back) for back in reversed(range(25))]
    api = BacklinksApi()
    asks = [api.ask(str(day), target) for day in days for target in watched_targets(settings)]
    with open_collector(settings) as collector:
        assert all(outcome.error is None for outcome in collector.collect(asks))
    return days


@pytest.mark.ci
def test_many_days_in_several_processes_give_the_bytes_of_one(kept_days, tmp_path) -> None:
    settings = Settings.from_env()

    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in sorted((settings.root / "parquet").rglob("*.parquet"))}

    with_gap = [TODAY - dt.timedelta(days=60), *kept_days]
    parallel = list(publish_days(settings, with_gap, processes=2))
    made = files()
    assert isinstance(parallel[0], NothingKeptError)
    assert [day.date for day in parallel[1:]] == kept_days
    alone = list(publish_days(settings, with_gap, processes=1))
    assert files() == made
    assert [day.rows for day in alone[1:]] == [day.rows for day in parallel[1:]]


def test_a_day_in_parts_is_the_day_as_a_whole(kept_days, monkeypatch) -> None:
    settings = Settings.from_env()
    monkeypatch.setattr(pipeline, "TARGETS_A_PART", 1)
    with open_store(settings) as store:
        day = pipeline.publish_answers(settings, store, TODAY)
        whole = answer_tables(TODAY, store.answers(TODAY))
    assert day.targets == 3
    for name, table in (("backlinks_summary", whole.summary), ("referring_links", whole.links)):
        declared = TABLES[name].parquet_schema
        path = parquet_path(settings.root, name, TODAY)
        assert pq.ParquetFile(path).num_row_groups == 3
        assert pq.read_table(path, partitioning=None).equals(table.drop_columns("date").cast(declared))
        assert day.rows[name] == table.num_rows


@pytest.mark.ci
def test_targets_judged_in_parts_give_the_bytes_of_all_at_once(kept_days, monkeypatch) -> None:
    settings = Settings.from_env()
    assert len(list(publish_days(settings, kept_days))) == len(kept_days)

    def judged(together: int) -> list[tuple[int, bytes, bytes]]:
        monkeypatch.setattr(pipeline, "TARGETS_TOGETHER", 2)
        monkeypatch.setattr(pipeline, "TARGETS_JUDGED", together)
        found = pipeline.publish_changes(
            settings, kept_days[5:], watched_targets(settings).thresholds, DetectionSettings()
        )
        rows = {day.date: day.rows["backlinks_changes"] for day in found}
        files = ("backlinks_changes", "backlinks_flags")
        return [(rows[day], *(parquet_path(settings.root, name, day).read_bytes() for name in files)) for day in rows]

    whole = judged(3)
    assert [rows for rows, *_ in whole] == [6] * 20
    assert judged(1) == whole
    assert judged(2) == whole


@pytest.mark.parametrize("begins_with", ["definitions", "cli.app"])
def test_arrow_keeps_no_memory_of_its_own(begins_with: str) -> None:
    code = f"import backlinks_assets.{begins_with}, backlinks_assets.pipeline, pyarrow as pa\n"
    bare = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    told = subprocess.run(
        [sys.executable, "-c", code + "print(pa.default_memory_pool().backend_name)"],
        env=bare, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout.strip() == "system"


def test_a_process_that_builds_no_tables_does_not_import_what_does() -> None:
    heavy = {"pandas", "duckdb", "pyarrow.parquet"}
    code = f"import sys, backlinks_assets.definitions; print(sorted({heavy} & sys.modules.keys()))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_parts_out_of_order_are_refused_and_the_old_file_stays(kept_days) -> None:
    settings = Settings.from_env()
    with open_store(settings) as store:
        table = answer_tables(TODAY, store.answers(TODAY)).summary
    path = write_day(settings.root, "backlinks_summary", TODAY, table)
    before = path.read_bytes()

    def write_backwards() -> None:
        with writing_day(settings.root, "backlinks_summary", TODAY) as write:
            write(table.slice(2))
            write(table.slice(0, 2))

    with pytest.raises(ValueError, match="order of their targets"):
        write_backwards()
    assert path.read_bytes() == before
