"""`python -m backlinks_assets.simulator`: the simulator in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from backlinks_assets.simulator.http import faults
from backlinks_assets.simulator.http.server import Simulator


def _fault(text: str) -> faults.Fault:
    try:
        return faults.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end. Returns 0, or 1 when the port can't be had."""
    parser = argparse.ArgumentParser(
        prog="python -m backlinks_assets.simulator",
        description="Answers on loopback as the DataForSEO backlinks API does, with made-up numbers.",
    )
    parser.add_argument("--port", type=int, default=8765, help="0 takes any free port (default 8765)")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="before each answer")
    parser.add_argument("--calls-per-minute", type=int, metavar="N", help="more are refused with 40202")
    parser.add_argument("--calls-at-once", type=int, metavar="N", help="more are refused with 40209")
    parser.add_argument(
        "--fault", type=_fault, action="append", default=[], metavar="NAME[:VALUE][,OPTION…]",
        help="misbehave: http:503,first=1 or code:40202,calls=10-20 or silence:30,target=dead.example",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    simulator = Simulator(
        port=given.port,
        latency_s=given.latency,
        calls_per_minute=given.calls_per_minute,
        calls_at_once=given.calls_at_once,
        faults=given.fault,
    )
    try:
        simulator.start()
    except OSError as error:
        reason = f"Port {given.port} can't be had ({error.strerror})"
        print(f"{reason}: choose another with --port, or 0 for any free one.", file=sys.stderr)
        return 1
    print("The simulated API is running; its numbers are made up. Any login and password will do. Use it with")
    print(f"DATAFORSEO_BASE_URL={simulator.url}", flush=True)
    ended.wait()
    simulator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
