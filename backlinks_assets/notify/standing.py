"""What a message says of incidents beside their flags: what ended by itself, what nobody looks into, how many are open.

Pure: a day's incidents in, alerts and a line out. When they are sent is `announce.py`.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from backlinks_assets.detection.metrics import METRICS
from backlinks_assets.formatting import counted, number, short_day
from backlinks_assets.incidents.incident import ACKNOWLEDGED, BACK, NEW_LEVEL, OPEN, SNOOZED, Incident
from backlinks_assets.notify.alerts import MAX_NOTE_CHARACTERS, Alert, Kind, shortened, whose
from backlinks_assets.notify.rule import Rule
from backlinks_assets.targets.target import Target

MORNINGS: Final = dt.timedelta(days=2)
"""After so many mornings a critical incident that nobody has acknowledged is announced once more."""


def incident_alerts(
    incidents_of: Callable[[dt.date], Sequence[Incident]],
    day: dt.date,
    evaluated: Sequence[dt.date],
    lines: Mapping[str, Target],
) -> list[Alert]:
    """Return what is new about a day's incidents, given those of any day. `evaluated` are the days with incidents, sorted."""
    earlier = [one for one in evaluated if one < day]
    before = incidents_of(earlier[-1]) if earlier else ()
    over = {
        one.incident
        for one in before
        if one.state == SNOOZED and one.snoozed_until is not None and one.snoozed_until <= day
    }
    alerts = []
    for one in incidents_of(day):
        about = whose(one.target, lines) | {"incident": one.incident}
        for kind, text, of_team in _news(one, day, evaluated, was_snoozed=one.incident in over):
            said = f"{METRICS[one.metric].title}: {text}."
            severity = "critical" if kind is Kind.AGAIN else one.severity
            key = f"{kind.name.lower()}|{one.incident}"
            alerts.append(
                Alert(kind, (key,), " ".join([said, *of_team]), one.target, severity, for_clients=said, **about)
            )
    return alerts


def _news(
    one: Incident, day: dt.date, evaluated: Sequence[dt.date], *, was_snoozed: bool
) -> Iterator[tuple[Kind, str, list[str]]]:
    """Yield what is new about an incident: its kind, what it says, and the sentences for the team alone."""
    since = f"its first flag was on {short_day(one.opened)}"
    ended_now = one.resolved == day
    if (
        ended_now and one.reason == BACK and not METRICS[one.metric].is_state
    ):  # that a target is back is a flag of its own
        yield Kind.BACK, f"usual again; {since}", []
    if ended_now and one.reason == NEW_LEVEL and one.by:
        reopen = f"If it is not over for you: backlinks incidents reopen {one.incident}"
        yield Kind.LEVEL, f"it stays at its new level, which is usual by now; {since}", [*_said(one), reopen]
    if one.state == OPEN and was_snoozed:
        yield Kind.WOKEN, f"it is open again; {since}", _said(one)
    if one.state == OPEN and one.critical_since and _is_second_morning(one.critical_since, day, evaluated):
        ack = f"To say that you do: backlinks incidents ack {one.incident}"
        yield Kind.AGAIN, f"{_size(one)}critical since {short_day(one.critical_since)}", [ack]


def _size(one: Incident) -> str:
    if one.baseline is None or one.change is None:
        return ""
    return f"{number(round(one.baseline + one.change))} against {number(round(one.baseline))}, "


def _said(one: Incident) -> list[str]:
    """Return who spoke last of an incident, with the note."""
    note = f": {shortened(one.note, MAX_NOTE_CHARACTERS).rstrip('.')}" if one.note else ""
    return [f"{one.by}{note}."] if one.by else []


def _is_second_morning(since: dt.date, day: dt.date, evaluated: Sequence[dt.date]) -> bool:
    return day == next((one for one in evaluated if one >= since + MORNINGS), None)


def standing(one: Incident) -> str:
    """Return what was done about an incident, for instance `snoozed` or `resolved: expected`; empty while it is open."""
    if one.reason:
        return f"{one.state}: {one.reason.replace('_', ' ')}"
    return "" if one.state == OPEN else one.state


def standing_line(incidents: Sequence[Incident], lines: Mapping[str, Target], rule: Rule) -> str:
    """Return one line on what is not resolved, of the targets that are a place's; empty where nothing is."""
    theirs = [one for one in incidents if rule.has(lines[one.target].group if one.target in lines else "")]
    states = Counter(one.state for one in theirs)
    critical = sum(one.state == OPEN and one.severity == "critical" for one in theirs)
    parts = [f"{counted(states[OPEN], 'incident')} open" + (f" ({critical:,} critical)" if critical else "")]
    parts += [f"{states[state]:,} {state}" for state in (ACKNOWLEDGED, SNOOZED) if states[state]]
    return ", ".join(parts) + "." if states[OPEN] or len(parts) > 1 else ""
