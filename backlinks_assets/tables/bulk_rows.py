"""Makes the rows of `backlinks_bulk` from a day's stored bulk answers and the rows of the days before.

Here belong which item is whose, and the level of lost links. Columns are `schemas.py`; the items' fields `dataforseo/endpoints/`.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, TypeVar

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from backlinks_assets.dataforseo.answer import first_result
from backlinks_assets.dataforseo.endpoints import (
    bulk_new_lost_backlinks as links,
    bulk_new_lost_referring_domains as domains,
    bulk_pages_summary as pages,
)
from backlinks_assets.store.stored_answer import StoredAnswer
from backlinks_assets.tables.coerce import column
from backlinks_assets.tables.parquet import days, read_days
from backlinks_assets.tables.schemas import TABLES, TIMESTAMP

ENDPOINTS: Final = (pages.NAME, links.NAME, domains.NAME)
LOOKS_BACK_DAYS: Final = 62
"""A level goes on from a day of this month or of last month: older days were counted from another day."""
ZERO_FROM: Final = 10
"""Losses since one fixed day hardly ever fall. From so many to none, they are read as the vendor's zero: the level is 0 that day,
as a summary's would be, and goes on from the day before."""
LOOKS_PAST_ZEROS_DAYS: Final = 7
MAX_MISSING_SHARE: Final = 0.05
"""Of the targets that had a reading the last time. With more of them missing the day is not evaluated in bulk."""

TOGETHER: Final = 10_000
"""Targets whose rows are made together."""

_SCHEMA: Final = TABLES["backlinks_bulk"].arrow


@dataclass(frozen=True, slots=True)
class Before:
    """A target's last row with a level: losses counted then since `since`, and the level since `start`."""

    lost: int
    since: dt.date
    level: int
    start: dt.date


T = TypeVar("T")
_Read = tuple[dt.datetime, T]
"""A reading with its answer's time: the newest counts."""


@dataclass(slots=True)
class _Target:
    cost_usd: float = 0.0
    captured_at: dt.datetime | None = None
    task_id: str | None = None
    simulated: bool = False
    live: _Read[pages.PagesSummary] | None = None
    gone: dict[dt.date, _Read[links.NewLostLinks]] = field(default_factory=dict)
    of_domains: dict[dt.date, _Read[domains.NewLostDomains]] = field(default_factory=dict)


def bulk_table(date: dt.date, answers: Iterable[StoredAnswer], before: Mapping[str, Before]) -> pa.Table:
    """Return a row for each target of a day's bulk answers, sorted by target.

    The last reading of a target counts, whatever the order of the answers, of which one is in memory at a time. An item that
    is missing or null is no reading: its columns are NULL.
    """
    found: dict[str, _Target] = defaultdict(_Target)
    for answer in answers:
        _add(found, answer)
    names = sorted(found)
    parts = [names[at : at + TOGETHER] for at in range(0, len(names), TOGETHER)]
    tables = [_part([_row(date, target, found.pop(target), before.get(target)) for target in part]) for part in parts]
    return pa.concat_tables([_SCHEMA.empty_table(), *tables])


