"""Days before the window: their tables are built, nothing is requested for them, and automation is for today."""

import datetime as dt
from collections.abc import Mapping

import dagster as dg
import looks
import pytest
from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView
from dagster._core.definitions.events import AssetKeyPartitionKey

from backlinks_assets.cli import execution
from backlinks_assets.cli.execution import Pipeline
from backlinks_assets.cli.tally import Tally
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store, watched_targets
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.partitions import day_range_tags, range_tags, window_start
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.settings import Settings
from backlinks_assets.targets.target import Target

TODAY = utc_now().date()
START = window_start(TODAY, 60)
BEFORE, OLD = START - dt.timedelta(days=1), START - dt.timedelta(days=20)
TARGETS = [f"shop{number}.example" for number in range(3)]
RESPONSES = dg.AssetKey("summary_responses")


@pytest.fixture
def stored(write_targets, instance) -> None:
    """Answers of an old day, of both days at the edge, and of today; the simulator gives them. No table is built."""
    write_targets(*TARGETS)
    add_missing_targets(instance, TARGETS)
    for day in (OLD, BEFORE, START, TODAY):
        result = run(instance, "collect_job", range_tags(str(day), str(day), TARGETS[0], TARGETS[-1]), first_day=OLD)
        assert result.success


def run(
    instance: dg.DagsterInstance, job: str, tags: Mapping[str, str], first_day: dt.date = START
) -> dg.ExecuteInProcessResult:
    definition = build_defs(first_day=first_day).resolve_job_def(job)
    return definition.execute_in_process(instance=instance, tags=dict(tags), raise_on_error=False)


def said(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> str:
    failures = [
        event.step_failure_data.user_failure_data.description for event in result.all_events if event.is_step_failure
    ]
    return "\n".join([*failures, *(entry.user_message for entry in instance.all_logs(result.run_id))])


def calls() -> int:
    with open_store(Settings.from_env()) as store:
        return sum(store.day_costs(day).calls for day in (OLD, BEFORE, START, TODAY))


@pytest.mark.first
@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("first", "last"), [(OLD, OLD), (BEFORE, START)], ids=["an old day", "a range across the edge"]
)
def test_tables_of_days_before_the_window_are_built(instance, first: dt.date, last: dt.date) -> None:
    tags = {"dagster/partition": str(first)} if first == last else day_range_tags(str(first), str(last))
    assert run(instance, "publish_job", tags).success
    for asset in ("backlinks_summary", "backlinks_flags", "flags_report"):
        assert instance.get_materialized_partitions(dg.AssetKey(asset)) == {str(first), str(last)}


def test_dagster_accepts_a_backfill_of_days_before_the_window(instance) -> None:
    """What the webserver and the daemon check of a backfill before they launch it."""
    add_missing_targets(instance, TARGETS)
    view = AssetGraphView.for_test(build_defs(first_day=START), instance)
    summary = dg.AssetKey("backlinks_summary")
    wanted = {str(OLD), str(BEFORE), str(START)}
    subset = view.get_asset_subset_from_asset_partitions(
        summary, {AssetKeyPartitionKey(summary, key) for key in wanted}
    )
    parents, missing = view.compute_parent_subset_and_required_but_nonexistent_subset(RESPONSES, subset)
    assert missing.is_empty
    assert {key[:10] for key in parents.expensively_compute_partition_keys()} == {str(START)}


def test_targets_have_partitions_in_the_window_only(instance) -> None:
    add_missing_targets(instance, TARGETS)
    graph = build_defs(first_day=START).resolve_asset_graph()
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        keys = graph.get(RESPONSES).partitions_def.get_partition_keys()
        assert (min(keys)[:10], max(keys)[:10]) == (str(START), str(TODAY))
        partitions = [graph.get(asset).partitions_def for asset in graph.get_all_asset_keys()]
        firsts = {each.get_first_partition_key() for each in partitions if each is not None}
        assert firsts == {keys[0], "2026-01-01"}


@pytest.mark.ci
@pytest.mark.usefixtures("stored")
def test_an_old_run_that_is_started_again_requests_nothing_and_says_so(instance) -> None:
    before, made = calls(), instance.get_materialized_partitions(RESPONSES)
    one = {"dagster/partition": f"{OLD}|{TARGETS[0]}"}
    for tags in (one, range_tags(str(OLD), str(BEFORE), TARGETS[0], TARGETS[-1])):
        result = run(instance, "collect_job", tags)
        assert not result.success
        assert f"Days before {START} were passed over: they have no partitions any more." in said(instance, result)
        assert result.get_asset_materialization_events() == []
    assert (calls(), instance.get_materialized_partitions(RESPONSES)) == (before, made)


@pytest.mark.ci
@pytest.mark.usefixtures("stored")
def test_of_a_range_across_the_edge_the_old_days_are_passed_over(instance) -> None:
    result = run(instance, "collect_job", range_tags(str(BEFORE), str(START), TARGETS[0], TARGETS[-1]))
    assert result.success
    assert {event.partition for event in result.get_asset_materialization_events()} == {
        f"{START}|{key}" for key in TARGETS
    }
    assert f"Days before {START} were passed over" in said(instance, result)


@pytest.mark.usefixtures("stored")
def test_automation_is_for_today_only(instance) -> None:
    assert looks.Automation(instance).look() == [(TODAY, TODAY)]


@pytest.mark.ci
def test_the_command_builds_an_old_day_from_its_answers_without_a_collecting_run(
    instance, api, write_targets, monkeypatch
) -> None:
    server = api()
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")
    write_targets(*TARGETS)
    first, later, never = (Tally() for _ in range(3))
    pipeline = Pipeline(Settings.from_env(), instance)
    pipeline.collect(TODAY, TODAY, targets(), first)
    assert (first.collected, len(server.calls), instance.get_runs_count()) == (3, 6, 1)
    monkeypatch.setattr(execution, "first_target_day", lambda *_: TODAY + dt.timedelta(days=1))  # two months later
    pipeline = Pipeline(Settings.from_env(), instance)
    pipeline.collect(TODAY, TODAY, targets(), later)
    assert (later.reused, later.failed, later.stopped) == (3, [], None)
    pipeline.publish(TODAY, TODAY)
    pipeline.collect(OLD, OLD, targets(), never)
    assert all(f"nothing is stored for {OLD} and the day is over" in (one.error or "") for one in never.failed)
    assert len(never.failed) == 3
    assert (len(server.calls), instance.get_runs_count()) == (6, 2)
    assert instance.get_materialized_partitions(dg.AssetKey("backlinks_summary")) == {str(TODAY)}


def targets() -> list[Target]:
    return list(watched_targets(Settings.from_env()))
