"""Connections that end at an instant, whatever trickles in: a read time-out starts anew with every byte.

Here belongs only the cutting of a connection; how long a call may take, and what is said then, is `client.py`.
"""

import socket
import threading
from contextlib import suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class _Deadline(HTTPConnection):
    """Cut `head_timeout_s` after the request was sent, unless the answer's head is here by then."""

    head_timeout_s: float

    def getresponse(self) -> Any:  # urllib3 declares its own class; it is returned unchanged
        timer = threading.Timer(self.head_timeout_s, _cut, [self.sock])
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()
        finally:
            timer.cancel()


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
