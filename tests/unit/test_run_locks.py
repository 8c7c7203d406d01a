"""The locks by which a run's process is known to live, held and lost by real processes."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backlinks_assets.dagster_instance.run_locks import AT_WORK, PREPARING, SWEEP_AFTER_S, Life, RunLocks

pytestmark = pytest.mark.slow

RUN = "5a0d7c1e-6f0c-4d55-9d6b-3b0f3a6a5f11"

HOLDER = """
import os, subprocess, sys, time
from pathlib import Path
from backlinks_assets.dagster_instance.run_locks import RunLocks
locks = RunLocks(Path(sys.argv[1]))
locks.hold(sys.argv[2], sys.argv[3])


def forked():
    runs, says = os.pipe()
    child = os.fork()
    if not child:
        os.write(says, b"!")
        time.sleep(600)
    os.read(runs, 1)  # the child runs, and has let go of its parent's locks
    return child


child = {child}
print(child, flush=True)
time.sleep(600)
"""
CHILDREN = {
    "no child": "0",
    "a forked child": "forked()",
    "a program that inherits files": "subprocess.Popen(['sleep', '600'], close_fds=False).pid",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "alive"


@contextmanager
def holder(folder: Path, part: str = AT_WORK, child: str = "0") -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Yield a process that holds the run, and its child's number."""
    command = [sys.executable, "-c", HOLDER.format(child=child), str(folder), RUN, part]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        number = int(process.stdout.readline())
        try:
            yield process, number
        finally:
            process.kill()
            if number:
                os.kill(number, signal.SIGKILL)


@pytest.mark.parametrize("child", CHILDREN)
def test_a_run_lives_as_long_as_its_process_and_not_as_long_as_what_that_has_started(folder, child: str) -> None:
    locks = RunLocks(folder)
    assert locks.life(RUN) is Life.UNKNOWN
    with holder(folder, child=CHILDREN[child]) as (process, _):
        assert locks.life(RUN) is Life.LIVING
        process.send_signal(signal.SIGSTOP)
        assert locks.life(RUN) is Life.LIVING
        process.kill()
        process.wait()
        assert locks.life(RUN) is Life.GONE


def test_a_run_of_several_processes_is_dead_when_the_last_is_gone(folder) -> None:
    locks = RunLocks(folder)
    with holder(folder) as (first, _), holder(folder) as (second, _):
        first.kill()
        first.wait()
        assert locks.life(RUN) is Life.LIVING
        second.kill()
        second.wait()
        assert locks.life(RUN) is Life.GONE


def test_who_launched_a_run_does_not_keep_it_alive_once_it_has_a_process_of_its_own(folder) -> None:
    launcher = RunLocks(folder)
    launcher.hold(RUN, PREPARING)
    with holder(folder) as (process, _):
        process.kill()
        process.wait()
        assert launcher.life(RUN) is Life.GONE


def test_a_run_whose_launcher_died_before_it_had_a_process_has_never_begun(folder) -> None:
    with holder(folder, PREPARING) as (process, _):
        assert RunLocks(folder).life(RUN) is Life.LIVING
        process.kill()
        process.wait()
        assert RunLocks(folder).life(RUN) is Life.NEVER_BEGUN


def test_a_run_that_ends_leaves_nothing_and_is_never_seen_as_dead(folder) -> None:
    locks = RunLocks(folder)
    locks.hold(RUN, PREPARING)
    locks.hold(RUN, AT_WORK)
    locks.hold(RUN, AT_WORK)
    assert len(list(folder.iterdir())) == 1
    locks.release(RUN)
    assert list(folder.iterdir()) == []
    assert locks.life(RUN) is Life.UNKNOWN


def test_what_the_dead_left_of_finished_runs_is_swept_and_nothing_else(folder) -> None:
    old = time.time() - SWEEP_AFTER_S - 1
    living, dead = RunLocks(folder), RunLocks(folder)
    for run_id in ("unfinished", "finished"):
        dead.hold(run_id, AT_WORK)
    living.hold("at-work", AT_WORK)
    living.hold("launched", PREPARING)
    dead.close()
    for path in folder.iterdir():
        os.utime(path, (old, old))
    dead.hold("just-now", AT_WORK)
    dead.close()
    living.sweep({"unfinished"})
    assert {path.name.split(".")[0] for path in folder.iterdir()} == {"unfinished", "at-work", "just-now"}
    living.hold("another", AT_WORK)  # and the launcher lets go of what was swept
    assert ("launched", PREPARING) not in living._held


def test_a_file_system_without_locks_stops_no_run_and_tells_nothing(folder, monkeypatch) -> None:
    def refused(_fd: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    locks = RunLocks(folder)
    locks.hold(RUN, AT_WORK)
    assert locks.life(RUN) is Life.UNKNOWN
    assert list(folder.iterdir()) == []
    locks.release(RUN)
