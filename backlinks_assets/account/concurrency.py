"""Calls at once: a slot is a file held by `flock`, so the kernel frees it when its process dies.

Here belong taking a slot, what a slot's file says of a call whose process died, and fewer slots for a while.
When a call may start is `rate_limiter`.
"""

import logging
import random
from collections.abc import Callable
from pathlib import Path

from backlinks_assets.account import lockfile
from backlinks_assets.account.clock import Clock, peek, read, write
from backlinks_assets.account.turns import Turns

MAX_CALL_S = 600.0
LOWERED_FOR_S = 300.0
# Refusals of calls that were under way together arrive together, and are one reason to lower, not thirty.
LOWER_ONCE_IN_S = 10.0
# Between two polls of the slots. Random, so that no process is always the first.
POLL_S = (0.01, 0.03)

_log = logging.getLogger(__name__)


class Slot:
    """Leave for one call at a time, held until `release`."""

    def __init__(self, index: int, lock: lockfile.Lock, clock: Clock) -> None:
        self.index = index
        self._lock = lock
        self._clock = clock
        self._marked = self._unanswered = False

    def mark_busy(self, seconds: float) -> None:
        """Before the call is sent: should this process die, the slot stays taken for `seconds`, `MAX_CALL_S` at most.

        The server goes on with a call whose client was killed. Raises OSError when the mark could not be written.
        """
        if self._lock.fd is not None:
            write(self._lock, self._clock, self._clock.now_s() + min(seconds, MAX_CALL_S))
            self._marked = True

    def keep_slot(self) -> None:
        """No answer came and the server may still be at work: the slot stays taken for its marked time."""
        self._unanswered = True

    def release(self) -> None:
        """Free the slot, at once or after its marked time (`keep_slot`). Never raises: an answer may be there."""
        if self._lock.fd is None:  # released before, or this is a child forked while it was held
            return
        try:
            if self._marked and not self._unanswered:
                write(self._lock, self._clock, 0.0)
        except OSError as error:
            _log.warning("Slot %d stays taken until its call's timeout: %s.", self.index, error)
        finally:
            self._lock.release()


class SlotPool:
    """`at_once` slots in `directory`, shared with every process that uses the same folder.

    A process configured with fewer uses only the first of them, so the larger number bounds the total.
    """

    def __init__(self, directory: Path, at_once: int, clock: Clock) -> None:
        self._clock = clock
        self._directory = directory
        self._at_once = at_once
        self._lowered_path = directory / "lowered"
        self._turns = Turns()

    def acquire(self, cancelled: Callable[[], bool]) -> Slot | None:
        """Wait for a slot; None once `cancelled()` is true. Raises OSError when the folder can't be written."""
        with self._turns.turn(cancelled) as is_first:
            while is_first and not cancelled():
                slot = self._take_any()
                if slot is not None:
                    return slot
                self._clock.sleep(random.uniform(*POLL_S))
        return None

    def _take_any(self) -> Slot | None:
        usable = self.lowered()[0]
        start = random.randrange(usable)
        return next(filter(None, map(self._take, (*range(start, usable), *range(start)))), None)

    def _take(self, index: int) -> Slot | None:
        try:
            lock = lockfile.lock(self._directory / f"slot-{index:04d}", wait=False)
        except BlockingIOError:
            return None
        is_free = False
        try:
            is_free = not self._is_busy(lock)
        finally:
            if not is_free:
                lock.release()
        return Slot(index, lock, self._clock) if is_free else None

    def _is_busy(self, lock: lockfile.Lock) -> bool:
        record = read(lock, self._clock, 1)
        return record is not None and 0 < record[0] - self._clock.now_s() <= MAX_CALL_S

    def lower(self) -> int:
        """Use a third fewer slots, at least 1, in all processes for `LOWERED_FOR_S`; return how many.

        Calls already under way finish. Lowering again within `LOWER_ONCE_IN_S` only prolongs it.
        """
        with lockfile.lock(self._lowered_path) as lock:
            now = self._clock.now_s()
            record = read(lock, self._clock, 3)
            usable, left_s = self._lowered(record)
            stepped = record[2] if record is not None and left_s else now - LOWER_ONCE_IN_S
            if now - stepped >= LOWER_ONCE_IN_S:
                usable, stepped = max(1, usable * 2 // 3), now
            write(lock, self._clock, usable, now + LOWERED_FOR_S, stepped)
            return usable

    def lowered(self) -> tuple[int, float]:
        """Return how many slots may be used, and for how many more seconds that is lowered; 0 where it is not."""
        return self._lowered(peek(self._lowered_path, self._clock, 3))

    def _lowered(self, record: tuple[float, ...] | None) -> tuple[int, float]:
        if record is not None and 0 < (left_s := record[1] - self._clock.now_s()) <= LOWERED_FOR_S:
            return min(self._at_once, max(1, int(record[0]))), left_s
        return self._at_once, 0.0

    def census(self) -> tuple[int, int]:
        """Return how many slots living processes hold, and how many wait for a dead or timed-out call to be over."""
        held = waiting = 0
        for path in sorted(self._directory.glob("slot-*")):
            try:
                with lockfile.lock(path, shared=True, wait=False) as lock:
                    waiting += self._is_busy(lock)
            except BlockingIOError:
                held += 1
        return held, waiting
