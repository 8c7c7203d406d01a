"""The breakdowns of targets' live links on two days: the largest keys then and now, read once for many targets.

What moved with a single flag is `breakdowns.py`.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from backlinks_assets.report.breakdowns import DIMENSIONS, Row
from backlinks_assets.report.file_query import query_days
from backlinks_assets.tables.parquet import days

COMPARED_DAYS: Final = 28
MAX_KEYS: Final = 6

_LARGEST: Final = """
SELECT target, dimension, key, max(links) FILTER (date = ?) AS before, max(links) FILTER (date = ?) AS now FROM days
WHERE status_type = 'live' AND dimension IN (SELECT unnest(?)) AND target IN (SELECT unnest(?)) AND links IS NOT NULL
GROUP BY target, dimension, key
QUALIFY row_number() OVER (PARTITION BY target, dimension ORDER BY greatest(now, before) DESC, key) <= ?
ORDER BY target, dimension, coalesce(now, 0) DESC, coalesce(before, 0) DESC, key
"""


@dataclass(frozen=True)
class ThenAndNow:
    """Two days, and of each target the rows by dimension's name; `then` None: there is no earlier day."""

    then: dt.date | None
    now: dt.date | None
    rows: Mapping[str, Mapping[str, Sequence[Row]]] = field(default_factory=dict)


def read_then_and_now(root: Path, date: dt.date, targets: Collection[str]) -> ThenAndNow:
    """Return the breakdowns of the last day with any up to `date`, and of four weeks before it or the first day after that.

    Raises:
        TablesError: a parquet file can't be read; the message names it.
    """
    known = [day for day in days(root, "referring_links") if day <= date]
    if not known or not targets:
        return ThenAndNow(None, None)
    now, since = known[-1], date - dt.timedelta(days=COMPARED_DAYS)
    then = next((day for day in known if since <= day < now), None)
    found: dict[str, dict[str, list[Row]]] = {}
    wanted = [now] if then is None else [then, now]
    for row in query_days(
        root, "referring_links", wanted, _LARGEST, then, now, list(DIMENSIONS), sorted(targets), MAX_KEYS
    ):
        of_target = found.setdefault(row["target"], {})
        of_target.setdefault(DIMENSIONS[row["dimension"]], []).append(Row(row["key"], row["before"], row["now"]))
    return ThenAndNow(then, now, found)
