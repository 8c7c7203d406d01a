"""A task's `tag`: the name by which the vendor's list of tasks is compared with the ledger."""

import datetime as dt
import hashlib
from typing import Final

MAX_TAG_CHARACTERS: Final = 255
"""As the API allows."""

_UNNAMED: Final = "backlinks/summary/live"
"""The one endpoint of the first version, whose tags are without its name."""


def request_tag(date: dt.date, target: str, status_type: str, endpoint: str = _UNNAMED) -> str:
    """Return `date|target|status type` of a summary, `date|endpoint|target` of other endpoints, with a status type after it
    if there is one; the target is cut where the tag would be too long.

    A cut target ends in `~` and ten hex digits of its hash, so that tags of different pages differ.
    """
    before = "".join(f"{part}|" for part in (date.isoformat(), endpoint) if part != _UNNAMED)
    after = f"|{status_type}" if status_type else ""
    room = MAX_TAG_CHARACTERS - len(before) - len(after)
    if len(target) > room:
        digest = "~" + hashlib.sha256(target.encode()).hexdigest()[:10]
        target = target[: room - len(digest)] + digest
    return f"{before}{target}{after}"
