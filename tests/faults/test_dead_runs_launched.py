"""Dead runs that Dagster's own launcher started, also of another code location; and runs of which less is known."""

import datetime as dt
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import commands
import dagster as dg
import pytest
from dagster._core.events import EngineEventData
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget, PythonFileTarget

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.dead_runs import BEGINS_WITHIN, SILENT_FOR, WHY, dead_runs, end_dead_runs
from backlinks_assets.defs.partitions import range_tags
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.settings import Settings

pytestmark = pytest.mark.slow

STATUS = dg.DagsterRunStatus
NAMES = [f"shop{number:02d}.example" for number in range(20)]
LATER = dt.timedelta(days=2)

ELSEWHERE = """
import os, time
import dagster as dg

@dg.op
def takes_long():
    with open("step", "w") as file:
        file.write(str(os.getpid()))
    time.sleep(600)

@dg.job
def of_another_team():
    takes_long()

defs = dg.Definitions(jobs=[of_another_team])
"""

LAUNCH = """
mutation($location: String!, $job: String!, $tags: [ExecutionTag!]!) {
  launchRun(executionParams: {
    selector: {repositoryLocationName: $location, repositoryName: "__repository__", jobName: $job},
    executionMetadata: {tags: $tags}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with open_instance(Settings.from_env()) as instance:
        yield instance


@contextmanager
def launched(
    instance: dg.DagsterInstance, target: Any, location: str, job: str, tags: Mapping[str, str] = commands.NOTHING
) -> Iterator[str]:
    """Start a run as the UI and the daemon do, in a process of a code server, which is to be killed; yield its id."""
    from dagster_graphql.cli import execute_query  # a second of each worker's, if at the top

    with WorkspaceProcessContext(instance, target) as process:
        variables = {"location": location, "job": job, "tags": [{"key": k, "value": v} for k, v in tags.items()]}
        done = execute_query(process, LAUNCH, variables)
        run_id: str = done["data"]["launchRun"]["run"]["runId"]
        if instance.get_run_by_id(run_id).status is STATUS.QUEUED:
            assert dead_runs(instance, utc_now() + LATER) == []  # nobody has it, and it waits for the daemon
            instance.launch_run(run_id, process.create_request_context())
        commands.wait_for(lambda: instance.get_run_by_id(run_id).status is STATUS.STARTED, 120)
        yield run_id
    process._grpc_server_registry.wait_for_processes()


def worker(instance: dg.DagsterInstance, run_id: str) -> int:
    """The number of the run's own process, as it said itself."""
    events = instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
    said = [entry.dagster_event.event_specific_data for entry in events]
    return next(int(one.metadata["pid"].value) for one in said if one is not None and "pid" in one.metadata)


