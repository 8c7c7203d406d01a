"""What people say of incidents: acknowledged, snoozed, resolved, reopened. Rows are appended and never changed.

Here belong their table and how rows are written and read. What they do to an incident is `incidents/replay.py`. The caller
gives the transaction.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Final, NamedTuple

import sqlalchemy as sa

from backlinks_assets.store.columns import TEXT, Instant, hold
from backlinks_assets.store.database import metadata

ACTIONS: Final = ("ack", "snooze", "resolve", "reopen")

incident_verdicts = sa.Table(
    "incident_verdicts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column(
        "said_at", Instant, nullable=False, comment="UTC; a day's tables are made with what was said before its end"
    ),
    sa.Column("by", TEXT, nullable=False, comment="who said it"),
    sa.Column("incident", TEXT, nullable=False),
    sa.Column("action", TEXT, nullable=False, comment=", ".join(ACTIONS)),
    sa.Column("reason", TEXT, comment="of `resolve`"),
    sa.Column("until", sa.Date, comment="of `snooze`"),
    sa.Column("note", TEXT),
    sa.Column("target", TEXT, nullable=False, comment="the incident's, as are the columns that follow"),
    sa.Column("metric", TEXT, nullable=False),
    sa.Column("direction", TEXT, nullable=False),
    sa.Column("opened", sa.Date, nullable=False),
)


class IncidentVerdict(NamedTuple):
    """What one person said of one incident. The incident is named by its ID; what it is about is said with it."""

    said_at: dt.datetime
    by: str
    incident: str
    action: str
    reason: str | None
    until: dt.date | None
    note: str | None
    target: str
    metric: str
    direction: str
    opened: dt.date

    @property
    def day(self) -> dt.date:
        """The UTC day on which it was said, the first that it counts for."""
        return self.said_at.date()


_SAID: Final = sa.select(*[incident_verdicts.c[name] for name in IncidentVerdict._fields]).order_by("said_at", "id")


def append_new(tx: sa.Connection, said: Sequence[IncidentVerdict]) -> int:
    """Append the verdicts that are not there yet, and return how many those are."""
    hold(tx, "incident verdicts")
    there = set(of_incidents(tx))
    new = [one for one in dict.fromkeys(said) if one not in there]
    if new:
        tx.execute(incident_verdicts.insert(), [one._asdict() for one in new])
    return len(new)


def append_after(tx: sa.Connection, said: IncidentVerdict, last: IncidentVerdict | None) -> IncidentVerdict | None:
    """Append a verdict if `last` is the last one about its incident; return the one that is if not, and append nothing."""
    hold(tx, "incident verdicts")
    about = [one for one in of_incidents(tx) if one.incident == said.incident]
    if about and about[-1] != last:
        return about[-1]
    tx.execute(incident_verdicts.insert(), said._asdict())
    return None


def of_incidents(tx: sa.Connection) -> tuple[IncidentVerdict, ...]:
    """Return all verdicts about incidents, in the order in which they were said."""
    return tuple(IncidentVerdict(*row) for row in tx.execute(_SAID))
