"""Kept answers into the rows of a day: `backlinks_summary` and `referring_links`, and the day's costs.

Which field of an answer becomes which column, and in which order the rows stand. How single values are read
is `values.py`; files are `parquet.py`.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from backlinks_assets.api.models import first_result
from backlinks_assets.store.models import StoredAnswer
from backlinks_assets.tables.schemas import DIMENSIONS, TABLES
from backlinks_assets.tables.values import column

_SUMMARY = TABLES["backlinks_summary"].arrow
_LINKS = TABLES["referring_links"].arrow
_COLUMNS_BEFORE, _COLUMNS_AFTER = 4, 7
"""Beside the API's own fields: the key and `has_data` before them, what is known of the call after them."""
_RESULT_FIELDS = list(_SUMMARY)[_COLUMNS_BEFORE:-_COLUMNS_AFTER]
_TOP_NAMES = [item.name for item in _RESULT_FIELDS if not item.name.startswith("info_")]
_INFO_NAMES = [item.name for item in _RESULT_FIELDS if item.name.startswith("info_")]
_INFO_KEYS = [name.removeprefix("info_") for name in _INFO_NAMES]


@dataclass(frozen=True, slots=True)
class AnswerTables:
    """The two tables of a day's answers, `date` included, and what could not be read.

    `unreadable_fields` counts, by the API's field name, values that were there but not of the field's type.
    `damaged` names (target, status type) of answers that are no JSON object: they have no row.
    """

    summary: pa.Table
    links: pa.Table
    unreadable_fields: dict[str, int] = field(default_factory=dict)
    damaged: tuple[tuple[str, str], ...] = ()

    @property
    def unreadable(self) -> int:
        """Values that became NULL because they could not be read."""
        return sum(self.unreadable_fields.values())


@dataclass(slots=True)
class _Reading:
    """What is taken out of one answer; its body and the rest of its JSON are let go of.

    `scalars` are the values of `_TOP_NAMES` and `_INFO_NAMES`, as they came. `keys` and `links` are those of
    all breakdowns one after the other, sorted; `lengths` is how many belong to each of `DIMENSIONS`.
    """

    order: tuple[Any, ...]
    call: tuple[Any, ...]
    has_data: bool
    scalars: list[Any]
    keys: list[str] = field(default_factory=list)
    links: list[int | None] = field(default_factory=list)
    lengths: list[int] = field(default_factory=lambda: [0] * len(DIMENSIONS))
    unreadable: Counter[str] = field(default_factory=Counter)


_Row = tuple[tuple[str, str], _Reading]


def answer_tables(date: dt.date, answers: Iterable[StoredAnswer]) -> AnswerTables:
    """Return the rows of a day's answers, sorted; the same answers in any order give equal tables.

    `answers` is read once, one at a time. Of several answers of a target and status type, asked with
    different parameters, the one captured last stands. `backlinks_summary` is sorted by target and status
    type, `referring_links` by target, status type, dimension, links (most first) and key.

    Raises:
        ValueError: an answer is of another day.
    """
    readings: dict[tuple[str, str], _Reading] = {}
    damaged: list[tuple[str, str]] = []
    parameters: dict[str, str] = {}
    for answer in answers:
        if answer.date != date:
            raise ValueError(f"an answer of {answer.date} for {answer.target} is among those of {date}")
        key = answer.target, answer.status_type
        order = answer.captured_at, answer.request_key, answer.task_id or "", answer.body
        if key in readings and readings[key].order >= order:
            continue
        if answer.request_key not in parameters:  # made text once: equal keys are equal parameters
            parameters[answer.request_key] = orjson.dumps(answer.parameters, option=orjson.OPT_SORT_KEYS).decode()
        reading = _read(answer, order, parameters[answer.request_key])
        if reading is None:
            damaged.append(key)
        else:
            readings[key] = reading
    rows = sorted(readings.items())
    unreadable: Counter[str] = Counter()
    for _, reading in rows:
        if reading.unreadable:
            unreadable += reading.unreadable
    summary = _summary(date, rows, unreadable)
    return AnswerTables(summary, _links(date, rows), dict(sorted(unreadable.items())), tuple(sorted(damaged)))


