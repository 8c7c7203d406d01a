"""Connections that end at an instant, whatever trickles in: a read time-out starts anew with every byte.

Here belongs only the cutting of a connection; how long a call may take, and what is said then, is `client.py`.
"""

import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_IDLE_S = 5.0
"""How long the thread that cuts waits for another call before it ends."""


class _Watch:
    """Cuts sockets at their instants: one thread for all of them, since one a call costs a fifth of a millisecond."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """In a child just forked: start afresh. The thread stayed behind, and so did the calls and their sockets."""
        self._due: dict[object, tuple[float, socket.socket | None]] = {}
        self._changed = threading.Condition()
        self._running = False
        self._wakes_at = math.inf

    @contextmanager
    def cutting(self, sock: socket.socket | None, seconds: float) -> Iterator[None]:
        """Cut the socket if the block is not done within so many seconds."""
        call, instant = object(), time.monotonic() + seconds
        with self._changed:
            if not self._running:  # it looks once we let go
                threading.Thread(target=self._look, name="call-deadlines", daemon=True).start()
                self._running = True
            self._due[call] = instant, sock
            if instant < self._wakes_at:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._due.pop(call, None)

    def _look(self) -> None:
        """Sleep until the earliest instant, though its call may have ended by then; end when nothing comes for a while."""
        with self._changed:
            while self._due or self._comes_another():
                call, (instant, sock) = min(self._due.items(), key=lambda due: due[1][0])
                if (left_s := instant - time.monotonic()) > 0:
                    self._wakes_at = instant
                    self._changed.wait(left_s)
                else:
                    del self._due[call]
                    _cut(sock)
            self._running = False

    def _comes_another(self) -> bool:
        self._wakes_at = math.inf
        return self._changed.wait_for(lambda: bool(self._due), _IDLE_S)


_WATCH = _Watch()
os.register_at_fork(after_in_child=_WATCH.forget)


class _Deadline(HTTPConnection):
    """Cut `head_timeout_s` after the request was sent, unless the answer's head is here by then."""

    head_timeout_s: float

    def getresponse(self) -> Any:  # urllib3 declares its own class; it is returned unchanged
        with _WATCH.cutting(self.sock, self.head_timeout_s):
            return super().getresponse()


class _SecureDeadline(_Deadline, HTTPSConnection):
    """The same over TLS."""


def _cut(sock: socket.socket | None) -> None:
    """Shut the connection under its reader, who then finds it ended; TLS is not told, since it may be reading."""
    if sock is not None:
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)


class DeadlineAdapter(HTTPAdapter):
    """Requests' adapter over such connections: the head of an answer is here in `head_timeout_s`, or never."""

    def __init__(self, head_timeout_s: float, connections: int) -> None:
        self._head_timeout_s = head_timeout_s
        super().__init__(pool_connections=1, pool_maxsize=connections, max_retries=0, pool_block=False)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pools, with our connections in them."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {
            scheme: type(pool.__name__, (pool,), {"ConnectionCls": self._timed(connection)})
            for scheme, pool, connection in (
                ("http", HTTPConnectionPool, _Deadline),
                ("https", HTTPSConnectionPool, _SecureDeadline),
            )
        }

    def _timed(self, connection: type[_Deadline]) -> type[_Deadline]:
        return type(connection.__name__, (connection,), {"head_timeout_s": self._head_timeout_s})
