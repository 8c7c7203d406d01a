"""The evidence that is stored for a day, and the rows of `flag_evidence` made of it.

Reading of answers only. Which questions there are is `questions.py`; how they are bought is `purchase.py`.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson
import pyarrow as pa

from backlinks_assets.dataforseo.answer import first_result
from backlinks_assets.dataforseo.endpoints.single_links import links_of
from backlinks_assets.evidence.questions import question_of, since_of
from backlinks_assets.store.stored_answer import StoredAnswer
from backlinks_assets.tables.coerce import column
from backlinks_assets.tables.schemas import TABLES

Key = tuple[str, str]
"""A target and a question's name."""

_SCHEMA: Final = TABLES["flag_evidence"].arrow
_BEFORE, _AFTER = 5, 6
"""Columns before the API's own fields, and after them."""
_FIELDS: Final = list(_SCHEMA)[_BEFORE:-_AFTER]


@dataclass(frozen=True, slots=True)
class Kept:
    """The stored answer to a question, of several the one with links, then the one with the most rows.

    `cost_usd` is what all answers to the question cost. `limit` is how many rows were requested, `total_count` how many
    domains there are in all.
    """

    target: str
    name: str
    since: dt.date
    limit: int
    rows: tuple[Mapping[str, Any], ...]
    total_count: int | None
    cost_usd: float
    captured_at: dt.datetime
    task_id: str | None
    simulated: bool

    def has(self, rows: int) -> bool:
        """Whether it holds so many rows, or all that there are."""
        return self.limit >= rows or len(self.rows) < self.limit or self.total_count == len(self.rows)


def kept(answers: Iterable[StoredAnswer]) -> dict[Key, Kept]:
    """Return the answers to questions, by target and question. What is no JSON object, or another question's, is left out."""
    found: dict[Key, Kept] = {}
    for answer in answers:
        if (one := _kept(answer)) is None:
            continue
        key = one.target, one.name
        other = found.get(key)
        best = one if other is None else max(one, other, key=lambda each: (len(each.rows), each.captured_at))
        found[key] = replace(best, cost_usd=one.cost_usd + (other.cost_usd if other else 0.0))
    return dict(sorted(found.items()))


def _kept(answer: StoredAnswer) -> Kept | None:
    name, since = question_of(answer.status_type, answer.parameters), since_of(answer.parameters)
    if name is None or since is None:
        return None
    try:
        envelope = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return None
    links = links_of(first_result(envelope) if isinstance(envelope, dict) else None)
    limit = int(answer.parameters.get("limit") or 100)
    cost = answer.cost_usd or 0.0
    call = (cost, answer.captured_at, answer.task_id, answer.simulated)
    return Kept(answer.target, name, since, limit, links.rows, links.total_count, *call)


def evidence_table(date: dt.date, found: Mapping[Key, Kept]) -> pa.Table:
    """Return the rows of a day's `flag_evidence`, by target, question and position.

    A question to which nothing was found has one row with position 0 and no link. What a question cost is shared evenly by
    its rows.
    """
    answers = sorted(found.values(), key=lambda one: (one.target, one.name))
    rows = [(one, at, row) for one in answers for at, row in _positions(one)]
    unreadable: Counter[str] = Counter()
    fields = [column(item.name, [row.get(item.name) for _, _, row in rows], item.type, unreadable) for item in _FIELDS]
    before = [
        [date] * len(rows),
        [one.target for one, _, _ in rows],
        [one.name for one, _, _ in rows],
        [at for _, at, _ in rows],
        [one.since for one, _, _ in rows],
    ]
    after = [
        [one.total_count for one, _, _ in rows],
        [one.limit for one, _, _ in rows],
        [one.cost_usd / max(1, len(one.rows)) for one, _, _ in rows],
        [one.captured_at for one, _, _ in rows],
        [one.task_id for one, _, _ in rows],
        [one.simulated for one, _, _ in rows],
    ]
    return pa.table([*before, *fields, *after], schema=_SCHEMA)


def _positions(one: Kept) -> Iterable[tuple[int, Mapping[str, Any]]]:
    return enumerate(one.rows, start=1) if one.rows else [(0, {})]
