"""kill -9 of a process in the middle of its calls, and what it had under way."""

import random
import time

import commands
from collecting import rows
from simulated_api import SimulatedApi


def killed_in_mid_call(
    server: SimulatedApi, run: commands.Process, least_s: float, most_s: float, calls: int = 1
) -> int:
    """Kill a process at a random moment after so many calls of it; return how many it had in flight."""
    seen = len(server.calls)
    commands.wait_for(lambda: run.is_over or len(server.calls) >= seen + calls)
    time.sleep(random.uniform(least_s, most_s))
    run.kill()
    ((in_flight,),) = rows("SELECT count(*) FROM api_calls WHERE outcome = 'in_flight'")
    commands.wait_for(lambda: all(call.ended for call in server.calls))
    return int(in_flight)


def paid_in_bulk(server: SimulatedApi) -> int:
    """Return how many calls of the bulk endpoints the server has answered."""
    return sum("bulk" in call.path for call in server.calls)
