"""Collecting runs whose days have left the window are deleted, daily and by the command; everything else stays."""

import datetime as dt
import json

import dagster as dg
import pytest
from job_runs import RESPONSES, TARGETS, TODAY, collect_run, publish_run

from backlinks_assets.cli import execution
from backlinks_assets.collect.factory import open_store
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs import old_runs
from backlinks_assets.defs.old_runs import delete_old_runs
from backlinks_assets.defs.partitions import range_tags
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.paths import parquet_path
from backlinks_assets.settings import Settings

LATER = TODAY + dt.timedelta(days=7)
"""The window's start two months from now: all runs of today are older."""
SUMMARY = dg.AssetKey("backlinks_summary")


@pytest.fixture(autouse=True)
def targets(write_targets, instance) -> None:
    write_targets(*TARGETS)
    add_missing_targets(instance, TARGETS)


@pytest.fixture
def two_months_later(monkeypatch) -> None:
    for module in (old_runs, execution):
        monkeypatch.setattr(module, "first_target_day", lambda *_: LATER)


def daily_job(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return build_defs().resolve_job_def("old_runs_job").execute_in_process(instance=instance, raise_on_error=False)


def by_hand(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Run what "Materialize" on the asset's page runs."""
    job = build_defs().resolve_implicit_global_asset_job_def()
    tags = range_tags(str(TODAY), str(TODAY), TARGETS[3], TARGETS[4])
    return job.execute_in_process(instance=instance, tags=tags, asset_selection=[RESPONSES])


def runs(instance: dg.DagsterInstance) -> set[str]:
    return {run.run_id for run in instance.get_runs() if run.job_name != "old_runs_job"}


@pytest.mark.ci
@pytest.mark.usefixtures("two_months_later")
def test_the_daily_job_deletes_old_collecting_runs_and_nothing_else(instance) -> None:
    for last in (TARGETS[1], TARGETS[2]):
        assert collect_run(instance, TARGETS[0], last).success
    assert by_hand(instance).success
    published = publish_run(instance, TODAY, TODAY)
    assert published.success
    settings = Settings.from_env()
    table = parquet_path(settings.root, "backlinks_summary", TODAY)
    before = table.read_bytes()
    result = daily_job(instance)
    assert result.success
    assert deleted(result) == 3
    assert runs(instance) == {published.run_id}
    assert instance.get_materialized_partitions(RESPONSES) == set()
    assert instance.get_materialized_partitions(SUMMARY) == {str(TODAY)}
    assert instance.fetch_materializations(SUMMARY, limit=1).records[0].asset_materialization.metadata
    assert instance.event_log_storage.get_records_for_run(published.run_id).records
    assert table.read_bytes() == before
    with open_store(settings) as store:
        assert len(store.stored_keys([TODAY])) == 2 * 5
    assert publish_run(instance, TODAY, TODAY).success  # a day without collecting runs is built again
    assert deleted(daily_job(instance)) == 0


def deleted(result: dg.ExecuteInProcessResult) -> int:
    (event,) = [event for event in result.all_events if event.is_successful_output]
    return int(event.step_output_data.metadata["runs_deleted"].value)


def test_runs_of_the_window_stay(instance) -> None:
    first = collect_run(instance, TARGETS[0], TARGETS[2]).run_id
    assert daily_job(instance).success
    assert delete_old_runs(instance, TODAY) == 0
    assert runs(instance) == {first}


def test_a_run_across_the_windows_start_stays(instance) -> None:
    tags = range_tags(str(TODAY - dt.timedelta(days=1)), str(TODAY), TARGETS[0], TARGETS[1])
    job = build_defs().resolve_job_def("collect_job")
    assert job.execute_in_process(instance=instance, tags=tags).success
    with instance.run_storage.connect() as tx:
        tx.exec_driver_sql("UPDATE runs SET create_timestamp = '2026-01-01 00:00:00.000000'")
    assert delete_old_runs(instance, TODAY) == 0
    assert delete_old_runs(instance, TODAY + dt.timedelta(days=1)) == 1


@pytest.mark.parametrize("names", [["another"], ["summary_responses", "another"], ["another", "summary_responses"]])
def test_a_run_of_another_asset_stays_though_its_job_has_the_name(instance, names: list[str]) -> None:
    days = dg.DailyPartitionsDefinition("2026-01-01", end_offset=1)

    def asset(name: str, deps: list[str]) -> dg.AssetsDefinition:
        @dg.asset(name=name, partitions_def=days, deps=deps)
        def made() -> None: ...

        return made

    assets = [asset(name, names[:number]) for number, name in enumerate(names)]
    job = dg.define_asset_job("collect_job", selection=assets)
    definitions = dg.Definitions(assets=assets, jobs=[job])
    result = definitions.resolve_job_def("collect_job").execute_in_process(instance=instance, partition_key=str(TODAY))
    assert result.success
    assert delete_old_runs(instance, LATER, by_hand=True) == 0
    assert runs(instance) == {result.run_id}


@pytest.mark.ci
@pytest.mark.usefixtures("two_months_later")
def test_the_command_deletes_some_at_its_end_and_leaves_those_of_hands_to_the_daily_job(instance, monkeypatch) -> None:
    monkeypatch.setattr(execution, "open_instance", lambda _: _Kept(instance))
    monkeypatch.setattr(old_runs.delete_old_runs, "__defaults__", (2,))
    hand = by_hand(instance).run_id
    made = [collect_run(instance, TARGETS[0], TARGETS[0]).run_id for _ in range(3)]
    settings = Settings.from_env()
    with pytest.raises(ZeroDivisionError), execution.opened(settings):
        raise ZeroDivisionError
    assert runs(instance) == {*made, hand}
    with execution.opened(settings):
        assert runs(instance) == {*made, hand}
    assert runs(instance) == {made[0], hand}
    with execution.opened(settings):
        pass
    assert runs(instance) == {hand}


class _Kept:
    """An instance that a command does not close."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance

    def __enter__(self) -> dg.DagsterInstance:
        return self.instance

    def __exit__(self, *_: object) -> None: ...


def test_an_environment_that_cannot_be_read_deletes_nothing(instance, monkeypatch) -> None:
    first = collect_run(instance, TARGETS[0], TARGETS[2]).run_id
    monkeypatch.setenv("BACKLINKS_PARTITION_DAYS", "some")
    result = daily_job(instance)
    assert not result.success
    assert "BACKLINKS_PARTITION_DAYS is 'some'" in json.dumps([str(event) for event in result.all_events])
    assert runs(instance) == {first}


@pytest.mark.ci
def test_on_postgres_too(postgres_url: str, monkeypatch) -> None:
    monkeypatch.setenv("BACKLINKS_INSTANCE_URL", postgres_url)
    with open_instance(Settings.from_env()) as shared:
        add_missing_targets(shared, TARGETS)
        assert collect_run(shared, TARGETS[0], TARGETS[2]).success
        published = publish_run(shared, TODAY, TODAY)
        assert published.success
        assert delete_old_runs(shared, TODAY) == 0
        assert delete_old_runs(shared, LATER) == 1
        assert runs(shared) == {published.run_id}
        assert shared.get_materialized_partitions(RESPONSES) == set()
        assert shared.get_materialized_partitions(SUMMARY) == {str(TODAY)}


@pytest.mark.usefixtures("instance")  # Dagster loads definitions only where an instance is open, or none ever was
def test_the_schedule_is_on_from_the_start() -> None:
    schedule = build_defs().resolve_schedule_def("old_runs_schedule")
    assert schedule.job_name == "old_runs_job"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert "retention_schedule" not in {one.name for one in build_defs().schedules or ()}
