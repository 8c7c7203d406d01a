"""Which partitions a run asks for, where its tags describe them in one way, in two, or in two that contradict each other."""

import datetime as dt
import logging
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import looks
import pytest

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.assets import ASSETS
from backlinks_assets.defs.partitions import day_range_tags, range_tags
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.paths import index_path
from backlinks_assets.settings import Settings

TODAY = str(utc_now().date())
YESTERDAY = str(utc_now().date() - dt.timedelta(days=1))
BEFORE = str(utc_now().date() - dt.timedelta(days=2))
TARGETS = [f"shop{number}.example" for number in range(5)]
RESPONSES = dg.AssetKey("summary_responses")


@pytest.fixture(autouse=True)
def targets(write_targets, instance) -> None:
    """The simulator answers, for any day."""
    write_targets(*TARGETS)
    add_missing_targets(instance, TARGETS)


def run(instance: dg.DagsterInstance, job: str, tags: Mapping[str, str]) -> dg.ExecuteInProcessResult:
    definition = build_defs().resolve_job_def(job)
    return definition.execute_in_process(instance=instance, tags=dict(tags), raise_on_error=False)


def failure(result: dg.ExecuteInProcessResult) -> str:
    event = next(event for event in result.all_events if event.is_step_failure)
    words = event.step_failure_data.user_failure_data
    assert words is not None, event.step_failure_data.error
    return words.description or ""


def materialized(instance: dg.DagsterInstance, asset: str = "summary_responses") -> set[str]:
    return instance.get_materialized_partitions(dg.AssetKey(asset))


def calls() -> list[tuple[str, str]]:
    """Return (day, target) of each call in the ledger."""
    file = Settings.from_env().store_file
    if not file.exists():
        return []
    with sqlite3.connect(file) as store:
        rows: list[tuple[str, str]] = store.execute("SELECT date, target FROM api_calls").fetchall()
    store.close()
    return sorted(rows)


def dimensions(day: str, target: str) -> dict[str, str]:
    return {"dagster/partition/date": day, "dagster/partition/target": target}


def both(day_first: str, day_last: str, first: str, last: str) -> dict[str, str]:
    """Return the tags that Dagster's backfill of a job gives to a run over a range."""
    return range_tags(day_first, day_last, first, last) | dimensions(day_first, first)


def expected(days: list[str], targets: list[str]) -> set[str]:
    return {f"{day}|{target}" for day in days for target in targets}


