"""What the index holds about a target on a day: its populations of links, and the published spam scores.

Pure and deterministic from (target, day). Nothing is added to noise afterwards: every number is the read-out
of populations (the tail of small domains, hubs, an old spam pool, spam attacks) of which links are live, lost
and still remembered, or forgotten. How the read-out becomes an answer is in `answers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from backlinks_assets.simulator.world.events import ATTACK, CLEANUP, HUB_LOST, SLIDE, Event, events, refreshes
from backlinks_assets.simulator.world.noise import draws, ramp, wave
from backlinks_assets.simulator.world.site import Site, site

TAIL, HUB, POOL, NETWORK = range(4)

REFRESH_SHARE = 0.7  # of targets that an index refresh moves
_REFRESH_FADE_DAYS = 360
ON_SECOND_DAY = 0.4  # share of the targets moved that see the refresh only on its second day
NETWORK_SCORE = 90.0
_WEEKDAY_CRAWL = (0.0, 0.2, 0.45, 0.7, 0.9, 1.0, 0.5)  # how much of the week's losses was found, Monday first


class Population(NamedTuple):
    """Links of one origin. `live` and `lost` are counts before rounding, `score` their mean spam score."""

    kind: int
    hub: int  # which hub; 0 for the other kinds
    live: float
    lost: float
    score: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A target as published on a day."""

    site: Site
    populations: tuple[Population, ...]
    live_score: float
    lost_score: float


@lru_cache(maxsize=8192)
def snapshot(target: str, day: int) -> Snapshot:
    """The target as published on `day` (an ordinal): last crawled and scored, index refreshes on top."""
    of = site(target)
    crawled = crawled_on(of, day)
    scored = crawled - (crawled - of.score_phase) % of.score_every
    spam_points, lost_share = refreshed(of, day)
    found = _populations(of, crawled)
    at_scoring = found if scored == crawled else _populations(of, scored)
    drift = wave(of.key, scored, 60)[8] * 0.8
    return Snapshot(
        site=of,
        populations=tuple(
            p._replace(live=p.live * (1 - 0.15 * lost_share), lost=p.lost * (1 + lost_share)) for p in found
        ),
        live_score=_bounded(_mean_score(at_scoring, lost=False) + drift + spam_points),
        lost_score=_bounded(_mean_score(at_scoring, lost=True) + drift + spam_points),
    )


def _bounded(score: float) -> float:
    return min(100.0, max(0.0, score))


def _mean_score(found: list[Population], *, lost: bool) -> float:
    links = sum(p.lost if lost else p.live for p in found)
    return sum((p.lost if lost else p.live) * p.score for p in found) / links if links else 0.0


def refreshed(of: Site, day: int) -> tuple[float, float]:
    """Points of spam score, and share of the lost stock, that index refreshes have put on this target."""
    spam = lost = 0.0
    for each in refreshes(day):
        u = draws(of.key, "refresh", each.number)
        age = day - each.day - (u[1] < ON_SECOND_DAY)
        if u[0] < REFRESH_SHARE and age >= 0:
            left = 1 - ramp(age, 0, _REFRESH_FADE_DAYS)
            spam += left * each.spam_points * (0.65 + 0.7 * u[2])
            lost += left * each.lost_share * (0.65 + 0.7 * u[3])
    return spam, lost


def crawled_on(of: Site, day: int) -> int:
    """The last day, not after this one, on which the target was crawled."""
    return day - (day - of.crawl_phase) % of.crawl_every


def usual_links(of: Site, day: int) -> float:
    """The links that a target would have on a day if nothing had happened to it."""
    return _usual(of, wave(of.key, day, 96), wave(of.key, day, 14), draws(of.key, "day", day))


def _usual(of: Site, slow: tuple[float, ...], quick: tuple[float, ...], today: tuple[float, ...]) -> float:
    return of.links * (1 + 0.08 * slow[0] + 0.006 * quick[0] + 0.002 * (today[0] - 0.5))


