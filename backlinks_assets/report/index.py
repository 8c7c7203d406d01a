"""The list of days: a row for each day that has a page, the latest first, and the flags of the last weeks drawn.

Which days have a page is seen in the folder; their numbers come from the parquet tables. The links from each page to those
before and after it are set here too, since a page is written before the next one is there. The pages are `page.py`.
"""

import datetime as dt
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np

from backlinks_assets.formatting import MONTHS, counted, long_day
from backlinks_assets.paths import index_path, page_path, reports_dir
from backlinks_assets.report.charts import Chart, flags_chart
from backlinks_assets.report.file_query import query_days
from backlinks_assets.report.templating import render, write_page
from backlinks_assets.tables import parquet
from backlinks_assets.tables.atomic import locked, tables_error

DRAWN_DAYS: Final = 60
LOCK_TIMEOUT_S: Final = 60.0

_NUMBERS: Final = {
    "backlinks_flags": """count(DISTINCT target) FILTER (target <> '*') AS flagged,
        count(DISTINCT target) FILTER (target <> '*' AND severity = 'critical') AS critical,
        count(*) FILTER (kind = 'index_move') AS index_moves,
        count(*) FILTER (kind = 'vendor_fault') AS faults""",
    "backlinks_summary": """least(count(*) FILTER (status_type = 'live'), count(*) FILTER (status_type = 'lost'))
        AS collected""",
    "api_costs": "any_value(cost_usd) AS cost_usd, any_value(simulated) AS simulated",
}
"""A row's columns, by table. Answers are counted, not compared by target, which a year of 2,000 would take 0.4 s longer."""

_OF_EACH_DAY: Final = (
    "SELECT day AS date, {numbers} FROM (SELECT unnest(?::DATE[]) AS day) LEFT JOIN days ON date = day GROUP BY day"
)
_LINKS: Final = re.compile(rb"(?<=<!-- days -->).*?(?=<!-- end of days -->)", re.DOTALL)
"""Where a page's links stand. Whatever comes from outside is escaped, so that none of it can look like this."""


@dataclass(frozen=True, slots=True)
class Row:
    """A day that has a page; None is what no table has."""

    date: dt.date
    flagged: int | None = None
    critical: int | None = None
    index_moves: int | None = None
    faults: int | None = None
    collected: int | None = None
    cost_usd: float | None = None
    simulated: bool | None = None


def add_page(root: Path, date: dt.date, html: str) -> Path:
    """Write a day's page with links to those before and after it, and link these to it; return its path.

    Raises:
        TablesError: a page can't be read or written, or another process has been writing there for a minute.
    """
    with _only_one(root):
        dates = sorted({*page_dates(root), date})
        at = dates.index(date)
        write_page(page_path(root, date), _linked(html.encode(), date, dates))
        _link(root, (*dates[max(at - 1, 0) : at], *dates[at + 1 : at + 2]), dates)
    return page_path(root, date)


def relink(root: Path) -> None:
    """Set the links of all pages anew, after pages have come from elsewhere; raises as `add_page`."""
    with _only_one(root):
        dates = page_dates(root)
        _link(root, dates, dates)


def _link(root: Path, some: Sequence[dt.date], dates: Sequence[dt.date]) -> None:
    for day in some:
        try:
            page = page_path(root, day).read_bytes()
        except OSError as error:
            raise tables_error("read", page_path(root, day), error) from error
        if (linked := _linked(page, day, dates)) != page:
            write_page(page_path(root, day), linked)


def write_index(root: Path) -> Path:
    """Write the list of days and return its path. The same pages and tables give the same bytes.

    Raises:
        TablesError: a table can't be read, the list can't be written, or another process has been writing for a minute.
    """
    with _only_one(root):
        html = render("index.html.j2", **_content(read_rows(root)))
        return write_page(index_path(root), html.encode())


def read_rows(root: Path) -> list[Row]:
    """Return a row for each day that has a page, the latest first.

    Raises:
        TablesError: a table can't be read; the message names the file.
    """
    rows = {date: Row(date) for date in reversed(page_dates(root))}
    for table, numbers in _NUMBERS.items():
        dates = [date for date in parquet.days(root, table) if date in rows]
        for found in query_days(root, table, dates, _OF_EACH_DAY.format(numbers=numbers), dates):
            rows[found["date"]] = replace(rows[found["date"]], **found)
    return list(rows.values())


def page_dates(root: Path) -> list[dt.date]:
    dates = []
    for path in reports_dir(root).glob("flags-????-??-??.html"):
        with suppress(ValueError):
            dates.append(dt.date.fromisoformat(path.stem.removeprefix("flags-")))
    return sorted(dates)


def _only_one(root: Path) -> AbstractContextManager[None]:
    """Two days written at once each link and list the pages that they see: the later look must be the one that stays."""
    folder = reports_dir(root)
    busy = f"Another process has been writing into {folder} for {LOCK_TIMEOUT_S:g} s. Run again when it is done."
    return locked(folder / ".index.lock", LOCK_TIMEOUT_S, busy)


def _linked(page: bytes, date: dt.date, dates: Sequence[dt.date]) -> bytes:
    """Return a day's page with links to the nearest of some days; a page without the marks stays as it is."""
    earlier = max((day for day in dates if day < date), default=None)
    later = min((day for day in dates if day > date), default=None)
    links = render("links.html.j2", days=[("prev", "Earlier", earlier), ("next", "Later", later)]).encode()
    return _LINKS.sub(lambda _: links, page, count=1)


def _content(rows: Sequence[Row]) -> dict[str, Any]:
    months = [
        {"name": f"{MONTHS[month - 1]} {year}", "rows": list(found)}
        for (year, month), found in groupby(rows, key=lambda row: (row.date.year, row.date.month))
    ]
    flagged = sum(1 for row in rows if row.flagged)
    span = f", {long_day(rows[-1].date)} to {long_day(rows[0].date)}" if rows else ""
    return {
        "months": months,
        "latest": rows[0].date if rows else None,
        "simulated": any(row.simulated for row in rows),
        "sentence": f"{counted(len(rows), 'day')}{span}; {counted(flagged, 'day')} with a target flagged."
        if rows
        else "No day is evaluated yet.",
        "chart": _drawn(rows) if rows else None,
    }


def _drawn(rows: Sequence[Row]) -> Chart:
    by_date = {row.date: row for row in rows}
    last = rows[0].date
    dates = [last - dt.timedelta(days=back) for back in reversed(range(DRAWN_DAYS))]
    shown = [by_date.get(date, Row(date)) for date in dates]
    critical = np.array([row.critical or 0 for row in shown], dtype=float)
    flagged = np.array([row.flagged or 0 for row in shown], dtype=float)
    busiest = max(shown, key=lambda row: row.flagged or 0)
    title = f"Targets flagged a day, {DRAWN_DAYS} days to {long_day(last)}"
    text = f"{counted(int(flagged.sum()), 'flagged target')} in all, {int(critical.sum()):,} of them critical"
    if busiest.flagged:
        text += f"; most on {long_day(busiest.date)}: {busiest.flagged:,}"
    return flags_chart(dates, critical, flagged - critical, title=title, description=f"{text}.")
