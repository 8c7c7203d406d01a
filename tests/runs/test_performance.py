"""What makes a day quick changes nothing of it: skipping what is finished, days judged in parts."""

import datetime as dt
import json
import subprocess
import sys

import dagster as dg
import faults
import pyarrow.parquet as pq
import pytest
from commands import command
from faults import Fault

from backlinks_assets import pipeline
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_collector, open_store, watched_targets
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.resources import BacklinksApi
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.paths import parquet_path
from backlinks_assets.pipeline import NoAnswersError, publish_days
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import write_day, writing_day
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


# --- the command --------------------------------------------------------------------------------------------------------


@pytest.mark.ci
def test_what_is_kept_and_reported_is_not_reported_again(api, write_targets, settings) -> None:
    api()
    write_targets(*TARGETS, "empty.example")
    assert command("run").status == 0
    assert runs_of(Settings.from_env()).count("collect_job") == 1
    few = {"cli.execution.PARTITIONS_PER_QUERY": 8}  # Dagster is asked three times
    again = last_line(command("run", "--json", patches=few))
    assert (again["reused"], again["collected"], again["calls"]) == (21, 0, 0)
    assert again["empty"] == ["empty.example"]
    assert runs_of(Settings.from_env()).count("collect_job") == 1


@pytest.mark.ci
def test_what_is_kept_but_was_never_reported_is_reported_without_a_call(api, write_targets) -> None:
    server = api()
    write_targets(*TARGETS)
    settings = Settings.from_env()
    asks = [BacklinksApi().request(str(TODAY), target) for target in watched_targets(settings)]
    with open_collector(settings) as collector:  # as a run killed before its events
        assert all(outcome.error is None for outcome in collector.collect(asks))
    calls = len(server.calls)
    done = last_line(command("run", "--json"))
    assert (done["reused"], done["calls"]) == (20, 0)
    assert len(server.calls) == calls
    with open_instance(settings) as instance:
        assert len(instance.get_materialized_partitions(RESPONSES)) == 20


@pytest.mark.ci
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
    asks = [api.request(str(day), target) for day in days for target in watched_targets(settings)]
    with open_collector(settings) as collector:
        assert all(outcome.error is None for outcome in collector.collect(asks))
    return days


@pytest.mark.ci
def test_days_are_published_in_their_order_and_one_without_answers_is_told(kept_days) -> None:
    empty, *published = publish_days(Settings.from_env(), [TODAY - dt.timedelta(days=60), *kept_days])
    assert isinstance(empty, NoAnswersError)
    assert [day.date for day in published] == kept_days


def test_a_day_in_parts_is_the_day_as_a_whole(kept_days, monkeypatch) -> None:
    settings = Settings.from_env()
    monkeypatch.setattr(pipeline, "TARGETS_PER_ROW_GROUP", 1)
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
def test_targets_read_in_parts_give_the_bytes_of_all_at_once(kept_days, monkeypatch) -> None:
    settings = Settings.from_env()
    assert len(list(publish_days(settings, kept_days))) == len(kept_days)

    def judged(together: int) -> list[tuple[int, bytes, bytes]]:
        monkeypatch.setattr(pipeline, "TARGETS_PER_READ", together)
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


@pytest.mark.ci
def test_a_process_that_builds_no_tables_does_not_import_what_does() -> None:
    heavy = {"pandas", "duckdb"}
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
