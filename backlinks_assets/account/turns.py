"""The queue of a process's threads for slots: in the order in which they came, and only the first one polls.

30 threads that poll would use 30 times the CPU, or the database, for nothing. What is polled is the caller's.
"""

import os
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

SLICE_S = 0.25
"""No wait looks more seldom whether it was cancelled."""


class Turns:
    """One queue for each process: a forked child has its own."""

    def __init__(self) -> None:
        self._queues: defaultdict[int, deque[threading.Event]] = defaultdict(deque)

    @contextmanager
    def turn(self, cancelled: Callable[[], bool]) -> Iterator[bool]:
        """Wait until this thread is the first; yield False instead once `cancelled()` is true."""
        queue, turn = self._queues[os.getpid()], threading.Event()
        try:
            queue.append(turn)
            yield self._is_first(queue, turn, cancelled)
        finally:
            with suppress(ValueError):  # interrupted before it had queued
                queue.remove(turn)
            for first in list(queue)[:1]:
                first.set()

    def _is_first(self, queue: deque[threading.Event], turn: threading.Event, cancelled: Callable[[], bool]) -> bool:
        while queue[0] is not turn:
            if not turn.wait(SLICE_S) and cancelled():
                return False
        return True
