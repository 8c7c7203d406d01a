"""Makes the rows of a day from stored answers: `backlinks_summary` and `referring_links`, and the day's costs.

Here belong which field becomes which column, and the order of the rows. How single values are read is `coerce.py`; files are
`parquet.py`.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from backlinks_assets.dataforseo.answer import first_result
from backlinks_assets.store.stored_answer import StoredAnswer
from backlinks_assets.tables.coerce import column
from backlinks_assets.tables.schemas import DIMENSIONS, TABLES, coded

_SUMMARY = TABLES["backlinks_summary"].arrow
_LINKS = coded(TABLES["referring_links"].arrow)
_COLUMNS_BEFORE, _COLUMNS_AFTER = 4, 7
"""The key and `has_data` come before the API's own fields, what is known of the call after them."""
_RESULT_FIELDS = list(_SUMMARY)[_COLUMNS_BEFORE:-_COLUMNS_AFTER]
_TOP_NAMES = [item.name for item in _RESULT_FIELDS if not item.name.startswith("info_")]
_INFO_NAMES = [item.name for item in _RESULT_FIELDS if item.name.startswith("info_")]
_INFO_KEYS = [name.removeprefix("info_") for name in _INFO_NAMES]


@dataclass(frozen=True, slots=True)
class AnswerTables:
    """The two tables of a day's answers, `date` included, and what could not be read.

    The texts of `links` are dictionaries (`coded`). `unreadable_fields` counts values that are not of their field's type, by
    the API's field name. `damaged` are (target, status type) of answers that are not a JSON object: they have no row.
    """

    summary: pa.Table
    links: pa.Table
    unreadable_fields: dict[str, int] = field(default_factory=dict)
    damaged: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Reading:
    """The raw values of one answer.

    `scalars` are those of `_TOP_NAMES` and `_INFO_NAMES`. `keys` and `links` are those of all breakdowns one after the other,
    `lengths` how many belong to each of `DIMENSIONS`. `unreadable` names fields of another shape.
    """

    order: tuple[Any, ...]
    call: tuple[Any, ...]
    has_data: bool
    scalars: list[Any]
    keys: list[str] = field(default_factory=list)
    links: list[Any] = field(default_factory=list)
    lengths: list[int] = field(default_factory=lambda: [0] * len(DIMENSIONS))
    unreadable: Sequence[str] = ()


_Row = tuple[tuple[str, str], _Reading]


def answer_tables(date: dt.date, answers: Iterable[StoredAnswer]) -> AnswerTables:
    """Return the rows of a day's answers, sorted; the same answers in any order give equal tables.

    `answers` is read once, one at a time. Of several answers of a target and status type, with different parameters, the last
    captured one counts. `backlinks_summary` is sorted by target and status type, `referring_links` by target, status type,
    dimension, links (descending) and key.

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
        order = answer.captured_at, answer.request_key  # the store has one answer a request key
        if key in readings and readings[key].order >= order:
            continue
        if answer.request_key not in parameters:  # once for equal parameters
            parameters[answer.request_key] = orjson.dumps(answer.parameters, option=orjson.OPT_SORT_KEYS).decode()
        reading = _read(answer, order, parameters[answer.request_key])
        if reading is None:
            damaged.append(key)
        else:
            readings[key] = reading
    rows = sorted(readings.items())
    unreadable: Counter[str] = Counter()
    for _, reading in rows:
        unreadable.update(reading.unreadable)
    summary, links = _summary(date, rows, unreadable), _links(date, rows, unreadable)
    return AnswerTables(summary, links, dict(sorted(unreadable.items())), tuple(sorted(damaged)))


def costs_table(
    date: dt.date, calls: int, answers: int, cost_usd: float, charged_without_answer: int, simulated: bool
) -> pa.Table:
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
    unreadable = []
    info = result.get("info") or {}
    if not isinstance(info, dict):
        unreadable.append("info")
        info = {}
    scalars = [*map(result.get, _TOP_NAMES), *map(info.get, _INFO_KEYS)]
    keys: list[str] = []
    links: list[Any] = []
    lengths = [0] * len(DIMENSIONS)
    for index, dimension in enumerate(DIMENSIONS):
        counts = result.get(dimension)
        if isinstance(counts, dict) and counts:
            keys.extend(counts)
            links.extend(counts.values())
            lengths[index] = len(counts)
        elif counts:  # null, {} and [] (PHP's empty object) mean nothing to count
            unreadable.append(dimension)
    return _Reading(order, call, True, scalars, keys, links, lengths, unreadable)


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


def _links(date: dt.date, rows: list[_Row], unreadable: Counter[str]) -> pa.Table:
    readings = [reading for _, reading in rows]
    lengths = np.array([reading.lengths for reading in readings], dtype=np.int64).reshape(-1, len(DIMENSIONS))
    of_row = np.repeat(np.arange(len(rows)), lengths.sum(axis=1))
    of_breakdown = np.repeat(np.arange(lengths.size), lengths.ravel())
    keys = pa.array(chain.from_iterable(reading.keys for reading in readings), pa.string()).dictionary_encode()
    links = _counts(readings, unreadable)
    rank = pc.rank(keys.dictionary).to_numpy()
    order = pa.array(_order(of_breakdown, links, rank[keys.indices]))
    columns = [
        pa.repeat(pa.scalar(date, pa.date32()), len(of_row)),
        _taken([target for (target, _), _ in rows], of_row),
        _taken([status_type for (_, status_type), _ in rows], of_row),
        _taken(DIMENSIONS, of_breakdown % len(DIMENSIONS)),
        keys.take(order),
        links.take(order),
        pa.array([reading.call[-1] for reading in readings], pa.bool_()).take(pa.array(of_row)),
    ]
    return pa.table(columns, schema=_LINKS)


def _taken(texts: Sequence[str], positions: np.ndarray) -> pa.DictionaryArray:
    return pa.array(texts, pa.string()).dictionary_encode().take(pa.array(positions))


def _counts(readings: list[_Reading], unreadable: Counter[str]) -> pa.Int64Array:
    """Return the links of all breakdowns. Unreadable ones are NULL and counted under their breakdown's name."""
    values = list(chain.from_iterable(reading.links for reading in readings))
    whole: Counter[str] = Counter()
    counts = column("", values, pa.int64(), whole)
    if whole:  # seldom: again by breakdown, to find out where
        rest = iter(values)
        for reading in readings:
            for dimension, length in zip(DIMENSIONS, reading.lengths, strict=True):
                column(dimension, list(islice(rest, length)), pa.int64(), unreadable)
    return counts


def _order(breakdown: np.ndarray, links: pa.Int64Array, key: np.ndarray) -> np.ndarray:
    """Return the positions of the sorted rows: by breakdown, links (descending, unknown last) and key.

    `breakdown` and `key` are ranks.
    """
    known = links.is_valid().to_numpy(zero_copy_only=False)
    count = links.fill_null(0).to_numpy()
    return np.lexsort((key, ~count, ~known, breakdown))  # ~ reverses the order within 64 bits


def _transposed(rows: list[Any]) -> list[tuple[Any, ...]]:
    return list(zip(*rows, strict=True))
