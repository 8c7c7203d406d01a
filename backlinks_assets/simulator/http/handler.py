"""HTTP on a connection: one request read, one reply written."""

from __future__ import annotations

import base64
import binascii
import contextlib
import gzip
import zlib
from http.client import responses
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

from backlinks_assets.simulator.http.account import Call
from backlinks_assets.simulator.http.endpoints import Api
from backlinks_assets.simulator.http.reply import Reply, Request

_GZIP_FROM_BYTES = 1400
_MAX_BODY_BYTES = 4_000_000


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive. `api` is set on the subclass that a server uses."""

    api: ClassVar[Api]
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def end_headers(self) -> None:
        """Mark the replies that http.server makes itself (to a method or a request that it can't read)."""
        if self.api.base_path:
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
        call = self.api.account.begin(path)
        try:
            host = self.headers.get("Host", "")
            reply = self.api.answer(Request(self.command, path, host, self._body(), self._login()), call)
            call.http_status = reply.http_status
            self.send(reply, call)
        except (ConnectionError, TimeoutError):  # the client went away, or the simulator stopped
            self.close_connection = True
        finally:
            self.api.account.end(call)

    def _body(self) -> bytes:
        given = self.headers.get("Content-Length", "")
        length = int(given) if given.isdigit() else 0
        if length > _MAX_BODY_BYTES:
            raise ConnectionAbortedError("A request of that size is not a summary request.")
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

    def send(self, reply: Reply, call: Call) -> None:
        """Write a reply. The call has ended before the client can know: else its next one could be counted beside it."""
        written = self.as_bytes(reply)
        self.api.account.end(call)
        self.wfile.write(b"".join(written))

    def as_bytes(self, reply: Reply) -> tuple[bytes, bytes]:
        """Return head and body, gzipped where the client takes that."""
        body, headers = reply.body, dict(reply.headers)
        if len(body) >= _GZIP_FROM_BYTES and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, compresslevel=1, mtime=0)
            headers["Content-Encoding"] = "gzip"
        if reply.http_status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="simulator"'
        lines = [
            f"HTTP/1.1 {reply.http_status} {responses.get(reply.http_status, '')}",
            "Server: simulator",
            f"Date: {self.date_time_string()}",
            *(["X-Backlinks-Simulator: simulated"] if self.api.base_path else []),
            f"Content-Type: {reply.content_type}",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), body