def _part(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    unreadable: Counter[str] = Counter()
    columns = []
    for each in _SCHEMA:
        values = [row.get(each.name) for row in rows]
        is_text = each.type == TIMESTAMP and each.name != "captured_at"
        columns.append(column(each.name, values, each.type, unreadable) if is_text else pa.array(values, each.type))
    return pa.table(columns, schema=_SCHEMA)


def _add(found: dict[str, _Target], answer: StoredAnswer) -> None:
    try:
        result = first_result(orjson.loads(answer.body))
    except (orjson.JSONDecodeError, AttributeError):
        result = None
    at = answer.captured_at
    targets = [str(each) for each in answer.parameters.get("targets", ())]
    for target in targets:
        one = found[target]
        one.cost_usd += (answer.cost_usd or 0.0) / len(targets)
        is_newest = one.captured_at is None or at >= one.captured_at
        if one.task_id is None or (answer.endpoint == pages.NAME and (one.live is None or at >= one.live[0])):
            one.task_id = answer.task_id
        if is_newest:
            one.captured_at, one.simulated = at, answer.simulated
    if answer.endpoint == pages.NAME:
        for target, live in pages.readings(result, targets).items():
            one = found[target]
            if one.live is None or at >= one.live[0]:
                one.live = at, replace(live, breakdowns={})  # they are most of an answer, and no column
        return
    since = dt.date.fromisoformat(answer.parameters["date_from"])
    if answer.endpoint == links.NAME:
        for target, counts in links.readings(result, targets).items():
            _take(found[target].gone, since, at, counts)
    else:
        for target, counted in domains.readings(result, targets).items():
            _take(found[target].of_domains, since, at, counted)


def _take(readings: dict[dt.date, _Read[T]], since: dt.date, at: dt.datetime, reading: T) -> None:
    if since not in readings or at >= readings[since][0]:
        readings[since] = at, reading


def _row(date: dt.date, target: str, one: _Target, before: Before | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "date": date,
        "target": target,
        "has_data": one.live is not None or bool(one.gone) or bool(one.of_domains),
        "captured_at": one.captured_at,
        "task_id": one.task_id,
        "cost_usd": one.cost_usd,
        "simulated": one.simulated,
    }
    if one.live is not None:
        row |= {name: value for name, value in asdict(one.live[1]).items() if name != "breakdowns"}
    if one.of_domains:
        row |= asdict(one.of_domains[max(one.of_domains)][1])
    gone = {since: counts for since, (_, counts) in one.gone.items()}
    lost = {since: counts.lost_backlinks for since, counts in gone.items() if counts.lost_backlinks is not None}
    if lost:
        since = max(lost)
        level, start = lost[since], date
        if before is not None and before.since in lost:
            level, start = max(0, before.level + lost[before.since] - before.lost), before.start
            if lost[before.since] == 0 and before.lost >= ZERO_FROM:  # what the vendor's zero days look like
                level = 0
        row |= asdict(gone[since]) | {"lost_since": since, "lost_level": level, "level_start": start}
    live = one.live[1] if one.live is not None else None
    # Where there is no live link, there is no score of them: else a few dead targets would end the evaluation of all others.
    has_live = live is not None and (live.backlinks_spam_score is not None or live.backlinks == 0)
    return row | {"is_missing": before is not None and not (lost and has_live)}


def rows_before(root: Path, date: dt.date, targets: Collection[str]) -> dict[str, Before]:
    """Return the last earlier row with a level of each target that has one; not one of the vendor's zero days.

    Raises TablesError as `read_days`.
    """
    left = set(targets)
    found: dict[str, Before] = {}
    zeros: dict[str, dt.date] = {}
    names = ["target", "lost_backlinks", "lost_since", "lost_level", "level_start"]
    earlier = sorted((day for day in days(root, "backlinks_bulk") if day < date), reverse=True)
    for day in takewhile(lambda day: (date - day).days <= LOOKS_BACK_DAYS, earlier):
        if not left:
            break
        table = read_days(root, "backlinks_bulk", day, day, names)
        table = table.filter(pc.is_in(table["target"], pa.array(list(left), pa.string())))
        for target, *values in zip(*(table[name].to_pylist() for name in names), strict=True):
            if None in values:
                continue
            row = Before(*values)
            if target not in zeros:
                found[target] = row
                if row.lost or row.level:  # a month's new day may have no losses since, and a level all the same
                    left.discard(target)
                else:
                    zeros[target] = day
            elif row.lost:
                if row.lost >= ZERO_FROM:
                    found[target] = row
                left.discard(target)
        left.difference_update([one for one, since in zeros.items() if (since - day).days >= LOOKS_PAST_ZEROS_DAYS])
    return found


def counted_since(root: Path, date: dt.date, targets: Collection[str], since: dt.date) -> set[str]:
    """Return the targets whose level goes on from a row that was counted since this day. Raises as `read_days`."""
    return {target for target, row in rows_before(root, date, targets).items() if row.since == since}


def too_many_missing(root: Path, date: dt.date) -> tuple[int, int] | None:
    """Return how many of how many targets lack a count that was there the last time; None where these are few.

    Otherwise the day is not evaluated in bulk: `detection_history` leaves its bulk readings out. Raises TablesError as
    `read_days`.
    """
    table = read_days(root, "backlinks_bulk", date, date, ["has_data", "is_missing"])
    missing = pc.sum(table["is_missing"]).as_py() or 0
    targets = pc.sum(pc.or_(table["has_data"], table["is_missing"])).as_py() or 0
    return (missing, targets) if missing > max(1, MAX_MISSING_SHARE * targets) else None
