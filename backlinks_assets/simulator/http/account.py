"""The simulated account: what it allows, what it has spent, and the calls that the server has seen.

Clients' limiters and budgets are judged by what is written here, at the server's side of the wire.
"""

from __future__ import annotations

import threading
import time
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

WINDOW_S = 60.0
_MICRO = 1_000_000


@dataclass(slots=True, eq=False)
class Call:
    """One HTTP call. Instants are of the monotonic clock, seconds; `at` is the UTC time it came."""

    path: str
    started: float
    at: datetime
    ended: float | None = None
    target: str | None = None
    status_type: str | None = None
    tag: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    cost_usd: float = 0.0
    status_code: int = 0  # of the task, or of the envelope where there is no task; 0: nothing was answered
    http_status: int = 0
    task_id: str | None = None
    counted: bool = False  # among the calls at once


class Ledger:
    """Thread-safe. Keeps the newest `calls_kept` calls whole, and the start of the newest million."""

    def __init__(
        self,
        *,
        calls_per_minute: int | None,
        calls_at_once: int | None,
        balance_usd: float | None,
        calls_kept: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self.calls_per_minute = calls_per_minute
        self.calls_at_once = calls_at_once
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=calls_kept)
        self._starts = array("d")
        self._recent: dict[str, deque[float]] = {}
        self._deposit = None if balance_usd is None else round(balance_usd * _MICRO)
        self._spent = 0
        self._at_once = 0
        self._peak = 0

    def begin(self, path: str, *, counts_at_once: bool) -> Call:
        """Write down that a call has come in. `counts_at_once`: it is one of the simultaneous calls."""
        with self._lock:
            call = Call(path, self._clock(), datetime.now(UTC), counted=counts_at_once)
            self._calls.append(call)
            if len(self._starts) >= _MICRO:
                del self._starts[: _MICRO // 2]
            self._starts.append(call.started)
            if counts_at_once:
                self._at_once += 1
                self._peak = max(self._peak, self._at_once)
            return call

    def end(self, call: Call) -> None:
        """Write down that the answer is about to be complete at the client; a second time does nothing."""
        with self._lock:
            if call.ended is None:
                call.ended = self._clock()
                self._at_once -= call.counted

    def too_many_at_once(self) -> bool:
        """Whether the calls in flight, this one among them, are more than the account allows."""
        with self._lock:
            return self.calls_at_once is not None and self._at_once > self.calls_at_once

    def over_the_rate(self, call: Call, what: str, per_minute: int) -> bool:
        """Whether this call is one too many in the minute that ends with it; refused calls count as well."""
        with self._lock:
            recent = self._recent.setdefault(what, deque(maxlen=per_minute))
            over = len(recent) == per_minute and call.started - recent[0] < WINDOW_S
            recent.append(call.started)
            return over

    @property
    def calls_this_minute(self) -> int:
        """Calls that came within the last minute."""
        with self._lock:
            return len(self._starts) - bisect_right(self._starts, self._clock() - WINDOW_S)

    def charge(self, call: Call, cost_usd: float) -> None:
        """Take the price of a call off the balance."""
        with self._lock:
            self._spent += round(cost_usd * _MICRO)
            call.cost_usd = round(call.cost_usd + cost_usd, 6)

    @property
    def balance_usd(self) -> float | None:
        """What is left to spend; None without a limit."""
        with self._lock:
            return None if self._deposit is None else (self._deposit - self._spent) / _MICRO

    @property
    def deposit_usd(self) -> float | None:
        """What was paid in; None without a limit."""
        return None if self._deposit is None else self._deposit / _MICRO

    @property
    def spent_usd(self) -> float:
        """All that was charged, exact to a millionth."""
        with self._lock:
            return self._spent / _MICRO

    @property
    def peak_at_once(self) -> int:
        """The most calls to the backlinks endpoints that were in flight together."""
        with self._lock:
            return self._peak

    @property
    def calls(self) -> list[Call]:
        """The calls kept, in the order they came; those still open have no `ended`."""
        with self._lock:
            return list(self._calls)

    @property
    def calls_seen(self) -> int:
        """How many starts of calls `worst_window` knows."""
        with self._lock:
            return len(self._starts)

    def worst_window(self, seconds: float = WINDOW_S) -> int:
        """The most calls that came within any window of that many seconds."""
        with self._lock:
            starts = self._starts[:]
        most = first = 0
        for last, at in enumerate(starts):
            while at - starts[first] >= seconds:
                first += 1
            most = max(most, last - first + 1)
        return most
