"""What a year costs: publishing one more day into it, building it again from the response store, reading one target.

`python bench/year.py --targets 2000 --days 365`: one line of JSON. The store is synthetic (`history.py`), a row and
a body for every answer; the tables are made by the project's own code.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path

from history import fill, settings_of
from tools import backlinks, environment, measured, report, scratch, write_targets

from backlinks_assets.collect.factory import open_store, watched_targets
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.pipeline import publish_answers, publish_changes
from backlinks_assets.settings import Settings
from backlinks_assets.tables.duckdb_sync import reading, syncing

REBUILD = """
import sys, json, time, datetime as dt
from pathlib import Path
from history import settings_of
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.pipeline import publish_changes, publish_days
from backlinks_assets.tables.duckdb_sync import syncing
from backlinks_assets.collect.factory import watched_targets
if __name__ == "__main__":
    settings, instants = settings_of(Path(sys.argv[1])), [time.monotonic()]
    dates = [dt.date.fromisoformat(text) for text in sys.argv[2:]]
    for day in publish_days(settings, dates):
        pass
    instants.append(time.monotonic())
    targets = watched_targets(settings)
    with syncing(settings.root):
        flags = sum(len(day.flags) for day in publish_changes(settings, dates, targets.thresholds, DetectionSettings()))
        instants.append(time.monotonic())
    instants.append(time.monotonic())
    print(json.dumps([flags, *(after - before for before, after in zip(instants, instants[1:]))]))
"""
"""What `publish_job` does over a span of days, but for the pages of `flags_report`."""


def publish_day(settings: Settings, days: list) -> dict[str, float]:
    """Publish the last day, of which there are no tables yet, as the jobs do; return the seconds of each step."""
    began = time.perf_counter()
    with open_store(settings) as store:
        publish_answers(settings, store, days[-1])
    answers = time.perf_counter()
    targets = watched_targets(settings)
    with syncing(settings.root):
        list(publish_changes(settings, [days[-1]], targets.thresholds, DetectionSettings()))
        changes = time.perf_counter()
    ended = time.perf_counter()
    return {
        "day_answers_s": answers - began,
        "day_changes_s": changes - answers,
        "day_duckdb_s": ended - changes,
        "day_s": ended - began,
    }


def one_target_s(settings: Settings, name: str) -> tuple[float, float]:
    """Return the seconds that a target's whole history takes: with a connection of its own, and on an open one."""
    query = "SELECT * FROM backlinks_summary WHERE target = ? AND status_type = 'live' ORDER BY date"
    anew, opened = [], []
    for _ in range(5):
        began = time.perf_counter()
        with reading(settings.root) as connection:
            connection.sql(query, params=[name]).to_arrow_table()
        anew.append(time.perf_counter() - began)
    with reading(settings.root) as connection:
        for _ in range(5):
            began = time.perf_counter()
            connection.sql(query, params=[name]).to_arrow_table()
            opened.append(time.perf_counter() - began)
    return min(anew), min(opened)


def measure(folder: Path, targets: int, days: int) -> dict[str, float]:
    """Return the figures of one size."""
    settings = settings_of(folder)
    names = write_targets(folder, targets)
    began = time.perf_counter()
    *dates, new_day = fill(folder, names, days + 1)
    figures: dict[str, float] = {"targets": targets, "days": days, "answers": 2 * targets * days}
    figures["fill_s"] = time.perf_counter() - began
    figures["store_mb"] = settings.store_file.stat().st_size / 1e6
    here = environment(folder, settings.base_url) | {"PYTHONPATH": str(Path(__file__).parent)}
    script = folder / "rebuild.py"  # a file, since the processes it starts import it
    script.write_text(REBUILD, encoding="utf-8")
    whole = measured([sys.executable, str(script), str(folder), *map(str, dates)], here)
    assert whole.status == 0, whole.stderr
    parts = json.loads(whole.stdout)
    names_of_parts = ("flags", "rebuild_answers_s", "rebuild_changes_s", "rebuild_duckdb_s")
    figures |= dict(zip(names_of_parts, parts, strict=True))
    figures |= {"rebuild_s": whole.seconds, "rebuild_cpu_s": whole.cpu_s, "rebuild_peak_mb": whole.peak_mb}
    figures["rebuild_us_an_answer"] = whole.seconds / figures["answers"] * 1e6
    figures |= publish_day(settings, [*dates, new_day])
    flags = [measured(backlinks("flags"), here, watch=False).seconds for _ in range(3)]
    figures["flags_command_s"] = min(flags)
    figures["help_s"] = min(measured(backlinks("--help"), here, watch=False).seconds for _ in range(3))
    figures["one_target_anew_s"], figures["one_target_s"] = one_target_s(settings, names[targets // 2])
    figures["parquet_mb"] = sum(path.stat().st_size for path in folder.glob("parquet/*/*/*")) / 1e6
    figures["duckdb_mb"] = settings.duckdb_file.stat().st_size / 1e6
    figures["peak_mb_here"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=2000)
    parser.add_argument("--days", type=int, default=365)
    given = parser.parse_args()
    with scratch() as folder:
        report("year", measure(folder, given.targets, given.days))


if __name__ == "__main__":
    main()