def parent(pid: int) -> int:
    return int(subprocess.run(["ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout)


def send(number: int, *pids: int) -> None:
    for pid in pids:
        os.kill(pid, number)


@pytest.mark.ci
@pytest.mark.filterwarnings("ignore")  # of Dagster's own workspace and schema
def test_a_launched_run_is_found_when_its_process_and_the_code_server_are_killed_together(
    api, write_targets, monkeypatch
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    server = api()
    server.let_answer(0)
    write_targets(*NAMES)
    today, settings = str(commands.today()), Settings.from_env()
    target = ModuleTarget("backlinks_assets.definitions", None, os.fspath(settings.root), "backlinks_assets")
    with open_instance(settings) as instance:
        add_missing_targets(instance, NAMES)
        tags = range_tags(today, today, NAMES[0], NAMES[-1])
        with launched(instance, target, "backlinks_assets", "collect_job", tags) as run_id:
            commands.wait_for(lambda: len(server.calls) == len(NAMES))  # no file of Dagster's is written
            run = worker(instance, run_id)
            both = parent(run), run
            send(signal.SIGSTOP, *both)
            assert dead_runs(instance, utc_now() + LATER) == []  # frozen is not dead
            send(signal.SIGKILL, *both)
            commands.wait_for(lambda: [dead.run_id for dead in dead_runs(instance)] == [run_id])
        end_dead_runs(instance)
        assert instance.get_run_by_id(run_id).status is STATUS.FAILURE
    server.let_answer()
    assert commands.command("run", "--json").summary["failed"] == []  # the dead run's claims hold up nobody


@pytest.mark.ci
@pytest.mark.filterwarnings("ignore")
def test_a_run_of_another_code_location_lives_until_the_last_of_its_processes_is_gone(
    instance, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    (tmp_path / "elsewhere.py").write_text(ELSEWHERE, encoding="utf-8")
    target = PythonFileTarget(str(tmp_path / "elsewhere.py"), None, str(tmp_path), "elsewhere")
    said = tmp_path / "step"
    with launched(instance, target, "elsewhere", "of_another_team") as run_id:
        commands.wait_for(lambda: said.exists() and said.read_text() != "")
        run, step = worker(instance, run_id), int(said.read_text())
        assert step != run
        send(signal.SIGKILL, parent(run), run)
        assert dead_runs(instance, utc_now() + LATER) == []  # its step is at work
        send(signal.SIGKILL, step)
        commands.wait_for(lambda: [dead.run_id for dead in dead_runs(instance)] == [run_id])
    end_dead_runs(instance)
    (failure,) = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert failure.message.startswith(WHY)


@contextmanager
def someone(**run: Any) -> Iterator[tuple[dg.DagsterInstance, dg.DagsterRun]]:
    """Yield another process's view of the instance, with a run that it has created; it dies at the end."""
    with open_instance(Settings.from_env()) as instance:
        yield instance, instance.run_storage.add_run(dg.DagsterRun(job_name="some_job", **run))


def status(instance: dg.DagsterInstance, run: dg.DagsterRun, kind: dg.DagsterEventType) -> None:
    instance.report_dagster_event(dg.DagsterEvent(kind.value, run.job_name), run.run_id)


def test_a_run_whose_launcher_died_is_given_time_to_begin(instance) -> None:
    with someone() as (launcher, run):
        status(launcher, run, dg.DagsterEventType.RUN_STARTING)
        assert dead_runs(instance, utc_now() + LATER) == []
    assert dead_runs(instance) == []
    assert dead_runs(instance, utc_now() + 2 * BEGINS_WITHIN) == [instance.get_run_by_id(run.run_id)]


@pytest.mark.parametrize(
    ("tags", "is_dead"),
    [
        ({}, True),
        ({"dagster/schedule_name": "daily_collect_schedule"}, False),
        ({"dagster/backfill": "abcdefgh"}, False),
        ({"dagster/sensor_name": "a", "dagster/from_automation_condition": "true"}, False),
    ],
    ids=["a-persons", "a-schedules", "a-backfills", "an-automations"],
)
def test_a_run_that_was_only_created_is_dead_unless_the_daemon_comes_back_to_it(instance, tags, is_dead: bool) -> None:
    with someone(tags=tags):
        assert dead_runs(instance) == []
    assert len(dead_runs(instance)) == is_dead


@pytest.mark.parametrize(("silent_for", "is_dead"), [(SILENT_FOR / 2, False), (2 * SILENT_FOR, True)])
def test_a_run_without_locks_is_judged_by_its_silence(instance, silent_for: dt.timedelta, is_dead: bool) -> None:
    """As left by the version of the project whose runs held no locks."""
    with someone() as (before, run):
        status(before, run, dg.DagsterEventType.RUN_START)
        before.event_log_storage.store_event(
            dg.EventLogEntry(
                error_info=None,
                level=20,
                user_message="",
                run_id=run.run_id,
                timestamp=time.time() + LATER.total_seconds(),
                job_name=run.job_name,
                dagster_event=dg.DagsterEvent(
                    dg.DagsterEventType.ENGINE_EVENT.value,
                    run.job_name,
                    event_specific_data=EngineEventData.in_process(1),
                ),
            )
        )
    for path in (Settings.from_env().dagster_dir / "alive").iterdir():
        path.unlink()
    assert dead_runs(instance, utc_now() + SILENT_FOR + LATER / 2) == []  # its last event came later
    assert len(dead_runs(instance, utc_now() + LATER + silent_for)) == is_dead
