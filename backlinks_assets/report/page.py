"""A day's page, written from the parquet tables: one HTML file that needs nothing else; the list of days beside it.

What it says is `summary.py`, `day_sentence.py` and `cards.py`; the list is `index.py`; the mark-up is `templates/`.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from backlinks_assets.formatting import counted, dollars, long_day, metric_name, number
from backlinks_assets.report.cards import anchor, articles, size
from backlinks_assets.report.day_sentence import undated_sentence
from backlinks_assets.report.index import add_page
from backlinks_assets.report.summary import Change, Coverage, Facts
from backlinks_assets.report.templating import render

CHARTS_MAX: Final = 50
"""Flags that are drawn; the others follow as a table. With all of them drawn a page would grow past 2 MB."""

ROWS_MAX: Final = 1000
"""Flags that are listed at all; `backlinks_flags` has the rest."""

NAMES_MAX: Final = 200
"""Missing targets named under one reason."""


def write_report(root: Path, facts: Facts) -> Path:
    """Write `<root>/reports/flags-YYYY-MM-DD.html`, and links to it in the pages before and after it; return its path.

    Each file is replaced in one step. The same tables, and the same days with a page, give the same bytes.

    Raises:
        TablesError: a table can't be read or a page can't be written; the message names the path and what to do.
    """
    return add_page(root, facts.date, render("day.html.j2", **_content(root, facts)))


def _content(root: Path, facts: Facts) -> dict[str, Any]:
    drawn, listed = facts.flags[:CHARTS_MAX], facts.flags[CHARTS_MAX : CHARTS_MAX + ROWS_MAX]
    shown = articles(root, facts, drawn)
    return {
        "title": long_day(facts.date),
        "sentence": undated_sentence(facts),
        "facts": facts,
        "index_articles": [article for article in shown if article.severity == "index"],
        "articles": [article for article in shown if article.severity != "index"],
        "contents": [_row(flag) for flag in drawn] if len(drawn) > 3 else [],
        "listed": [_row(flag) for flag in listed],
        "unlisted": len(facts.flags) - len(drawn) - len(listed),
        "quiet": _quiet(facts),
        "missing": _by_reason(facts.coverage),
        "other_moves": [_other(change) for change in facts.other_moves],
        "spent": dollars(facts.cost.cost_usd) if facts.cost else None,
        "counted": counted,
    }


def _row(flag: Change) -> dict[str, str]:
    return {
        "anchor": anchor(flag.target, flag.metric),
        "severity": "index" if flag.is_index_move else (flag.severity or "warning"),
        "name": "Index move" if flag.is_index_move else (flag.severity or "warning").capitalize(),
        "target": "All targets" if flag.is_index_move else flag.target,
        "metric": metric_name(flag.metric),
        "size": size(flag),
        "reason": flag.reason or "",
    }


def _other(change: Change) -> dict[str, str]:
    return {
        "target": change.target,
        "metric": metric_name(change.metric),
        "move": f"{number(change.baseline)} → {number(change.value)}",
        "swings": number(round(abs(change.score or 0), 1)),
    }


def _quiet(facts: Facts) -> str:
    """Return what to say where there is no flag of a target."""
    if not facts.coverage.answered:
        return (
            "There is nothing to judge: no answer of this day is kept. The API answers for the present only: a day that "
            "is over can't be asked for again."
        )
    if not facts.judged:
        return "The answers of this day are kept, and it has not been judged yet: build backlinks_changes of this day."
    if not facts.earlier_days:
        return (
            "This is the first day with answers. From the fourth reading on a target is judged, with caution at first: "
            "what is usual for it takes about two weeks to settle."
        )
    moved = " beyond what moved for all" if facts.index_moves else ""
    return f"No target moved sharply{moved}: every reading is within what is usual for its target, or close to it."


def _by_reason(coverage: Coverage) -> Sequence[dict[str, Any]]:
    by_reason = sorted((reason, target) for target, reason in coverage.missing)
    groups = [
        {"reason": reason, "targets": [target for _, target in pairs]}
        for reason, pairs in ((reason, list(found)) for reason, found in groupby(by_reason, key=lambda pair: pair[0]))
    ]
    groups.sort(key=lambda group: -len(group["targets"]))
    return [{**group, "count": len(group["targets"]), "targets": group["targets"][:NAMES_MAX]} for group in groups]
