"""A day's page, written from the parquet tables: one HTML file that needs nothing else; the list of days beside it.

What it says is `summary.py`, `day_sentence.py`, `cards.py` and `groups.py`; the list is `index.py`; the mark-up is `templates/`.
"""

from pathlib import Path
from typing import Any, Final

from backlinks_assets.formatting import counted
from backlinks_assets.report.cards import anchor, cards, size
from backlinks_assets.report.day_sentence import day_sentence
from backlinks_assets.report.groups import sections
from backlinks_assets.report.index import add_page
from backlinks_assets.report.summary import DayReport
from backlinks_assets.report.templating import render

MAX_CHARTS: Final = 50
"""Flags that are drawn; the others follow as a table. With all of them drawn a page would grow past 2 MB."""

MAX_ROWS: Final = 1000
"""Flags that are listed at all; `backlinks_flags` has the rest."""

MAX_NAMES: Final = 200
"""Targets named that are missing for one reason, or unknown to the API."""


def write_report(root: Path, report: DayReport) -> Path:
    """Write `<root>/reports/flags-YYYY-MM-DD.html`, and links to it in the pages before and after it; return its path.

    Each file is replaced in one step. The same tables, and the same days with a page, give the same bytes.

    Raises:
        TablesError: a table can't be read or a page can't be written; the message names the path and what to do.
    """
    return add_page(root, report.date, render("day.html.j2", **_content(root, report)))


def _content(root: Path, report: DayReport) -> dict[str, Any]:
    drawn, listed = report.flags[:MAX_CHARTS], report.flags[MAX_CHARTS : MAX_CHARTS + MAX_ROWS]
    found = sections(report, cards(root, report, drawn), listed)
    named = [section for section in found if section.name]
    return {
        "sentence": day_sentence(report, dated=False),
        "report": report,
        "sections": found,
        "filters": named if len(named) > 1 else [],
        "contents": drawn if len(drawn) > 3 else [],
        "unlisted": len(report.flags) - len(drawn) - len(listed),
        "max_names": MAX_NAMES,
        "anchor": anchor,
        "size": size,
        "counted": counted,
    }
