"""What a person says of an incident, checked: a verdict, or a sentence that says why it can't be one.

Pure. Which incident is meant, and where a verdict is stored, is `current_incidents.py`.
"""

import datetime as dt
from typing import Final

from backlinks_assets.errors import BacklinksError
from backlinks_assets.formatting import visible
from backlinks_assets.incidents.incident import MAX_SNOOZE_DAYS, REASONS, Incident
from backlinks_assets.store.incident_verdicts import ACTIONS, IncidentVerdict

MAX_NOTE_CHARACTERS: Final = 1000
MAX_BY_CHARACTERS: Final = 100
DONE: Final = {"ack": "acknowledged", "snooze": "snoozed", "resolve": "resolved", "reopen": "open again"}
"""What an incident is after each action."""


class VerdictError(BacklinksError):
    """What was said of an incident can't be used; the message says how to say it."""

    exit_status = 2


def verdict(
    one: Incident,
    action: str,
    at: dt.datetime,
    by: str,
    *,
    reason: str | None = None,
    until: dt.date | None = None,
    note: str = "",
) -> IncidentVerdict:
    """Return what `by` says of an incident at an instant (UTC).

    Raises:
        VerdictError: the incident is resolved, or an action, a reason, a day or a text does not fit.
    """
    if action not in ACTIONS:
        raise VerdictError(
            f"{visible(action)!r} is nothing to do with an incident. Choose one of {', '.join(ACTIONS)}."
        )
    if one.is_resolved and action in {"ack", "snooze"}:
        raise VerdictError(
            f"{one.incident} is resolved ({one.reason}, {one.resolved}). Open it again first: `backlinks incidents reopen "
            f"{one.incident}`."
        )
    if action == "resolve" and reason not in REASONS:
        raise VerdictError(f"Choose a reason why {one.incident} is resolved: {', '.join(REASONS)}.")
    first, last = snooze_days(at.date())
    if action == "snooze" and until is None:
        raise VerdictError(f"Choose the day on which {one.incident} is open again, from {first} to {last}.")
    if action == "snooze" and until is not None and not first <= until <= last:
        raise VerdictError(f"{until} can't be the end of a snooze. Write a day from {first} to {last}.")
    who = words(by, MAX_BY_CHARACTERS, "name")
    if not who:
        raise VerdictError("The name has no letter that can be seen: write who says so.")
    return IncidentVerdict(
        said_at=at,
        by=who,
        incident=one.incident,
        action=action,
        reason=reason if action == "resolve" else None,
        until=until if action == "snooze" else None,
        note=words(note, MAX_NOTE_CHARACTERS, "note") or None,
        target=one.target,
        metric=one.metric,
        direction=one.direction,
        opened=one.opened,
    )


def snooze_days(today: dt.date) -> tuple[dt.date, dt.date]:
    """Return the first and the last day on which a snooze of today may end."""
    return today + dt.timedelta(days=1), today + dt.timedelta(days=MAX_SNOOZE_DAYS)


def words(text: str, most: int, what: str) -> str:
    """Return a text as one line that any store takes. Raises VerdictError where it is too long."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(text) > most:
        raise VerdictError(f"The {what} has {len(text):,} characters, and {most:,} are the most: shorten it.")
    return text
