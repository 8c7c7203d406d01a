"""The lines of the targets file that can't be used, told once for as long as they stay the same.

Judging only, and what was told last. When a message goes out is `announce.py`.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Sequence
from typing import Final

from backlinks_assets.notify.alerts import LINES, News
from backlinks_assets.notify.outbox import Memory
from backlinks_assets.targets.target import BadLine

_TOLD: Final = "bad_lines_told"


def bad_lines_news(memory: Memory, bad_lines: Sequence[BadLine], today: dt.date) -> list[News]:
    """Return a piece of news for each bad line, all with one key, unless these same lines were told last.

    What is told is kept by the day, and bad lines may stay for weeks: so the key that was told last is noted too. Once
    the file is mended the note is empty, so that the same mistake is told again when it comes again on another day.
    """
    last = memory.note(_TOLD, "")
    key = _key(bad_lines)
    if key != last and (not key or memory.is_told(today, key) or memory.is_told(today - dt.timedelta(days=1), key)):
        memory.write_note(_TOLD, key)
        return []
    if key == last:
        return []
    return [News(LINES, (key,), bad.reason, bad.shown_cell) for bad in bad_lines]


def _key(bad_lines: Sequence[BadLine]) -> str:
    """Return a key for a set of bad lines, wherever in the file they stand; empty for none."""
    if not bad_lines:
        return ""
    said = sorted(f"{bad.cell}\0{re.sub(r'line [0-9]+', 'line', bad.why)}" for bad in bad_lines)
    return f"{LINES}|{hashlib.sha256(chr(10).join(said).encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
