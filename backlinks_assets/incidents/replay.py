"""How incidents change: a day's flags and readings open them, join them and end them; then what people said of them counts.

Pure: the incidents of the day before, the day's rows and verdicts in; the incidents at the day's end out. So a day is
replayed from the one before it, or from the first flag of all, with the same result.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from backlinks_assets.incidents.incident import (
    ACKNOWLEDGED,
    BACK,
    NEW_LEVEL,
    OPEN,
    RESOLVED,
    SNOOZED,
    Incident,
    incident_id,
)
from backlinks_assets.store.incident_verdicts import IncidentVerdict

READINGS_TO_END: Final = 3
"""So many readings in a row end an incident: in the usual range, or at the new level."""
LISTED_DAYS: Final = 90
"""So long a resolved incident stays in the table, and can be reopened."""
RATIO: Final = 2.0
"""A snooze ends when the change is more than so many times what it was: the cooldown's `louder`."""
ALL_TARGETS: Final = "*"
DOWN: Final = "target_down"

Key = tuple[str, str, str]
"""Target, metric and direction."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A row of `backlinks_changes`; `severity` is that of a flag, None without one."""

    target: str
    metric: str
    direction: str | None
    severity: str | None
    value: float | None
    baseline: float | None
    usual_low: float | None
    usual_high: float | None


def advance(
    before: Iterable[Incident], day: dt.date, readings: Iterable[Reading], said: Sequence[IncidentVerdict]
) -> tuple[list[Incident], dict[tuple[str, str], str]]:
    """Return the incidents at a day's end, sorted, and the ID that each flag of the day belongs to, by target and metric.

    `readings` are the day's flags and the rows of targets with open incidents, more do no harm. `said` are verdicts in the
    order in which they were said, after the end of the day before. A flag of all targets belongs to no incident.
    """
    held = {one.incident: one for one in before}
    ids: dict[tuple[str, str], str] = {}
    unresolved = _open_ones(held)
    for reading in sorted(readings, key=lambda one: (one.target, one.metric)):
        if reading.target == ALL_TARGETS:
            continue
        found = unresolved.get((reading.target, reading.metric), [])
        if reading.severity is not None:
            ids |= _flag(held, found, reading, day)
        for name in found:
            if held[name].last_flag < day and not held[name].is_resolved:
                held[name] = _read(held[name], reading, day)
    for verdict in said:
        if verdict.incident in held:
            held[verdict.incident] = apply(held[verdict.incident], verdict)
    oldest = day - dt.timedelta(days=LISTED_DAYS)
    ended = [end_snooze(one, day) for one in held.values()]
    return sorted((one for one in ended if one.resolved is None or one.resolved >= oldest), key=_order), ids


def _order(one: Incident) -> tuple[str, str, str, dt.date]:
    return one.target, one.metric, one.direction, one.opened


def _open_ones(held: Mapping[str, Incident]) -> dict[tuple[str, str], list[str]]:
    """Return the IDs of what is not resolved by target and metric, the newest first."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in sorted(held.values(), key=lambda one: one.opened, reverse=True):
        if not one.is_resolved:
            found.setdefault((one.target, one.metric), []).append(one.incident)
    return found


def _flag(held: dict[str, Incident], found: Sequence[str], flag: Reading, day: dt.date) -> dict[tuple[str, str], str]:
    """Let a flag open an incident or join one; return its ID, if it has one."""
    key, direction = (flag.target, flag.metric), flag.direction or "up"
    if flag.metric == DOWN and direction == "up":  # the target is back: the end of an incident, and the start of none
        for name in found:
            held[name] = replace(_resolved(held[name], BACK, day), last_flag=day)
        return {key: found[0]} if found else {}
    joined = next((name for name in found if held[name].direction == direction), None)
    severity = flag.severity or "warning"
    if joined is None:
        opened = incident_id(flag.target, flag.metric, direction, day)
        held[opened] = Incident(
            opened, flag.target, flag.metric, direction, severity, OPEN, day, day,
            critical_since=day if severity == "critical" else None, baseline=flag.baseline, usual_low=flag.usual_low,
            usual_high=flag.usual_high, change=_less(flag.value, flag.baseline),
        )  # fmt: skip
        return {key: opened}
    one = held[joined]
    turned = severity == "critical" and one.severity != "critical"
    if one.state == SNOOZED and (turned or _passes(one, flag.value)):
        one = replace(one, state=OPEN, snoozed_until=None)
    held[joined] = replace(
        one,
        last_flag=day,
        severity="critical" if turned else one.severity,
        critical_since=day if turned else one.critical_since,
        change=_less(flag.value, one.baseline),
        back_readings=0,
        level_readings=0,
    )
    return {key: joined}


def _read(one: Incident, reading: Reading, day: dt.date) -> Incident:
    """Let a reading without a flag end an incident or its snooze, or count towards that."""
    if reading.value is None:
        return one
    if one.state == SNOOZED and _passes(one, reading.value):
        one = replace(one, state=OPEN, snoozed_until=None)
    back = not _is_beyond(one, reading.value, one.usual_low, one.usual_high)
    moved = not back and (
        reading.baseline is not None
        and _is_beyond(one, reading.baseline, one.usual_low, one.usual_high)
        and not _is_beyond(one, reading.value, reading.usual_low, reading.usual_high)
    )
    one = replace(
        one,
        back_readings=one.back_readings + 1 if back else 0,
        level_readings=one.level_readings + 1 if moved else 0,
    )
    if one.back_readings >= READINGS_TO_END:
        return _resolved(one, BACK, day)
    return _resolved(one, NEW_LEVEL, day) if one.level_readings >= READINGS_TO_END else one


def _is_beyond(one: Incident, value: float, low: float | None, high: float | None) -> bool:
    """Whether a value lies outside a range on the incident's side; a range that is not known holds nothing."""
    edge = high if one.direction == "up" else low
    return edge is None or (value > edge if one.direction == "up" else value < edge)


def _passes(one: Incident, value: float | None) -> bool:
    change = _less(value, one.baseline)
    if change is None or one.change is None or (change > 0) != (one.change > 0):
        return False
    return abs(change) > RATIO * abs(one.change)


def _less(value: float | None, baseline: float | None) -> float | None:
    return None if value is None or baseline is None else value - baseline


def _resolved(one: Incident, reason: str, day: dt.date) -> Incident:
    return replace(one, state=RESOLVED, reason=reason, resolved=day, snoozed_until=None)


def apply(one: Incident, said: IncidentVerdict) -> Incident:
    """Return an incident after a verdict about it. What no longer fits, since another was quicker, changes nothing."""
    if one.is_resolved and said.action in {"ack", "snooze"}:
        return one
    named = replace(one, by=said.by, note=said.note or one.note)
    match said.action:
        case "ack":
            return replace(named, state=ACKNOWLEDGED, snoozed_until=None)
        case "snooze":
            return end_snooze(replace(named, state=SNOOZED, snoozed_until=said.until), said.day)
        case "resolve":
            return _resolved(named, said.reason or "real", one.resolved or said.day)
        case "reopen":
            return replace(
                named, state=OPEN, reason=None, resolved=None, snoozed_until=None, back_readings=0, level_readings=0
            )
    return one


def end_snooze(one: Incident, day: dt.date) -> Incident:
    """Return an incident that is open again if its snooze has ended by a day."""
    if one.state == SNOOZED and (one.snoozed_until is None or one.snoozed_until <= day):
        return replace(one, state=OPEN, snoozed_until=None)
    return one
