"""An incident: what it is, its ID, and what a person may do with it. No table, no store, no day.

How it changes from day to day is `replay.py`.
"""

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Final

OPEN, ACKNOWLEDGED, SNOOZED, RESOLVED = STATES = ("open", "acknowledged", "snoozed", "resolved")
REASONS: Final = ("real", "expected", "false", "vendor", "duplicate")
"""A person's reasons to resolve an incident."""
BACK, NEW_LEVEL = "back", "new_level"
"""Why an incident resolved by itself: its readings are usual again, or the baseline has moved to them."""
NOT_USUAL: Final = frozenset({"expected", "vendor"})
"""Reasons that keep the incident's readings out of baselines."""
MAX_SNOOZE_DAYS: Final = 90

_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz234567"
ID_LENGTH: Final = 8


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident as it stood at the end of a day. `change`, of its last flag, is from the `baseline` of its first one.

    `usual_low` and `usual_high` are the range the first flag was judged against. `back_readings` and `level_readings` count
    the readings in a row that were usual again, or that the baseline had moved to. None is what is not known.
    """

    incident: str
    target: str
    metric: str
    direction: str
    severity: str
    state: str
    opened: dt.date
    last_flag: dt.date
    critical_since: dt.date | None = None
    resolved: dt.date | None = None
    reason: str | None = None
    by: str | None = None
    note: str | None = None
    snoozed_until: dt.date | None = None
    baseline: float | None = None
    usual_low: float | None = None
    usual_high: float | None = None
    change: float | None = None
    back_readings: int = 0
    level_readings: int = 0

    @property
    def is_resolved(self) -> bool:
        return self.state == RESOLVED


def incident_id(target: str, metric: str, direction: str, opened: dt.date) -> str:
    """Return the ID of the incident that a flag of this day opens.

    Eight letters and digits, the first a letter, so that a spreadsheet takes none for a number. Of 10,000 incidents two have
    the same with a probability of 1 to 17,000.
    """
    digest = hashlib.sha256("\0".join((target, metric, direction, str(opened))).encode("utf-8", "surrogatepass"))
    number = int.from_bytes(digest.digest()[:8])
    number, first = divmod(number, 26)
    text = _LETTERS[first]
    for _ in range(ID_LENGTH - 1):
        number, digit = divmod(number, len(_LETTERS))
        text += _LETTERS[digit]
    return text
