"""One lock file for all: a process's own, until it ends, and no child's."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from backlinks_assets.account import lockfile
from backlinks_assets.account.clock import Clock
from backlinks_assets.account.concurrency import SlotPool


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some" / "lock"


def in_child(what) -> int:
    """Fork, do something there and return how it ended."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if what() else 1)
        finally:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_forked_child_frees_nothing_that_its_parent_holds(path: Path) -> None:
    held = lockfile.lock(path)

    def release() -> bool:
        held.release()
        return lockfile.is_locked(path) is True

    assert in_child(release) == 0
    assert lockfile.is_locked(path) is True


def test_a_forked_child_keeps_nothing_that_its_parent_gives_up(path: Path) -> None:
    held = lockfile.lock(path)
    child = os.fork()
    if child == 0:
        time.sleep(600)
        os._exit(0)
    try:
        os.close(held.fd or 0)  # as the kernel does when the parent is killed
        held.fd = None
        end = time.monotonic() + 90
        while lockfile.is_locked(path):
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_forked_child_gets_a_slot_whoever_was_waiting_in_its_parent(tmp_path: Path) -> None:
    pool, end = SlotPool(tmp_path, 2, Clock()), time.monotonic() + 90
    slots = [pool.acquire(lambda: False) for _ in range(2)]
    waiting = threading.Thread(target=pool.acquire, args=[lambda: time.monotonic() > end])
    waiting.start()
    while not any(pool._turns._queues.values()):
        time.sleep(0.01)
    child = os.fork()
    if child == 0:
        os._exit(0 if pool.acquire(lambda: time.monotonic() > end) else 1)
    for slot in slots:
        assert slot is not None
        slot.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    waiting.join()


def test_a_new_file_is_not_seen_before_it_is_locked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    flock = lockfile.fcntl.flock

    def look(fd: int, how: int) -> None:
        seen.append(path.exists())
        flock(fd, how)

    monkeypatch.setattr(lockfile.fcntl, "flock", look)
    with lockfile.lock_new(path) as held:
        assert held.path == path
        assert path.exists()
    assert seen[0] is False


def test_what_is_not_there_is_not_made_by_looking(path: Path) -> None:
    assert lockfile.is_locked(path) is None
    assert not path.parent.exists()
