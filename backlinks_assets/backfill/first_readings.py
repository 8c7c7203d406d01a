"""What is known of targets: the day of the first reading, and live links on some days. Reading only.

The tables say so, and the store of days whose tables are not on this machine.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from backlinks_assets.dataforseo.endpoints.bulk_pages_summary import NAME as PAGES
from backlinks_assets.store.bulk import BulkStore
from backlinks_assets.tables.live_links import LIVE_TABLES, live_links
from backlinks_assets.tables.parquet import days, read_days


def first_readings(root: Path, store: BulkStore, targets: Collection[str]) -> dict[str, dt.date]:
    """Return the day of the first reading of each target that has one; raises StoreError and TablesError."""
    left, found = set(targets), dict[str, dt.date]()
    built = {day for table in LIVE_TABLES for day in days(root, table)}
    for day in sorted(built.union(store.dates())):
        if not left:
            break
        names = left & (_read(root, day) if day in built else _answered(store, day))
        found |= dict.fromkeys(names, day)
        left -= names
    return found


def _read(root: Path, day: dt.date) -> set[str]:
    tables = [read_days(root, table, day, day, ["target", "has_data"]) for table in LIVE_TABLES]
    return {name for rows in tables for name in rows.filter(rows["has_data"])["target"].to_pylist()}


def _answered(store: BulkStore, day: dt.date) -> set[str]:
    """Return the targets with an answer of a day, also those of which it knows nothing."""
    in_bulk = {name for batch in store.batches(day, PAGES) for name in batch.targets}
    return in_bulk.union(key.target for key in store.stored_keys([day]))


def live_links_on(
    root: Path, dates: Iterable[dt.date], targets: Collection[str]
) -> Mapping[str, Mapping[dt.date, int]]:
    """Return targets' live links on some days, of the bulk reading where a day has both; raises TablesError."""
    found: dict[str, dict[dt.date, int]] = defaultdict(dict)
    for day in dates:
        for table in LIVE_TABLES:
            for target, links in live_links(root, table, day).items():
                if target in targets:
                    found[target][day] = links
    return found
