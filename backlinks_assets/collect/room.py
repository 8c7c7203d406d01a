"""Room for another target in the day's budget, shared by the threads of one run.

Calls under way may cost less than was reserved for them, so a target without room waits until they have ended. The budget
itself is `store/budget.py`.
"""

import threading

from backlinks_assets.account.limiter import Cancelled
from backlinks_assets.store.budget import BudgetError

_POLL_S = 0.25


class Room:
    """Counts the targets at work, and remembers what the budget refused since the last of them ended."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._changed = threading.Condition()
        self._at_work = 0
        self._ended = 0
        self._refused: BudgetError | None = None

    def enter(self, calls: int) -> int:
        """Begin a target that needs so many calls; wait while as many were refused and others are at work.

        Returns:
            The argument for `leave`.

        Raises:
            BudgetError: as many were refused, and no target at work could leave room.
            Cancelled: the run stops.
        """
        with self._changed:
            while self._refused is not None and self._refused.calls <= calls:
                if self._stop.is_set():
                    raise Cancelled
                if not self._at_work:
                    raise BudgetError(str(self._refused), self._refused.calls)
                self._changed.wait(_POLL_S)
            self._at_work += 1
            return self._ended

    def leave(self, entered: int, refused: BudgetError | None) -> None:
        """End a target. `refused`: the budget had no room for it, so that it leaves none either."""
        with self._changed:
            self._at_work -= 1
            if refused is None:
                self._ended += 1
                self._refused = None
            elif entered == self._ended and (self._refused is None or refused.calls < self._refused.calls):
                self._refused = refused
            self._changed.notify_all()
