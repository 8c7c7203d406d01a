"""How many live links each target has on a day, in either way of watching. Reading only."""

import datetime as dt
from pathlib import Path
from typing import Final

import pyarrow.compute as pc

from backlinks_assets.tables.parquet import read_days
from backlinks_assets.tables.schemas import TABLES

LIVE_TABLES: Final = ("backlinks_summary", "backlinks_bulk")


def live_links(root: Path, table: str, day: dt.date) -> dict[str, int]:
    """Return the live links by target that one of `LIVE_TABLES` has for a day, none without a file; raises TablesError."""
    columns = ["target", "backlinks"]
    if "status_type" in TABLES[table].arrow.names:
        rows = read_days(root, table, day, day, [*columns, "status_type"])
        rows = rows.filter(pc.equal(rows["status_type"], "live"))
    else:
        rows = read_days(root, table, day, day, columns)
    pairs = zip(rows["target"].to_pylist(), rows["backlinks"].to_pylist(), strict=True)
    return {target: links for target, links in pairs if links is not None}
