"""A day's page, written from the parquet tables: one HTML file that needs nothing else; the list of days beside it.

What it says is `summary.py`, `day_sentence.py` and `cards.py`; the list is `index.py`; the mark-up is `templates/`.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from backlinks_assets.detection.metrics import METRICS
from backlinks_assets.formatting import counted, dollars, long_day, number
from backlinks_assets.report.cards import anchor, articles, size
from backlinks_assets.report.day_sentence import day_sentence, undated_sentence
from backlinks_assets.report.index import Day, add_page
from backlinks_assets.report.summary import Change, Coverage, Facts, read_facts
from backlinks_assets.report.templating import render
from backlinks_assets.tables.parquet import made_from

CHARTS_MAX: Final = 50
"""Flags that are drawn; the others follow as a table. With all of them drawn a page would grow past 2 MB."""

ROWS_MAX: Final = 1000
"""Flags that are listed at all; `backlinks_flags` has the rest."""

NAMES_MAX: Final = 200
"""Missing targets named under one reason."""


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """What was written, how many rows of `backlinks_flags` it tells of, and the day in one sentence."""

    path: Path
    index: Path
    flags: int
    sentence: str


def write_report(
    root: Path,
    date: dt.date,
    *,
    simulated: bool,
    expected_targets: Collection[str] = (),
    failed: Mapping[str, str] | None = None,
) -> ReportFiles:
    """Write `<root>/reports/flags-YYYY-MM-DD.html` and bring `<root>/reports/index.html` level with the pages there.

    The pages before and after it lead to it. Each file is replaced in one step. The same tables, and the same days with
    a page, give the same bytes. `expected_targets` are those watched that
    day, so that the ones without an answer are named; `failed` gives the reason by target, where it is known.

    Raises:
        TablesError: a table can't be read or a page can't be written; the message names the path and what to do.
    """
    flags = made_from(root, "backlinks_flags", date) or ""  # before they are read: they may be replaced meanwhile
    facts = read_facts(root, date, simulated=simulated, expected_targets=expected_targets, failed=failed)
    html = render("day.html.j2", day=Day.of(facts), made_from=flags, **_content(root, facts))
    path, index = add_page(root, date, html)
    return ReportFiles(path, index, len(facts.flags), day_sentence(facts))


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
        "metric": METRICS[flag.metric].title,
        "size": size(flag),
        "reason": flag.reason or "",
    }


def _other(change: Change) -> dict[str, str]:
    return {
        "target": change.target,
        "metric": METRICS[change.metric].title,
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