@pytest.mark.first
@pytest.mark.parametrize(
    ("tags", "asked"),
    [
        pytest.param(both(TODAY, TODAY, TARGETS[0], TARGETS[4]), expected([TODAY], TARGETS), id="a-day"),
        pytest.param(both(TODAY, TODAY, TARGETS[1], TARGETS[3]), expected([TODAY], TARGETS[1:4]), id="part-of-a-day"),
        pytest.param(
            both(YESTERDAY, TODAY, TARGETS[0], TARGETS[1]), expected([YESTERDAY, TODAY], TARGETS[:2]), id="two-days"
        ),
        pytest.param(
            both(BEFORE, TODAY, TARGETS[2], TARGETS[2]),
            expected([BEFORE, YESTERDAY, TODAY], [TARGETS[2]]),
            id="a-target-over-days",
        ),
        pytest.param(
            range_tags(TODAY, TODAY, TARGETS[0], TARGETS[2]), expected([TODAY], TARGETS[:3]), id="range-alone"
        ),
        pytest.param(dimensions(TODAY, TARGETS[3]), expected([TODAY], [TARGETS[3]]), id="dimensions-alone"),
        pytest.param({"dagster/partition": f"{TODAY}|{TARGETS[3]}"}, expected([TODAY], [TARGETS[3]]), id="key-alone"),
        pytest.param(
            dimensions(TODAY, TARGETS[3]) | {"dagster/partition": f"{TODAY}|{TARGETS[3]}"},
            expected([TODAY], [TARGETS[3]]),
            id="key-and-its-dimensions",
        ),
    ],
)
def test_a_run_asks_for_all_that_its_tags_name_and_materializes_each(instance, tags, asked: set[str]) -> None:
    result = run(instance, "collect_job", tags)
    assert result.success
    assert materialized(instance) == asked
    assert sorted({f"{day}|{target}" for day, target in calls()}) == sorted(asked)
    events = [event.materialization.partition for event in result.get_asset_materialization_events()]
    assert sorted(events) == sorted(asked)


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        pytest.param(
            range_tags(TODAY, TODAY, TARGETS[1], TARGETS[3]) | dimensions(TODAY, TARGETS[4]),
            "not the first of them",
            id="another-target",
        ),
        pytest.param(
            range_tags(TODAY, TODAY, TARGETS[1], TARGETS[3]) | dimensions(YESTERDAY, TARGETS[1]),
            "not the first of them",
            id="another-day",
        ),
        pytest.param(
            range_tags(TODAY, TODAY, TARGETS[1], TARGETS[3]) | dimensions(TODAY, TARGETS[2]),
            "not the first of them",
            id="a-key-in-the-middle",
        ),
        pytest.param(
            dimensions(TODAY, TARGETS[0]) | {"dagster/partition": f"{TODAY}|{TARGETS[1]}"},
            "and also",
            id="key-and-other-dimensions",
        ),
        pytest.param(
            both(TODAY, TODAY, TARGETS[0], TARGETS[2])
            | {"dagster/backfill": "unheard"}
            | dimensions(TODAY, TARGETS[4]),
            "not the first of them",
            id="a-backfill-that-is-not-there",
        ),
        pytest.param({"dagster/partition/date": TODAY}, "not a partition by date and target", id="half-a-key"),
        pytest.param({"dagster/partition": TODAY}, "not a partition by date and target", id="a-day-alone"),
        pytest.param(dimensions("2026-02-30", TARGETS[0]), "not a partition by date and target", id="no-such-day"),
        pytest.param(
            {"dagster/partition": f"20261124|{TARGETS[0]}"},
            "not a partition by date and target",
            id="a-day-unlike-ours",
        ),
        pytest.param(
            dimensions(TODAY, TARGETS[0]) | {"dagster/partition/region": "eu"}, "'region'", id="a-third-dimension"
        ),
        pytest.param(range_tags(TODAY, TODAY, TARGETS[3], TARGETS[1]), "ends before it starts", id="backwards"),
    ],
)
def test_a_run_whose_tags_contradict_each_other_says_so_and_spends_nothing(instance, tags, says: str) -> None:
    result = run(instance, "collect_job", tags)
    assert not result.success
    assert says in failure(result)
    assert calls() == []
    assert materialized(instance) == set()


FREE = ["backlinks_summary", "backlinks_changes", "flags_report"]


def test_a_run_over_days_builds_and_records_each_of_them(instance) -> None:
    run(instance, "collect_job", range_tags(BEFORE, TODAY, TARGETS[0], TARGETS[1]))
    assert run(instance, "publish_job", day_range_tags(BEFORE, TODAY)).success
    for asset in FREE:
        assert materialized(instance, asset) == {BEFORE, YESTERDAY, TODAY}, asset
    listed = index_path(Settings.from_env().root).read_text(encoding="utf-8")
    assert all(f'href="flags-{day}.html"' in listed for day in (BEFORE, YESTERDAY, TODAY))


@pytest.mark.ci
@pytest.mark.parametrize(
    "tags",
    [{"dagster/partition": YESTERDAY}, pytest.param({"dagster/partition/date": YESTERDAY}, marks=pytest.mark.ci)],
)
def test_a_run_over_one_day_may_be_described_twice(instance, tags) -> None:
    run(instance, "collect_job", range_tags(BEFORE, TODAY, TARGETS[0], TARGETS[1]))
    assert run(instance, "publish_job", tags).success
    assert run(
        instance, "publish_job", day_range_tags(YESTERDAY, YESTERDAY) | {"dagster/partition/date": YESTERDAY}
    ).success
    for asset in FREE:
        assert materialized(instance, asset) == {YESTERDAY}, asset


@pytest.mark.ci
def test_days_that_dagster_would_record_as_one_are_not_built_in_silence(instance) -> None:
    assert run(instance, "collect_job", range_tags(BEFORE, TODAY, TARGETS[0], TARGETS[1])).success
    definitions = build_defs()
    alone = {"resources": dict(definitions.resources or {}), "instance": instance, "raise_on_error": False}
    for day in (BEFORE, TODAY):
        tags = day_range_tags(BEFORE, TODAY) | {"dagster/partition/date": day}
        results = [run(instance, "publish_job", tags)]
        if day == BEFORE:
            results += [dg.materialize([asset], tags=tags, **alone) for asset in ASSETS[1:] if asset.partitions_def]
        for result in results:
            assert not result.success
            assert "Nothing was done." in failure(result)
    assert not (Settings.from_env().root / "parquet").exists()


