"""The flags of a day, read from the tables, with the live links of the targets whose spam score is flagged.

Which questions they raise is `questions.py`.
"""

import datetime as dt
from collections.abc import Collection
from pathlib import Path
from typing import Final

from backlinks_assets.evidence.questions import Flagged
from backlinks_assets.tables.live_links import LIVE_TABLES, live_links
from backlinks_assets.tables.parquet import read_days

_FLAG_COLUMNS: Final = [
    "target", "metric", "value", "previous", "previous_date", "score", "direction", "kind", "severity",
]  # fmt: skip


def flags_of(root: Path, date: dt.date) -> list[Flagged]:
    """Return a day's flags with the live links of their targets; raises TablesError."""
    rows = read_days(root, "backlinks_flags", date, date, _FLAG_COLUMNS).to_pylist()
    spam = {row["target"] for row in rows if row["metric"] == "spam_score" and row["target"] != "*"}
    wanted = {
        (row["target"], day) for row in rows if row["target"] in spam for day in (date, row["previous_date"]) if day
    }
    live = _live_links(root, wanted)
    return [
        Flagged(
            **row, live=live.get((row["target"], date)), live_before=live.get((row["target"], row["previous_date"]))
        )
        for row in rows
    ]


def _live_links(root: Path, wanted: Collection[tuple[str, dt.date]]) -> dict[tuple[str, dt.date], float]:
    found: dict[tuple[str, dt.date], float] = {}
    for table in LIVE_TABLES if wanted else ():
        for day in sorted({day for _, day in wanted}):
            for target, links in live_links(root, table, day).items():
                if (target, day) in wanted:
                    found.setdefault((target, day), links)
    return found
