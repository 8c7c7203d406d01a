"""kill -9 of a process in the middle of its calls, and what it had under way."""

import random
import socket
import time
from urllib.parse import urlsplit

import commands
from collecting import rows
from simulated_api import SimulatedApi


def killed_in_mid_call(
    server: SimulatedApi, run: commands.Process, least_s: float, most_s: float, calls: int = 1
) -> int:
    """Kill a process at a random moment after so many bulk calls of it; return how many it had in flight.

    Whatever calls the server was told to leave unanswered until then (`let_answer`) are answered.
    """
    seen = paid_in_bulk(server)
    commands.wait_for(lambda: run.is_over or paid_in_bulk(server) >= seen + calls)
    time.sleep(random.uniform(least_s, most_s))
    run.kill()
    ((in_flight,),) = rows("SELECT count(*) FROM api_calls WHERE outcome = 'in_flight'")
    server.let_answer()
    wait_until_through(server)
    return int(in_flight)


def wait_until_through(server: SimulatedApi) -> None:
    """Wait until the server is through with all that clients have sent, who are dead: it goes on with their calls."""
    at = urlsplit(server.url)
    with socket.create_connection((at.hostname, at.port), timeout=commands.PATIENCE_S) as last:
        last.shutdown(socket.SHUT_WR)  # says nothing, and is let in after all that came before it
        last.recv(1)
    commands.wait_for(lambda: server.connections == 0)


def paid_in_bulk(server: SimulatedApi) -> int:
    """Return how many calls of the bulk endpoints the server has answered."""
    return sum("bulk" in call.path for call in server.calls)
