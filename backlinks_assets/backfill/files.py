"""The files of `lost_history`: all of it made again from the stored windows, and only what changed written."""

import datetime as dt
import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from backlinks_assets.backfill.first_readings import first_readings, live_links_on
from backlinks_assets.backfill.rows import refusal, rows_of, windows_of
from backlinks_assets.collect.factory import open_store
from backlinks_assets.dataforseo.endpoints.bulk_new_lost_backlinks import NAME
from backlinks_assets.settings import Settings
from backlinks_assets.store.answers import BACKFILL
from backlinks_assets.tables.parquet import days, made_from, write_day
from backlinks_assets.tables.schemas import TABLES

TABLE: Final = "lost_history"


@dataclass(slots=True)
class Written:
    """What `lost_history` holds now: rows and targets, its days, and why some targets' windows are left out."""

    rows: int = 0
    targets: int = 0
    dates: list[dt.date] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def write_history(settings: Settings) -> Written:
    """Make `lost_history` from all stored windows, and write the days that are other than their files.

    A target without a reading has no rows yet: which of its days are before the first one is not known.

    Raises:
        StoreError: the store can't be used.
        TablesError: a table can't be read or written; days that are written are whole.
    """
    with open_store(settings) as store:
        dates = store.dates((NAME,), backfilled=True)
        counted = windows_of(answer for day in dates for answer in store.answers(day, NAME, BACKFILL))
        first = first_readings(settings.root, store, counted)
    live = live_links_on(settings.root, dates, counted)
    written, by_day = Written(), defaultdict[dt.date, list[dict[str, Any]]](list)
    for target, windows in sorted(counted.items()):
        if (why := refusal(windows)) is not None:
            written.refused[target] = why
            continue
        rows = rows_of(target, windows, first[target], live.get(target, {})) if target in first else []
        written.targets += bool(rows)
        written.rows += len(rows)
        for row in rows:
            by_day[row["date"]].append(row)
    written.dates = sorted(by_day)
    for day in sorted({*by_day, *days(settings.root, TABLE)}):
        of = hashlib.sha256(repr(by_day[day]).encode()).hexdigest()[:32]
        if made_from(settings.root, TABLE, day) != of:
            table = pa.Table.from_pylist(by_day[day], schema=TABLES[TABLE].arrow)
            write_day(settings.root, TABLE, day, table, made_from=of)
    return written
