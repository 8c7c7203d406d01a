"""The simulated account: what a call is, what it costs, and which tasks were executed. Thread-safe."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from backlinks_assets.simulator.http.envelope import new_id

PRICE_USD = 0.024036  # of a summary since July 2026: 0.024 a request and 0.000036 a row
ROW_USD = 0.000036
MICRO = 1_000_000
_NEVER_EMPTY_USD = 1000.0


@dataclass(slots=True, eq=False)
class Call:
    """One HTTP call. Instants are of the monotonic clock, seconds; `at` is the UTC time it came."""

    path: str
    started: float = field(default_factory=monotonic)
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: float | None = None
    target: str | None = None
    status_type: str | None = None
    tag: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    cost_usd: float = 0.0
    status_code: int = 0  # of the task, or of the envelope where there is no task; 0: nothing was answered
    http_status: int = 0
    task_id: str | None = None


class Account:
    """An account without limits: its price of a summary, by which others go, and the newest `tasks_kept` executed tasks."""

    def __init__(self, *, price_usd: float = PRICE_USD, tasks_kept: int = 20_000) -> None:
        self.price_usd = price_usd
        self._lock = threading.Lock()
        self._spent = 0
        self._executed: deque[Call] = deque(maxlen=tasks_kept)

    @property
    def call_usd(self) -> float:
        """The price of a call without its rows."""
        return max(0.0, round(self.price_usd - ROW_USD, 6))

    def cost_usd(self, rows: int) -> float:
        """What a call with so many rows costs."""
        return self.price_usd if rows == 1 else round(self.call_usd + rows * ROW_USD, 6)

    def begin(self, path: str) -> Call:
        """Return the entry of a call that has come in."""
        return Call(path)

    def end(self, call: Call) -> None:
        """Note that the answer is about to be complete at the client; a second time does nothing."""
        if call.ended is None:
            call.ended = monotonic()

    def execute(self, call: Call, cost_usd: float, task_id: str | None = None) -> str:
        """Charge a call and list it among the tasks; return its id."""
        with self._lock:
            self._spent += round(cost_usd * MICRO)
            call.cost_usd = cost_usd
            call.task_id = task_id or new_id(call.at)
            self._executed.append(call)
            return call.task_id

    @property
    def tasks(self) -> list[Call]:
        """The executed tasks, the oldest first."""
        with self._lock:
            return list(self._executed)

    def tasks_since(self, seconds: float) -> int:
        """Return how many tasks came within the last seconds."""
        since = datetime.now(UTC) - timedelta(seconds=seconds)
        return sum(call.at >= since for call in self.tasks)

    @property
    def calls_per_minute(self) -> int | None:
        """The most calls a minute; None without a limit."""
        return None

    @property
    def balance_usd(self) -> float:
        """What is left to spend."""
        return _NEVER_EMPTY_USD

    @property
    def spent_usd(self) -> float:
        """All that was charged, exact to a millionth."""
        with self._lock:
            return self._spent / MICRO
