"""A simulated target's constants: its size, hubs and how it is crawled, all from its name.

What happens to it is in `events`, what is published about it on a day in `history`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from backlinks_assets.simulator.world.noise import draws
from backlinks_assets.simulator.world.samples import scheduled_targets

_MIN_LINKS, _MAX_LINKS = 20, 8_000_000.0
_WITH_SPAM_POOL, _PRUNED, _FLAPPING = 0.4, 0.25, 0.03  # shares of targets


@dataclass(frozen=True, slots=True)
class Site:
    """A target's constants. Shares are of `links`; periods and phases in days; scores 0 to 100."""

    key: str
    number: int | None  # in the sample targets' schedule; None for every other target
    links: float
    hub_shares: tuple[float, ...]
    pool_share: float  # an old pool of spam links
    tail_score: float
    hub_scores: tuple[float, ...]
    pool_score: float
    stock: float  # lost links still remembered, as a share of the live ones
    crawl_every: int
    crawl_phase: int
    score_every: int
    score_phase: int
    prune_every: int  # 0: the lost stock is never pruned in batches
    flapping: bool  # its largest hub disappears and returns all the time

    @property
    def tail_share(self) -> float:
        """The share of links that are neither a hub's nor the old spam pool's."""
        return 1 - sum(self.hub_shares) - self.pool_share

    @property
    def usual_score(self) -> float:
        """The mean score of its live links when nothing happens."""
        hubs = sum(share * score for share, score in zip(self.hub_shares, self.hub_scores, strict=True))
        return hubs + self.tail_share * self.tail_score + self.pool_share * self.pool_score


@lru_cache(maxsize=4096)
def site(target: str) -> Site:
    """The constants of a target; sizes are Zipf-like (density ~ links^-4/3), from 20 links to 8 million."""
    number = scheduled_targets().get(target)
    return _plain(target) if number is None else _sample(target, number)


def _plain(target: str) -> Site:
    a, b = draws(target, "site"), draws(target, "habits")
    rarity = 0.012 + 0.988 * a[0]
    hubs = 2 + int(a[1] * 5)
    all_hubs = 0.15 + 0.35 * a[2]
    weights = [1 / (n + 1) for n in range(hubs)]
    tail_score = 2 + 26 * a[3] * a[3]
    return Site(
        key=target,
        number=None,
        links=min(_MAX_LINKS, _MIN_LINKS / (rarity * rarity * rarity)),
        hub_shares=tuple(all_hubs * w / sum(weights) for w in weights),
        pool_share=0.25 * a[5] if a[4] < _WITH_SPAM_POOL else 0.01,
        tail_score=tail_score,
        hub_scores=tuple(max(0.0, tail_score - 6 + 12 * u) for u in a[6 : 6 + hubs]),
        pool_score=55 + 20 * a[13],
        stock=0.15 + 1.2 * a[14] * a[14],
        crawl_every=(1, 1, 1, 2, 3, 7, 7)[int(b[0] * 7)],
        crawl_phase=int(b[1] * 42),
        score_every=(1, 1, 3, 7)[int(b[2] * 4)],
        score_phase=int(b[3] * 42),
        prune_every=int(90 + 120 * b[6]) if b[5] < _PRUNED else 0,
        flapping=b[4] < _FLAPPING,
    )


def _sample(target: str, number: int) -> Site:
    """A sample target is seen daily and has large hubs and a spam pool, so that its story can be read."""
    a = draws(target, "sample")
    tail_score = 3 + 7 * a[0]
    return Site(
        key=target,
        number=number,
        links=(400 + 600 * a[1]) * (1, 4, 16, 64, 250)[int(a[2] * 5)],
        hub_shares=(0.20 + 0.05 * a[3], 0.15 + 0.05 * a[4], 0.12 + 0.04 * a[5]),
        pool_share=0.14 + 0.04 * a[6],
        tail_score=tail_score,
        hub_scores=tuple(tail_score - 3 + 6 * u for u in a[7:10]),
        pool_score=64 + 8 * a[10],
        stock=0.20 + 0.25 * a[11],
        crawl_every=1,
        crawl_phase=0,
        score_every=1,
        score_phase=0,
        prune_every=0,
        flapping=False,
    )
