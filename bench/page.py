"""Makes `docs/performance.md` from the newest results: `python bench/page.py`.

Each figure stands with the load under which it was measured (load of the last minute over the cores). The words are
here, the numbers are `results/*.jsonl`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tools import RESULTS, ROOT

Result = dict[str, Any]
PAGE = ROOT / "docs" / "performance.md"


QUESTIONS: list[tuple[str, str, str, float, str, float]] = [
    # (result, field, what it says, the mark, its unit, unit of the result in that unit)
    ("day_usual", "over_floor", "A day of {targets:,} targets by `backlinks run`, over the floor", 1.07, "×", 1),
    ("day", "over_floor", "Their first day, on which each gets its page", 1.07, "×", 1),
    ("day", "first_call_s", "First call after the command", 6, "s", 1),
    ("day", "cpu_ms_a_target", "CPU a target, all processes", 25, "ms", 1),
    ("day", "again_seconds", "The finished day again", 10, "s", 1),
    ("daemon", "over_floor", "A day of {targets:,} targets from the schedule's tick, over the floor", 1.25, "×", 1),
    ("day_fast", "peak_mb", "Memory of a day of {targets:,} targets, {history_days} days before it", 450, "MB", 1),
    (
        "bulk_day",
        "calls",
        "Calls of a day of {targets:,} targets in bulk, without the control sample",
        1200,
        "calls",
        1,
    ),
    ("bulk_day", "minutes", "That day by the two jobs: collected, tabled and judged", 10, "min", 1),
    ("bulk_day", "peak_mb", "Its memory", 1500, "MB", 1),
    ("year", "day_s", "One more day of {targets:,} targets into {days} days", 3, "s", 1),
    ("year", "one_target_anew_s", "One target's {days} days from DuckDB, opening the file included", 60, "ms", 1000),
    ("pages", "portfolio_s", "The page of {targets:,} targets, and 40 groups' pages", 2, "s", 1),
    ("pages", "changed_s", "Of them {changed_pages} targets' pages of {days} days, on a usual day", 3, "s", 1),
    ("pages", "all_pages_s", "All targets' pages of {days} days", 30, "s", 1),
    ("instance", "page_first_s", "Dagster's partition page of {targets:,} targets after {days} days, first", 8, "s", 1),
    ("instance", "page_first_cpu_s", "Its CPU, all of the webserver's processes", 8, "s", 1),
    ("instance", "page_again_s", "The same page again", 1.5, "s", 1),
    ("instance", "event_log_mb", "Dagster's event log then", 1000, "MB", 1),
    ("quick", "flags_s", "`backlinks flags`", 0.6, "s", 1),
    ("quick", "help_s", "`backlinks --help`", 0.6, "s", 1),
    ("quick", "demo_s", "`backlinks demo`, 60 days", 60, "s", 1),
]


GROWN_DAYS = 365
COMPUTED = (10_000, 1095)
"""Targets and days that are too many to be measured each time."""


def newest(question: str) -> list[Result]:
    """Return a question's results, oldest first; of several of one size the newest."""
    file = RESULTS / f"{question}.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found = {}
    for one in map(json.loads, lines):
        found.pop((one.get("targets"), one.get("days")), None)
        found[one.get("targets"), one.get("days")] = one
    return list(found.values())


def largest(question: str) -> Result | None:
    """Return the result of the largest size."""
    return max(newest(question), key=lambda one: one.get("targets", 0) * one.get("days", 1), default=None)


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(lines)


def yardstick(result: Result) -> str:
    """Return what the machine's speed was, where it was measured."""
    return f"{result['yardstick_ms']:.1f} ms" if "yardstick_ms" in result else "–"


def questions() -> str:
    """Return the table of the marks and what was measured."""
    rows = []
    for name, field, words, mark, unit, factor in QUESTIONS:
        result = largest(name)
        if result is None or result.get(field) is None:
            sys.exit(f"no result for {name}.{field}: run the benchmark first")
        value = factor * result[field]
        met = "yes" if value <= mark else "**no**"
        rows.append(
            [
                words.format(**result),
                f"{mark:g} {unit}",
                f"{value:,.4g} {unit}",
                met,
                str(result["load"]),
                yardstick(result),
            ]
        )
    return table(["question", "at most", "measured", "met", "load", "yardstick"], rows)


def growth() -> str:
    """Return what a year leaves, by targets, and what ten thousand targets leave in three years by a straight line."""
    logs = {(one["targets"], one["days"]): one.get("event_log_mb") for one in newest("instance")}
    years = sorted((one for one in newest("year") if one["days"] == GROWN_DAYS), key=lambda one: float(one["targets"]))
    if not years:
        sys.exit("no result for year: run the benchmark first")
    rows = []
    for one in years:
        log = logs.get((one["targets"], one["days"]))
        sizes = [one["store_mb"], one["parquet_mb"], one["duckdb_mb"]]
        said = [f"{size:,.0f} MB" for size in sizes] + [
            "–" if log is None else f"{log:,.0f} MB",
            f"{one['day_s']:.1f} s",
        ]
        rows.append([f"{one['targets']:,} × {one['days']} days", *said, str(one["load"]), yardstick(one)])
    targets, days = COMPUTED
    wider = targets / one["targets"]
    larger = wider * days / one["days"]
    # A day's own rows grow with the targets; the file that is copied for it grows with the days too.
    day_s = wider * (one["day_answers_s"] + one["day_changes_s"]) + larger * one["day_duckdb_s"]
    said = [f"{larger * size / 1000:,.1f} GB" for size in sizes]
    said += ["–" if log is None else f"{wider * log / 1000:,.1f} GB", f"{day_s:.0f} s"]
    rows.append([f"{targets:,} × {days:,} days, computed", *said, "", ""])
    head = [
        "targets × days",
        "response store",
        "parquet",
        "DuckDB file",
        "event log",
        "one more day",
        "load",
        "yardstick",
    ]
    return table(head, rows)


def main() -> None:
    """Write the page; its text is `page.md` with the tables put in."""
    text = Path(__file__).with_name("page.md").read_text(encoding="utf-8")
    for name, made in {"questions": questions(), "growth": growth()}.items():
        text = text.replace(f"{{{{{name}}}}}", made)
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
