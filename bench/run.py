"""All benchmarks one after the other, then the page `docs/performance.md` made from their results.

    python bench/run.py [--full]

Without `--full` each is small enough for a few minutes in all; with it they have the sizes that the page speaks of.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

SMALL = [
    ["day.py", "--targets", "200"],
    ["day.py", "--targets", "200", "--usual"],
    ["bulk_day.py", "--targets", "200"],
    ["year.py", "--targets", "200", "--days", "60"],
    ["pages.py", "--targets", "200", "--days", "60"],
    ["quick.py"],
    ["detection_speed.py"],
    ["page.py"],
]
FULL = [
    ["quick.py"],
    ["day.py", "--targets", "2000"],
    ["day.py", "--targets", "2000", "--usual"],
    ["daemon.py", "--targets", "2000"],
    ["day.py", "--targets", "10000", "--fast", "--history", "120"],
    ["bulk_day.py", "--targets", "100000", "--history", "30"],
    ["year.py", "--targets", "2000", "--days", "365"],
    ["pages.py", "--targets", "2000", "--days", "365"],
    ["instance.py", "--targets", "2000", "--days", "365"],
    ["detection_speed.py", "--full"],
    ["page.py"],
]


def main() -> int:
    """Run them all, also after one has failed; return 1 if any has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    failed = []
    for command in FULL if parser.parse_args().full else SMALL:
        print(f"--- {' '.join(command)}", flush=True)
        if subprocess.run([sys.executable, HERE / command[0], *command[1:]]).returncode:
            failed.append(command[0])
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
