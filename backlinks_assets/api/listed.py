"""The vendor's own list of tasks, `POST /v3/backlinks/id_list`: what it did and what it charged.

Here belong its request and the reading of its rows. It is free, and takes 10 calls a minute. What is made of it is
`store/settle.py`.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

import orjson

ID_LIST_PATH: Final = "/v3/backlinks/id_list"
ROWS_A_CALL: Final = 1000
"""The most that the API lists in one call."""


@dataclass(frozen=True, slots=True)
class ListedTask:
    """One task in the vendor's list. `cost_usd` is None where the list does not say."""

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
    """Read an answer's rows; those without an id or a tag are left out, since nothing can be told from them."""
    tasks = _list(orjson.loads(body).get("tasks"))
    rows = _list(tasks[0].get("result")) if tasks else []
    return [row for row in map(_row, rows) if row is not None]


def _row(row: dict[str, Any]) -> ListedTask | None:
    metadata = row.get("metadata")
    tag = metadata.get("tag") if isinstance(metadata, dict) else None
    cost = row.get("cost")
    if not isinstance(tag, str) or not row.get("id"):
        return None
    known = float(cost) if isinstance(cost, int | float) and not isinstance(cost, bool) else None
    return ListedTask(str(row["id"]), tag, known, str(row.get("datetime_posted") or ""))


def _list(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S +00:00")
