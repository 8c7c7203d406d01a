"""How long do the pages of all targets, groups and single targets take over a long history?

    python bench/pages.py [--targets 2000] [--days 365]

The history is synthetic: summary, changes with a usual range, flags, and the breakdowns of two days; 40 groups. Prints one
line of JSON: the page of all targets with the groups' (nothing else to write), with 30 changed targets, with every target's
page, and the largest page's size. A usual day writes 100 older pages too (`targets_report.REFRESHED`).
"""

import argparse
import datetime as dt
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from publish import FIRST_DAY, summary_day
from tools import report, scratch

from backlinks_assets.report.targets_report import Written, write_targets_report
from backlinks_assets.report.templating import render
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES
from backlinks_assets.targets.target import Target

GROUPS, FLAGS_PER_DAY, CHANGED, KEYS = 40, 30, 30, 12


def fill(root: Path, names: list[str], days: int) -> dt.date:
    """Write the tables and return the last day."""
    for day in range(days):
        date = FIRST_DAY + dt.timedelta(days=day)
        write_day(root, "backlinks_summary", date, summary_day(day, len(names)))
        changes = _changes(names, day, date)
        write_day(root, "backlinks_changes", date, changes)
        flags = changes.filter(pa.compute.is_valid(changes["severity"]))
        write_day(root, "backlinks_flags", date, flags.append_column("incident", pa.nulls(len(flags), pa.string())))
    for day in (days - 29, days - 1):
        write_day(root, "referring_links", FIRST_DAY + dt.timedelta(days=day), _links(names, day))
    return FIRST_DAY + dt.timedelta(days=days - 1)


def _changes(names: list[str], day: int, date: dt.date) -> pa.Table:
    rng, rows = np.random.default_rng(day), 2 * len(names)
    flagged = np.zeros(rows, dtype=bool)
    flagged[rng.choice(rows, min(FLAGS_PER_DAY, rows), replace=False)] = True
    value = rng.uniform(20, 40, rows)
    known = {
        "date": pa.repeat(pa.scalar(date, pa.date32()), rows),
        "target": pa.array(np.repeat(names, 2)),
        "metric": pa.array(["lost_backlinks", "spam_score"] * len(names)),
        "value": pa.array(value),
        "usual_low": pa.array(value - 5),
        "usual_high": pa.array(value + 5),
        "kind": pa.array(np.where(flagged, "step", None)),
        "severity": pa.array(np.where(flagged, "warning", None)),
        "reason": pa.array(np.where(flagged, "It rose by 500 (+50%) to 1,500 against 1,000, the median of 7 readings.", None)),
    }  # fmt: skip
    schema = TABLES["backlinks_changes"].arrow
    return pa.table([known.get(item.name, pa.nulls(rows, item.type)) for item in schema], schema=schema)


def _links(names: list[str], day: int) -> pa.Table:
    dimensions = ["referring_links_countries", "referring_links_platform_types", "referring_links_tld"]
    rows = len(names) * len(dimensions) * KEYS
    schema = TABLES["referring_links"].arrow
    known = {
        "date": pa.repeat(pa.scalar(FIRST_DAY + dt.timedelta(days=day), pa.date32()), rows),
        "target": pa.array(np.repeat(names, len(dimensions) * KEYS)),
        "status_type": pa.repeat("live", rows),
        "dimension": pa.array(np.tile(np.repeat(dimensions, KEYS), len(names))),
        "key": pa.array(np.tile([f"key-{number}" for number in range(KEYS)], len(names) * len(dimensions))),
        "links": pa.array(np.random.default_rng(day).integers(1, 5000, rows)),
        "simulated": pa.repeat(pa.scalar(value=False), rows),
    }
    return pa.table([known[item.name] for item in schema], schema=schema)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=2000)
    parser.add_argument("--days", type=int, default=365)
    options = parser.parse_args()
    names = [f"target-{number:06}.example" for number in range(options.targets)]
    labels = {
        name: Target(
            name, group=f"Client {at % GROUPS:02}", owner="ann@agency.example", note="Relaunch." * (at % 9 == 0)
        )
        for at, name in enumerate(names)
    }
    render("marks.html.j2")  # the templates' environment, which the process has once
    with scratch() as root:
        fill(root, names, options.days)

        def timed(lines: dict[str, Target]) -> tuple[float, Written]:
            began = time.perf_counter()
            written = write_targets_report(root, simulated=False, expected_targets=names, labels=lines)
            assert written is not None
            return time.perf_counter() - began, written

        cpu = time.process_time()
        all_s, everything = timed(labels)
        all_cpu_s = time.process_time() - cpu
        assert everything.targets >= options.targets
        portfolio_s, nothing = timed(labels)
        assert nothing.targets == 0
        changed = {
            name: replace(labels[name], note="Changed.") for name in names[:: max(1, len(names) // CHANGED)][:CHANGED]
        }
        usual_s, usual = timed(labels | changed)
        assert usual.targets == len(changed)
        pages = list((root / "reports" / "targets").glob("target-*.html"))
        report(
            "pages",
            {
                "targets": options.targets,
                "days": options.days,
                "portfolio_s": portfolio_s,
                "portfolio_mb": everything.path.stat().st_size / 1e6,
                "changed_pages": usual.targets,
                "changed_s": usual_s - portfolio_s,
                "all_pages_s": all_s - portfolio_s,
                "all_cpu_s": all_cpu_s,
                "page_kb": max(page.stat().st_size for page in pages) / 1e3,
            },
        )


if __name__ == "__main__":
    main()
