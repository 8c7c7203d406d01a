"""When a target's links came and went: streams of links, each numbered in the order in which that happened.

What `history` publishes are levels, which also move by noise. A flow is exact: it is a closed form of the day, so that a
year is as quick to count as a day, and single links (`listing`) can be generated for the days that are looked at.
Links that came and went before all of that are old ones, as many as the published level needs.

Losses are by the day on which the crawler found them. A hub that came back is not lost; most links of a spam attack are
forgotten without ever being listed as lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from backlinks_assets.simulator.world.answers import DEAD
from backlinks_assets.simulator.world.events import (
    ATTACK,
    CLEANUP,
    HUB_LOST,
    SLIDE,
    Event,
    Refresh,
    begun,
    events,
    refreshes,
)
from backlinks_assets.simulator.world.history import (
    HUB,
    NETWORK,
    ON_SECOND_DAY,
    POOL,
    REFRESH_SHARE,
    TAIL,
    attackers,
    away_since,
    cleaned_up,
    crawled_on,
    hub_gone,
    refreshed,
    usual_links,
)
from backlinks_assets.simulator.world.noise import draws, ramp, wave
from backlinks_assets.simulator.world.selection import THIN
from backlinks_assets.simulator.world.site import Site, site

STILL_LOSING_DAYS, STILL_GROWING_DAYS = 110, 310  # after an event began
_YEAR = 365
_SHORT_LIVED = 0.08  # share of the tail whose links come and go; the others are old
_FORGOTTEN = 0.75  # of a spam attack's links that die, these are not listed as lost


@dataclass(frozen=True, slots=True)
class Stream:
    """Links of one origin, numbered as they came or went: the same origin and number is the same link.

    `count(day)` is the number after the last one by the end of that day. `gone(day)`, of what came, is the number of the
    first that is still there.
    """

    kind: int
    hub: int
    origin: str
    count: Callable[[int], int]
    gone: Callable[[int], int] | None = None
    whole: bool = False  # of a lost hub: none of its links is left


def span(stream: Stream, since: int, day: int) -> tuple[int, int]:
    """The numbers (first, end) of the links that came or went from `since` on, and that are so on `day`."""
    first, end = stream.count(since - 1), stream.count(day)
    if stream.gone is not None:
        first = max(first, stream.gone(day))
    return first, max(first, end)


def losses(target: str, since: int, day: int) -> list[Stream]:
    """The streams of losses since a day, as they stand on `day`."""
    if target in (THIN, DEAD):
        return []
    of = site(target)
    crawled = crawled_on(of, day)
    found = [Stream(TAIL, 0, "tail", lambda at: _steady(of, crawled_on(of, at)))]
    for event in begun(of, since - STILL_LOSING_DAYS, day):
        back = event.returns_after_days
        if event.kind != HUB_LOST or not back or crawled - event.day < back:
            found.append(_loss(of, event))
    found += [_loss_of(of, each) for each in refreshes(day) if each.lost_share > 0 and each.day >= since - 1]
    if of.flapping and (away := away_since(of, crawled)) is not None:
        links = int(usual_links(of, crawled) * of.hub_shares[0])
        found.append(_step(of, HUB, 0, f"flap {away}", away, links, whole=True))
    return found


def arrivals(target: str, since: int, day: int) -> list[Stream]:
    """The streams of new links since a day, as they stand on `day`."""
    if target in (THIN, DEAD):
        return []
    of = site(target)
    lag = lifetime_days(of)

    def came(at: int) -> int:
        return _steady(of, crawled_on(of, crawled_on(of, at) + lag))

    found = [Stream(TAIL, 0, "tail", came, lambda at: _steady(of, crawled_on(of, at)))]
    return found + [_arrival(of, event) for event in begun(of, since - STILL_GROWING_DAYS, day)]


def lifetime_days(of: Site) -> int:
    """How long a short-lived link of the tail is there."""
    return int(_SHORT_LIVED * _YEAR / of.stock)


@lru_cache(maxsize=65_536)
def _steady(of: Site, crawled: int) -> int:
    """Short-lived links of the tail that are gone by then, at an uneven pace: within a year as many as are remembered."""
    pace = crawled + 3 * wave(of.key, crawled, 14)[5] + 0.3 * draws(of.key, "day", crawled)[2]
    return int(of.links * of.tail_share * of.stock / _YEAR * pace)


def _step(of: Site, kind: int, hub: int, origin: str, day: int, links: int, *, whole: bool = False) -> Stream:
    return Stream(kind, hub, origin, lambda at: links if crawled_on(of, at) >= day else 0, whole=whole)


def _loss(of: Site, event: Event) -> Stream:
    links, horizon = _lost_links(of, event), event.horizon_days
    name = f"{event.kind} {event.day}"
    if event.kind == HUB_LOST:
        return _step(of, HUB, event.hub, name, event.day, links, whole=event.size >= 1)
    if event.kind == ATTACK:

        def died(at: int) -> int:
            share = ramp(crawled_on(of, at) - event.day, 0.1 * horizon, 0.5 * horizon)
            return int(links * min(1.0, 4 * share * (1 - min(share, 0.5))))

        return Stream(NETWORK, 0, name, died)
    end = event.spread_days - (event.kind == CLEANUP)
    kind = POOL if event.kind == CLEANUP else TAIL
    return Stream(kind, 0, name, lambda at: int(links * ramp(crawled_on(of, at) - event.day, -1, end)))


@lru_cache(maxsize=65_536)
def _lost_links(of: Site, event: Event) -> int:
    """How many links an event takes, which is by how much the published lost links grow."""
    found = crawled_on(of, event.day + of.crawl_every - 1)
    usual, remembered = usual_links(of, found), max(0.0, 1 + refreshed(of, found)[1])
    if event.kind == HUB_LOST:
        share = event.size
        if not (of.flapping and event.hub == 0):
            now, before = (hub_gone(of, event.hub, events(of, at), at)[1] for at in (found, event.day - 1))
            share = now - before
        return max(0, int(usual * of.hub_shares[event.hub] * share * remembered))
    if event.kind == CLEANUP:
        now, before = (cleaned_up(events(of, at), at)[1] for at in (event.day + event.spread_days, event.day - 1))
        return max(0, int(usual * of.pool_share * (now - before) * remembered))
    if event.kind == SLIDE:
        return int(usual * of.tail_share * event.size * remembered)
    return int(0.4 * (1 - _FORGOTTEN) * of.links * attackers(of, event) * remembered)


@lru_cache(maxsize=65_536)
def _attacking_links(of: Site, event: Event) -> int:
    return int(of.links * attackers(of, event) * (1 - 0.15 * refreshed(of, event.day)[1]))


def _loss_of(of: Site, each: Refresh) -> Stream:
    """What an index refresh found lost: it moves most targets."""
    u = draws(of.key, "refresh", each.number)
    share = each.lost_share * (0.65 + 0.7 * u[3]) if u[0] < REFRESH_SHARE else 0.0
    day, links = each.day + (u[1] < ON_SECOND_DAY), int(of.links * of.tail_share * of.stock * share)
    return Stream(TAIL, 0, f"refresh {each.day}", lambda at: links if at >= day else 0)


def _arrival(of: Site, event: Event) -> Stream:
    horizon, name = event.horizon_days, f"{event.kind} {event.day}"

    def age(at: int) -> int:
        return crawled_on(of, at) - event.day

    if event.kind == ATTACK:
        links = _attacking_links(of, event)
        return Stream(
            NETWORK,
            0,
            name,
            lambda at: int(links * (0.75 + 0.25 * ramp(age(at), 0, event.spread_days))) if age(at) >= 0 else 0,
            lambda at: int(links * ramp(age(at), 0.1 * horizon, 0.5 * horizon)),
        )
    kind, begin, end = {
        HUB_LOST: (HUB, 0.2, 0.65),
        CLEANUP: (POOL, 0.25, 0.65),
        SLIDE: (TAIL, 0.4, 1.0),
    }[event.kind]
    links = 0 if event.returns_after_days else _lost_links(of, event)
    return Stream(
        kind, event.hub, f"after {name}", lambda at: int(links * ramp(age(at), begin * horizon, end * horizon))
    )
