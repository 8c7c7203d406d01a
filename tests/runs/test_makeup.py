"""A day whose scheduled tick failed or was missed is asked for the same day: once, while the schedule is on, never twice."""

import datetime as dt
import logging
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._utils.error import SerializableErrorInfo
from job_runs import schedule_tick

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs import makeup
from backlinks_assets.defs.partitions import range_tags
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.sensors import add_missing_targets

pytestmark = pytest.mark.slow

TODAY = utc_now().date()
YESTERDAY = TODAY - dt.timedelta(days=1)
DUE = dt.datetime.combine(TODAY, dt.time(6), dt.UTC)
MINUTE = dt.timedelta(minutes=1)
TARGETS = ["a.example", "b.example", "c.example", "d.example"]


@pytest.fixture(autouse=True)
def targets(write_targets) -> None:
    write_targets(*TARGETS)  # the simulator answers


@pytest.fixture(autouse=True)
def at(monkeypatch: pytest.MonkeyPatch):
    """Set the sensor's clock; it is three minutes after the tick was due."""

    def set_clock(now: dt.datetime) -> None:
        monkeypatch.setattr(makeup, "utc_now", lambda: now)

    set_clock(DUE + 3 * MINUTE)
    return set_clock


def state(
    location: str = "backlinks_assets",
    name: str = "daily_collect_schedule",
    switched: InstigatorStatus = InstigatorStatus.RUNNING,
    since: dt.datetime = DUE - 24 * 60 * MINUTE,
    cron: str = "0 6 * * *",
) -> InstigatorState:
    """Return what Dagster keeps of a schedule that was switched on, or off again."""
    code = ManagedGrpcPythonEnvCodeLocationOrigin(
        LoadableTargetOrigin(module_name="backlinks_assets.definitions"), location_name=location
    )
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(code, "__repository__"), name)
    return InstigatorState(origin, InstigatorType.SCHEDULE, switched, ScheduleInstigatorData(cron, since.timestamp()))


def ticked(instance: dg.DagsterInstance, of: InstigatorState, status: TickStatus, when: dt.datetime = DUE) -> None:
    instance.create_tick(
        TickData(
            of.instigator_origin_id,
            of.instigator_name,
            of.instigator_type,
            status,
            when.timestamp(),
            run_ids=["run"] if status is TickStatus.SUCCESS else [],
            skip_reason="no target" if status is TickStatus.SKIPPED else None,
            error=SerializableErrorInfo("no header", [], "TargetsError") if status is TickStatus.FAILURE else None,
            selector_id=of.selector_id,
        )
    )


def on(instance: dg.DagsterInstance, status: TickStatus | None = TickStatus.FAILURE, **how) -> InstigatorState:
    """Switch the schedule on, and let its tick of today end so."""
    made = state(**how)
    instance.add_instigator_state(made)
    if status is not None:
        ticked(instance, made, status)
    return made


def look(instance: dg.DagsterInstance) -> tuple[list[dg.RunRequest], str]:
    """Let the sensor look; return the runs it asks for, and why it asks for none."""
    repository = build_defs().get_repository_def()
    with dg.build_sensor_context(
        instance=instance, repository_def=repository, resources={"backlinks_data": BacklinksData()}
    ) as context:
        tick = repository.get_sensor_def("makeup_sensor").evaluate_tick(context)
    return list(tick.run_requests or []), tick.skip_message or ""


