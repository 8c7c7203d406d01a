"""Calls at once: a slot is a file held by `flock`, so the kernel takes it back from a process that died.

What belongs here: taking a slot, in turn; what a slot says of a call whose process died; fewer slots for a
while. When a call may start is `pacer`'s business.
"""

import fcntl
import logging
import os
import random
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from backlinks_assets.account import lockfile

LONGEST_CALL_S = 600.0
LOWERED_FOR_S = 300.0
# Refusals of calls that were under way together arrive together, and are one reason to lower, not thirty.
LOWER_ONCE_IN_S = 10.0
# Between two looks at the slots. Uneven, so that no process is always the first to look.
POLL_S = (0.01, 0.03)
SLICE_S = 0.25

_log = logging.getLogger(__name__)


class Slot:
    """One call's place, held until `release`."""

    def __init__(self, index: int, fd: int, pool: "SlotPool") -> None:
        self.index = index
        self.fd: int | None = fd
        self._pool = pool
        self._marked = False

    def mark_busy(self, seconds: float) -> None:
        """Before the call is sent: should this process die, leave the slot alone for `seconds` from now.

        The server goes on with a call whose client was killed. `LONGEST_CALL_S` at most. Raises OSError when
        the mark can't be written.
        """
        clock = self._pool.clock
        if self.fd is not None:
            lockfile.write_numbers(self.fd, clock.boot_id, clock.now_s() + min(seconds, LONGEST_CALL_S))
            self._marked = True

    def release(self, *, keep: bool = False) -> None:
        """Free the slot; with `keep`, once its marked time is over. Never raises: an answer may be there."""
        fd, self.fd = self.fd, None
        if fd is None:  # released before, or this is a child forked while it was held
            return
        self._pool.held.pop(self.index, None)
        try:
            if self._marked and not keep:
                lockfile.write_numbers(fd, self._pool.clock.boot_id, 0.0)
        except OSError as error:
            _log.warning("Slot %d stays taken until its call's timeout: %s.", self.index, error)
        finally:
            lockfile.let_go(fd)


class SlotPool:
    """`at_once` slots in `directory`, shared with every process that uses the same folder.

    A process configured with fewer uses the first of them only: the larger number bounds all together.
    """

    def __init__(self, directory: Path, at_once: int, clock: lockfile.Clock) -> None:
        self.clock = clock
        self.held: dict[int, Slot] = {}
        self._directory = directory
        self._at_once = at_once
        self._lowered_path = directory / "lowered"
        self._paths = [directory / f"slot-{index:04d}" for index in range(at_once)]
        self.forget()
        _pools.add(self)

    def forget(self) -> None:
        """In a child just forked: close what the parent holds, which stays held there, and start afresh."""
        for slot in self.held.values():
            fd, slot.fd = slot.fd, None
            if fd is not None:
                os.close(fd)
        self.held = {}
        self._queue: deque[threading.Event] = deque()
        self._queue_lock = threading.Lock()

    def acquire(self, cancelled: Callable[[], bool]) -> Slot | None:
        """Wait for a slot; None once `cancelled()` is true. Raises OSError when the folder can't be written.

        A process's threads queue, and only the first in the queue looks at the files: 30 threads looking in
        parallel would cost 30 times the CPU and gain nothing.
        """
        turn = threading.Event()
        try:
            with self._queue_lock:
                self._queue.append(turn)
                self._queue[0].set()
            while not turn.wait(SLICE_S):
                if cancelled():
                    return None
            while not cancelled():
                slot = self._take_any()
                if slot is not None:
                    return slot
                self.clock.sleep(random.uniform(*POLL_S))
            return None
        finally:
            with self._queue_lock:
                with suppress(ValueError):  # interrupted before it had queued
                    self._queue.remove(turn)
                if self._queue:
                    self._queue[0].set()

    def _take_any(self) -> Slot | None:
        usable = self.lowered()[0]
        start = random.randrange(usable)
        for index in (*range(start, usable), *range(start)):
            if index not in self.held and (slot := self._take(index)) is not None:
                return slot
        return None

    def _take(self, index: int) -> Slot | None:
        fd = lockfile.open_record(self._paths[index])
        taken = False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            taken = not self._is_busy(lockfile.read_numbers(fd, self.clock.boot_id, 1))
        except BlockingIOError:
            return None
        finally:
            if not taken:
                lockfile.let_go(fd)
        if not taken:
            return None
        self.held[index] = slot = Slot(index, fd, self)
        return slot

    def _is_busy(self, record: tuple[float, ...] | None) -> bool:
        return record is not None and 0 < record[0] - self.clock.now_s() <= LONGEST_CALL_S

    def lower(self) -> int:
        """Use a third fewer slots, in all processes, for `LOWERED_FOR_S` from now; at least 1, returned.

        Calls already under way finish. Lowering again within `LOWER_ONCE_IN_S` only prolongs it.
        """
        with lockfile.locked(self._lowered_path) as fd:
            now = self.clock.now_s()
            record = lockfile.read_numbers(fd, self.clock.boot_id, 3)
            usable, left_s = self._lowered(record)
            stepped = record[2] if record is not None and left_s else now - LOWER_ONCE_IN_S
            if now - stepped >= LOWER_ONCE_IN_S:
                usable, stepped = max(1, usable * 2 // 3), now
            lockfile.write_numbers(fd, self.clock.boot_id, usable, now + LOWERED_FOR_S, stepped)
            return usable

    def lowered(self) -> tuple[int, float]:
        """How many slots may be used, and for how many seconds more that is so; 0 when it is not lowered."""
        return self._lowered(lockfile.peek(self._lowered_path, self.clock.boot_id, 3))

    def _lowered(self, record: tuple[float, ...] | None) -> tuple[int, float]:
        if record is not None and 0 < (left_s := record[1] - self.clock.now_s()) <= LOWERED_FOR_S:
            return min(self._at_once, max(1, int(record[0]))), left_s
        return self._at_once, 0.0

    def census(self) -> tuple[int, int]:
        """How many slots living processes hold, and how many wait for a dead or timed-out call to be over."""
        held = kept = 0
        for path in sorted(self._directory.glob("slot-*")):
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                kept += self._is_busy(lockfile.read_numbers(fd, self.clock.boot_id, 1))
            except BlockingIOError:
                held += 1
            finally:
                lockfile.let_go(fd)
        return held, kept


_pools: "weakref.WeakSet[SlotPool]" = weakref.WeakSet()


def _forget_in_child() -> None:
    for pool in list(_pools):
        pool.forget()


# A child forked while slots are held would keep them long after its parent was killed.
os.register_at_fork(after_in_child=_forget_in_child)
