"""An incident as its form shows it: what it is now, who said so and when, and a mark by which a change is noticed."""

import datetime as dt
from typing import Final, NamedTuple

from backlinks_assets.detection.metrics import moved
from backlinks_assets.formatting import long_day
from backlinks_assets.incidents.incident import ACKNOWLEDGED, BACK, NEW_LEVEL, RESOLVED, SNOOZED
from backlinks_assets.incidents.saying import DONE
from backlinks_assets.incidents.table import Row
from backlinks_assets.store.incident_verdicts import IncidentVerdict

_BY_ITSELF: Final = {BACK: "its readings are usual again", NEW_LEVEL: "it stays there: this is a new level"}


class Standing(NamedTuple):
    """An incident now, and the last that was said of it."""

    row: Row
    last: IncidentVerdict | None

    @property
    def id(self) -> str:
        return self.row.of.incident

    @property
    def seen(self) -> str:
        """A text that is another once the incident has changed."""
        return f"{self.row.of.state} {self.last.said_at.isoformat() if self.last else 'nothing said'}"

    @property
    def what(self) -> str:
        """What moved, as a heading has it."""
        return moved(self.row.of.metric, self.row.of.direction)

    @property
    def sentence(self) -> str:
        """What it is now, in a sentence."""
        one, last = self.row.of, self.last
        by = f" by {last.by}, {said_at(last)}" if last else f" by {one.by}" if one.by else ""
        if one.state == RESOLVED and one.reason in _BY_ITSELF and one.resolved:
            return f"Resolved by itself on {long_day(one.resolved)}: {_BY_ITSELF[one.reason]}."
        if one.state == RESOLVED:
            return f"Resolved as {one.reason}{by}."
        if one.state == ACKNOWLEDGED:
            return f"Acknowledged{by}."
        if one.state == SNOOZED and one.snoozed_until:
            return f"Snoozed until {long_day(one.snoozed_until)}{by}."
        if last is not None and last.action == "snooze":
            return f"Open again after the snooze{by}."
        return f"Open again{by}." if by else "Open: nobody has taken it on."


def said_at(said: IncidentVerdict) -> str:
    at = said.said_at.astimezone(dt.UTC)
    return f"{long_day(at.date())} at {at:%H:%M} UTC"


def overtaken(one: Standing, seen: str) -> str:
    """Return who changed an incident, and when, since its form was shown."""
    last = one.last
    if last is None or seen.endswith(last.said_at.isoformat()):
        return f"Meanwhile it changed by itself. {one.sentence}"
    note = f", with the note “{last.note}”" if last.note else ""
    return f"Meanwhile {last.by} said that it is {DONE[last.action]}, on {said_at(last)}{note}."
