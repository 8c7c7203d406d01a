"""`python -m backlinks_assets.simulator`: the simulator in the foreground, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from backlinks_assets.simulator.http.server import Simulator


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal. Returns 0, or 1 when the port is taken."""
    parser = argparse.ArgumentParser(
        prog="python -m backlinks_assets.simulator",
        description="Answers on loopback as the DataForSEO backlinks API does, with made-up numbers.",
    )
    parser.add_argument("--port", type=int, default=8765, help="0 takes any free port (default 8765)")
    given = parser.parse_args(arguments)
    simulator = Simulator(port=given.port)
    try:
        simulator.start()
    except OSError as error:
        reason = f"Port {given.port} could not be opened ({error.strerror})"
        print(f"{reason}: choose another with --port, or 0 for any free one.", file=sys.stderr)
        return 1
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    print("The simulated API is running; its numbers are made up. Any login and password will do. Use it with")
    print(f"DATAFORSEO_BASE_URL={simulator.url}", flush=True)
    ended.wait()
    simulator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
