"""Makes `docs/performance.md` from the newest results: `python bench/page.py`.

Each figure stands with the load under which it was measured (load of the last minute over the cores). The words are
here, the numbers are `results/*.jsonl`.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools import RESULTS, ROOT

Result = dict[str, Any]
PAGE = ROOT / "docs" / "performance.md"


def milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"


def megabytes(number: float) -> str:
    return f"{number:,.0f} MB"


QUESTIONS: list[tuple[str, str, str, str, Callable[[Any], str]]] = [
    # (result, field, what it says, what is asked for, how it is written)
    ("day", "over_floor", "A day of {targets:,} targets by `backlinks run`, over the floor", "1.10", "{:.3f}".format),
    ("day", "first_call_s", "First call out after the command", "6 s", "{:.1f} s".format),
    ("day", "cpu_ms_a_target", "CPU a target, all processes", "25 ms", "{:.1f} ms".format),
    ("day", "again_seconds", "A second run of the finished day", "10 s", "{:.1f} s".format),
    (
        "day_fast",
        "peak_mb",
        "Peak memory of a day of {targets:,} targets, {history_days} days before it",
        "400 MB",
        megabytes,
    ),
    ("day_fast", "again_peak_mb", "Peak memory of its second run", "400 MB", megabytes),
    (
        "daemon",
        "over_floor",
        "A day of {targets:,} targets from the schedule's tick, over the floor",
        "1.35",
        "{:.3f}".format,
    ),
    ("daemon", "cpu_ms_a_target", "CPU a target, all that `make ui` runs", "25 ms", "{:.1f} ms".format),
    ("daemon", "first_call_s", "First call out after the tick", "–", "{:.1f} s".format),
    ("daemon", "peak_mb", "Memory of all that `make ui` runs together", "–", megabytes),
    ("year", "day_s", "One more day of {targets:,} targets into {days} days", "3 s", "{:.2f} s".format),
    ("year", "rebuild_s", "Those days again from the response store ({answers:,} answers)", "–", "{:.0f} s".format),
    (
        "year",
        "one_target_s",
        "One target's days from DuckDB",
        "20 ms",
        milliseconds,
    ),
    ("year", "one_target_anew_s", "The same with opening the file anew", "–", milliseconds),
    ("year", "flags_command_s", "`backlinks flags`", "0.6 s", "{:.2f} s".format),
    ("year", "help_s", "`backlinks --help`", "0.6 s", "{:.2f} s".format),
    (
        "instance",
        "page_first_s",
        "The UI's partition page over {targets:,} × {days}, first time",
        "–",
        "{:.2f} s".format,
    ),
    ("instance", "page_again_s", "The same, later", "–", "{:.2f} s".format),
    ("instance", "thinned_page_first_s", "The same, first time after the retention job", "–", "{:.2f} s".format),
    ("instance", "automation_tick_s", "A tick of the automation", "–", "{:.2f} s".format),
    ("instance", "index_mb", "The event log", "–", megabytes),
    (
        "instance",
        "thinned_index_mb",
        "The event log after the retention job (30 days kept whole)",
        "–",
        megabytes,
    ),
    ("instance", "retention_s", "The retention job, its first time", "–", "{:.0f} s".format),
    (
        "soak",
        "late_mb",
        "Memory after {calls:,} calls in one process ({early_mb} MB after a fifth)",
        "flat",
        "{:.1f} MB".format,
    ),
    ("soak", "late_descriptors", "Descriptors then ({early_descriptors} after a fifth)", "flat", str),
]


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
    """Return the table of what is asked for and what was measured."""
    rows = []
    for name, field, words, asked, written in QUESTIONS:
        result = largest(name)
        if result is not None and result.get(field) is not None:
            rows.append([words.format(**result), asked, written(result[field]), str(result["load"]), yardstick(result)])
    return table(["question", "at most", "measured", "load", "yardstick"], rows)


def growth() -> str:
    """Return the tables of how time and memory grow."""
    days = [
        [
            f"{one['targets']:,}",
            f"{one['seconds']:.1f}",
            f"{one['cpu_s']:.1f}",
            f"{one['peak_mb']:.0f}",
            str(one["load"]),
            yardstick(one),
        ]
        for one in sorted(newest("growth_day"), key=lambda one: one["targets"])
    ]
    histories = [
        [
            f"{one['targets']:,}",
            f"{one['days']:,}",
            f"{one['rows']:,.0f}",
            f"{one['publish_one_day_s']:.2f}",
            f"{one['publish_all_s']:.1f}",
            f"{one['detection_history_90_days_s']:.2f}",
            f"{1000 * one['one_target_s']:.1f}",
            f"{one['duckdb_mb']:.0f}",
            str(one["load"]),
            yardstick(one),
        ]
        for one in sorted(newest("growth_history"), key=lambda one: (one["targets"], one["days"]))
    ]
    return "\n\n".join(
        [
            "A day whose answers are kept already: reported to Dagster, tabled, judged, drawn.",
            table(["targets", "seconds", "CPU s", "peak MB", "load", "yardstick"], days),
            "One more day published into a history (DuckDB, and 90 of the 120 days that judging reads).",
            table(
                [
                    "targets",
                    "days",
                    "rows",
                    "one day s",
                    "from nothing s",
                    "history s",
                    "a target ms",
                    "DuckDB MB",
                    "load",
                    "yardstick",
                ],
                histories,
            ),
        ]
    )


def main() -> None:
    """Write the page; its text is `page.md` with the tables put in."""
    text = Path(__file__).with_name("page.md").read_text(encoding="utf-8")
    day, daemon = largest("day") or {}, largest("daemon") or {}
    filled = text.replace("{{questions}}", questions()).replace("{{growth}}", growth())
    for name, result in (
        ("day", day),
        ("daemon", daemon),
        ("instance", largest("instance") or {}),
        ("year", largest("year") or {}),
    ):
        for field, value in result.items():
            filled = filled.replace(
                "{{" + f"{name}.{field}" + "}}", f"{value:,}" if isinstance(value, int | float) else str(value)
            )
    if "{{" in filled:
        sys.exit(f"no result for {filled[filled.index('{{') :][:60]!r}: run the benchmark first")
    PAGE.write_text(filled, encoding="utf-8")


if __name__ == "__main__":
    main()
