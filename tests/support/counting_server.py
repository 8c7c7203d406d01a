"""A server that counts the calls of clients it does not know, where they arrive: it goes on when a client dies."""

import socket
import socketserver
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class CountingServer(socketserver.ThreadingTCPServer):
    """Works `work_s` on each connection, whether or not its client lives on, and then answers.

    `arrivals` are what each client sent (a line) with the instants, of the monotonic clock.
    """

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, work_s: float) -> None:
        super().__init__(("127.0.0.1", 0), _Call)
        self.work_s = work_s
        self.lock = threading.Lock()
        self.arrivals: list[float] = []
        self.lines: list[tuple[str, float]] = []
        self.under_way = 0
        self.most_at_once = 0

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def most_in(self, window_s: float) -> int:
        """The fullest window of that length."""
        times = sorted(self.arrivals)
        return max(bisect_left(times, start + window_s) - number for number, start in enumerate(times))


class _Call(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, CountingServer)
        with server.lock:
            arrived = time.monotonic()
            server.arrivals.append(arrived)
            server.under_way += 1
            server.most_at_once = max(server.most_at_once, server.under_way)
        try:
            line = self.rfile.readline().decode().strip()
            with server.lock:
                server.lines.append((line, arrived))
            time.sleep(server.work_s)
        finally:
            with server.lock:
                server.under_way -= 1
        self.wfile.write(b"done")

    def finish(self) -> None:
        with suppress(OSError):  # the client may be gone
            super().finish()


@contextmanager
def serving(work_s: float) -> Iterator[CountingServer]:
    with CountingServer(work_s) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def send(port: int, line: object = "") -> None:
    """Make a call and wait for its answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"{line}\n".encode())
        assert connection.recv(4) == b"done"
