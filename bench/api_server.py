"""A process that stands for the API: prints its address, answers until stdin ends, then says what it saw as JSON."""

import argparse
import json
import sys
import threading

from tools import CALLS_AT_ONCE, CALLS_PER_MINUTE, ROOT

sys.path.append(str(ROOT / "tests" / "support"))
from simulated_api import SimulatedApi


def main() -> None:
    """Serve; instants are of the monotonic clock, which every process of the machine shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("latency", type=float)
    parser.add_argument("--limits", action="store_true", help="refuse what is beyond the account's limits")
    given = parser.parse_args()
    threading.stack_size(512 * 1024)
    limits = {"calls_per_minute": CALLS_PER_MINUTE, "calls_at_once": CALLS_AT_ONCE} if given.limits else {}
    with SimulatedApi(as_real=True, latency_s=given.latency, calls_kept=400_000, **limits) as simulator:
        print(simulator.url, flush=True)
        sys.stdin.read()
        calls = [call for call in simulator.calls if call.target or call.parameters.get("targets")]
        told = {
            "calls": len(calls),
            "refused": sum(call.status_code != 20000 for call in calls),
            "first": min((call.started for call in calls), default=0.0),
            "last": max((call.ended or call.started for call in calls), default=0.0),
            "most_a_minute": simulator.worst_window(60),
            "most_at_once": simulator.peak_at_once,
            "spent_usd": simulator.spent_usd,
        }
        print(json.dumps(told))


if __name__ == "__main__":
    main()
