"""The list of days: one row a page, the latest first, and the flags of the last weeks drawn.

Made of the pages in the folder, each of which carries its own numbers, so that it lists what can be opened and says of
coverage what the page says. The pages themselves are `page.py`.
"""

import datetime as dt
import html
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import filelock
import numpy as np

from backlinks_assets.formatting import MONTHS, WEEKDAYS, counted, dollars, long_day
from backlinks_assets.report.charts import Chart, flags_chart
from backlinks_assets.report.neighbours import linked, page_dates, page_name, relink
from backlinks_assets.report.summary import Facts
from backlinks_assets.report.templating import render, write_page
from backlinks_assets.tables.atomic import TablesError, tables_error

DRAWN_DAYS: Final = 60
LOCK_TIMEOUT_S: Final = 60.0
HEAD_BYTES: Final = 4096
"""A page's numbers stand within so many bytes from its start."""

_NUMBERS: Final = re.compile(r'<meta name="flags-report" content="([^"]*)">')


@dataclass(frozen=True, slots=True)
class Day:
    """One day's row; None is what its page does not say."""

    date: dt.date
    watched: int | None = None
    answered: int | None = None
    flagged: int | None = None
    critical: int | None = None
    index_moves: int | None = None
    cost_usd: float | None = None
    simulated: bool = False

    @classmethod
    def of(cls, facts: Facts) -> "Day":
        """Return the numbers of a day."""
        return cls(
            date=facts.date,
            watched=facts.coverage.watched,
            answered=facts.coverage.answered,
            flagged=facts.targets_flagged,
            critical=facts.targets_critical,
            index_moves=len(facts.index_moves),
            cost_usd=round(facts.cost.cost_usd, 6) if facts.cost else None,
            simulated=facts.simulated,
        )

    @property
    def numbers(self) -> str:
        """The row as JSON, for the page's head."""
        return json.dumps({name: value for name, value in asdict(self).items() if name != "date"})

    @property
    def page(self) -> str:
        """The name of the day's page."""
        return page_name(self.date)

    @property
    def name(self) -> str:
        """The day within its month, as `Tue 24`."""
        return f"{WEEKDAYS[self.date.weekday()]} {self.date.day}"

    @property
    def spent(self) -> str:
        """The money spent, in words."""
        return "–" if self.cost_usd is None else dollars(self.cost_usd)


def add_page(root: Path, date: dt.date, page: str) -> tuple[Path, Path]:
    """Write a day's page, link its neighbours to it and list it; return its path and the list's.

    Raises:
        TablesError: the folder can't be read or written, or another process has been writing there for a minute.
    """
    folder = root / "reports"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Two days written at once each link and list what they see: the later look must be the one that stays.
        with filelock.FileLock(folder / ".index.lock", timeout=LOCK_TIMEOUT_S):
            dates = sorted({*page_dates(folder), date})
            path = write_page(root, page_name(date), linked(page, date, dates))
            relink(root, date, dates)
            days = read_days(folder)
            return path, write_page(root, "index.html", render("index.html.j2", **_content(days)))
    except filelock.Timeout as error:
        raise TablesError(
            f"Another process has been writing into {folder} for {LOCK_TIMEOUT_S:.0f} s. Run again when it is done."
        ) from error
    except TablesError:
        raise
    except OSError as error:
        raise tables_error("write", folder / "index.html", error) from error


def read_days(folder: Path) -> list[Day]:
    """Return the days that have a page in a folder, the latest first."""
    found = []
    for date in reversed(page_dates(folder)):
        with (folder / page_name(date)).open("rb") as file:
            head = file.read(HEAD_BYTES).decode(errors="replace")
        found.append(Day(date, **_numbers(head)))
    return found


def _numbers(head: str) -> dict[str, Any]:
    """Return a page's numbers; none if it was written by another version."""
    match = _NUMBERS.search(head)
    try:
        numbers = json.loads(html.unescape(match[1])) if match else {}
    except ValueError:
        return {}
    known = set(Day.__dataclass_fields__) - {"date"}
    return {name: value for name, value in numbers.items() if name in known and isinstance(value, int | float | None)}


def _content(days: Sequence[Day]) -> dict[str, Any]:
    months = [
        {"name": f"{MONTHS[month - 1]} {year}", "days": list(found)}
        for (year, month), found in groupby(days, key=lambda day: (day.date.year, day.date.month))
    ]
    flagged = sum(1 for day in days if day.flagged)
    span = f", {long_day(days[-1].date)} to {long_day(days[0].date)}" if days else ""
    return {
        "months": months,
        "latest": days[0] if days else None,
        "latest_name": long_day(days[0].date) if days else "",
        "simulated": any(day.simulated for day in days),
        "sentence": f"{counted(len(days), 'day')}{span}; {counted(flagged, 'day')} with a target flagged.",
        "chart": _drawn(days) if days else None,
    }


def _drawn(days: Sequence[Day]) -> Chart:
    by_date = {day.date: day for day in days}
    last = days[0].date
    dates = [last - dt.timedelta(days=back) for back in reversed(range(DRAWN_DAYS))]
    shown = [by_date.get(date, Day(date)) for date in dates]
    critical = np.array([day.critical or 0 for day in shown], dtype=float)
    flagged = np.array([day.flagged or 0 for day in shown], dtype=float)
    busiest = max(shown, key=lambda day: day.flagged or 0)
    title = f"Targets flagged a day, {DRAWN_DAYS} days to {long_day(last)}"
    text = f"{counted(int(flagged.sum()), 'flagged target')} in all, {int(critical.sum()):,} of them critical"
    if busiest.flagged:
        text += f"; most on {long_day(busiest.date)}: {busiest.flagged:,}"
    return flags_chart(dates, critical, flagged - critical, title=title, description=f"{text}.")