def costs_table(
    date: dt.date, calls: int, answers: int, cost_usd: float, charged_without_answer: int, simulated: bool
) -> pa.Table:
    """Return the one row of `api_costs` for a day."""
    values = [date, calls, answers, cost_usd, charged_without_answer, simulated]
    return pa.table([[value] for value in values], schema=TABLES["api_costs"].arrow)


def _read(answer: StoredAnswer, order: tuple[Any, ...], parameters: str) -> _Reading | None:
    try:
        envelope = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(envelope, dict):
        return None
    call = (
        answer.captured_at,
        answer.task_id,
        answer.cost_usd,
        answer.attempts,
        answer.request_key,
        parameters,
        answer.simulated,
    )
    result = first_result(envelope)
    if result is None:
        return _Reading(order, call, has_data=False, scalars=[None] * len(_RESULT_FIELDS))
    info = result.get("info") or {}
    whole = isinstance(info, dict)
    of_info = map(info.get, _INFO_KEYS) if whole else [None] * len(_INFO_KEYS)
    reading = _Reading(order, call, has_data=True, scalars=[*map(result.get, _TOP_NAMES), *of_info])
    if not whole:
        reading.unreadable["info"] += 1
    for index, dimension in enumerate(DIMENSIONS):
        counts = result.get(dimension)
        if isinstance(counts, dict) and counts:
            keys, links = _sorted_breakdown(dimension, counts, reading.unreadable)
            reading.keys += keys
            reading.links += links
            reading.lengths[index] = len(keys)
        elif counts:  # null, {} and [] (how PHP spells an empty object) say that there is nothing to count
            reading.unreadable[dimension] += 1
    return reading


def _sorted_breakdown(
    dimension: str, counts: dict[str, Any], unreadable: Counter[str]
) -> tuple[list[str], list[int | None]]:
    """Return a breakdown's keys and their links: most links first, then by key; unknown numbers last."""
    if set(map(type, counts.values())) == {int}:
        of_key = counts.__getitem__
        keys = sorted(counts)
        keys.sort(key=of_key, reverse=True)  # stable: equal counts stay in the order of their keys
        links = list(map(of_key, keys))
        if links[0] < 2**63:
            return keys, links
    known = dict(zip(counts, column(dimension, list(counts.values()), pa.int64(), unreadable).to_pylist(), strict=True))
    keys = sorted(counts, key=lambda key: (known[key] is None, -(known[key] or 0), key))
    return keys, [known[key] for key in keys]


def _summary(date: dt.date, rows: list[_Row], unreadable: Counter[str]) -> pa.Table:
    scalars = dict(zip(_TOP_NAMES + _INFO_NAMES, _transposed([reading.scalars for _, reading in rows]), strict=False))
    fields = [column(item.name, list(scalars.get(item.name, ())), item.type, unreadable) for item in _RESULT_FIELDS]
    keys = [
        [date] * len(rows),
        [target for (target, _), _ in rows],
        [status_type for (_, status_type), _ in rows],
        [reading.has_data for _, reading in rows],
    ]
    calls = _transposed([reading.call for _, reading in rows]) or [()] * _COLUMNS_AFTER
    return pa.table([*keys, *fields, *map(list, calls)], schema=_SUMMARY)


def _links(date: dt.date, rows: list[_Row]) -> pa.Table:
    readings = [reading for _, reading in rows]
    lengths = np.array([reading.lengths for reading in readings], dtype=np.int64).reshape(-1, len(DIMENSIONS))
    of_row = pa.array(np.repeat(np.arange(len(rows)), lengths.sum(axis=1)))
    of_dimension = pa.array(np.repeat(np.tile(np.arange(len(DIMENSIONS)), len(rows)), lengths.ravel()))
    columns = [
        pa.repeat(pa.scalar(date, pa.date32()), len(of_row)),
        pa.array([target for (target, _), _ in rows], pa.string()).take(of_row),
        pa.array([status_type for (_, status_type), _ in rows], pa.string()).take(of_row),
        pa.array(DIMENSIONS, pa.string()).take(of_dimension),
        pa.array(list(chain.from_iterable(reading.keys for reading in readings)), pa.string()),
        pa.array(list(chain.from_iterable(reading.links for reading in readings)), pa.int64()),
        pa.array([reading.call[-1] for reading in readings], pa.bool_()).take(of_row),
    ]
    return pa.table(columns, schema=_LINKS)


def _transposed(rows: list[Any]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))
