"""The account's limits over real processes, judged where they count: at a server that sees the calls arrive.

Run as a program, this file is one of those processes.
"""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from accounts import limiter_at
from counting_server import send, serving

from backlinks_assets.account.clock import Clock
from backlinks_assets.account.limiter import AccountLimiter, LimiterError
from backlinks_assets.account.rate_limiter import Pacer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PATIENCE_S = 150.0
LONG_S = 60.0
"""A call's timeout where none is to be over: on Postgres a call that is stalled for longer has lost its slot."""
ON_POSTGRES_IN_CI = pytest.mark.parametrize(
    "place", ["files", pytest.param("postgres", marks=pytest.mark.ci)], indirect=True
)


@contextmanager
def process(role: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """This file as a process of its own; killed at the end, should it still be there."""
    command = [sys.executable, __file__, role, *map(str, arguments)]
    path = os.pathsep.join(map(str, (Path(__file__).parents[2], Path(__file__).parents[1] / "support")))
    environment = {**os.environ, "PYTHONPATH": path}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def call_from_three_processes(folder: str, port: int, limits: tuple[int, int], threads: int, calls: int) -> None:
    arguments = ("call", folder, port, LONG_S, *limits, threads, calls)
    with (
        process(*arguments) as one,
        process(*arguments) as two,
        process(*arguments) as three,
    ):
        assert [running.wait(PATIENCE_S) for running in (one, two, three)] == [0, 0, 0]


def patience() -> Callable[[], bool]:
    """A `cancelled` that ends a test that waits in vain."""
    end = time.monotonic() + PATIENCE_S
    return lambda: time.monotonic() > end


@ON_POSTGRES_IN_CI
def test_three_processes_of_twenty_threads_never_have_more_calls_at_once_than_allowed(place: str) -> None:
    with serving(work_s=0.01) as server:
        call_from_three_processes(place, server.port, (60_000, 5), threads=20, calls=5)
    assert len(server.arrivals) == 300
    assert server.most_at_once <= 5


@ON_POSTGRES_IN_CI
def test_the_fullest_window_at_the_server_holds_no_more_than_the_rate(place: str) -> None:
    with serving(work_s=0.002) as server:
        call_from_three_processes(place, server.port, (6000, 3), threads=10, calls=9)
    assert len(server.arrivals) == 270
    assert server.most_in(window_s=2.0) <= 200  # 196 paced, one more, and three on their way


def test_no_instant_is_reserved_twice_by_processes_that_ask_at_the_same_moment(tmp_path: Path) -> None:
    began_at = time.monotonic()
    with process("reserve", tmp_path, 5000) as one, process("reserve", tmp_path, 5000) as two:
        assert [running.wait(PATIENCE_S) for running in (one, two)] == [0, 0]
    left_s = Pacer(tmp_path, 60_000, Clock()).reserve()
    next_free = time.monotonic() + left_s  # read after it: a stall between the two must not make it earlier
    assert next_free > began_at + 10_000 * 60 / 58_800


@pytest.mark.ci
def test_calls_of_a_killed_process_count_until_they_must_be_over(place: str) -> None:
    with (
        serving(work_s=0.5) as server,
        process("call", place, server.port, 10.0, 60_000, 2, 2, 60) as victim,
    ):
        while server.under_way < 2:
            assert victim.poll() is None
            time.sleep(0.01)
        victim.kill()
        victim.wait()
        heir = limiter_at(place, 60_000, 2, call_timeout_s=LONG_S)
        for _ in range(2):
            with heir.permit(patience()):
                send(server.port)
        assert server.most_at_once <= 2


def test_a_killed_holders_slot_comes_back_after_its_calls_timeout_and_not_before(place: str) -> None:
    asked_at = time.monotonic()
    with process("hold", place, "alone") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        holder.wait()
        with limiter_at(place, 2000, 1).permit(patience()):
            assert time.monotonic() >= asked_at + 1.5


@ON_POSTGRES_IN_CI
@pytest.mark.parametrize("child", ["forked", "executed"])
def test_a_child_does_not_keep_the_slot_of_its_killed_parent(place: str, child: str) -> None:
    with process("hold", place, child) as parent:
        assert parent.stdout is not None
        child_pid = int(parent.stdout.readline())
        try:
            parent.kill()
            parent.wait()
            with limiter_at(place, 2000, 1).permit(patience()):
                os.kill(child_pid, 0)  # it is still there
        finally:
            os.kill(child_pid, signal.SIGKILL)


@pytest.mark.ci
def test_a_pause_is_honoured_by_another_process(place: str) -> None:
    with (
        serving(work_s=0.002) as server,
        process("call", place, server.port, LONG_S, 6000, 2, 4, 40) as caller,
    ):
        while len(server.arrivals) < 20:
            assert caller.poll() is None
            time.sleep(0.01)
        asked_at = time.monotonic()
        limiter_at(place).pause(1.0)
        paused_at = time.monotonic()
        assert caller.wait(PATIENCE_S) == 0
    assert len(server.arrivals) == 160, "it went on after the pause"
    in_pause = [arrival for arrival in server.arrivals if paused_at < arrival < asked_at + 1.0]
    assert len(in_pause) <= 2, "only what was on its way already may arrive"


@ON_POSTGRES_IN_CI
def test_fewer_calls_at_once_are_honoured_by_other_processes(place: str) -> None:
    assert limiter_at(place, 2000, 6).lower_concurrency() == 4
    with serving(work_s=0.01) as server:
        call_from_three_processes(place, server.port, (60_000, 6), threads=6, calls=5)
    assert len(server.arrivals) == 90
    assert server.most_at_once <= 4


def test_a_folder_one_may_not_write_stops_the_call_and_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "account").mkdir(mode=0o555)
    with process("read-only", tmp_path / "account") as reader:
        said, _ = reader.communicate(timeout=PATIENCE_S)
    assert "Permission denied. Give this user the right to write there, or set BACKLINKS_DATA_DIR" in said


# What follows runs in the processes.


def call(place: str, port: int, call_timeout_s: float, *numbers: int) -> None:
    per_minute, at_once, threads, calls = numbers
    limiter = limiter_at(place, per_minute, at_once, call_timeout_s=call_timeout_s)

    def work() -> None:
        for _ in itertools.repeat(None, calls):
            with limiter.permit():
                send(port)

    working = [threading.Thread(target=work) for _ in range(threads)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()


def reserve(folder: Path, times: int) -> None:
    pace = Pacer(folder, 60_000, Clock())
    for _ in itertools.repeat(None, times):
        pace.reserve()


def hold(place: str, child: str) -> None:
    with limiter_at(place, 2000, 1, call_timeout_s=1.5).permit():
        if child == "forked":
            pid = os.fork()
            if pid == 0:
                time.sleep(600)
                os._exit(0)
            print(pid, flush=True)
        elif child == "executed":
            sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
            print(sleeper.pid, flush=True)
        else:
            print("held", flush=True)
        time.sleep(600)


def read_only(folder: Path) -> None:
    if os.geteuid() == 0:  # whom no permission stops
        os.seteuid(65534)
    try:
        with AccountLimiter(folder).permit():
            print("a call was started")
    except LimiterError as error:
        print(error)


if __name__ == "__main__":
    role, where, *rest = sys.argv[1:]
    if role == "call":
        call(where, int(rest[0]), float(rest[1]), *map(int, rest[2:]))
    elif role == "reserve":
        reserve(Path(where), int(rest[0]))
    elif role == "hold":
        hold(where, *rest)
    else:
        read_only(Path(where))
