"""`POST /v3/backlinks/id_list`: the vendor's own list of tasks and charges. Free, ten calls per minute.

Here belong its request and its rows. How it is used is `collect/reconcile.py`.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from backlinks_assets.dataforseo.answer import Answer, cost_of
from backlinks_assets.dataforseo.endpoint import Endpoint, UnusableError

MAX_ROWS_PER_CALL: Final = 1000


@dataclass(frozen=True, slots=True)
class Span:
    """The tasks posted between two instants, beginning with number `offset`."""

    first: dt.datetime
    last: dt.datetime
    offset: int = 0


@dataclass(frozen=True, slots=True)
class ListedTask:
    """One task in the vendor's list. `cost_usd` is None and `tag` empty where the list has none."""

    task_id: str
    tag: str
    cost_usd: float | None
    posted_at: str


def listed_tasks(answer: Answer) -> list[ListedTask]:
    """Return all rows of an answer, unreadable ones too: their number tells whether the list goes on.

    Raises:
        UnusableError: the answer has no list. An empty list is `[]` or null.
    """
    rows = answer.task.get("result", "missing")
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise UnusableError("it holds no list of tasks")
    return [_row(row if isinstance(row, dict) else {}) for row in rows]


def _row(row: dict[str, Any]) -> ListedTask:
    metadata = row.get("metadata")
    tag = metadata.get("tag") if isinstance(metadata, dict) else None
    tag = tag if isinstance(tag, str) and row.get("id") else ""
    return ListedTask(str(row.get("id") or ""), tag, cost_of(row.get("cost")), str(row.get("datetime_posted") or ""))


def _text(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S +00:00")


ID_LIST: Final = Endpoint[Span, list[ListedTask]](
    name="backlinks/id_list",
    task=lambda span: {
        "datetime_from": _text(span.first),
        "datetime_to": _text(span.last),
        "limit": MAX_ROWS_PER_CALL,
        "offset": span.offset,
        "include_metadata": True,
    },
    parse=lambda answer, _: listed_tasks(answer),
)
