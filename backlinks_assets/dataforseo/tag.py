"""A task's `tag`, by which the vendor's list of tasks is compared with the ledger."""

import datetime as dt
import hashlib
from typing import Final

MAX_TAG_CHARACTERS: Final = 255
"""The API's limit."""

_UNNAMED: Final = "backlinks/summary/live"
"""The one endpoint of the first version: its name is not in its tags."""


def request_tag(date: dt.date, target: str, status_type: str, endpoint: str = _UNNAMED) -> str:
    """Return `date|target|status type` for a summary, `date|endpoint|target[|status type]` for other endpoints.

    Where the tag would be too long, the target is cut and ends in `~` and ten hex digits of its hash.
    """
    before = "".join(f"{part}|" for part in (date.isoformat(), endpoint) if part != _UNNAMED)
    after = f"|{status_type}" if status_type else ""
    room = MAX_TAG_CHARACTERS - len(before) - len(after)
    if len(target) > room:
        digest = "~" + hashlib.sha256(target.encode()).hexdigest()[:10]
        target = target[: room - len(digest)] + digest
    return f"{before}{target}{after}"
