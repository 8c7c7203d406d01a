"""Days in bulk without a server: answers as the endpoints give them, and their tables."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from backlinks_assets.collect.since_day import former_since_day, since_day
from backlinks_assets.dataforseo.endpoints import (
    bulk_new_lost_backlinks as links,
    bulk_new_lost_referring_domains as domains,
    bulk_pages_summary as pages,
)
from backlinks_assets.store.stored_answer import StoredAnswer
from backlinks_assets.tables.bulk_rows import bulk_table, rows_before
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES


def answer(date: dt.date, endpoint: str, parameters: dict[str, Any], items: list[Any] | None) -> StoredAnswer:
    body = orjson.dumps({"tasks": [{"status_code": 20000, "result": [{"items": items}]}]})
    at = dt.datetime.combine(date, dt.time(6), dt.UTC)
    found = {"date": date, "target": "batch", "status_type": "", "request_key": "key", "parameters": parameters}
    found |= {"body": body, "task_id": "task", "cost_usd": 0.06, "captured_at": at, "attempts": 1, "simulated": False}
    return StoredAnswer(**{name: found.get(name, endpoint) for name in StoredAnswer._fields})


def of_day(
    date: dt.date,
    live: Mapping[str, Mapping[str, Any] | None],
    lost: Mapping[dt.date, Mapping[str, int | None]],
) -> list[StoredAnswer]:
    """Return a day's answers: live counts by target (None: no item), and losses by the day from which they were counted."""
    names = sorted({*live, *(name for each in lost.values() for name in each)})
    found = [
        answer(
            date,
            pages.NAME,
            {"targets": names},
            [{"url": name, **item} for name, item in live.items() if item is not None],
        )
    ]
    for since, counts in lost.items():
        items = [
            {"target": name, "lost_backlinks": n, "new_backlinks": 0} for name, n in counts.items() if n is not None
        ]
        domain_items = [{"target": name, "lost_referring_main_domains": 1} for name in counts]
        for endpoint, each in ((links.NAME, items), (domains.NAME, domain_items)):
            found.append(answer(date, endpoint, {"targets": names, "date_from": str(since)}, each))
    return found


def write_bulk(root: Path, date: dt.date, answers: list[StoredAnswer]) -> list[dict[str, Any]]:
    """Write a day's table, and a summary without rows beside it as the pipeline does; return its rows."""
    targets = {name for one in answers for name in one.parameters["targets"]}
    table = bulk_table(date, answers, rows_before(root, date, targets))
    write_day(root, "backlinks_bulk", date, table)
    write_day(root, "backlinks_summary", date, TABLES["backlinks_summary"].arrow.empty_table())
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def door(date: dt.date, lost_by: Mapping[str, "Losses"], first_of_month: bool) -> dict[dt.date, dict[str, int]]:
    """Return the losses that the API counts on a day, from the month's day and on its first run from last month's too."""
    sinces = [since_day(date), *([former_since_day(date)] if first_of_month else [])]
    return {since: {name: losses(since, date) for name, losses in lost_by.items()} for since in sinces}


Losses = Any
