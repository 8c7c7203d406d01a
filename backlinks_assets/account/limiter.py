"""The account's two limits, calls a minute and calls at once, over all threads and processes.

What belongs here: the one door through which every call goes, retries included. It takes a slot, then a permit of
the rate limiter, lets the caller send and read the answer, and releases. Its form on files, for one machine, is here too;
the one that machines share is `shared_limiter.py`. Money is the ledger's business.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backlinks_assets.account.clock import Clock
from backlinks_assets.account.concurrency import MAX_CALL_S, Slot, SlotPool
from backlinks_assets.account.rate_limiter import HORIZON_S, Pacer
from backlinks_assets.account.turns import SLICE_S
from backlinks_assets.errors import BacklinksError
from backlinks_assets.folder import next_step

MAX_CALLS_AT_ONCE = 10_000
MAX_CALLS_PER_MINUTE = 1_000_000


class Cancelled(Exception):  # noqa: N818 - what happened, not a fault
    """The wait for a permit was cancelled; nothing was sent and nothing is held."""


class LimiterError(BacklinksError):
    """The limits can't be held, so no call may start. Not an OSError: the network's are retried."""


@dataclass(frozen=True, slots=True)
class LimiterState:
    """The current limits, for a person to read.

    `slots_held` are in use by living processes. `slots_waiting` are free once an unanswered call, or that of a dead
    process, is surely over. `lowered_to` is None when nothing was lowered. `machines` is how many hosts hold leases; None
    where the limits are one machine's.
    """

    calls_per_minute: int
    paced_per_minute: float
    calls_at_once: int
    slots_held: int
    slots_waiting: int
    paused_s: float
    lowered_to: int | None
    lowered_s: float
    machines: int | None = None


class Permit(Protocol):
    """Leave for one call, until the `with` ends."""

    def keep_slot(self) -> None:
        """No answer came and the server may still be at work: the slot stays taken for its marked time."""


@contextmanager
def kept_if_interrupted(slot: Permit) -> Iterator[None]:
    """Keep the slot where the block is interrupted (a BaseException such as Ctrl-C): its call may go on at the server."""
    try:
        yield
    except Exception:
        raise
    except BaseException:
        slot.keep_slot()
        raise


class Limiter(ABC):
    """Permits that hold the account's limits, also when processes die or are started.

    `call_timeout_s`: no call takes longer, at the server either (it gives up at 120 s).
    Raises ValueError for limits out of range.
    """

    def __init__(self, calls_per_minute: int = 2000, calls_at_once: int = 30, call_timeout_s: float = 135.0) -> None:
        if not 1 <= calls_per_minute <= MAX_CALLS_PER_MINUTE:
            raise ValueError(f"Calls per minute must be 1 to {MAX_CALLS_PER_MINUTE:,}, not {calls_per_minute}.")
        if not 1 <= calls_at_once <= MAX_CALLS_AT_ONCE:
            raise ValueError(f"Calls at once must be 1 to {MAX_CALLS_AT_ONCE:,}, not {calls_at_once}.")
        if not 0 < call_timeout_s <= MAX_CALL_S:
            raise ValueError(f"A call's timeout must be above 0, at most {MAX_CALL_S:g} s, not {call_timeout_s}.")
        self.calls_per_minute = calls_per_minute
        self.calls_at_once = calls_at_once
        self.call_timeout_s = call_timeout_s

    @abstractmethod
    def permit(self, cancelled: Callable[[], bool] = lambda: False) -> AbstractContextManager[Permit]:
        """Wait until a call may start; send it and read its answer inside the `with`. A retry needs another permit.

        An interruption (a BaseException such as Ctrl-C) keeps the slot, as `keep_slot` does.
        Raises Cancelled soon after `cancelled()` turns true (it is called every 0.25 s or so); LimiterError when the
        limits can't be read or written.
        """

    @abstractmethod
    def pause(self, seconds: float = 60.0) -> None:
        """Let no process start a call in the next `seconds`, 600 at most (40202: too many calls per minute)."""

    @abstractmethod
    def lower_concurrency(self) -> int:
        """Use a third fewer slots in every process for five minutes (40209: too many at once), and return how many.

        A second time within ten seconds lowers no further: calls that are refused together are one reason.
        """

    @abstractmethod
    def state(self) -> LimiterState:
        """Return the current limits, over all processes. Nothing is created."""


class AccountLimiter(Limiter):
    """The limits of one machine, in files.

    One for each process is best: its threads then queue for slots. The folder is made at the first permit.

    The server sees in no minute more than 98 % of the calls per minute, plus one, plus the calls at once, with any
    jitter: 1,991 of the account's 2,000. (With 30 at once, 2 % covers the 31 from 1,550 per minute up.) Processes with
    other limits share one schedule and one set of slots: the rate is between theirs, and the larger number bounds the
    calls at once.
    """

    def __init__(
        self,
        directory: Path,
        calls_per_minute: int = 2000,
        calls_at_once: int = 30,
        call_timeout_s: float = 135.0,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(calls_per_minute, calls_at_once, call_timeout_s)
        self.directory = directory
        self._clock = clock or Clock()
        self._pacer = Pacer(directory, calls_per_minute, self._clock)
        self._slots = SlotPool(directory, calls_at_once, self._clock)

    @contextmanager
    def permit(self, cancelled: Callable[[], bool] = lambda: False) -> Iterator[Slot]:
        with self._limiter_errors():
            slot = self._slots.acquire(cancelled)
        if slot is None:
            raise Cancelled("No call was started: the wait for a free slot was cancelled.")
        try:
            with self._limiter_errors():
                self._wait_for_pace(cancelled)
                slot.mark_busy(self.call_timeout_s)
            with kept_if_interrupted(slot):
                yield slot
        finally:
            slot.release()

    def _wait_for_pace(self, cancelled: Callable[[], bool]) -> None:
        while True:
            wait_s = self._pacer.reserve()
            if wait_s == 0:
                return
            self._sleep(wait_s, cancelled)
            # A pause may have come meanwhile, and only what was reserved counts.
            if wait_s <= HORIZON_S and self._pacer.pause_left_s() == 0:
                return

    def _sleep(self, seconds: float, cancelled: Callable[[], bool]) -> None:
        end = self._clock.now_s() + seconds
        while (left_s := end - self._clock.now_s()) > 0:
            self._clock.sleep(min(left_s, SLICE_S))
            if cancelled():
                raise Cancelled("No call was started: the wait for the account's pace was cancelled.")

    def pause(self, seconds: float = 60.0) -> None:
        with self._limiter_errors():
            self._pacer.pause(seconds)

    def lower_concurrency(self) -> int:
        with self._limiter_errors():
            return self._slots.lower()

    def state(self) -> LimiterState:
        with self._limiter_errors():
            held, waiting = self._slots.census()
            usable, lowered_s = self._slots.lowered()
            return LimiterState(
                calls_per_minute=self.calls_per_minute,
                paced_per_minute=self._pacer.paced_rate,
                calls_at_once=self.calls_at_once,
                slots_held=held,
                slots_waiting=waiting,
                paused_s=self._pacer.pause_left_s(),
                lowered_to=usable if lowered_s else None,
                lowered_s=lowered_s,
            )

    @contextmanager
    def _limiter_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise LimiterError(
                f"The account's limits are stored in {self.directory}, which can't be written: "
                f"{error.strerror or error}. {next_step(error.errno)}"
            ) from error
