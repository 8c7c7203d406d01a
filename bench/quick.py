"""How long do calls take as whole processes: `demo` from nothing, then `--help` and `flags` over its history?

    python bench/quick.py

One line of JSON: the median of five each, and the same for an empty Python for comparison.
"""

import statistics
import sys

from tools import backlinks, environment, measured, report, scratch


def main() -> None:
    """Measure and print."""
    with scratch() as folder:
        own = environment(folder)
        made = measured(backlinks("demo"), own, watch=False)
        assert made.status == 0, made.stderr
        calls = {"python": [sys.executable, "-c", ""], "help": backlinks("--help"), "flags": backlinks("flags")}
        figures = {"demo_s": made.seconds}
        for name, call in calls.items():
            runs = [measured(call, own, watch=False) for _ in range(5)]
            assert all(run.status == 0 for run in runs), runs[0].stderr
            figures[f"{name}_s"] = statistics.median(run.seconds for run in runs)
        report("quick", figures)


if __name__ == "__main__":
    main()
