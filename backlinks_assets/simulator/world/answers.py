"""The `result` of a summary: the history read out as the API's fields, for the request's parameters.

Odd targets, by name:
    empty.example       not in the index: `result` is null, and the call is charged
    empty-list.example  the same as an empty list; empty-null.example the same as a list of null
    thin.example        a handful of links, `info` with nulls
    dead.example        answered with an error to the crawler: `lost_date` set, no live link
(`invalid.example`, refused with 40501, is in `validation`.)
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

from backlinks_assets.simulator.world.breakdown import breakdowns, largest
from backlinks_assets.simulator.world.noise import draws
from backlinks_assets.simulator.world.selection import THIN, Counted, Selection, count, domains

NO_DATA: dict[str, list[Any] | None] = {
    "empty.example": None,
    "empty-list.example": [],
    "empty-null.example": [None],
    "no-such-site-q7x2zk9v.com": None,  # the made-up name of `backlinks probe`
}
DEAD = "dead.example"

_ATTRIBUTES = "referring_links_attributes"
_DEAD_SINCE = datetime(2026, 1, 9, 4, 31, 7, tzinfo=UTC)


def result_of(target: str, parameters: dict[str, Any], day: date) -> list[Any] | None:
    """The task's `result` for a valid request: a list of one object, or what stands for "no data"."""
    key = target if "://" in target else target.lower()
    if key in NO_DATA:
        return NO_DATA[key]
    chosen = Selection.of(parameters)
    counted = count(key, day, chosen, dead=key == DEAD)
    maps, pages = breakdowns(key, counted.pages, counted.hub_pages, indirect=chosen.indirect)
    return [
        {
            "target": target,
            **_about_the_target(key, day, counted),
            **_about_its_links(counted, chosen, maps, pages),
            "rank": rank(domains(counted)["referring_main_domains"], parameters.get("rank_scale")),
        }
    ]


def _about_the_target(key: str, day: date, counted: Counted) -> dict[str, Any]:
    u, today = draws(key, "page"), draws(key, "page", day.toordinal())
    crawled = 1 + int(math.sqrt(counted.site.links) * (4 + 40 * u[0]))
    return {
        "first_seen": _stamp(datetime(2015, 1, 1, tzinfo=UTC) + timedelta(seconds=int(u[1] * 2.2e8))),
        "lost_date": _stamp(_DEAD_SINCE) if key == DEAD else None,
        "backlinks_spam_score": int(counted.score + 0.5),
        "crawled_pages": crawled,
        "info": _info(key, u),
        "internal_links_count": crawled * (6 + int(30 * u[2])) + int(5 * today[0]),
        "external_links_count": crawled * (1 + int(12 * u[3])) + int(3 * today[1]),
        "broken_backlinks": int(sum(counted.links) * 0.012 * u[4]),
        "broken_pages": int(crawled * 0.08 * u[5]),
    }


def _about_its_links(
    counted: Counted, chosen: Selection, maps: dict[str, dict[str, int]], pages: int
) -> dict[str, Any]:
    found = domains(counted)
    left_out = sum(counted.pages) - pages  # by redirect or canonical, where these are not wanted
    pages_nofollow = min(pages, int(pages * counted.nofollow))
    maps[_ATTRIBUTES]["nofollow"] = pages_nofollow
    return {
        "backlinks": max(pages, int(sum(counted.links)) - left_out),
        **found,
        "referring_domains_nofollow": int(found["referring_domains"] * counted.nofollow),
        "referring_main_domains_nofollow": int(found["referring_main_domains"] * counted.nofollow),
        "referring_pages": pages,
        "referring_pages_nofollow": pages_nofollow,
        **{name: largest(counts, chosen.list_limit) for name, counts in maps.items()},
    }


def _info(key: str, u: tuple[float, ...]) -> dict[str, Any]:
    if key == THIN:
        nothing = dict.fromkeys(("server", "cms", "platform_type", "ip_address", "country"))
        return {**nothing, "is_ip": False, "target_spam_score": None}
    # 198.18.0.0/15 is set aside for tests (RFC 2544): no simulated address is anybody's.
    address = f"198.{18 + int(u[6] * 2)}.{int(u[7] * 256)}.{1 + int(u[8] * 254)}"
    is_ip = key.replace(".", "").isdigit()
    return {
        "server": ("nginx", "cloudflare", "Apache", "LiteSpeed")[int(u[9] * 4)],
        "cms": (None, "WordPress", "Shopify", "Drupal")[int(u[10] * 4)],
        "platform_type": [("unknown", "cms", "ecommerce", "blogs", "news")[int(u[11] * 5)]],
        "ip_address": key if is_ip else address,
        "country": ("US", "GB", "DE", "FR", "NL", None)[int(u[12] * 6)],
        "is_ip": is_ip,
        "target_spam_score": int(12 * u[13] * u[13]),
    }


def rank(main_domains: int, scale: str | None) -> int:
    """The rank, 0 to 1000, growing with the logarithm of main domains; `one_hundred` is 0 to 100.

    The vendor converts by 100 sin(rank / 636.62), rank being the one on the scale of a thousand.
    """
    mantissa, exponent = math.frexp(main_domains + 1)  # a straight line between the powers of two
    thousand = min(1000, int(45 * (exponent - 2 + 2 * mantissa)))
    return round(100 * math.sin(thousand / 636.62)) if scale == "one_hundred" else thousand


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S +00:00")
