"""Which links a request counts, and how many links, pages and domains that makes.

Options that leave links out only ever lower the counts; `all` counts what `live` and `lost` count together.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from backlinks_assets.simulator.world.filters import NOFOLLOW_SHARES, keeps_only, passing
from backlinks_assets.simulator.world.history import HUB, TAIL, snapshot
from backlinks_assets.simulator.world.noise import draws
from backlinks_assets.simulator.world.site import Site

THIN = "thin.example"
_THIN_LINKS = 4

# By population kind: the tail, hubs, the old spam pool, spam attacks. A hub is one domain.
_LINKS_PER_DOMAIN = (3.6, 0.0, 1.8, 1.35)
_PAGES_PER_LINK = (0.93, 0.985, 0.9, 0.96)
_IPS_PER_DOMAIN = (0.86, 1.0, 0.5, 0.12)  # a spam network shares few machines
_SUBNETS_PER_DOMAIN = (0.57, 1.0, 0.2, 0.03)
_KINDS = range(4)


@dataclass(frozen=True, slots=True)
class Selection:
    """A request's options with the API's defaults filled in; a null is a default too."""

    status: str
    subdomains: bool
    indirect: bool
    internal: bool
    filters: list[Any] | None
    list_limit: int

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Self:
        """Return the selection of valid parameters."""
        given = {name: value for name, value in parameters.items() if value is not None}
        return cls(
            status=given.get("backlinks_status_type", "live"),
            subdomains=given.get("include_subdomains", True),
            indirect=given.get("include_indirect_links", True),
            internal=not given.get("exclude_internal_backlinks", True),
            filters=given.get("backlinks_filters"),
            list_limit=given.get("internal_list_limit", 10),
        )


@dataclass(frozen=True, slots=True)
class Counted:
    """What a request counts, by population kind and for each hub: whole numbers, and two means."""

    site: Site
    links: list[int]
    pages: list[int]
    hubs: list[int]
    hub_pages: list[int]
    score: float  # the mean spam score
    nofollow: float  # the nofollow share


def count(target: str, day: date, chosen: Selection, *, dead: bool = False) -> Counted:
    """Count a target's links on a day. A `dead` target's live links have all been lost."""
    shot = snapshot(target, day.toordinal())
    share = _shares(target, chosen)
    if target == THIN:
        thinned = min(1.0, _THIN_LINKS / max(1.0, sum(p.live for p in shot.populations)))
        share = [each * thinned for each in share]
    links, hubs, live, lost = [0, 0, 0, 0], [], 0, 0
    for p in shot.populations:
        # Rounded one by one, so that `all` is the sum of what `live` and `lost` answer.
        alive, gone = int(p.live * share[p.kind]), int(p.lost * share[p.kind])
        if dead:
            alive, gone = 0, alive + gone
        alive, gone = (0 if chosen.status == "lost" else alive), (0 if chosen.status == "live" else gone)
        links[p.kind] += alive + gone
        live, lost = live + alive, lost + gone
        if p.kind == HUB:
            hubs.append(alive + gone)
    hub_pages = [int(n * _PAGES_PER_LINK[HUB]) for n in hubs]
    pages = [sum(hub_pages) if kind == HUB else int(links[kind] * _PAGES_PER_LINK[kind]) for kind in _KINDS]
    pages[TAIL] = max(pages[TAIL], min(1, links[TAIL]))
    score = (shot.live_score * live + shot.lost_score * lost) / max(1, live + lost)
    return Counted(shot.site, links, pages, hubs, hub_pages, score, _nofollow(links, chosen))


def _shares(target: str, chosen: Selection) -> list[float]:
    """The share of links of each population kind that the options keep; internal ones add to the tail."""
    u = draws(target, "selection")
    everywhere = 1.0 if chosen.subdomains else 0.55 + 0.43 * u[0]
    internal = 1.02 + 0.3 * u[1] if chosen.internal else 1.0
    return [everywhere * passing(chosen.filters, kind) * (internal if kind == TAIL else 1.0) for kind in _KINDS]


def _nofollow(links: list[int], chosen: Selection) -> float:
    only_dofollow = keeps_only(chosen.filters)
    if only_dofollow is not None:
        return 0.0 if only_dofollow else 1.0
    usual = sum(n * share for n, share in zip(links, NOFOLLOW_SHARES, strict=True))
    return usual / max(1, sum(links))


def domains(counted: Counted) -> dict[str, int]:
    """Referring domains, main domains, addresses and subnets: none has more than the one it is part of."""
    by_kind = [
        sum(n > 0 for n in counted.hubs) if kind == HUB else -int(-counted.links[kind] // _LINKS_PER_DOMAIN[kind])
        for kind in _KINDS
    ]
    total = sum(by_kind)
    some = min(1, total)
    ips = some + int(sum(n * share for n, share in zip(by_kind, _IPS_PER_DOMAIN, strict=True)))
    subnets = some + int(sum(n * share for n, share in zip(by_kind, _SUBNETS_PER_DOMAIN, strict=True)))
    return {
        "referring_domains": total,
        "referring_main_domains": -(-total * 92 // 100),
        "referring_ips": min(total, ips),
        "referring_subnets": min(total, ips, subnets),
    }
