"""What happens to simulated targets and to the simulated index, and when. Its effects are in `history`.

A plain target has about one event in 120 days. The sample targets take turns so that every day has an event
at one of them: a demonstration has something to show on any day.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from backlinks_assets.simulator.world.noise import draws
from backlinks_assets.simulator.world.site import Site

ATTACK, HUB_LOST, CLEANUP, SLIDE = "spam attack", "hub lost", "cleanup", "slide"

REFRESH_CYCLE_DAYS = 45
REFRESHES_SHOWN = 8  # of the newest, that still have an effect

_PLAIN_SLOT_DAYS = 120
_EVENTFUL = 0.9  # share of slots in which something happens
_KINDS = ((0.40, ATTACK), (0.78, HUB_LOST), (0.90, CLEANUP), (1.0, SLIDE))  # cumulated chances
_RETURNING = 0.3  # share of lost hubs that come back within days
_PLAIN_HORIZON_DAYS = 300
_SAMPLE_SLOT_DAYS = 30  # with 30 sample targets: one of them a day
_SAMPLE_HORIZON_DAYS = 90
# Any three days in a row have one that raises spam or cleans it up, and one that loses links.
_SAMPLE_TURNS = (ATTACK, HUB_LOST, ATTACK, HUB_LOST, CLEANUP, HUB_LOST, ATTACK, HUB_LOST, ATTACK, HUB_LOST)
_RETURNING_TURN = 5  # every ten days one of the samples loses a hub that is back soon
_RETURNS_AFTER_DAYS = 3


@dataclass(frozen=True, slots=True)
class Event:
    """One occurrence. `size`: points of spam score of an attack, of others the share of links taken."""

    day: int  # proleptic ordinal, as date.toordinal()
    kind: str
    size: float
    horizon_days: int  # after these days nothing of it is left
    hub: int = 0
    returns_after_days: int = 0  # a lost hub that comes back; 0: it does not
    spread_days: int = 1  # days from its first effect to its full one


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh of the whole index: on `day` and the next one most targets move by related amounts."""

    number: int
    day: int
    spam_points: float
    lost_share: float


@lru_cache(maxsize=256)
def refresh(number: int) -> Refresh:
    """The index refresh of that number. Signs alternate, so that levels do not wander off."""
    u = draws("index refresh", number)
    sign = 1 if number % 2 else -1
    moves = (("spam", "lost", "both")[int(u[1] * 3)]) if number % 3 else "both"
    return Refresh(
        number=number,
        day=number * REFRESH_CYCLE_DAYS + int(u[0] * 12),
        spam_points=0.0 if moves == "lost" else sign * (3 + 2 * u[2]),
        lost_share=0.0 if moves == "spam" else -sign * (0.09 + 0.09 * u[3]),
    )


def refreshes(last_day: int) -> Iterator[Refresh]:
    """The index refreshes that began on `last_day` or before, the newest first, `REFRESHES_SHOWN` of them."""
    number = last_day // REFRESH_CYCLE_DAYS
    newest = number if refresh(number).day <= last_day else number - 1
    return (refresh(n) for n in range(newest, newest - REFRESHES_SHOWN, -1))


def begun(site: Site, first: int, last: int) -> list[Event]:
    """The target's events that began on a day from `first` to `last`, the oldest first."""
    slot_days, slot = (_PLAIN_SLOT_DAYS, _plain_slot) if site.number is None else (_SAMPLE_SLOT_DAYS, _sample_slot)
    number = site.number or 0
    found = [
        event
        for each in range((first - number) // slot_days - 1, (last - number) // slot_days + 1)
        for event in slot(site, each)
    ]
    return [event for event in found if first <= event.day <= last]


def events(site: Site, day: int) -> list[Event]:
    """The target's events that began on `day` or before and still show, the oldest first."""
    slot_days, horizon = (
        (_PLAIN_SLOT_DAYS, _PLAIN_HORIZON_DAYS) if site.number is None else (_SAMPLE_SLOT_DAYS, _SAMPLE_HORIZON_DAYS)
    )
    start = day - (site.number or 0)
    newest = start // slot_days
    found: list[Event] = []
    for slot in range(newest - horizon // slot_days - 1, newest + 1):
        found += _plain_slot(site, slot) if site.number is None else _sample_slot(site, slot)
    return [event for event in found if 0 <= day - event.day < event.horizon_days]


def _plain_slot(site: Site, slot: int) -> list[Event]:
    u = draws(site.key, "event", slot)
    if u[0] >= _EVENTFUL:
        return []
    kind = next(kind for chance, kind in _KINDS if u[2] < chance)
    back = 2 + int(u[5] * 8) if kind == HUB_LOST and u[4] < _RETURNING else 0
    size, spread = {
        ATTACK: (8 + 22 * u[3], 1 + int(u[4] * 4)),
        HUB_LOST: (1.0, 1),
        CLEANUP: (0.7 + 0.3 * u[3], 1 + int(u[4] * 3)),
        SLIDE: (0.15 + 0.25 * u[3], 10 + int(u[4] * 11)),
    }[kind]
    return [
        Event(
            day=slot * _PLAIN_SLOT_DAYS + 6 + int(u[1] * 108),
            kind=kind,
            size=size,
            horizon_days=_PLAIN_HORIZON_DAYS,
            hub=min(int(u[3] * 2.5), len(site.hub_shares) - 1),
            returns_after_days=back,
            spread_days=spread,
        )
    ]


def _sample_slot(site: Site, slot: int) -> list[Event]:
    number = site.number or 0
    day = slot * _SAMPLE_SLOT_DAYS + number
    turn = (number + 3 * slot) % len(_SAMPLE_TURNS)  # by three: a target's turns differ from slot to slot
    kind = _SAMPLE_TURNS[turn]
    u = draws(site.key, "event", slot)
    found = [
        Event(
            day,
            kind,
            12 + 14 * u[0] if kind == ATTACK else 0.9,
            _SAMPLE_HORIZON_DAYS,
            hub=slot % len(site.hub_shares),
            returns_after_days=_RETURNS_AFTER_DAYS if turn == _RETURNING_TURN else 0,
            spread_days=2 if kind == ATTACK else 1,
        )
    ]
    if turn == len(_SAMPLE_TURNS) - 1:
        found.append(Event(day + 13, SLIDE, 0.7, _SAMPLE_HORIZON_DAYS, spread_days=11))
    return found
