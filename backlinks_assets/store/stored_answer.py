"""One answer of the response store with all that is known of it.

Plain records only. How they are stored is `responses.py`; how they become rows is `tables/`.
"""

import datetime as dt
from typing import Any, NamedTuple

from backlinks_assets.dataforseo.endpoints.summary import NAME as SUMMARY


class StoredAnswer(NamedTuple):
    """One paid answer. `body` is the vendor's JSON as it came, `captured_at` the UTC instant when it had been read.

    `parameters` are the request's (`RequestParameters`), `request_key` their short hash.
    """

    date: dt.date
    target: str
    status_type: str
    request_key: str
    parameters: dict[str, Any]
    body: bytes
    task_id: str | None
    cost_usd: float | None
    captured_at: dt.datetime
    attempts: int
    simulated: bool
    endpoint: str = SUMMARY
