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
    ("day", "over_floor", "A day of {targets:,} targets by `backlinks run`, over the floor", 1.07, "×", 1),
    ("day", "first_call_s", "First call after the command", 6, "s", 1),
    ("day", "cpu_ms_a_target", "CPU a target, all processes", 25, "ms", 1),
    ("day", "again_seconds", "The finished day again", 10, "s", 1),
    ("daemon", "over_floor", "A day of {targets:,} targets from the schedule's tick, over the floor", 1.25, "×", 1),
    ("day_fast", "peak_mb", "Memory of a day of {targets:,} targets, {history_days} days before it", 450, "MB", 1),
    ("year", "day_s", "One more day of {targets:,} targets into {days} days", 3, "s", 1),
    ("year", "one_target_anew_s", "One target's {days} days from DuckDB, opening the file included", 60, "ms", 1000),
    ("quick", "flags_s", "`backlinks flags`", 0.6, "s", 1),
    ("quick", "help_s", "`backlinks --help`", 0.6, "s", 1),
    ("quick", "demo_s", "`backlinks demo`, 60 days", 60, "s", 1),
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
                f"{value:.3g} {unit}",
                met,
                str(result["load"]),
                yardstick(result),
            ]
        )
    return table(["question", "at most", "measured", "met", "load", "yardstick"], rows)


def main() -> None:
    """Write the page; its text is `page.md` with the table put in."""
    text = Path(__file__).with_name("page.md").read_text(encoding="utf-8")
    PAGE.write_text(text.replace("{{questions}}", questions()), encoding="utf-8")


if __name__ == "__main__":
    main()
