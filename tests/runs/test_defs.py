"""The code location on a real Dagster instance: partitions, runs, what stays materialized, schedule, automation."""

import datetime as dt
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import faults
import pyarrow.parquet as pq
import pytest
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetNode
from faults import Fault, FaultPlan
from looks import Automation

from backlinks_assets import pipeline as pipeline_module
from backlinks_assets.cli.execution import Pipeline, Tally
from backlinks_assets.collect import collector as collector_module
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_collector, watched_targets
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs import assets
from backlinks_assets.defs.assets import ASSETS as ASSET_DEFS
from backlinks_assets.defs.partitions import MOST_RANGES, day_range_tags, range_tags, ranges
from backlinks_assets.defs.resources import BacklinksApi, BacklinksData
from backlinks_assets.defs.runs import collects, publishes
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.settings import Settings
from backlinks_assets.store.responses import responses
from backlinks_assets.tables import duckdb_sync
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.duckdb_sync import SyncResult
from backlinks_assets.targets.file import partition_key

TODAY = utc_now().date()
NOV_24 = dt.date(2026, 11, 24)
RESPONSES = dg.AssetKey("summary_responses")
TARGETS = [f"shop{number:03d}.example" for number in range(12)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    import tenacity

    monkeypatch.setattr(
        collector_module, "_backoff", tenacity.wait_exponential_jitter(multiplier=0.01, max=0.05, jitter=0.01)
    )
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def collect_run(instance: dg.DagsterInstance, first: str, last: str, day: dt.date = TODAY) -> dg.ExecuteInProcessResult:
    job = build_defs().resolve_job_def("collect_job")
    tags = range_tags(str(day), str(day), first, last)
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def publish_run(instance: dg.DagsterInstance, first: dt.date, last: dt.date) -> dg.ExecuteInProcessResult:
    job = build_defs().resolve_job_def("publish_job")
    return job.execute_in_process(instance=instance, tags=day_range_tags(str(first), str(last)), raise_on_error=False)


def materialized(instance: dg.DagsterInstance) -> set[str]:
    return {key.split("|")[1] for key in instance.get_materialized_partitions(RESPONSES)}


def test_the_definitions_load_and_bear_the_contracts_names() -> None:
    definitions = build_defs()
    dg.Definitions.validate_loadable(definitions)
    repository = definitions.get_repository_def()
    assert {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()} >= {
        "summary_responses",
        "backlinks_summary",
        "referring_links",
        "backlinks_changes",
        "backlinks_flags",
    }
    assert {job.name for job in repository.get_all_jobs()} >= {"collect_job", "publish_job"}
    schedule = repository.get_schedule_def("daily_collect_schedule")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
    partitions = repository.asset_graph.get(RESPONSES).partitions_def
    assert isinstance(partitions, dg.MultiPartitionsDefinition)
    assert [dimension.name for dimension in partitions.partitions_defs] == ["date", "target"]
    assert partitions.get_partitions_def_for_dimension("target").name == "targets"


ASSETS = sorted(key.to_user_string() for key in build_defs().get_repository_def().asset_graph.get_all_asset_keys())
TABLE_ASSETS = [name for name in ASSETS if name != "flags_report"]  # that one is a page
GROUPS = {
    "collection": {"summary_responses"},
    "tables": {"backlinks_summary", "referring_links", "api_costs"},
    "flags": {"backlinks_changes", "backlinks_flags", "flags_report"},
}


SENSORS = build_defs().get_repository_def().sensor_defs


def node_of(name: str) -> BaseAssetNode:
    return build_defs().get_repository_def().asset_graph.get(dg.AssetKey(name))


def columns_of(name: str) -> dict[str, dg.TableColumn]:
    return {column.name: column for column in node_of(name).metadata["dagster/column_schema"].columns}


@pytest.mark.parametrize("name", ASSETS)
def test_every_asset_tells_what_it_is_and_who_owns_it(name: str) -> None:
    node = node_of(name)
    first_sentence = node.description.split("\n")[0]
    assert len(first_sentence) > 30
    assert first_sentence.rstrip().endswith(".")
    assert node.owners == ["team:seo"]
    assert name in GROUPS[node.group_name]
    assert node.kinds
    # Money is spent by a person's word only; what is free is asked for by the sensor, all of it together.
    (sensor,) = [one for one in SENSORS if one.name == "publish_automation_sensor"]
    by_itself = dg.AssetKey(name) in build_defs().resolve_job_def(sensor.job_name).asset_layer.selected_asset_keys
    assert by_itself == (name != "summary_responses")
    assert node.automation_condition is None
    assert node.tags.get("costs_money") == ("yes" if name == "summary_responses" else None)


@pytest.mark.parametrize("name", TABLE_ASSETS)
def test_every_table_tells_its_columns_and_where_it_is_kept(name: str) -> None:
    metadata = node_of(name).metadata
    columns = columns_of(name)
    assert all(column.description and column.type for column in columns.values())
    assert metadata["dagster/table_name"].endswith("responses" if name == "summary_responses" else f".{name}")
    assert metadata["dagster/storage_kind"] in node_of(name).kinds


def test_the_columns_of_the_kept_answers_are_those_of_the_store() -> None:
    assert set(columns_of("summary_responses")) == set(responses.columns.keys())


@pytest.mark.parametrize("name", [name for name in TABLE_ASSETS if name != "summary_responses"])
def test_every_column_of_a_table_says_which_columns_it_is_made_from(name: str) -> None:
    lineage = node_of(name).metadata["dagster/column_lineage"].deps_by_column
    made_by_itself = {"api_costs": {"calls", "charged_without_answer"}, "backlinks_changes": {"metric"}}.get(
        name, set()
    )
    assert set(lineage) == set(columns_of(name)) - made_by_itself
    parents = {key.to_user_string() for key in node_of(name).parent_keys}
    for column, deps in lineage.items():
        assert {dep.asset_key.to_user_string() for dep in deps} == parents, column
        assert all(dep.column_name in columns_of(dep.asset_key.to_user_string()) for dep in deps), column


def test_a_published_day_has_numbers_to_plot_of_every_asset(instance, write_targets) -> None:
    write_targets(*TARGETS[:2])  # no credentials: the simulator
    add_missing_targets(instance, TARGETS[:2])
    results = [collect_run(instance, TARGETS[0], TARGETS[1]), publish_run(instance, TODAY, TODAY)]
    numbers = {
        event.asset_key.to_user_string(): {
            name
            for name, value in event.materialization.metadata.items()
            if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
        }
        for result in results
        for event in result.get_asset_materialization_events()
    }
    assert sorted(numbers) == ASSETS
    assert all("dagster/partition_row_count" in numbers[name] for name in TABLE_ASSETS)
    assert numbers["summary_responses"] >= {"live_backlinks", "lost_backlinks", "spam_score", "cost_usd", "calls"}
    assert numbers["api_costs"] >= {"calls", "cost_usd"}
    assert numbers["backlinks_summary"] >= {"targets", "targets_unknown_to_the_api"}
    assert numbers["flags_report"] >= {"flags"}
    for name in ("backlinks_changes", "backlinks_flags"):
        assert numbers[name] >= {"flags", "critical", "spam_score_flags", "lost_backlinks_flags", "index_moves"}


def test_what_a_person_may_start_and_what_runs_by_itself_is_described_in_a_sentence() -> None:
    repository = build_defs().get_repository_def()
    checks = [spec for asset in ASSET_DEFS for spec in asset.check_specs]
    assert len(checks) == 6
    for thing in [*repository.get_all_jobs(), *repository.schedule_defs, *repository.sensor_defs, *checks]:
        if thing.name.startswith("__"):
            continue  # Dagster's own job of all assets
        assert thing.description, thing.name
        assert thing.description.endswith("."), thing.name


@pytest.mark.parametrize(
    ("said", "tags"),
    [
        ("Collect 2026-11-24 · 2,000 targets · part 3 of 8", collects(NOV_24, NOV_24, 2000, 3, 8)),
        ("Collect 2026-09-26 to 2026-11-24 · 31 targets", collects(dt.date(2026, 9, 26), NOV_24, 31)),
        ("Collect 2026-11-24 · 1 target", collects(NOV_24, NOV_24, 1, 1, 1)),
        ("Publish 2026-11-24", publishes(NOV_24, NOV_24)),
        ("Publish 2026-09-26 to 2026-11-24", publishes(dt.date(2026, 9, 26), NOV_24)),
    ],
)
def test_a_run_says_what_it_does_in_a_tag_that_the_list_of_runs_shows(said: str, tags: dict[str, str]) -> None:
    assert tags == {"run": said}
    # Dagster's list hides tags of its own, and names them by their prefix.
    assert not any(key.startswith(("dagster/", ".dagster/")) for key in tags)


def test_the_commands_runs_are_named_and_are_found_by_the_pages_of_their_jobs(instance, write_targets) -> None:
    write_targets(*TARGETS[:3])  # no credentials: the simulator
    settings = Settings.from_env()
    pipeline = Pipeline(settings, instance)
    pipeline.collect(TODAY, TODAY, watched_targets(settings), Tally(), lambda _: None, most_keys=2)
    pipeline.publish(TODAY, TODAY)
    runs = instance.get_runs(dg.RunsFilter(tags={".dagster/repository": "__repository__@backlinks_assets"}))
    assert [(run.job_name, run.tags["run"]) for run in reversed(runs)] == [
        ("collect_job", f"Collect {TODAY} · 3 targets · part 1 of 2"),
        ("collect_job", f"Collect {TODAY} · 3 targets · part 2 of 2"),
        ("publish_job", f"Publish {TODAY}"),
    ]


def test_the_tag_of_this_location_is_the_one_that_dagster_gives() -> None:
    from backlinks_assets.defs.runs import OF_THIS_LOCATION

    workspace = (Path(__file__).parents[2] / "workspace.yaml").read_text(encoding="utf-8")
    (label,) = OF_THIS_LOCATION.values()
    repository, location = label.split("@")
    assert repository == build_defs().get_repository_def().name
    assert f"location_name: {location}\n" in workspace


def test_runs_that_start_by_themselves_are_named_too(instance, write_targets) -> None:
    write_targets(*TARGETS[:1])  # no credentials: the simulator
    add_missing_targets(instance, TARGETS[:1])
    collect_run(instance, TARGETS[0], TARGETS[0])
    automation = Automation(instance)
    automation.look()
    assert [request.tags["run"] for request in automation.requests] == ["Publish new answers"]


@pytest.mark.slow
@pytest.mark.ci
def test_make_ui_starts_without_a_warning_or_a_word_of_the_shell(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    # In the place of Dagster: what it does first in each of its processes, under the same environment.
    loads = "import os; print(os.environ['DAGSTER_HOME']); import backlinks_assets.definitions"
    (venv / "bin" / "dagster").write_text(f'#!/bin/sh\nexec {sys.executable} -c "{loads}"\n')
    (venv / "bin" / "dagster").chmod(0o755)
    (venv / ".runtime").touch()
    root = Path(__file__).parents[2]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONWARNINGS", "MAKEFLAGS")}
    done = subprocess.run(
        ["make", "--no-print-directory", "ui", f"VENV={venv}"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{root}\n", "")


@pytest.mark.parametrize("address", [None, pytest.param("https://intranet.example/seo", marks=pytest.mark.ci)])
def test_the_ui_leads_to_the_days_page_by_its_path_or_on_the_web(instance, write_targets, monkeypatch, address) -> None:
    write_targets(*TARGETS[:1])
    add_missing_targets(instance, TARGETS[:1])
    if address:
        monkeypatch.setenv("BACKLINKS_REPORTS_URL", address)
    collect_run(instance, TARGETS[0], TARGETS[0])
    events = publish_run(instance, TODAY, TODAY).get_asset_materialization_events()
    (page,) = [event.materialization.metadata["page"] for event in events if event.asset_key.path == ["flags_report"]]
    path = Settings.from_env().root / "reports" / f"flags-{TODAY}.html"
    assert path.exists()
    assert type(page) is (dg.UrlMetadataValue if address else dg.PathMetadataValue)
    assert page.value == (f"{address}/{path.name}" if address else str(path))


def test_a_range_run_materializes_each_partition_with_its_own_numbers(instance, api, write_targets) -> None:
    server = api()
    write_targets(*TARGETS)
    add_missing_targets(instance, TARGETS)
    result = collect_run(instance, TARGETS[0], TARGETS[-1])
    assert result.success
    assert len(server.calls) == 24
    assert materialized(instance) == set(TARGETS)
    events = result.get_asset_materialization_events()
    assert len(events) == 12
    numbers = {event.materialization.partition: event.materialization.metadata for event in events}
    assert len({metadata["live_backlinks"].value for metadata in numbers.values()}) > 6
    assert all(metadata["cost_usd"].value == pytest.approx(0.048072) for metadata in numbers.values())


def test_failed_targets_are_named_and_the_others_stay_materialized(instance, api, write_targets) -> None:
    server = api(Fault(faults.code(40501, "Invalid Field: 'target'."), target="shop00[37].example"))
    write_targets(*TARGETS)
    add_missing_targets(instance, TARGETS)
    result = collect_run(instance, TARGETS[0], TARGETS[-1])
    assert not result.success
    assert materialized(instance) == set(TARGETS) - {"shop003.example", "shop007.example"}
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    words = failure.step_failure_data.user_failure_data
    assert "2 of 12" in words.description
    assert "shop003.example" in words.description
    assert words.metadata["failed_targets"].value == 2

    server.faults = FaultPlan(())  # mended: the same range again asks for what is missing only
    calls = len(server.calls)
    assert collect_run(instance, TARGETS[0], TARGETS[-1]).success
    assert len(server.calls) - calls == 4
    assert materialized(instance) == set(TARGETS)


def test_a_retired_target_is_passed_over_and_costs_nothing(instance, api, write_targets) -> None:
    server = api()
    write_targets("a.example,", f"b.example,{TODAY}", "c.example,", header="target,retired")
    add_missing_targets(instance, ["a.example", "b.example", "c.example"])
    assert collect_run(instance, "a.example", "c.example").success
    assert {call.target for call in server.calls} == {"a.example", "c.example"}
    result = collect_run(instance, "b.example", "b.example")
    assert not result.success
    assert len(server.calls) == 4


def test_keys_that_dagster_cannot_hold_are_encoded_and_the_api_gets_them_as_they_are(
    instance, api, write_targets
) -> None:
    page = "https://shop.example/a|b,c...d e?q=100%25"
    server = api()
    write_targets(f'"{page}"')
    add_missing_targets(instance, [partition_key(page)])
    assert collect_run(instance, partition_key(page), partition_key(page)).success
    assert {call.target for call in server.calls} == {page}
    assert {key.split("|", 1)[1] for key in instance.get_materialized_partitions(RESPONSES)} == {partition_key(page)}


def test_the_tables_equal_what_the_server_sent_field_by_field(instance, api, write_targets, settings) -> None:
    from backlinks_assets.simulator.world.answers import result_of

    api()
    write_targets(*TARGETS[:4], "empty.example")
    names = [*TARGETS[:4], "empty.example"]
    add_missing_targets(instance, names)
    assert collect_run(instance, names[0], names[-1]).success
    assert publish_run(instance, TODAY, TODAY).success
    settings = Settings.from_env()
    with duckdb.connect(str(settings.duckdb_file), read_only=True) as connection:
        cursor = connection.execute("SELECT * FROM backlinks_summary")
        columns = [column[0] for column in cursor.description]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
        links = connection.execute("SELECT target, status_type, dimension, key, links FROM referring_links").fetchall()
    assert len(rows) == 10
    for row in rows:
        sent = result_of(
            row["target"], {"backlinks_status_type": row["status_type"], "internal_list_limit": 100}, TODAY
        )
        if row["target"] == "empty.example":
            assert (row["has_data"], row["backlinks"], row["cost_usd"]) == (False, None, 0.024036)
            continue
        (result,) = sent or []
        assert row["date"] == TODAY
        for name, value in result.items():
            if name.startswith("referring_links_"):
                kept = {key: n for t, s, d, key, n in links if (t, s, d) == (row["target"], row["status_type"], name)}
                assert kept == value, name
            elif name == "info":
                for inner, shown in value.items():
                    assert row[f"info_{inner}"] == shown, inner
            elif name in ("first_seen", "lost_date"):
                expected = dt.datetime.fromisoformat(value) if value else None
                assert row[name] == expected, name
            else:
                assert row[name] == value, name


def test_publishing_twice_leaves_the_same_bytes(instance, api, write_targets) -> None:
    api()
    write_targets(*TARGETS[:3])
    add_missing_targets(instance, TARGETS[:3])
    collect_run(instance, TARGETS[0], TARGETS[2])
    root = Settings.from_env().root

    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in sorted((root / "parquet").rglob("*.parquet"))}

    assert publish_run(instance, TODAY, TODAY).success
    first = files()
    assert publish_run(instance, TODAY, TODAY).success
    assert {path.parts[-3] for path in first} >= {
        "backlinks_summary",
        "referring_links",
        "backlinks_changes",
        "backlinks_flags",
    }
    assert files() == first


def test_a_run_that_judges_too_replaces_the_duckdb_file_once(instance, api, write_targets, monkeypatch) -> None:
    api()
    write_targets(*TARGETS[:3])
    add_missing_targets(instance, TARGETS[:3])
    collect_run(instance, TARGETS[0], TARGETS[2])
    replaced: list[SyncResult] = []

    def counted(*given: Any) -> SyncResult:
        replaced.append(real(*given))
        return replaced[-1]

    real = duckdb_sync._publish
    monkeypatch.setattr(duckdb_sync, "_publish", counted)
    assert publish_run(instance, TODAY, TODAY).success
    assert len(replaced) == 1
    with duckdb_sync.reading(Settings.from_env().root) as connection:
        for table in ("backlinks_summary", "backlinks_changes"):
            assert connection.table(table).shape[0] == 6
    alone = dg.materialize(
        [assets.answer_tables],
        partition_key=str(TODAY),
        instance=instance,
        resources={"backlinks_data": BacklinksData()},
    )
    assert alone.success
    assert len(replaced) == 2


def test_tables_of_answers_reach_the_duckdb_file_where_judging_fails(instance, api, write_targets, monkeypatch) -> None:
    api()
    write_targets(*TARGETS[:3])
    add_missing_targets(instance, TARGETS[:3])
    collect_run(instance, TARGETS[0], TARGETS[2])

    def damaged(*_: Any) -> None:
        raise TablesError("a parquet file can't be read")

    monkeypatch.setattr(pipeline_module, "publish_changes", damaged)
    result = publish_run(instance, TODAY, TODAY)
    assert not result.success
    with duckdb.connect(str(Settings.from_env().duckdb_file), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM backlinks_summary").fetchone() == (6,)


def test_a_day_without_any_answer_is_told_and_writes_nothing(instance, api, write_targets) -> None:
    api()
    write_targets(*TARGETS)
    result = publish_run(instance, TODAY, TODAY)
    assert not result.success
    failure = next(event for event in result.all_events if event.is_step_failure).step_failure_data
    assert "No answer is kept" in failure.user_failure_data.description
    assert not (Settings.from_env().root / "parquet").exists()


def test_a_rebuild_of_everything_is_one_run_over_all_days(instance, write_targets) -> None:
    write_targets(*TARGETS[:2])  # no credentials: the simulator, which may be asked about the past
    add_missing_targets(instance, TARGETS[:2])
    first = TODAY - dt.timedelta(days=3)
    job = build_defs().resolve_job_def("collect_job")
    tags = range_tags(str(first), str(TODAY), TARGETS[0], TARGETS[1])
    assert job.execute_in_process(instance=instance, tags=tags).success
    result = publish_run(instance, TODAY - dt.timedelta(days=6), TODAY)
    assert result.success
    settings = Settings.from_env()
    table = pq.read_table(settings.root / "parquet" / "backlinks_summary", partitioning=None)
    assert table.num_rows == 4 * 2 * 2
    assert set(table["simulated"].to_pylist()) == {True}
    events = [e for e in result.get_asset_materialization_events() if e.asset_key.path == ["backlinks_changes"]]
    counts = {e.partition: e.materialization.metadata["dagster/partition_row_count"].value for e in events}
    assert counts[str(TODAY)] == 4
    assert counts[str(TODAY - dt.timedelta(days=6))] == 0


def test_simulated_and_real_runs_never_share_an_instance(instance, api, write_targets, monkeypatch) -> None:
    write_targets(*TARGETS[:1])
    add_missing_targets(instance, TARGETS[:1])
    assert collect_run(instance, TARGETS[0], TARGETS[0]).success  # simulated
    server = api()
    result = collect_run(instance, TARGETS[0], TARGETS[0])
    assert not result.success
    assert server.calls == []


def test_the_schedule_asks_for_today_as_a_few_ranges_and_skips_what_is_retired(instance, api, write_targets) -> None:
    api()
    names = [f"shop{number:04d}.example" for number in range(2100)]
    write_targets(*[f"{name},{'2026-01-02' if name == names[100] else ''}" for name in names], header="target,retired")
    definitions = build_defs()
    schedule = definitions.get_repository_def().get_schedule_def("daily_collect_schedule")
    context = dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=dt.datetime.combine(TODAY, dt.time(6), dt.UTC),
        repository_def=definitions.get_repository_def(),
        resources={"backlinks_data": BacklinksData()},
    )
    requests = schedule.evaluate_tick(context).run_requests
    assert len(instance.get_dynamic_partitions("targets")) == 2099
    assert len(requests) == 3
    assert all(request.tags["dagster/asset_partition_range_start"].startswith(f"{TODAY}|") for request in requests)
    assert len({request.run_key for request in requests}) == 3
    assert requests[1].tags["run"] == f"Collect {TODAY} · 2,099 targets · part 2 of 3"


def test_without_targets_the_schedule_says_so(instance, api, write_targets) -> None:
    api()
    write_targets("a.example,2026-01-02", header="target,retired")
    definitions = build_defs()
    context = dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=dt.datetime.combine(TODAY, dt.time(6), dt.UTC),
        repository_def=definitions.get_repository_def(),
        resources={"backlinks_data": BacklinksData()},
    )
    tick = definitions.get_repository_def().get_schedule_def("daily_collect_schedule").evaluate_tick(context)
    assert tick.run_requests == []
    assert "No active target" in (tick.skip_message or "")


def test_new_targets_reach_the_partitions_in_one_batch(instance, write_targets) -> None:
    write_targets(*TARGETS)
    definitions = build_defs()
    sensor = definitions.get_repository_def().get_sensor_def("targets_sensor")
    context = dg.build_sensor_context(
        instance=instance,
        repository_def=definitions.get_repository_def(),
        resources={"backlinks_data": BacklinksData()},
    )
    (request,) = sensor.evaluate_tick(context).dynamic_partitions_requests
    assert list(request.partition_keys) == TARGETS
    instance.add_dynamic_partitions("targets", TARGETS)
    assert "Every target" in (sensor.evaluate_tick(context).skip_message or "")


def test_before_there_is_a_targets_file_a_tick_says_how_to_make_one_and_does_not_fail(instance, settings) -> None:
    repository = build_defs().get_repository_def()
    context = dg.build_sensor_context(
        instance=instance, repository_def=repository, resources={"backlinks_data": BacklinksData()}
    )
    said = repository.get_sensor_def("targets_sensor").evaluate_tick(context).skip_message
    assert said == f"{settings.targets_file} is not there yet. Make it with `backlinks targets add example.com`."


def test_automation_builds_todays_tables_also_when_targets_are_missing(instance, api, write_targets) -> None:
    api(Fault(faults.code(40501, "Invalid Field: 'target'."), target="shop003.example"))
    write_targets(*TARGETS)
    add_missing_targets(instance, TARGETS)
    automation = Automation(instance)
    assert automation.look() == []
    collect_run(instance, TARGETS[0], TARGETS[-1])
    assert automation.look() == [(TODAY, TODAY)]
    publish_run(instance, TODAY, TODAY)
    assert automation.look() == []


@pytest.mark.parametrize("most", [3, 250])
def test_ranges_cover_what_is_wanted_in_the_order_of_the_partitions(most: int) -> None:
    known = [f"k{number:03d}" for number in range(200)]
    wanted = [key for number, key in enumerate(known) if number % 50 not in (7, 8)]
    parts = ranges(known, wanted, most)
    covered = list(itertools.chain.from_iterable(known[known.index(a) : known.index(b) + 1] for a, b in parts))
    assert covered == wanted
    assert all(known.index(b) - known.index(a) < most for a, b in parts)


def test_scattered_targets_become_a_bounded_number_of_ranges() -> None:
    known = [f"k{number:04d}" for number in range(1000)]
    parts = ranges(known, known[::2])
    assert len(parts) <= MOST_RANGES + 1000 // 250
    covered = set(itertools.chain.from_iterable(known[known.index(a) : known.index(b) + 1] for a, b in parts))
    assert covered >= set(known[::2])


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def test_a_day_on_which_a_target_is_missing_fails_its_check_with_the_count_and_the_names(
    instance, api, write_targets
) -> None:
    api(Fault(faults.code(40501, "Invalid Field: 'target'."), target="shop003.example"))
    write_targets(*TARGETS)
    add_missing_targets(instance, TARGETS)
    collect_run(instance, TARGETS[0], TARGETS[-1])
    published = publish_run(instance, TODAY, TODAY)
    assert published.success
    found = checks_of(published)
    missing = found["every_target_has_answers"]
    assert (missing.passed, missing.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert missing.metadata["count"].value == 1
    assert missing.metadata["worst"].records[0].data["target"] == "shop003.example"
    assert found["values_are_plausible"].passed
    assert found["schema_is_as_declared"].passed
    assert found["spam_score_did_not_change_sharply"].passed


def test_flags_are_a_warning_that_lists_the_worst_with_reasons(instance, write_targets) -> None:
    from backlinks_assets.simulator.world.samples import scheduled_targets

    names = list(scheduled_targets())[:26]
    names = [partition_key(name) for name in names if not name.startswith("http")]
    write_targets(*names)
    first = TODAY - dt.timedelta(days=8)
    api, settings = BacklinksApi(), Settings.from_env()
    days = [str(first + dt.timedelta(days=number)) for number in range(9)]
    asks = [api.ask(day, target) for day in days for target in watched_targets(settings)]
    with open_collector(settings) as collector:
        assert [outcome.error for outcome in collector.collect(asks)] == [None] * 9 * len(names)
    seen = {True: 0, False: 0}
    for day in (TODAY - dt.timedelta(days=back) for back in range(3)):
        found = checks_of(publish_run(instance, first if day == TODAY else day, day))
        for name in ("spam_score_did_not_change_sharply", "lost_backlinks_did_not_change_sharply"):
            check = found[name]
            seen[check.passed] += 1
            if not check.passed:
                assert check.severity is dg.AssetCheckSeverity.WARN
                assert check.metadata["worst"].records[0].data["reason"]
    assert seen[False] > 0
    assert "vendor_index_did_not_move" in found
