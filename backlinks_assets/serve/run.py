"""Runs the web application on a host and port until it is told to end."""

import errno
import ipaddress
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn

from backlinks_assets.errors import BacklinksError
from backlinks_assets.serve.app import application
from backlinks_assets.serve.rules import Rules
from backlinks_assets.settings import Settings

ENDS_WITHIN_S: Final = 5
"""How long answers that are under way are waited for at the end."""


class AddressError(BacklinksError):
    """The port is taken, or can't be used."""


class HostError(BacklinksError):
    """The host can't be used; the message says which can."""

    exit_status = 2


def serve(settings: Settings, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `started` is given the address once connections are taken. Port 0 is any free one.

    Raises:
        HostError: the host is none of this machine, or other machines reach it and no proxy says who is there.
        AddressError: the port is taken or not allowed.
    """
    if not is_loopback(host) and settings.serve_user_header is None:
        raise HostError(
            f"--host {host} would be reached from other machines, and nobody would have to say who they are. Leave --host out "
            "and put a proxy that authenticates before it; or, where the proxy is on another machine, set "
            "BACKLINKS_SERVE_USER_HEADER to the header in which it names people."
        )
    with listening(host, port) as listener:
        port = listener.getsockname()[1]
        server = server_of(settings, host, port)

        def end(_number: int, _frame: FrameType | None) -> None:
            server.should_exit = True

        # uvicorn has handlers of its own while it serves, and then sends the signal again to those that it found.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        started(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
        server.run([listener])


def server_of(settings: Settings, host: str, port: int) -> uvicorn.Server:
    """Return a server that goes by this host and port; it is run over a socket that listens there."""
    config = uvicorn.Config(
        application(settings, Rules.of(settings, host, port)),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=ENDS_WITHIN_S,
    )
    return uvicorn.Server(config)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a host and port; raises as `serve`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise HostError(
            f"--host {host} could not be found ({error}). Leave it out, or name an address of this machine."
        ) from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise HostError(
                f"--host {host} is no address of this machine. Leave it out, or name one that is."
            ) from None
        why = f"could not be used ({error.strerror})"
        if error.errno == errno.EADDRINUSE:
            why = "is taken: another program, or another `backlinks serve`, listens there"
        raise AddressError(
            f"Port {port} {why}. Choose another one, such as `backlinks serve --port {8788 if port == 8787 else 8787}`."
        ) from None
    return listener
