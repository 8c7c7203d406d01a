"""What makes the instance quick changes nothing that is read from it: the event log, and the deletion of runs."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from backlinks_assets.dagster_instance.event_log import ProjectEventLog
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.partitions import all_target_days, range_tags
from backlinks_assets.settings import Settings

pytestmark = pytest.mark.slow

ASSET = dg.AssetKey("answers")
KEYS = ["a.example", "b.example", "c.example", "d.example"]
DAY = str(dt.datetime.now(dt.UTC).date())


@dg.asset(partitions_def=all_target_days, backfill_policy=dg.BackfillPolicy.single_run(), output_required=False)
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


@pytest.mark.ci
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


@pytest.mark.ci
def test_a_deleted_run_leaves_no_row_and_no_file_and_its_space_is_used_again(instance) -> None:
    log = instance.event_log_storage
    stays = run(instance, KEYS[3], KEYS[3]).run_id

    def pages() -> int:
        with log.index_connection() as tx:
            return int(tx.exec_driver_sql("PRAGMA page_count").scalar_one())

    sizes = []
    for _ in range(4):
        for _ in range(3):
            gone = run(instance, KEYS[0], KEYS[2]).run_id
            assert Path(log.path_for_shard(gone)).exists()
            instance.delete_run(gone)
            assert list(Path(log.path_for_shard(gone)).parent.glob(f"{gone}*")) == []
        sizes.append(pages())
    with log.index_connection() as tx:
        left = set(tx.exec_driver_sql("SELECT run_id FROM event_logs WHERE run_id IS NOT NULL").scalars())
    assert left == {stays}
    assert sizes[-1] == sizes[0]
    assert instance.get_materialized_partitions(ASSET) == {f"{DAY}|{KEYS[3]}"}
    assert log.get_records_for_run(stays).records != []