def run(instance: dg.DagsterInstance, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
    job = build_defs().resolve_job_def("collect_job")
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def asked(requests: list[dg.RunRequest]) -> list[tuple[str, str]]:
    """Return the first and the last target of each run."""
    ends = [(request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")) for request in requests]
    pairs = [tuple(ends_of) for ends_of in ends]
    assert all(key.split("|")[0] == str(TODAY) for pair in pairs for key in pair)
    return [(first.split("|")[1], last.split("|")[1]) for first, last in pairs]


@pytest.mark.parametrize("status", [TickStatus.FAILURE, None], ids=["failed", "missed"])
def test_a_tick_that_failed_or_was_missed_is_made_up_for_once(instance, status: TickStatus | None) -> None:
    on(instance, status)
    (request,), _ = look(instance)
    assert asked([request]) == [("a.example", "d.example")]
    assert request.tags["makes_up_for"] == DUE.isoformat()
    assert request.tags["run"] == f"Collect {TODAY} · 4 targets"
    (again,), _ = look(instance)  # the daemon had not made the run yet: the same key, so that it makes one
    assert again.run_key == request.run_key
    assert run(instance, dict(request.tags)).success
    assert look(instance) == ([], "A call was made today about every active target.")


def test_nothing_is_made_up_for_where_there_is_nothing_to_make_up_for(instance, at) -> None:
    assert look(instance) == ([], "daily_collect_schedule is off.")  # never switched on
    made = on(instance, None)
    at(DUE - MINUTE)
    assert look(instance) == ([], "No tick is due today, or not yet.")
    at(DUE + MINUTE)
    assert look(instance) == ([], "The schedule's own tick is waited for.")
    at(DUE + 3 * MINUTE)
    assert len(look(instance)[0]) == 1
    ticked(instance, made, TickStatus.STARTED)
    assert look(instance) == ([], "The schedule's own tick is waited for.")


@pytest.mark.first
@pytest.mark.parametrize("status", [TickStatus.SUCCESS, TickStatus.FAILURE], ids=["made", "made-up-for"])
def test_a_target_that_no_run_of_the_day_was_for_is_asked_about_once(
    instance, clean_environment: Path, status: TickStatus
) -> None:
    """Its line could not be used when the tick came, or was not there yet."""
    file = clean_environment / "targets.csv"
    file.write_text("target,retired\na.example,\nb.example,02/01/2026\nc.example,\n")
    on(instance, status)
    (*_, request), _ = look(instance)  # where the tick was made, this stands for its runs
    for each in look(instance)[0]:
        assert run(instance, dict(each.tags)).success
    assert look(instance) == ([], "A call was made today about every active target.")
    file.write_text("target,retired\na.example,\nb.example,\nc.example,\nnew.example,\n")
    requests, _ = look(instance)
    assert asked(requests) == [("b.example", "new.example")]
    assert request.run_key not in {each.run_key for each in requests}
    assert [each.run_key for each in look(instance)[0]] == [each.run_key for each in requests]
    assert all(run(instance, dict(each.tags)).success for each in requests)
    assert look(instance) == ([], "A call was made today about every active target.")


@pytest.mark.parametrize(
    "tags",
    [
        range_tags(str(TODAY), str(TODAY), "a.example", "d.example"),
        range_tags(str(YESTERDAY), str(TODAY), "a.example", "d.example"),
    ],
    ids=["the day's run", "a longer one"],
)
def test_a_target_whose_run_failed_is_not_asked_about_again_by_itself(instance, tags: dict[str, str]) -> None:
    on(instance, TickStatus.SUCCESS)
    add_missing_targets(instance, TARGETS)
    instance.create_run_for_job(
        build_defs().resolve_job_def("collect_job"), tags=tags, status=dg.DagsterRunStatus.FAILURE
    )
    why = "The last tick of today was made, and a run has requested every active target."
    assert look(instance) == ([], why)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"switched": InstigatorStatus.STOPPED}, "daily_collect_schedule is off."),
        ({"since": DUE + MINUTE}, "daily_collect_schedule was switched on after its last tick of today was due."),
        ({"name": "another_schedule"}, "daily_collect_schedule is off."),
    ],
    ids=["off", "switched-on-later", "another"],
)
def test_only_a_tick_that_the_schedule_owed_is_made_up_for(instance, how, why: str) -> None:
    on(instance, **how)
    assert look(instance) == ([], why)


def test_yesterdays_failed_tick_is_not_made_up_for_today(instance, at) -> None:
    made = on(instance, None)
    ticked(instance, made, TickStatus.FAILURE, DUE - 24 * 60 * MINUTE)
    at(DUE - MINUTE)
    assert look(instance)[0] == []
    at(DUE + 18 * 60 * MINUTE + MINUTE)  # a minute after midnight
    assert look(instance) == ([], "No tick is due today, or not yet.")


def test_the_last_of_several_ticks_of_a_day_counts(instance, monkeypatch, at) -> None:
    monkeypatch.setenv("BACKLINKS_SCHEDULE", "0 6,18 * * *")
    made = on(instance, TickStatus.FAILURE, cron="0 6,18 * * *")
    at(DUE + 12 * 60 * MINUTE + 5 * MINUTE)
    ticked(instance, made, TickStatus.SUCCESS, DUE + 12 * 60 * MINUTE)
    assert look(instance)[0][0].tags.get("makes_up_for") is None  # the first tick is not made up for any more


def test_only_targets_without_any_call_of_the_day_are_asked_for(instance, api) -> None:
    import faults
    from faults import Fault

    server = api(Fault(faults.code(40501, "Invalid Field: 'target'."), target="b.example"))
    on(instance)
    add_missing_targets(instance, TARGETS)
    run(instance, range_tags(str(TODAY), str(TODAY), "a.example", "b.example"))  # by hand: one answered, one refused
    calls = len(server.calls)
    (request,), _ = look(instance)
    assert asked([request]) == [("c.example", "d.example")]
    assert run(instance, dict(request.tags)).success
    assert {call.target for call in server.calls[calls:]} == {"c.example", "d.example"}