@pytest.mark.ci
def test_a_backfill_of_the_job_asks_for_every_partition(tmp_path: Path) -> None:
    """As the UI's Jobs → collect_job → Materialize does it: Dagster's own daemon makes the runs and their tags."""
    wanted = [*TARGETS[:2], *TARGETS[3:]]  # two ranges: both runs bear the first key of the first
    from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
    from dagster._core.test_utils import create_test_daemon_workspace_context
    from dagster._core.workspace.load_target import ModuleTarget
    from dagster._daemon.backfill import execute_backfill_iteration

    launcher = {"module": "dagster._core.launcher.sync_in_memory_run_launcher", "class": "SyncInMemoryRunLauncher"}
    coordinator = {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}
    overrides = {"run_launcher": launcher, "run_coordinator": coordinator}
    target = ModuleTarget("backlinks_assets.definitions", None, str(Path.cwd()), "backlinks_assets")
    (tmp_path / "other").mkdir()
    with (
        dg.instance_for_test(temp_dir=str(tmp_path / "other"), overrides=overrides) as other,
        create_test_daemon_workspace_context(target, other) as workspace,
    ):
        add_missing_targets(other, TARGETS)
        location = workspace.create_request_context().get_code_location("backlinks_assets")
        partitions = location.get_repository("__repository__").get_partition_set("collect_job_partition_set")
        keys = [str(dg.MultiPartitionKey({"date": TODAY, "target": name})) for name in wanted]
        other.add_backfill(
            PartitionBackfill(
                "backfill",
                BulkActionStatus.REQUESTED,
                from_failure=False,
                tags={},
                backfill_timestamp=utc_now().timestamp(),
                partition_set_origin=partitions.get_remote_origin(),
                partition_names=keys,
                reexecution_steps=None,
            )
        )
        list(execute_backfill_iteration(workspace, logging.getLogger("test")))
        runs = other.get_runs()
        assert {run.tags["dagster/partition/target"] for run in runs} == {TARGETS[0]}  # Dagster's habit, met here
        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
        assert materialized(other) == set(keys)
    assert {target for _, target in calls()} == set(wanted)


# --- partitions that are none of this project's -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "foreign",
    [
        ["Café 1", "%zz", "shop9.example"],
        ["eu-west", "%E2%28", "a,b", "..."],
        *(pytest.param([name], marks=pytest.mark.ci) for name in ("eu west", "50%")),
    ],
    ids=str,
)
def test_a_foreign_key_in_the_range_is_passed_over_and_named(instance, foreign: list[str]) -> None:
    with dg.instance_for_test() as other:
        other.add_dynamic_partitions("targets", [*TARGETS[:2], *foreign, *TARGETS[2:]])
        result = run(other, "collect_job", range_tags(TODAY, TODAY, TARGETS[0], TARGETS[4]))
        assert result.success
        assert materialized(other) == expected([TODAY], TARGETS)
        (observed,) = result.get_asset_observation_events()
        metadata = observed.asset_observation_data.asset_observation.metadata
        assert metadata["passed_over"].value == len(foreign)
        assert metadata["passed_over_partitions"].value == foreign
        said = [entry.user_message for entry in other.all_logs(result.run_id) if "Passed over" in entry.user_message]
        assert len(said) == 1
        assert all(repr(name) in said[0] for name in foreign)


def test_a_run_over_foreign_keys_alone_says_that_nothing_was_asked(instance) -> None:
    instance.add_dynamic_partitions("targets", ["eu west", "us east"])
    result = run(instance, "collect_job", range_tags(TODAY, TODAY, "eu west", "us east"))
    assert not result.success
    assert "Nothing was requested." in failure(result)
    assert calls() == []


@pytest.mark.ci
def test_foreign_keys_neither_stop_the_automation_nor_make_it_build_twice(instance) -> None:
    instance.add_dynamic_partitions("targets", ["eu west"])
    automation, today = looks.Automation(instance), dt.date.fromisoformat(TODAY)
    assert automation.look() == []
    assert run(instance, "collect_job", range_tags(TODAY, TODAY, TARGETS[0], "eu west")).success
    assert automation.look() == [(today, today)]
    assert run(instance, "publish_job", day_range_tags(TODAY, TODAY)).success
    assert automation.look() == []
