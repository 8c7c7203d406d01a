"""What moved with a flag: which top-level domains, countries and platform types gained or lost live links.

From `referring_links`. The vendor lists a limited number of keys, so a key may be absent without being none.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backlinks_assets.report.file_query import query_days
from backlinks_assets.report.readings import History
from backlinks_assets.report.summary import Change
from backlinks_assets.tables import parquet

DIMENSIONS: Final = {
    "referring_links_tld": "Top-level domain",
    "referring_links_countries": "Country",
    "referring_links_platform_types": "Platform",
}
MAX_KEYS: Final = 3
LOOK_BACK_DAYS: Final = 7

_LINKS: Final = """
SELECT target, date, dimension, key, links FROM days
WHERE status_type = 'live' AND dimension IN (SELECT unnest(?)) AND target IN (SELECT unnest(?)) AND links IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One key's links then and now; None is a key that the answer does not list."""

    key: str
    before: int | None
    now: int | None

    @property
    def change(self) -> int:
        """Links gained, negative if lost; a key not listed counts as none."""
        return (self.now or 0) - (self.before or 0)


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The rows that moved most since a day, by dimension's name; dimensions in which nothing moved are left out."""

    since: dt.date
    rows: Mapping[str, Sequence[Row]]


class Breakdowns:
    """The live links of some targets on some days, by key; read once for all flags of a day."""

    def __init__(self, root: Path, date: dt.date, targets: Collection[str]) -> None:
        """Read the day and the week before it.

        Raises:
            TablesError: a parquet file can't be read; the message names it.
        """
        self.date = date
        self._links: dict[tuple[str, dt.date], dict[str, dict[str, int]]] = {}
        first = date - dt.timedelta(days=LOOK_BACK_DAYS)
        dates = [day for day in parquet.days(root, "referring_links") if first <= day <= date]
        for row in query_days(root, "referring_links", dates, _LINKS, list(DIMENSIONS), sorted(targets)):
            links = self._links.setdefault((row["target"], row["date"]), {})
            links.setdefault(row["dimension"], {})[row["key"]] = row["links"]

    def of(self, flag: Change, history: History) -> Breakdown | None:
        """Return what moved with a flag since the reading it is compared to; None if nothing did or it is not known."""
        now = self._links.get((flag.target, self.date))
        since = compared_day(flag, history)
        before = self._links.get((flag.target, since)) if since else None
        if not now or not before or since is None:
            return None
        rows = {
            name: found
            for dimension, name in DIMENSIONS.items()
            if (found := _moved(before.get(dimension, {}), now.get(dimension, {})))
        }
        return Breakdown(since, rows) if rows else None


def compared_day(flag: Change, history: History) -> dt.date | None:
    """Return the day that a flag's breakdown is compared to.

    A step came since the reading before. Of what built up over days, it is the one of the last week's readings that is
    nearest to the baseline, which is where the change is measured from; of several the latest.
    """
    if flag.kind == "step" or flag.baseline is None:
        return flag.previous_date
    first = history.days[-1] - dt.timedelta(days=LOOK_BACK_DAYS)
    earlier = [(day, value) for day, value, _, _ in history.readings() if first <= day < history.days[-1]]
    baseline = flag.baseline
    return min(earlier, key=lambda reading: abs(reading[1] - baseline))[0] if earlier else flag.previous_date


def _moved(before: Mapping[str, int], now: Mapping[str, int]) -> list[Row]:
    rows = [Row(key, before.get(key), now.get(key)) for key in before.keys() | now.keys()]
    moved = sorted((row for row in rows if row.change), key=lambda row: (-abs(row.change), row.key))
    return moved[:MAX_KEYS]
