"""A call's deadline cuts its own connection and no other, over real sockets whose other end says nothing."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from commands import wait_for

from backlinks_assets.dataforseo.deadline import Deadline

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    made = [socket.socketpair() for _ in range(5)]
    for ours, _ in made:
        ours.settimeout(120)  # far beyond the deadlines: a reader that is not cut fails the test
    yield made
    for pair in made:
        for end in pair:
            end.close()


def read(ours: socket.socket, seconds: float) -> tuple[bytes, float]:
    """Read under a deadline; return what came and after how many seconds."""
    began = time.monotonic()
    with Deadline(seconds) as deadline:
        deadline.watch(ours)
        return ours.recv(1), time.monotonic() - began


@pytest.mark.medium
def test_each_is_cut_at_its_own_instant_whatever_their_order(pairs) -> None:
    wanted = [1.2, 0.3, 0.9, 0.6]
    with ThreadPoolExecutor(len(wanted)) as pool:
        reads = [pool.submit(read, ours, seconds) for (ours, _), seconds in zip(pairs, wanted, strict=False)]
        for future, seconds in zip(reads, wanted, strict=True):
            got, after = future.result()
            assert got == b""
            assert seconds <= after < seconds + 60


def test_what_ends_in_time_is_never_cut(pairs) -> None:
    (ours, theirs), (other, _), *_ = pairs
    theirs.send(b"12")
    assert read(ours, 0.2)[0] == b"1"
    assert read(other, 0.4)[0] == b""  # by now the first deadline has passed
    assert ours.recv(1) == b"2"


def test_a_connection_that_comes_after_the_deadline_is_cut_at_once(pairs) -> None:
    (ours, _), *_ = pairs
    with Deadline(0.05) as deadline:
        wait_for(lambda: deadline.has_passed)
        deadline.watch(ours)
        assert ours.recv(1) == b""


def test_nothing_is_left_of_calls_that_have_ended(pairs) -> None:
    before = set(threading.enumerate())  # of which some may be about to end
    (ours, theirs), *_ = pairs
    for _ in range(20):
        theirs.send(b"1")
        assert read(ours, 30)[0] == b"1"
    wait_for(lambda: set(threading.enumerate()) <= before)


def test_a_forked_child_cuts_its_own_calls_and_leaves_its_parents_alone(pairs) -> None:
    (ours, theirs), (other, _), *_ = pairs
    with Deadline(300) as deadline:
        deadline.watch(ours)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.alarm(110)
                got, after_s = read(other, 0.3)
                status = 0 if got == b"" and after_s < 100 else 1
            finally:
                os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    theirs.send(b"1")
    assert ours.recv(1) == b"1"
