"""The vendor's own list of tasks, `POST /v3/backlinks/id_list`: what it did and what it charged.

Here belong its request and the reading of its rows. It is free, and takes 10 calls a minute. What is made of it is
`collect/reconcile.py`.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import orjson

from backlinks_assets.dataforseo.endpoints.summary import cost_of, task_of

ID_LIST_PATH: Final = "/v3/backlinks/id_list"
ROWS_A_CALL: Final = 1000
"""The most that the API lists in one call."""


@dataclass(frozen=True, slots=True)
class ListedTask:
    """One task in the vendor's list. `cost_usd` is None, `tag` empty where the list does not say."""

    task_id: str
    tag: str
    cost_usd: float | None
    posted_at: str


def id_list_request(first: dt.datetime, last: dt.datetime, offset: int) -> bytes:
    """Return the body that asks for the tasks posted between two instants, beginning with number `offset`."""
    return orjson.dumps(
        [
            {
                "datetime_from": _text(first),
                "datetime_to": _text(last),
                "limit": ROWS_A_CALL,
                "offset": offset,
                "include_metadata": True,
            }
        ]
    )


def listed_tasks(body: bytes) -> list[ListedTask]:
    """Read an answer's rows, every one: how many there are says whether the list goes on.

    Raises:
        ValueError: the answer holds no list. Nothing listed is `[]` or null.
    """
    rows = task_of(orjson.loads(body)).get("result", "missing")
    if rows is None:
        return []
    if not isinstance(rows, list):
        raise ValueError("the answer holds no list of tasks")
    return [_row(row if isinstance(row, dict) else {}) for row in rows]


def _row(row: dict[str, Any]) -> ListedTask:
    metadata = row.get("metadata")
    tag = metadata.get("tag") if isinstance(metadata, dict) else None
    tag = tag if isinstance(tag, str) and row.get("id") else ""
    return ListedTask(str(row.get("id") or ""), tag, cost_of(row.get("cost")), str(row.get("datetime_posted") or ""))


def _text(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S +00:00")
