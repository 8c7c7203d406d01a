"""A task's `tag`, by which the vendor's list of tasks is compared with the ledger."""

import datetime as dt
import hashlib
from typing import Final

from backlinks_assets.dataforseo.endpoints.summary import NAME as SUMMARY

MAX_TAG_CHARACTERS: Final = 255
"""The API's limit."""


def request_tag(date: dt.date, target: str, status_type: str, endpoint: str = SUMMARY) -> str:
    """Return `date|target|status type` for a summary, `date|endpoint|target[|status type]` for other endpoints.

    Where the tag would be too long, the target is cut and ends in `~` and ten hex digits of its hash.
    """
    before = "".join(f"{part}|" for part in (date.isoformat(), endpoint) if part != SUMMARY)
    after = f"|{status_type}" if status_type else ""
    room = MAX_TAG_CHARACTERS - len(before) - len(after)
    if len(target) > room:
        digest = "~" + hashlib.sha256(target.encode()).hexdigest()[:10]
        target = target[: room - len(digest)] + digest
    return f"{before}{target}{after}"
