"""`backlinks backtest --without RULE`: what a rule of detection does to one's own past.

Flags with and without some rules side by side. Which rules there are is read for the command's help: nothing heavy here.
"""

import sys
from collections.abc import Collection
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from rich.markup import escape

from backlinks_assets.cli.console import cell, out, table

if TYPE_CHECKING:
    import pandas as pd

    from backlinks_assets.detection.settings import DetectionSettings

MAX_LISTED: Final = 10
_KEY = ["date", "target", "metric", "kind"]
_COLUMNS = ["date", "severity", "target", "metric", "reason"]


class Rule(StrEnum):
    """A rule of detection that can be switched off."""

    STEP = "step"
    CONFIRMED_LOSS = "confirmed-loss"
    HALF = "half"
    INDEX = "index"


_SETTINGS: Final = {
    Rule.STEP: "step_rule",
    Rule.CONFIRMED_LOSS: "confirmed_loss_rule",
    Rule.HALF: "halved_rule",
    Rule.INDEX: "index_rule",
}


def without_rules(rules: Collection[Rule]) -> "DetectionSettings":
    """Return the default settings without some rules."""
    from backlinks_assets.detection.settings import DetectionSettings

    return DetectionSettings.model_validate({_SETTINGS[rule]: False for rule in rules})


def compared(flags: "pd.DataFrame", others: "pd.DataFrame", rules: Collection[Rule]) -> dict[str, Any]:
    """Return how many flags there are with all rules and without some, by metric and kind, and which go and come.

    A flag is the same if day, target, metric and kind are. Of those that go and come the first ten are named.
    """
    both = flags.merge(others[_KEY], on=_KEY, how="left", indicator=True)
    gone = both[both["_merge"] == "left_only"]
    both = others.merge(flags[_KEY], on=_KEY, how="left", indicator=True)
    come = both[both["_merge"] == "left_only"]
    counts = [found.groupby(["metric", "kind"]).size() for found in (flags, others)]
    return {
        "rules": [rule.value for rule in rules],
        "flags": len(others),
        "by_kind": [
            {
                "metric": metric,
                "kind": kind,
                "with": int(counts[0].get((metric, kind), 0)),
                "without": int(counts[1].get((metric, kind), 0)),
            }
            for metric, kind in sorted({*counts[0].index, *counts[1].index})
        ],
        "gone": len(gone),
        "come": len(come),
        "first_gone": _rows(gone),
        "first_come": _rows(come),
    }


def _rows(flags: "pd.DataFrame") -> list[dict[str, str]]:
    return [{name: str(row[name]) for name in _COLUMNS} for row in flags.head(MAX_LISTED).to_dict("records")]


def print_compared(found: dict[str, Any], flags: int) -> None:
    """Print it: tables on a terminal, lines in a pipe."""
    title = (
        f"Without {' and '.join(found['rules'])}: {found['flags']:,} flags instead of {flags:,}; {found['gone']:,} go, "
        f"{found['come']:,} come."
    )
    if not sys.stdout.isatty():
        print(title)
        for count in found["by_kind"]:
            print("With and without", *count.values(), sep="\t")
        for heading in ("gone", "come"):
            for row in found[f"first_{heading}"]:
                print(heading.capitalize(), *(cell(row[name]) for name in _COLUMNS), sep="\t")
        return
    console = out()
    console.print(f"\n[bold]{escape(title)}[/]")
    counts = table()
    for name in ("Metric", "Kind"):
        counts.add_column(name)
    for name in ("With", "Without"):
        counts.add_column(name, justify="right")
    for count in found["by_kind"]:
        counts.add_row(*(str(value).replace("_", " ") for value in count.values()))
    console.print(counts)
    for heading, words in (("gone", "Go without the rule"), ("come", "Come without the rule")):
        rows = found[f"first_{heading}"]
        if not rows:
            continue
        more = found[heading] - len(rows)
        console.print(f"[bold]{words}[/]" + (f" (the first {len(rows)} of {found[heading]:,})" if more else ""))
        for row in rows:
            console.print(f"{row['date']}  {escape(row['target'])}: {escape(row['reason'])}")
