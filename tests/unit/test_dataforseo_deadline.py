"""The one thread that cuts calls at their instants, over real sockets whose other end says nothing."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from backlinks_assets.dataforseo import deadline

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def watch() -> deadline._Watch:
    return deadline._Watch()


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    made = [socket.socketpair() for _ in range(5)]
    for ours, _ in made:
        ours.settimeout(20)  # far beyond the deadlines: a reader that is not cut fails the test
    yield made
    for pair in made:
        for end in pair:
            end.close()


def read(watch: deadline._Watch, ours: socket.socket, seconds: float) -> tuple[bytes, float]:
    """Read under a deadline; return what came and after how many seconds."""
    began = time.monotonic()
    with watch.cutting(ours, seconds):
        return ours.recv(1), time.monotonic() - began


def watchers() -> int:
    return sum(thread.name == "call-deadlines" for thread in threading.enumerate())


def test_each_is_cut_at_its_own_instant_by_one_thread_whatever_their_order(watch, pairs) -> None:
    wanted = [1.2, 0.3, 0.9, 0.6]
    before = watchers()
    with ThreadPoolExecutor(len(wanted)) as pool:
        reads = [pool.submit(read, watch, ours, seconds) for (ours, _), seconds in zip(pairs, wanted, strict=False)]
        time.sleep(0.1)
        assert watchers() == before + 1
        for future, seconds in zip(reads, wanted, strict=True):
            got, after = future.result()
            assert got == b""
            assert seconds <= after < seconds + 5


def test_what_ends_in_time_is_never_cut(watch, pairs) -> None:
    (ours, theirs), (other, _), *_ = pairs
    theirs.send(b"12")
    assert read(watch, ours, 0.2)[0] == b"1"
    assert read(watch, other, 0.4)[0] == b""  # by now the first deadline is over
    assert ours.recv(1) == b"2"


def test_the_thread_ends_when_nothing_comes_and_starts_again(watch, pairs, monkeypatch) -> None:
    monkeypatch.setattr(deadline, "_IDLE_S", 0.05)
    before = watchers()
    for ours, _ in pairs[:2]:
        assert read(watch, ours, 0.1)[0] == b""
        end = time.monotonic() + 10
        while watchers() > before and time.monotonic() < end:
            time.sleep(0.02)
        assert watchers() == before


@pytest.mark.parametrize("held", [False, True], ids=["while-it-waits", "while-a-call-is-entered"])
def test_a_forked_child_cuts_its_own_calls_and_leaves_its_parents_alone(pairs, held: bool) -> None:
    (ours, theirs), (other, _), *_ = pairs
    watch = deadline._WATCH
    with watch.cutting(ours, 30):  # the thread is at work, and stays in the parent
        if held:
            watch._changed.acquire()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.alarm(60)  # what waits for a lock of the parent ends too
                parents = list(watch._due)
                got, after_s = read(watch, other, 0.3)
                status = 0 if not parents and got == b"" and after_s < 10 else 1
            finally:
                os._exit(status)
        if held:
            watch._changed.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    theirs.send(b"1")
    assert ours.recv(1) == b"1"
