"""Runs that publish: what is in the tables, which checks they report, what is left where a step fails."""

import datetime as dt
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import faults
import pyarrow.parquet as pq
import pytest
from collecting import be_quick
from faults import Fault
from job_runs import TARGETS, TODAY, collect_run, publish_run

from backlinks_assets import pipeline as pipeline_module
from backlinks_assets.collect.factory import open_collector, watched_targets
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs import assets
from backlinks_assets.defs.partitions import range_tags
from backlinks_assets.defs.resources import BacklinksApi, BacklinksData
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.settings import Settings
from backlinks_assets.tables import duckdb_sync
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.duckdb_sync import SyncResult
from backlinks_assets.targets.name import partition_key


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    be_quick(monkeypatch)


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


@pytest.mark.ci
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


@pytest.mark.ci
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
    assert "No answer is stored" in failure.user_failure_data.description
    assert not (Settings.from_env().root / "parquet").exists()


@pytest.mark.ci
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


@pytest.mark.ci
def test_flags_are_a_warning_that_lists_the_worst_with_reasons(instance, write_targets) -> None:
    from backlinks_assets.simulator.world.samples import scheduled_targets

    names = list(scheduled_targets())[:26]
    names = [partition_key(name) for name in names if not name.startswith("http")]
    write_targets(*names)
    first = TODAY - dt.timedelta(days=13)
    api, settings = BacklinksApi(), Settings.from_env()
    days = [str(first + dt.timedelta(days=number)) for number in range(14)]
    asks = [api.request(day, target) for day in days for target in watched_targets(settings)]
    with open_collector(settings) as collector:
        assert [outcome.error for outcome in collector.collect(asks)] == [None] * 14 * len(names)
    seen = {True: 0, False: 0}
    for day in (TODAY - dt.timedelta(days=back) for back in range(7)):  # what is flagged on a day depends on its date
        if all(seen.values()):
            break
        found = checks_of(publish_run(instance, first if day == TODAY else day, day))
        for name in ("spam_score_did_not_change_sharply", "lost_backlinks_did_not_change_sharply"):
            check = found[name]
            seen[check.passed] += 1
            if not check.passed:
                assert check.severity is dg.AssetCheckSeverity.WARN
                assert check.metadata["worst"].records[0].data["reason"]
    assert seen[False] > 0
    assert "vendor_index_did_not_move" in found
