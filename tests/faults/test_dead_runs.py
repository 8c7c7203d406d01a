"""Runs whose process was killed, by real kills of real processes on a real instance; and runs that only seem dead."""

import datetime as dt
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import commands
import dagster as dg
import filelock
import pytest
from simulated_api import SimulatedApi

from backlinks_assets.cli.doctor.finding import Finding
from backlinks_assets.cli.doctor.instance import runs
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.announce import failed_runs
from backlinks_assets.defs.dead_runs import WHY, dead_runs, dead_runs_sensor, end_dead_runs
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.notify.alerts import collecting_alerts
from backlinks_assets.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]

STATUS = dg.DagsterRunStatus
NAMES = [f"shop{number:02d}.example" for number in range(20)]


@pytest.fixture(autouse=True)
def server(api, write_targets) -> SimulatedApi:
    write_targets(*NAMES)
    return api()


@pytest.fixture
def instance(server) -> Iterator[dg.DagsterInstance]:
    with open_instance(Settings.from_env()) as instance:
        yield instance


def statuses() -> list[str]:
    """The statuses of all runs, oldest first, read beside whatever is going on."""
    file = Settings.from_env().dagster_dir / "history" / "runs.db"
    if not file.exists():
        return []
    with closing(sqlite3.connect(file, timeout=60)) as runs:
        if runs.execute("SELECT count(*) FROM sqlite_master WHERE name = 'runs'").fetchone() == (0,):
            return []
        return [status for (status,) in runs.execute("SELECT status FROM runs ORDER BY id")]


