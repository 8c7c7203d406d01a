"""A call's deadline, which cuts its connection. A read time-out is not enough: it starts anew with every byte.

How long a call may take, and the error after that, is `client.py`.
"""

import socket
import threading
from contextlib import suppress
from typing import Any, Self

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_of_thread = threading.local()


class Deadline:
    """While entered, cuts the connection that this thread reads an answer from after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.has_passed = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        _of_thread.deadline = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self.watch(None)  # its next user is not cut
        _of_thread.deadline = None

    def watch(self, sock: socket.socket | None) -> None:
        with self._lock:
            self._socket = sock
        if self.has_passed:
            self._pass()

    def _pass(self) -> None:
        """Shut the connection, so that its reader finds it ended. Not with TLS's own shutdown, which may be reading."""
        with self._lock:
            self.has_passed = True
            if self._socket is not None:
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Connection(HTTPConnection):
    def getresponse(self) -> Any:  # urllib3 declares its own class; it is returned unchanged
        deadline: Deadline | None = getattr(_of_thread, "deadline", None)
        if deadline is not None:
            deadline.watch(self.sock)
        return super().getresponse()


class _SecureConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def adapter(connections: int) -> HTTPAdapter:
    """Return requests' adapter over connections that a `Deadline` cuts; nothing is retried in it."""
    made = HTTPAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0, pool_block=False)
    made.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return made
