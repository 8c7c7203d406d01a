"""The links from a day's page to the nearest earlier and later pages of its folder.

A page is written before there is a later one, so its links are set again when its neighbour comes. Links only; who may
write in the folder at a time is `index.py`.
"""

import datetime as dt
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from backlinks_assets.report.templating import render, write_page

_NAME: Final = re.compile(r"flags-(\d{4}-\d{2}-\d{2})\.html")
_LINKS: Final = re.compile(r"(<!-- days -->).*?(<!-- end of days -->)", re.DOTALL)
"""Where the links stand. Whatever comes from outside is escaped, so that none of it can look like this."""


def page_name(date: dt.date) -> str:
    """Return the name of a day's page."""
    return f"flags-{date.isoformat()}.html"


def page_dates(folder: Path) -> list[dt.date]:
    """Return the days that have a page in a folder, in their order."""
    return sorted(date for path in folder.iterdir() if (date := _date(path.name)))


def linked(page: str, date: dt.date, dates: Iterable[dt.date]) -> str:
    """Return a day's page with links to its neighbours among `dates`; one without a place for them as it is."""
    earlier = max((day for day in dates if day < date), default=None)
    later = min((day for day in dates if day > date), default=None)
    links = render("neighbours.html.j2", days=[("prev", "Earlier", earlier), ("next", "Later", later)], name=page_name)
    return _LINKS.sub(lambda found: f"{found[1]}{links}{found[2]}", page, count=1)


def relink(root: Path, date: dt.date, dates: list[dt.date]) -> None:
    """Bring the links of a day's neighbours level with `dates`, which it is one of; a page that is right is not touched.

    Raises:
        OSError, TablesError: a page can't be read or written.
    """
    at = dates.index(date)
    for day in (*dates[max(at - 1, 0) : at], *dates[at + 1 : at + 2]):
        try:
            page = (root / "reports" / page_name(day)).read_bytes().decode()
        except UnicodeDecodeError:
            continue  # no page of this project
        if (now := linked(page, day, dates)) != page:
            write_page(root, page_name(day), now)


def _date(name: str) -> dt.date | None:
    named = _NAME.fullmatch(name)
    try:
        return dt.date.fromisoformat(named[1]) if named else None
    except ValueError:
        return None
