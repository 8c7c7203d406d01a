"""The code location on a real Dagster instance: partitions, runs, what stays materialized, schedule, automation."""

import datetime as dt
import itertools
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow.parquet as pq
import pytest

from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.partitions import MOST_RANGES, day_range_tags, range_tags, ranges
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.settings import Settings
from backlinks_assets.simulator import faults
from backlinks_assets.simulator.faults import Fault, FaultPlan
from backlinks_assets.store import collect
from backlinks_assets.store.collect import utc_now
from backlinks_assets.targets import partition_key

TODAY = utc_now().date()
RESPONSES = dg.AssetKey("summary_responses")
TARGETS = [f"shop{number:03d}.example" for number in range(12)]


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield instance


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    import tenacity

    monkeypatch.setattr(collect, "_backoff", tenacity.wait_exponential_jitter(multiplier=0.01, max=0.05, jitter=0.01))
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


def test_every_asset_tells_what_it_is_and_who_owns_it() -> None:
    graph = build_defs().get_repository_def().asset_graph
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description
        assert node.owners
        assert node.group_name != "default"
        assert node.kinds
        if key.to_user_string() not in ("summary_responses", "flags_report"):
            columns = node.metadata["dagster/column_schema"].columns
            assert all(column.description for column in columns), key


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
    from backlinks_assets.simulator.answers import result_of

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
    first = TODAY - dt.timedelta(days=9)
    job = build_defs().resolve_job_def("collect_job")
    tags = range_tags(str(first), str(TODAY), TARGETS[0], TARGETS[1])
    assert job.execute_in_process(instance=instance, tags=tags).success
    result = publish_run(instance, TODAY - dt.timedelta(days=20), TODAY)
    assert result.success
    settings = Settings.from_env()
    table = pq.read_table(settings.root / "parquet" / "backlinks_summary", partitioning=None)
    assert table.num_rows == 10 * 2 * 2
    assert set(table["simulated"].to_pylist()) == {True}
    events = [e for e in result.get_asset_materialization_events() if e.asset_key.path == ["backlinks_changes"]]
    counts = {e.partition: e.materialization.metadata["dagster/partition_row_count"].value for e in events}
    assert counts[str(TODAY)] == 4
    assert counts[str(TODAY - dt.timedelta(days=20))] == 0


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


def test_automation_builds_todays_tables_also_when_targets_are_missing(instance, api, write_targets) -> None:
    api(Fault(faults.code(40501, "Invalid Field: 'target'."), target="shop003.example"))
    write_targets(*TARGETS)
    add_missing_targets(instance, TARGETS)
    definitions = build_defs()
    first = dg.evaluate_automation_conditions(definitions, instance)
    assert first.total_requested == 0
    collect_run(instance, TARGETS[0], TARGETS[-1])
    second = dg.evaluate_automation_conditions(definitions, instance, cursor=first.cursor)
    for name in ("backlinks_summary", "referring_links", "backlinks_changes", "backlinks_flags"):
        assert second.get_requested_partitions(dg.AssetKey(name)) == {str(TODAY)}, name
    publish_run(instance, TODAY, TODAY)
    third = dg.evaluate_automation_conditions(definitions, instance, cursor=second.cursor)
    assert third.total_requested == 0


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
    from backlinks_assets.simulator.samples import scheduled_targets

    names = list(scheduled_targets())[:26]
    names = [partition_key(name) for name in names if not name.startswith("http")]
    write_targets(*names)
    add_missing_targets(instance, names)
    first = TODAY - dt.timedelta(days=13)
    job = build_defs().resolve_job_def("collect_job")
    assert job.execute_in_process(
        instance=instance, tags=range_tags(str(first), str(TODAY), names[0], names[-1])
    ).success
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
