"""What the code location says of itself on a real Dagster instance: names, columns, numbers, what runs are called."""

import datetime as dt
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import dagster as dg
import pytest
from collecting import be_quick
from dagster._core.definitions.assets.graph.base_asset_graph import BaseAssetNode
from job_runs import RESPONSES, TARGETS, TODAY, collect_run, publish_run
from looks import Automation

from backlinks_assets.cli.execution import Pipeline
from backlinks_assets.cli.tally import Tally
from backlinks_assets.collect.factory import watched_targets
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.assets import ASSETS as ASSET_DEFS
from backlinks_assets.defs.runs import collects, publishes
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.settings import Settings
from backlinks_assets.store.answers import responses

NOV_24 = dt.date(2026, 11, 24)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    be_quick(monkeypatch)


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
TABLE_ASSETS = [name for name in ASSETS if not name.endswith("_report")]  # those are pages
GROUPS = {
    "collection": {"summary_responses", "bulk_responses", "lost_history"},
    "tables": {"backlinks_summary", "referring_links", "backlinks_bulk", "api_costs"},
    "flags": {"backlinks_changes", "backlinks_flags", "backlinks_incidents", "flags_report", "targets_report"},
    "evidence": {"flag_evidence"},
}


SENSORS = build_defs().get_repository_def().sensor_defs


@cache
def node_of(name: str) -> BaseAssetNode:
    return build_defs().get_repository_def().asset_graph.get(dg.AssetKey(name))


COST_MONEY = {"summary_responses", "bulk_responses", "flag_evidence", "lost_history"}


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
    assert by_itself == (name not in COST_MONEY)
    assert node.automation_condition is None
    assert node.tags.get("costs_money") == ("yes" if name in COST_MONEY else None)


@pytest.mark.parametrize("name", TABLE_ASSETS)
def test_every_table_tells_its_columns_and_where_it_is_kept(name: str) -> None:
    metadata = node_of(name).metadata
    columns = columns_of(name)
    assert all(column.description and column.type for column in columns.values())
    assert metadata["dagster/table_name"].endswith(
        "responses" if name in {"summary_responses", "bulk_responses"} else f".{name}"
    )
    assert metadata["dagster/storage_kind"] in node_of(name).kinds


def test_the_columns_of_the_kept_answers_are_those_of_the_store() -> None:
    assert set(columns_of("summary_responses")) == set(responses.columns.keys())


@pytest.mark.first
@pytest.mark.medium
@pytest.mark.parametrize("name", [name for name in TABLE_ASSETS if name not in {"summary_responses", "bulk_responses"}])
def test_every_column_of_a_table_says_which_columns_it_is_made_from(name: str) -> None:
    lineage = node_of(name).metadata["dagster/column_lineage"].deps_by_column
    made_by_itself = {
        "api_costs": {"calls", "charged_without_answer"},
        "backlinks_changes": {"metric"},
        "backlinks_incidents": {"group", "owner", "by", "note", "snoozed_until"},
        "lost_history": {"lost_on_day", "new_on_day", "counted_on", "captured_at", "cost_usd", "simulated"},
    }
    assert set(lineage) == set(columns_of(name)) - made_by_itself.get(name, set())
    parents = {key.to_user_string() for key in node_of(name).parent_keys}
    for column, deps in lineage.items():
        assert {dep.asset_key.to_user_string() for dep in deps} == parents, column
        assert all(dep.column_name in columns_of(dep.asset_key.to_user_string()) for dep in deps), column


@pytest.mark.ci
def test_a_published_day_has_numbers_to_plot_of_every_asset(instance, write_targets) -> None:
    write_targets(*TARGETS[:2])  # no credentials: the simulator
    add_missing_targets(instance, TARGETS[:2])
    evidence = build_defs().resolve_job_def("evidence_job")
    results = [
        collect_run(instance, TARGETS[0], TARGETS[1]),
        publish_run(instance, TODAY, TODAY),
        evidence.execute_in_process(instance=instance, partition_key=str(TODAY)),
    ]
    numbers = {
        event.asset_key.to_user_string(): {
            name
            for name, value in event.materialization.metadata.items()
            if isinstance(value, dg.IntMetadataValue | dg.FloatMetadataValue)
        }
        for result in results
        for event in result.get_asset_materialization_events()
    }
    assert sorted(numbers) == [name for name in ASSETS if name not in {"bulk_responses", "lost_history"}]
    assert all("dagster/partition_row_count" in numbers[name] for name in TABLE_ASSETS if name in numbers)
    assert numbers["summary_responses"] >= {"live_backlinks", "lost_backlinks", "spam_score", "cost_usd", "calls"}
    assert numbers["api_costs"] >= {"calls", "cost_usd"}
    assert numbers["backlinks_summary"] >= {"targets", "targets_unknown_to_the_api"}
    assert numbers["flags_report"] >= {"flags"}
    for name in ("backlinks_changes", "backlinks_flags"):
        assert numbers[name] >= {
            "flags",
            "critical",
            "spam_score_flags",
            "lost_backlinks_flags",
            "index_moves",
            "vendor_faults",
        }


def test_what_a_person_may_start_and_what_runs_by_itself_is_described_in_a_sentence() -> None:
    repository = build_defs().get_repository_def()
    checks = [spec for asset in ASSET_DEFS for spec in asset.check_specs]
    assert len(checks) == 9
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


@pytest.mark.ci
def test_the_commands_runs_are_named_and_are_found_by_the_pages_of_their_jobs(instance, write_targets) -> None:
    write_targets(*TARGETS[:3])  # no credentials: the simulator
    settings = Settings.from_env()
    pipeline = Pipeline(settings, instance)
    pipeline.collect(TODAY, TODAY, watched_targets(settings), Tally(), max_keys=2)
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