def why(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """What the run's failure says."""
    (failure,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    return failure.message


def locks_left() -> list[str]:
    return [path.name for path in (Settings.from_env().dagster_dir / "alive").iterdir()]


@contextmanager
def nothing_written(_server: SimulatedApi) -> Iterator[None]:
    """Keep all others from writing events, so that a run stays in the moment before it is started."""
    with open_instance(Settings.from_env()) as instance:
        add_missing_targets(instance, NAMES)
    file = Settings.from_env().dagster_dir / "history" / "runs" / "index.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as events:
        events.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def no_answers(server: SimulatedApi) -> Iterator[None]:
    server.let_answer(0)
    yield
    server.let_answer()


@contextmanager
def another_publication(_server: SimulatedApi) -> Iterator[None]:
    """Hold the publisher's lock, as a long publication does."""
    root = Settings.from_env().root
    root.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(root / ".publish.lock"):
        yield


MOMENTS = {
    "before it is started": (nothing_written, ["NOT_STARTED"]),
    "while it collects": (no_answers, ["STARTED"]),
    "while it publishes": (another_publication, ["SUCCESS", "STARTED"]),
}


BLIND = {"cli.execution.end_dead_runs": id}
"""A command with this does not look for dead runs."""


@contextmanager
def started(server: SimulatedApi, moment: str) -> Iterator[commands.Process]:
    """Start `backlinks run` and hold it in a moment. It leaves runs that were dead before it, as if started at once."""
    hindrance, wanted = MOMENTS[moment]
    before = statuses()
    with hindrance(server):
        run = commands.start("run", patches=BLIND)
        try:
            commands.wait_for(lambda: statuses() == [*before, *wanted])
            yield run
        except BaseException:
            run.kill()
            raise


def kill(server: SimulatedApi, moment: str) -> None:
    with started(server, moment) as run:
        run.kill()


FEW = [pytest.param(moment, marks=[] if moment == "while it publishes" else pytest.mark.ci) for moment in MOMENTS]


@pytest.mark.first
@pytest.mark.parametrize("moment", [pytest.param("before it is started", marks=pytest.mark.ci), *list(MOMENTS)[1:]])
def test_a_killed_command_is_counted_by_the_doctor_and_marked_failed_by_the_next_command(server, moment: str) -> None:
    kill(server, moment)
    doctor = {check["check"]: check for check in commands.command("doctor", "--json").summary["checks"]}
    ended = commands.command("run", "--json")
    assert (ended.status, ended.err, ended.summary["failed"]) == (0, "", [])
    with open_instance(Settings.from_env()) as instance:
        (dead,) = instance.get_runs(dg.RunsFilter(statuses=[STATUS.FAILURE]))
        assert why(instance, dead).startswith(WHY)
        assert dead_runs(instance) == []
    assert doctor["runs"]["state"] == "note"
    assert f"1 unfinished run is gone, killed or stopped with the machine ({dead.run_id})" in doctor["runs"]["says"]
    assert locks_left() == []


@pytest.mark.ci
def test_the_sensor_empties_a_queue_that_four_dead_runs_fill(server, instance) -> None:
    for _ in range(4):
        kill(server, "while it collects")
    assert statuses() == ["STARTED"] * 4
    said = dead_runs_sensor(dg.build_sensor_context(instance=instance))
    assert "4 runs ended" in said.skip_message
    assert statuses() == ["FAILURE"] * 4
    assert runs(Settings.from_env()) == Finding("no run has lost its process")
    again = dead_runs_sensor(dg.build_sensor_context(instance=instance))
    assert again.skip_message == "No run has lost its process."


def freeze(run: commands.Process) -> None:
    """Stop a process where it keeps nobody from reading Dagster's files: SQLite waits for one that is frozen in them."""
    while True:
        run.signal(signal.SIGSTOP)
        commands.wait_for(lambda: run.is_frozen)
        try:
            for name in ("runs.db", "runs/index.db"):
                with closing(sqlite3.connect(Settings.from_env().dagster_dir / "history" / name, timeout=0)) as file:
                    file.execute("SELECT count(*) FROM sqlite_master")
        except sqlite3.OperationalError:
            run.signal(signal.SIGCONT)
        else:
            return


@pytest.mark.ci
@pytest.mark.parametrize("moment", FEW)
def test_a_frozen_command_is_never_marked_and_goes_on(server, moment: str) -> None:
    later = utc_now() + dt.timedelta(days=2)
    with started(server, moment) as run:
        freeze(run)
        with open_instance(Settings.from_env()) as instance:
            assert end_dead_runs(instance, later) == []
        assert runs(Settings.from_env()) == Finding("no run has lost its process")
        run.signal(signal.SIGCONT)
    assert run.end().status == 0
    assert set(statuses()) == {"SUCCESS"}
    assert locks_left() == []


def in_the_pool(instance: dg.DagsterInstance) -> tuple[int, int]:
    """How many slots of the pool are taken, and how many steps wait for one."""
    pool = instance.event_log_storage.get_concurrency_info("duckdb")
    return pool.active_slot_count, pool.pending_step_count


@pytest.mark.ci
def test_a_dead_runs_pool_slot_and_place_in_the_pools_queue_are_free_at_once(server, instance) -> None:
    instance.event_log_storage.set_concurrency_slots("duckdb", 1)
    with started(server, "while it publishes") as run:
        commands.wait_for(lambda: in_the_pool(instance) == (1, 0))
        run.kill()
        waiting = commands.start("run", patches=BLIND)
        commands.wait_for(lambda: in_the_pool(instance) == (1, 1))
        waiting.kill()
    assert len(end_dead_runs(instance)) == 2
    assert in_the_pool(instance) == (0, 0)


@pytest.mark.ci
def test_slots_of_a_run_that_dagster_itself_marked_failed_are_freed(server, instance) -> None:
    """Its code server does so with a worker that is killed, and leaves the slots for five minutes."""
    instance.event_log_storage.set_concurrency_slots("duckdb", 1)
    with started(server, "while it publishes") as run:
        commands.wait_for(lambda: in_the_pool(instance) == (1, 0))
        run.kill()
    instance.report_run_failed(dead_runs(instance)[0])
    assert in_the_pool(instance) == (1, 0)
    assert end_dead_runs(instance) == []
    assert in_the_pool(instance) == (0, 0)


def test_a_run_canceled_before_its_process_was_killed_ends_as_canceled(server, instance) -> None:
    kill(server, "while it collects")
    instance.report_run_canceling(dead_runs(instance)[0])
    assert len(end_dead_runs(instance)) == 1
    assert statuses() == ["CANCELED"]


@pytest.mark.ci
def test_a_publication_killed_with_the_publishers_lock_in_its_hands_stops_nobody() -> None:
    root = Settings.from_env().root
    code = (
        "import sys, time; from pathlib import Path; from backlinks_assets.tables import duckdb_sync\n"
        f"with duckdb_sync._only_publisher(Path({str(root)!r}), 1): print('held', flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.kill()
    assert commands.command("run").status == 0


def test_two_dead_runs_of_a_day_are_announced_once_with_what_they_leave(server, instance) -> None:
    for _ in range(2):
        kill(server, "while it collects")
    end_dead_runs(instance)
    today = commands.today()
    runs = failed_runs(instance, utc_now() - dt.timedelta(hours=1))
    assert [run.day for run in runs] == [today] * 2
    (alert,) = collecting_alerts(runs, NAMES, [], today)
    assert alert.text.startswith(WHY)
    assert "20 of 20 targets have no answers" in alert.text
