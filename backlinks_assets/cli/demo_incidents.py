"""What a team would have said of the demo's incidents: one is acknowledged, one is put off, one is resolved.

Said by the code of `backlinks incidents`, at noon of the day of each one's last flag, so that the same demo has the same tables.
"""

import datetime as dt
from typing import Final, NamedTuple

from backlinks_assets.collect.factory import open_store
from backlinks_assets.incidents.incident import OPEN
from backlinks_assets.incidents.saying import verdict
from backlinks_assets.incidents.table import read
from backlinks_assets.settings import Settings

SNOOZED_DAYS: Final = 14


class _Word(NamedTuple):
    action: str
    by: str
    note: str
    reason: str | None = None


_WORDS: Final = (
    _Word("ack", "Ann", "Asked the client what has changed."),
    _Word("snooze", "Ben", "The client answers in two weeks."),
    _Word("resolve", "Lea", "Looked at the links with the client: it is so.", "real"),
)


def say(settings: Settings, today: dt.date) -> dt.date | None:
    """Say something of the worst open incidents that were last flagged before today; return the first of these days.

    None if something was said before, as by an earlier demo in the same folder, or if there is nothing to say it of.
    """
    found = [row.of for row in read(settings.root, today) if row.of.state == OPEN and row.of.last_flag < today]
    found.sort(key=lambda one: (one.severity != "critical", -one.last_flag.toordinal(), one.target, one.metric))
    said = []
    for one, word in zip(found, _WORDS, strict=False):
        at = dt.datetime.combine(one.last_flag, dt.time(12), dt.UTC)
        until = today + dt.timedelta(days=SNOOZED_DAYS) if word.action == "snooze" else None
        said.append(verdict(one, word.action, at, word.by, reason=word.reason, until=until, note=word.note))
    with open_store(settings) as store:
        if not said or store.incident_verdicts():
            return None
        store.add_incident_verdicts(said)
    return min(one.day for one in said)
