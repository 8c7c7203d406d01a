"""What makes the instance quick changes nothing that is read from it: the event log, and the thinning of old runs."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from backlinks_assets.dagster_instance.event_log import ProjectEventLog
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.partitions import range_tags, target_days
from backlinks_assets.defs.retention import retention_job
from backlinks_assets.settings import Settings

pytestmark = pytest.mark.slow

ASSET = dg.AssetKey("answers")
KEYS = ["a.example", "b.example", "c.example", "d.example"]
DAY = str(dt.datetime.now(dt.UTC).date())


@dg.asset(partitions_def=target_days, backfill_policy=dg.BackfillPolicy.single_run(), output_required=False)
def answers(context: dg.AssetExecutionContext) -> Iterator[dg.AssetMaterialization]:
    for key in context.partition_keys:
        if "bad" in (context.run.tags["test/kind"]):
            raise dg.Failure("nothing came")
        yield dg.AssetMaterialization(context.asset_key, partition=key, metadata={"calls": 2})


def run(instance: dg.DagsterInstance, first: str, last: str, kind: str = "") -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions(assets=[answers], jobs=[dg.define_asset_job("answers_job", selection=[answers])])
    tags = range_tags(DAY, DAY, first, last) | {"test/kind": kind or "good"}
    return definitions.resolve_job_def("answers_job").execute_in_process(
        instance=instance, tags=tags, raise_on_error=False
    )


@pytest.fixture
def instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    with open_instance(settings) as instance:
        instance.add_dynamic_partitions("targets", KEYS)
        yield instance


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster's own storage."""
    (tmp_path / "plain").mkdir()
    with dg.instance_for_test(temp_dir=str(tmp_path / "plain")) as instance:
        instance.add_dynamic_partitions("targets", KEYS)
        yield instance


def what_is_read(instance: dg.DagsterInstance, run_id: str) -> dict[str, object]:
    log = instance.event_log_storage
    records = instance.fetch_materializations(ASSET, limit=100).records
    planned = log.get_latest_storage_id_by_partition(ASSET, dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    (asset,) = instance.get_asset_records([ASSET])
    materialization = asset.asset_entry.last_materialization
    return {
        "types": [record.event_log_entry.dagster_event_type for record in log.get_records_for_run(run_id).records],
        "materialized": instance.get_materialized_partitions(ASSET),
        "metadata": {record.partition_key: record.asset_materialization.metadata["calls"].value for record in records},
        "planned": dict(planned),
        "last_partition": materialization.asset_materialization.partition if materialization else None,
        "last_of_this_run": asset.asset_entry.last_run_id == run_id,
        "status": instance.get_run_by_id(run_id).status,
    }


def test_our_event_log_reads_as_dagsters_own_does(instance, plain) -> None:
    assert isinstance(instance.event_log_storage, ProjectEventLog)
    assert not isinstance(plain.event_log_storage, ProjectEventLog)
    for kind, first, last in [("good", KEYS[0], KEYS[2]), ("bad", KEYS[2], KEYS[3])]:
        ours, theirs = (run(one, first, last, kind) for one in (instance, plain))
        assert what_is_read(instance, ours.run_id) == what_is_read(plain, theirs.run_id), kind


def test_another_process_reads_what_was_written_while_our_connections_are_open(instance, settings) -> None:
    run(instance, KEYS[0], KEYS[3])
    with dg.DagsterInstance.from_ref(
        dg._core.instance.ref.InstanceRef.from_dir(str(settings.dagster_dir))
    ) as dagsters_own:
        assert dagsters_own.get_materialized_partitions(ASSET) == instance.get_materialized_partitions(ASSET)


def test_a_process_keeps_few_files_of_runs_open(instance, monkeypatch) -> None:
    monkeypatch.setattr("backlinks_assets.dagster_instance.event_log.MAX_OPEN_FILES", 2)
    runs = [run(instance, key, key).run_id for key in KEYS]
    log = instance.event_log_storage
    assert all(log.get_records_for_run(run_id).records for run_id in [*runs, *runs])
    assert len(log._engines) <= 2


def test_retention_deletes_what_nothing_rests_on_and_keeps_every_partition(instance) -> None:
    superseded = run(instance, KEYS[0], KEYS[1]).run_id
    stands = run(instance, KEYS[0], KEYS[2]).run_id
    failed = run(instance, KEYS[3], KEYS[3], "bad").run_id
    before = instance.get_materialized_partitions(ASSET)
    assert len(before) == 3
    config = {"ops": {"thin_old_runs": {"config": {"keep_days": 0}}}}
    assert retention_job.execute_in_process(instance=instance, run_config=config).success
    assert instance.get_run_by_id(superseded) is None
    assert instance.get_run_by_id(failed) is None
    assert instance.get_run_by_id(stands).status is dg.DagsterRunStatus.SUCCESS
    assert instance.get_materialized_partitions(ASSET) == before
    (record, *_) = instance.fetch_materializations(ASSET, limit=1).records
    assert record.asset_materialization.metadata["calls"].value == 2
    assert instance.event_log_storage.get_records_for_run(stands).records == []
    assert retention_job.execute_in_process(instance=instance, run_config=config).success
    assert instance.get_materialized_partitions(ASSET) == before


def test_space_is_given_back_once_it_is_worth_it(instance) -> None:
    log = instance.event_log_storage
    file = Path(log.path_for_shard("index"))
    with log.index_connection() as tx:
        tx.exec_driver_sql("CREATE TABLE ballast AS SELECT randomblob(1000000) AS bytes")
        tx.exec_driver_sql("DROP TABLE ballast")
    with log.index_connection() as tx:
        tx.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    before = file.stat().st_size
    assert log.compact()
    with log.index_connection() as tx:
        tx.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert file.stat().st_size < before - 900_000
    assert not log.compact()


def test_retention_leaves_recent_runs_alone(instance) -> None:
    recent = run(instance, KEYS[0], KEYS[3]).run_id
    events = len(instance.event_log_storage.get_records_for_run(recent).records)
    assert retention_job.execute_in_process(instance=instance).success
    assert len(instance.event_log_storage.get_records_for_run(recent).records) == events


def test_retention_refuses_a_storage_where_it_would_lose_partitions(plain) -> None:
    done = run(plain, KEYS[0], KEYS[3]).run_id
    config = {"ops": {"thin_old_runs": {"config": {"keep_days": 0}}}}
    assert not retention_job.execute_in_process(instance=plain, run_config=config, raise_on_error=False).success
    assert plain.get_run_by_id(done) is not None


@pytest.mark.usefixtures("instance")  # Dagster loads definitions only where an instance is open, or none ever was
def test_retention_is_in_the_code_location_and_off_until_started() -> None:
    schedule = build_defs().resolve_schedule_def("retention_schedule")
    assert schedule.job_name == "retention_job"
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED
