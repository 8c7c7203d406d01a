"""A tick of the schedule in bulk that failed or was missed is made up for the same day, as one of the other schedule is."""

import os
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus
from test_makeup import DUE, MINUTE, TODAY, look, on

from backlinks_assets.definitions import build_defs
from backlinks_assets.defs import makeup
from backlinks_assets.defs.resources import BacklinksData

pytestmark = pytest.mark.slow

IN_BULK = "daily_bulk_collect_schedule"
WHY = "daily_collect_schedule is off. The last tick of today was made, and a run has requested every target in bulk."


@pytest.fixture(autouse=True)
def file(write_targets, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The targets file: one target in full and two in bulk, of the simulator. The clock is three minutes after the tick."""
    monkeypatch.setattr(makeup, "utc_now", lambda: DUE + 3 * MINUTE)
    written: Path = write_targets("full.example,full", "a.example,bulk", "b.example,bulk", header="target,watch")
    return written


def run(instance: dg.DagsterInstance, request: dg.RunRequest) -> bool:
    job = build_defs().resolve_job_def(request.job_name or "")
    return job.execute_in_process(instance=instance, tags=dict(request.tags), raise_on_error=False).success


@pytest.mark.parametrize("status", [TickStatus.FAILURE, None], ids=["failed", "missed"])
def test_a_tick_in_bulk_that_failed_or_was_missed_is_made_up_for_once(instance, status: TickStatus | None) -> None:
    on(instance, status, name=IN_BULK)
    (request,), _ = look(instance)
    assert (request.job_name, request.partition_key) == ("bulk_collect_job", str(TODAY))
    assert request.tags["makes_up_for"] == f"{DUE.isoformat()} in bulk"
    assert request.tags["run"] == f"Collect {TODAY} in bulk · 2 targets"
    (again,), _ = look(instance)
    assert again.run_key == request.run_key
    assert run(instance, request)
    assert look(instance) == ([], WHY)
    repository = build_defs().get_repository_def()
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=DUE,
        repository_def=repository,
        resources={"backlinks_data": BacklinksData()},
    ) as context:  # the daemon comes late
        late = repository.get_schedule_def(IN_BULK).evaluate_tick(context)
    assert (late.run_requests, late.skip_message) == ([], "This tick was made up for already.")


def test_each_schedule_is_made_up_for_by_itself(instance) -> None:
    on(instance)
    (in_full,), why = look(instance)
    assert (in_full.job_name, why) == ("collect_job", "")
    assert run(instance, in_full)
    on(instance, TickStatus.FAILURE, name=IN_BULK)
    (in_bulk,), _ = look(instance)
    assert in_bulk.job_name == "bulk_collect_job"
    assert run(instance, in_bulk)
    assert look(instance)[0] == []


def test_a_target_that_was_added_after_the_tick_in_bulk_is_requested_once(instance, file: Path) -> None:
    on(instance, TickStatus.SUCCESS, name=IN_BULK)
    job = build_defs().resolve_job_def("bulk_collect_job")
    tags = {"dagster/partition": str(TODAY)}
    begun = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.FAILURE)
    created = instance.get_run_record_by_id(begun.run_id).create_timestamp.timestamp()
    os.utime(file, (created - 1, created - 1))
    assert look(instance) == ([], WHY)  # what failed is for a person
    file.write_text(file.read_text() + "new.example,bulk\n")
    (request,), _ = look(instance)
    assert "makes_up_for" not in request.tags
    assert run(instance, request)
    assert look(instance) == ([], WHY)
    file.touch()
    assert look(instance) == ([], "daily_collect_schedule is off. Every target in bulk has its answers of today.")
