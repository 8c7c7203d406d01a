"""The simulated account with limits, and the server's own side of the truth about the calls it got.

Clients' limiters and budgets are judged by what is written here. A call's instants are of the monotonic clock.
"""

import time
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable

from backlinks_assets.simulator.http.account import MICRO, PRICE_USD, Account, Call
from backlinks_assets.simulator.http.endpoints import FREE

WINDOW_S = 60.0
FREE_PER_MINUTE = 10
USER_DATA_PER_MINUTE = 6


class AuditedAccount(Account):
    """Keeps the newest `calls_kept` calls whole, and the start of the newest million.

    `calls_per_minute`, `calls_at_once` and `deposit_usd` of None are no limit.
    """

    def __init__(
        self,
        *,
        price_usd: float = PRICE_USD,
        calls_per_minute: int | None = None,
        calls_at_once: int | None = None,
        deposit_usd: float | None = None,
        calls_kept: int = 20_000,
        counted_below: str = "/v3/backlinks/",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(price_usd=price_usd, tasks_kept=calls_kept)
        self._clock = clock
        self._calls_per_minute = calls_per_minute
        self._calls_at_once = calls_at_once
        self._deposit_usd = deposit_usd
        self._counted_below = counted_below
        self._calls: deque[Call] = deque(maxlen=calls_kept)
        self._starts = array("d")
        self._recent: dict[str, deque[float]] = {}
        self._at_once = 0
        self._peak = 0

    def begin(self, path: str) -> Call:
        with self._lock:
            call = Call(path, self._clock())
            self._calls.append(call)
            if len(self._starts) >= MICRO:
                del self._starts[: MICRO // 2]
            self._starts.append(call.started)
            self._at_once += self._is_counted(call)
            self._peak = max(self._peak, self._at_once)
            return call

    def end(self, call: Call) -> None:
        with self._lock:
            if call.ended is None:
                call.ended = self._clock()
                self._at_once -= self._is_counted(call)

    def _is_counted(self, call: Call) -> bool:
        return call.path.startswith(self._counted_below)

    def over_a_limit(self, call: Call, door: tuple[str, str]) -> int | None:
        """Return the status code of the limit that this call is beyond; None within all of them."""
        with self._lock:
            if self._calls_at_once is not None and self._at_once > self._calls_at_once:
                return 40209
        if self._calls_per_minute is None:
            return None
        over = self.over_the_rate(call, "all", self._calls_per_minute)
        if door in FREE:
            free = USER_DATA_PER_MINUTE if door[1].endswith("/user_data") else FREE_PER_MINUTE
            over = self.over_the_rate(call, door[1], free) or over
        return 40202 if over else None

    def over_the_rate(self, call: Call, what: str, per_minute: int) -> bool:
        """Whether this call is one too many in the minute that ends with it; refused calls count as well."""
        with self._lock:
            recent = self._recent.setdefault(what, deque(maxlen=per_minute))
            over = len(recent) == per_minute and call.started - recent[0] < WINDOW_S
            recent.append(call.started)
            return over

    @property
    def calls_per_minute(self) -> int | None:
        return self._calls_per_minute

    @property
    def is_limited(self) -> bool:
        """Whether there is a deposit that runs out."""
        return self._deposit_usd is not None

    @property
    def balance_usd(self) -> float:
        deposit = self._deposit_usd
        return super().balance_usd if deposit is None else (round(deposit * MICRO) - self._spent) / MICRO

    @property
    def calls_this_minute(self) -> int:
        with self._lock:
            return len(self._starts) - bisect_right(self._starts, self._clock() - WINDOW_S)

    @property
    def peak_at_once(self) -> int:
        with self._lock:
            return self._peak

    @property
    def calls(self) -> list[Call]:
        with self._lock:
            return list(self._calls)

    def worst_window(self, seconds: float = WINDOW_S) -> int:
        """Return the most calls that came within any window of that many seconds."""
        with self._lock:
            starts = self._starts[:]
        most = first = 0
        for last, at in enumerate(starts):
            while at - starts[first] >= seconds:
                first += 1
            most = max(most, last - first + 1)
        return most
