"""The simulator: a server on loopback, in this process, that answers as the DataForSEO backlinks API does.

What it answers is in `endpoints`, what it made up about targets in `history` and `answers`.
"""

from __future__ import annotations

import contextlib
import hmac
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from backlinks_assets.simulator.http.account import WINDOW_S, Call, Ledger
from backlinks_assets.simulator.http.endpoints import BASE_PATH
from backlinks_assets.simulator.http.faults import Fault, FaultPlan
from backlinks_assets.simulator.http.handler import Handler

PRICE_USD = 0.024036  # of a summary since July 2026: 0.024 a request and 0.000036 a row


def utc_today() -> date:
    """The day in UTC, which is the API's."""
    return datetime.now(UTC).date()


class _Server(ThreadingHTTPServer):
    """Knows its open connections, so that stopping ends them."""

    daemon_threads = True
    request_queue_size = 128
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[Handler]) -> None:
        super().__init__(address, handler)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; anything else is a fault of the simulator, and shown."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def end_connections(self) -> None:
        with self._lock:
            still_open = list(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Simulator:
    """A simulated API on 127.0.0.1, and its own side of the truth about the calls it got.

    Without `credentials` any login that is not empty passes. `calls_per_minute`, `calls_at_once` and
    `balance_usd` of None are no limit. `price_usd` is charged for each answered summary; `latency_s` is
    waited before it. A summary whose `tag` is `YYYY-MM-DD|…` is answered as of that day, any other as of
    `today()`. The log keeps `calls_kept`. `as_real` leaves out the path and the header by which its answers
    are known as simulated, so that a test can have it stand for the vendor's own server.
    """

    def __init__(  # noqa: PLR0913 - every knob of the simulated account, by keyword
        self,
        *,
        port: int = 0,
        calls_per_minute: int | None = None,
        calls_at_once: int | None = None,
        latency_s: float = 0.0,
        balance_usd: float | None = None,
        credentials: tuple[str, str] | None = None,
        price_usd: float = PRICE_USD,
        faults: Sequence[Fault] = (),
        today: Callable[[], date] = utc_today,
        calls_kept: int = 20_000,
        as_real: bool = False,
    ) -> None:
        self.as_real = as_real
        self.base_path = "" if as_real else BASE_PATH
        self.latency_s = latency_s
        self.price_usd = price_usd
        self.today = today
        self.faults = FaultPlan(faults)
        self.ledger = Ledger(
            calls_per_minute=calls_per_minute,
            calls_at_once=calls_at_once,
            balance_usd=balance_usd,
            calls_kept=calls_kept,
        )
        self._credentials = credentials
        self._port = port
        self._stopping = threading.Event()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Listen, and answer from a thread of its own. Raises OSError when the port is taken."""
        if self._server is not None:
            raise RuntimeError("The simulator is running already.")
        self._stopping.clear()
        handler = type("SimulatorHandler", (Handler,), {"simulator": self})
        self._server = _Server(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="simulator", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and end every connection and every wait; a second time does nothing."""
        self._stopping.set()
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._server.end_connections()
        self._server.server_close()
        self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL, for DATAFORSEO_BASE_URL. By its path a client knows that answers are simulated."""
        if self._port == 0:
            raise RuntimeError("The simulator has no URL before it is started.")
        return f"http://127.0.0.1:{self._port}{self.base_path}"

    @property
    def calls(self) -> list[Call]:
        """The calls it got, in the order they came (the newest `calls_kept`)."""
        return self.ledger.calls

    @property
    def peak_at_once(self) -> int:
        """The most calls to the backlinks endpoints that were in flight together."""
        return self.ledger.peak_at_once

    @property
    def spent_usd(self) -> float:
        """All that it charged."""
        return self.ledger.spent_usd

    def worst_window(self, seconds: float = WINDOW_S) -> int:
        """The most calls that came within any window of that many seconds."""
        return self.ledger.worst_window(seconds)

    def accepts(self, login: tuple[str, str] | None) -> bool:
        """Whether these Basic credentials may call."""
        if login is None or not login[0]:
            return False
        if self._credentials is None:
            return True
        given, right = ":".join(login), ":".join(self._credentials)
        return hmac.compare_digest(given.encode(), right.encode())

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the simulator's stop: then ConnectionAbortedError ends the call."""
        if seconds > 0 and self._stopping.wait(seconds):
            raise ConnectionAbortedError("The simulator was stopped.")
