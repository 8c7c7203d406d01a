"""How time and memory grow with targets and days, as lines of JSON, and what 100,000 targets would need on paper.

`python bench/growth.py [--full]`. A day: answers kept already, so that reporting to Dagster, tables, judgement and page
remain. A history: tables made by whole columns (`publish.py`), into which one more day is published.
"""

import argparse
import json
import sys
from pathlib import Path

from history import fill, settings_of
from tools import HERE, backlinks, environment, measured, report, scratch, write_targets

SMALL = ((100, 1000), ((100, 30), (1000, 30), (100, 365)))
FULL = (
    (100, 1000, 10_000),
    tuple((targets, days) for targets in (100, 1000, 10_000) for days in (30, 365, 1095)),
)


def day(targets: int) -> dict[str, float]:
    """Return what `backlinks run` takes over a day whose answers are all kept and none is reported."""
    with scratch() as folder:
        names = write_targets(folder, targets)
        fill(folder, names, 1)
        done = measured(backlinks("run", "--json"), environment(folder, settings_of(folder).base_url))
        assert done.status == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["reused"] == targets
        return {"targets": targets, "seconds": done.seconds, "cpu_s": done.cpu_s, "peak_mb": done.peak_mb}


def history(targets: int, days: int) -> dict[str, float]:
    """Return what one more day costs a history of this size."""
    command = [sys.executable, str(HERE / "publish.py"), "--keys", "0"]
    with scratch() as folder:
        own = environment(Path(), None) | {"TMPDIR": str(folder)}
        done = measured([*command, "--targets", str(targets), "--days", str(days)], own)
    assert done.status == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[0])
    wanted = ("publish_all_s", "publish_one_day_s", "one_target_s", "detection_history_90_days_s", "duckdb_mb", "rows")
    return {"targets": targets, "days": days, "peak_mb": done.peak_mb} | {name: figures[name] for name in wanted}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    sizes, histories = FULL if parser.parse_args().full else SMALL
    for targets in sizes:
        report("growth_day", day(targets))
    for targets, days in histories:
        report("growth_history", history(targets, days))


if __name__ == "__main__":
    main()
