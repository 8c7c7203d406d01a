"""A group's page: its last 30 days, for the client whose sites they are. No spend, no other group's
names, and of incidents neither notes nor who said something.

The layout is `templates/group.html.j2`; the rows are those of `portfolio.py`.
"""

import datetime as dt
from collections.abc import Collection
from typing import Final

import numpy as np

from backlinks_assets.formatting import counted, long_day
from backlinks_assets.report.incidents import Standing, Standings, counts
from backlinks_assets.report.marks import ALL_TARGETS
from backlinks_assets.report.portfolio import COLUMNS, SPARK_HEIGHT, SPARK_WIDTH, Portfolio
from backlinks_assets.report.series import Series
from backlinks_assets.report.target_page import flag_address
from backlinks_assets.report.target_state import Flags
from backlinks_assets.report.templating import render

SHOWN_DAYS: Final = 30
MAX_FLAGS: Final = 200


def group_page(
    portfolio: Portfolio,
    group: str,
    series: Series,
    flags: Flags,
    incidents: Standings,
    page_days: Collection[dt.date],
) -> str:
    """Return the HTML of a group; `series` are those that the portfolio was made of."""
    first = portfolio.last - dt.timedelta(days=SHOWN_DAYS - 1)
    rows = sorted((row for row in portfolio.rows if row.group == group), key=lambda row: row.target)
    places = {target: at for at, target in enumerate(series.targets)}
    read = np.isfinite(series.has_data[:, -SHOWN_DAYS:])
    found = [
        flag for target in (ALL_TARGETS, *(row.target for row in rows)) for flag in flags.get(target, ()) if flag.date >= first
    ]  # fmt: skip
    found.sort(key=lambda flag: (-flag.date.toordinal(), not flag.is_vendors, flag.severity, flag.target, flag.metric))
    moved = {flag.target for flag in found if not flag.is_vendors}
    worked_on = [
        one for row in rows for one in incidents.get(row.target, ()) if one.resolved is None or one.resolved >= first
    ]
    worked_on.sort(key=_newest)
    return render(
        "group.html.j2",
        group=group,
        portfolio=portfolio,
        first=first,
        sentence=_sentence(len(rows), len(moved), first, portfolio.last),
        columns=COLUMNS,
        rows=[(row, int(read[places[row.target]].sum())) for row in rows],
        days_read=int(read.any(axis=0).sum()),
        sums=next((one for one in portfolio.groups if one.name == group), None),
        flags=[(flag, flag_address(flag, page_days)) for flag in found[:MAX_FLAGS]],
        more_flags=len(found) - MAX_FLAGS,
        spark=(SPARK_WIDTH, SPARK_HEIGHT),
        incidents=worked_on[:MAX_FLAGS],
        more_incidents=len(worked_on) - MAX_FLAGS,
        incident_counts=counts(worked_on),
    )


def _newest(one: Standing) -> tuple[int, str, str]:
    """Sorts by the day of its last flag or step, the newest first."""
    return -max([one.last_flag, *(step.date for step in one.steps)]).toordinal(), one.target, one.incident


def _sentence(targets: int, moved: int, first: dt.date, last: dt.date) -> str:
    said = f"{moved:,} of them moved sharply" if moved else "nothing moved sharply"
    return f"{long_day(first)} to {long_day(last)}: {counted(targets, 'target')} watched; {said}."
