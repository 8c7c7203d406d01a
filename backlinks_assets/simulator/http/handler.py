"""HTTP on a connection: one request read, one reply written, on purpose badly where a fault says so."""

from __future__ import annotations

import base64
import binascii
import contextlib
import gzip
import socket
import struct
import zlib
from http.client import responses
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, ClassVar

from backlinks_assets.simulator.http.endpoints import Request, answer
from backlinks_assets.simulator.http.reply import Reply

if TYPE_CHECKING:
    from backlinks_assets.simulator.http.account import Call
    from backlinks_assets.simulator.http.server import Simulator

_GZIP_FROM_BYTES = 1400
_LONGEST_BODY = 4_000_000
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: close sends RST


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive. `simulator` is set on the subclass that a server uses."""

    simulator: ClassVar[Simulator]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing: the calls are in the simulator's log."""

    def end_headers(self) -> None:
        """Mark the replies that http.server makes itself (to a method or a request that it can't read)."""
        if not self.simulator.as_real:
            self.send_header("X-Backlinks-Simulator", "simulated")
        super().end_headers()

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        ledger = self.simulator.ledger
        call = ledger.begin(path, counts_at_once=path.startswith(f"{self.simulator.base_path}/v3/backlinks/"))
        try:
            request = Request(self.command, path, self._body(), self._login())
            reply = answer(self.simulator, request, call)
            call.http_status = reply.http_status
            self._send(reply, call)
        except (ConnectionError, TimeoutError):  # the client went away, or the simulator stopped
            self.close_connection = True
        finally:
            ledger.end(call)

    def _body(self) -> bytes:
        given = self.headers.get("Content-Length", "")
        length = int(given) if given.isdigit() else 0
        if length > _LONGEST_BODY:
            raise ConnectionAbortedError("A request of that size is no summary request.")
        body = self.rfile.read(length)
        if self.headers.get("Content-Encoding") == "gzip":
            with contextlib.suppress(OSError, EOFError, zlib.error):  # left as it is: refused as not JSON
                return gzip.decompress(body)
        return body

    def _login(self) -> tuple[str, str] | None:
        kind, _, value = self.headers.get("Authorization", "").partition(" ")
        try:
            login, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return (login, password) if kind.lower() == "basic" else None

    def _send(self, reply: Reply, call: Call) -> None:
        sim, manner = self.simulator, reply.manner
        kind = manner.kind if manner else None
        if kind == "reset":
            sim.ledger.end(call)
            self._reset()
            return
        if manner and kind == "silence":
            sim.pause(manner.number)
        head, body = self._bytes(reply)
        if manner and kind == "trickle":
            self._trickle(head + body, manner.number)
            return
        # Over before the client can know: else its next call could be counted beside this one.
        sim.ledger.end(call)
        if kind == "half":
            self.wfile.write(head + body[: len(body) // 2])
            self.close_connection = True
            return
        self.wfile.write(head + body)

    def _bytes(self, reply: Reply) -> tuple[bytes, bytes]:
        body, headers = reply.body, dict(reply.headers)
        if len(body) >= _GZIP_FROM_BYTES and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, compresslevel=1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        ledger = self.simulator.ledger
        if ledger.calls_per_minute is not None:
            left = ledger.calls_per_minute - ledger.calls_this_minute
            headers["X-RateLimit-Limit"] = str(ledger.calls_per_minute)
            headers["X-RateLimit-Remaining"] = str(max(0, left))
        if reply.http_status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="simulator"'
        lines = [
            f"HTTP/1.1 {reply.http_status} {responses.get(reply.http_status, '')}",
            "Server: simulator",
            f"Date: {self.date_time_string()}",
            *([] if self.simulator.as_real else ["X-Backlinks-Simulator: simulated"]),
            f"Content-Type: {reply.content_type}",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), body

    def _trickle(self, data: bytes, bytes_per_s: float) -> None:
        """Ten pieces a second, or a byte at a time where that is slower."""
        piece = max(1, int(bytes_per_s / 10))
        for at in range(0, len(data), piece):
            self.wfile.write(data[at : at + piece])
            self.simulator.pause(piece / bytes_per_s)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.rfile.close()
        self.connection.close()