def _populations(of: Site, day: int) -> list[Population]:
    slow, quick = wave(of.key, day, 96), wave(of.key, day, 14)
    today = draws(of.key, "day", day)
    links = _usual(of, slow, quick, today)
    shown = events(of, day)

    tail = links * of.tail_share
    stock = tail * of.stock * (1 + 0.08 * slow[1] + 0.006 * quick[1] + 0.003 * (today[1] - 0.5))
    stock *= (1 + 0.008 * _WEEKDAY_CRAWL[(day - 1) % 7]) * _pruned(of, day)
    slid, slid_lost = _slides(shown, day)
    found = [Population(TAIL, 0, tail * (1 - slid), stock + tail * slid_lost, of.tail_score + 0.6 * slow[2])]

    for n, share in enumerate(of.hub_shares):
        gone, remembered = hub_gone(of, n, shown, day)
        hub_links = links * share
        found.append(Population(HUB, n, hub_links * (1 - gone), hub_links * remembered, of.hub_scores[n]))

    cleaned, cleaned_lost = cleaned_up(shown, day)
    pool = links * of.pool_share
    found.append(Population(POOL, 0, pool * (1 - cleaned), pool * (0.1 + cleaned_lost), of.pool_score))
    live, lost = _attacks(of, shown, day)
    found.append(Population(NETWORK, 0, of.links * live, of.links * lost, NETWORK_SCORE))
    return found


def _pruned(of: Site, day: int) -> float:
    """A stock that is pruned in batches grows between prunings and then steps down."""
    return 1.0 if not of.prune_every else 1 + 0.12 * ((day % of.prune_every) / of.prune_every)


def _slides(shown: list[Event], day: int) -> tuple[float, float]:
    """Shares of the tail that slow slides have taken off, and that are remembered as lost."""
    gone = remembered = 0.0
    for event in shown:
        if event.kind == SLIDE:
            age, horizon = day - event.day, event.horizon_days
            fallen = event.size * ramp(age, -1, event.spread_days)
            fading = 1 - ramp(age, 0.4 * horizon, horizon)
            gone += fallen * fading
            remembered += fallen * fading
    return min(gone, 0.9), remembered


def hub_gone(of: Site, number: int, shown: list[Event], day: int) -> tuple[float, float]:
    """Shares of a hub's links that are gone, and that are remembered as lost."""
    gone = remembered = 0.0
    if of.flapping and number == 0:
        gone = remembered = 1.0 if away_since(of, day) else 0.0
    for event in shown:
        age, horizon, back = day - event.day, event.horizon_days, event.returns_after_days
        if event.kind == HUB_LOST and event.hub == number and not (back and age >= back):
            gone = max(gone, event.size * (1 - ramp(age, 0.2 * horizon, 0.65 * horizon)))
            remembered = max(remembered, event.size * (1 - ramp(age, 0.35 * horizon, horizon)))
    return gone, remembered


def away_since(of: Site, day: int) -> int | None:
    """The day of the week on which a flapping hub went away, if it is away on a day."""
    week, u = day // 7, draws(of.key, "flap", day // 7)
    first, back = 7 * week + int(u[0] * 3), 7 * week + 4 + int(u[1] * 3)
    return first if first <= day < back else None


def cleaned_up(shown: list[Event], day: int) -> tuple[float, float]:
    """Shares of the old spam pool that cleanups have removed, and that are remembered as lost."""
    gone = remembered = 0.0
    for event in shown:
        if event.kind == CLEANUP:
            age, horizon = day - event.day, event.horizon_days
            removed = event.size * ramp(age, -1, event.spread_days - 1)
            gone = max(gone, removed * (1 - ramp(age, 0.25 * horizon, 0.65 * horizon)))
            remembered = max(remembered, removed * (1 - ramp(age, 0.35 * horizon, horizon)))
    return gone, remembered


def attackers(of: Site, attack: Event) -> float:
    """Links of a spam attack, as a share of the target's usual links.

    An attack of d points at a usual score s brings d / (90 - s - d) links for each there was: the mean moves
    by d.
    """
    room = NETWORK_SCORE - of.usual_score
    points = min(attack.size, 0.6 * room)
    return points / (room - points)


def _attacks(of: Site, shown: list[Event], day: int) -> tuple[float, float]:
    """Live and lost links of spam attacks, as shares of the target's usual links."""
    live = lost = 0.0
    for event in shown:
        if event.kind == ATTACK:
            age, horizon = day - event.day, event.horizon_days
            came = attackers(of, event) * (0.75 + 0.25 * ramp(age, 0, event.spread_days))
            died = ramp(age, 0.1 * horizon, 0.5 * horizon)
            live += came * (1 - died)
            lost += 0.4 * came * died * (1 - died)  # deindexed pages are forgotten sooner than others
    return live, lost
