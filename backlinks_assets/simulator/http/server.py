"""The simulator: a server on loopback, in this process, that answers as the DataForSEO backlinks API does.

What it answers is in `endpoints`, what it made up about targets in `world`.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

from backlinks_assets.simulator.http.account import Account
from backlinks_assets.simulator.http.endpoints import Api
from backlinks_assets.simulator.http.handler import Handler


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
        """Show what is a fault of the simulator: a client that went away is not."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def end_connections(self) -> None:
        with self._lock:
            still_open = list(self._open)
        for connection in still_open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Simulator:
    """A simulated API on 127.0.0.1. Any login that is not empty passes, and no limit is held."""

    handler: ClassVar[type[Handler]] = Handler

    def __init__(self, api: Api | None = None, *, port: int = 0) -> None:
        self.api = api or Api(Account())
        self._port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        """Listen, and answer from a thread of its own. Raises OSError when the port is taken."""
        if self._server is not None:
            raise RuntimeError("The simulator is running already.")
        handler = type("SimulatorHandler", (self.handler,), {"api": self.api})
        self._server = _Server(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="simulator", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and end every connection; a second time does nothing."""
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
        return f"http://127.0.0.1:{self._port}{self.api.base_path}"