def test_where_a_call_was_made_about_every_target_nothing_is_asked(instance) -> None:
    on(instance)
    add_missing_targets(instance, TARGETS)
    assert run(instance, range_tags(str(TODAY), str(TODAY), TARGETS[0], TARGETS[-1])).success
    assert look(instance) == ([], "A call was made today about every active target.")


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
@pytest.mark.parametrize(
    ("job", "tags", "waits"),
    [
        ("collect_job", range_tags(str(YESTERDAY), str(TODAY), "a.example", "a.example"), True),
        ("collect_job", {"dagster/partition": f"{TODAY}|a.example"}, True),
        ("collect_job", range_tags(str(YESTERDAY), str(YESTERDAY), "a.example", "d.example"), False),
        ("publish_job", {"dagster/partition": str(TODAY)}, False),
    ],
    ids=["range", "one", "another-day", "publishing"],
)
def test_a_run_that_asks_about_the_day_is_waited_for(instance, status, job: str, tags, waits: bool) -> None:
    on(instance)
    add_missing_targets(instance, TARGETS)
    instance.create_run_for_job(build_defs().resolve_job_def(job), tags=tags, status=status)
    requests, why = look(instance)
    assert (not requests) is waits
    assert not waits or why == "A run that collects today is queued or at work."


@pytest.mark.parametrize(
    "mended", ["target\na.example\nb.example\n", "target,retired\na.example,\nb.example,2026-02-01\n"]
)
def test_a_targets_file_that_is_mended_is_asked_for_then(instance, clean_environment: Path, mended: str) -> None:
    file = clean_environment / "targets.csv"
    file.write_text("site\na.example\n")  # another header
    on(instance)
    requests, why = look(instance)
    assert requests == []
    assert str(file) in why
    file.write_text(mended)
    assert len(look(instance)[0]) == 1


def test_a_late_tick_that_was_made_up_for_asks_for_nothing(instance) -> None:
    on(instance, None)
    (request,), _ = look(instance)
    assert run(instance, dict(request.tags)).success
    tick = schedule_tick(instance, DUE)
    assert (tick.run_requests, tick.skip_message) == ([], "This tick was made up for already.")


@pytest.mark.ci
def test_dagsters_own_daemon_makes_up_for_a_day_that_one_cell_spoiled(
    tmp_path: Path, clean_environment, monkeypatch
) -> None:
    """The whole way: Dagster's scheduler, its tick that fails, its sensor daemon, the file mended two minutes later."""
    from dagster._core.test_utils import create_test_daemon_workspace_context, freeze_time
    from dagster._core.workspace.load_target import ModuleTarget
    from dagster._daemon.sensor import execute_sensor_iteration
    from dagster._scheduler.scheduler import launch_scheduled_runs

    file = clean_environment / "targets.csv"
    soon = utc_now().replace(second=0, microsecond=0) - 10 * MINUTE
    if soon.date() != (soon + 20 * MINUTE).date():
        pytest.skip("midnight passes in mid-test")
    monkeypatch.setenv("BACKLINKS_SCHEDULE", f"{soon.minute} {soon.hour} * * *")
    log = logging.getLogger("test")
    launcher = {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"}
    (tmp_path / "other").mkdir()
    target = ModuleTarget("backlinks_assets.definitions", None, str(Path.cwd()), "backlinks_assets")
    with (
        dg.instance_for_test(temp_dir=str(tmp_path / "other"), overrides={"run_launcher": launcher}) as instance,
        create_test_daemon_workspace_context(target, instance) as workspace,
    ):
        location = workspace.create_request_context().get_code_location("backlinks_assets")
        repository = location.get_repository("__repository__")
        with freeze_time(soon - 10 * MINUTE):
            instance.start_schedule(repository.get_schedule("daily_collect_schedule"))
        file.write_text("site\na.example\n")
        with freeze_time(soon + dt.timedelta(seconds=5)):
            list(launch_scheduled_runs(workspace, log, soon + dt.timedelta(seconds=5), {}))
        assert instance.get_runs() == []
        list(execute_sensor_iteration(workspace, log, None, None))
        assert instance.get_runs() == []
        file.write_text("target\na.example\nb.example\n")
        for _ in range(2):
            with freeze_time(utc_now() + MINUTE):
                list(execute_sensor_iteration(workspace, log, None, None))
        (made,) = instance.get_runs()
        assert made.tags["makes_up_for"] == soon.isoformat()
        assert made.tags["dagster/asset_partition_range_end"] == f"{soon.date()}|b.example"
