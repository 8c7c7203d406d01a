"""The `result` of `backlinks/live`: which of a target's links a request is about, in which order, and how many there are.

Only the days that are asked about are generated. Of more than `MAX_LOOKED_AT` links a part of each segment is looked at,
and the counts are scaled from it; smaller sets are counted one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from backlinks_assets.simulator.world.answers import DEAD, NO_DATA
from backlinks_assets.simulator.world.filters import first_day, passes
from backlinks_assets.simulator.world.flows import Stream, arrivals, lifetime_days, losses
from backlinks_assets.simulator.world.history import HUB, NETWORK, TAIL
from backlinks_assets.simulator.world.links import Link, fields, groups, old_day
from backlinks_assets.simulator.world.selection import Selection, count
from backlinks_assets.simulator.world.site import site

MAX_LOOKED_AT = 10_000
REMEMBERED_DAYS = 31
"""A link that came or went within so many days is listed, even if the published level has no room for it."""

_YEAR = 365


@dataclass(frozen=True, slots=True)
class Segment:
    """Links with consecutive numbers of one origin that came or went on one day; `day` is None for old ones."""

    kind: int
    hub: int
    origin: str
    first: int
    end: int
    lost: bool
    day: int | None

    @property
    def size(self) -> int:
        return self.end - self.first


def result_of(target: str, parameters: dict[str, Any], day: date) -> list[Any] | None:
    """The task's `result` for a valid request: a list of one object, or what stands for "no data"."""
    key = target if "://" in target else target.lower()
    if key in NO_DATA:
        return NO_DATA[key]
    given = {name: value for name, value in parameters.items() if value is not None}
    mode = given.get("mode", "as_is")
    total, rows = _rows(
        key, day.toordinal(), given, {"one_per_domain": "domain_from", "one_per_anchor": "anchor"}.get(mode)
    )
    first = given.get("offset", 0)
    page = rows[first : first + given.get("limit", 100)]
    return [
        {
            "target": target,
            "mode": mode,
            "custom_mode": None,
            "total_count": total,
            "items_count": len(page),
            "items": page,
            "search_after_token": None,
        }
    ]


def segments(target: str, day: int, chosen: Selection, filters: Any = None) -> list[Segment]:
    """The segments that hold all links that a request is about, the newest first."""
    found: list[Segment] = []
    if chosen.status in ("live", "all"):
        found += _live(target, day, chosen, first_day(filters, "first_seen"))
    if chosen.status in ("lost", "all"):
        found += _lost(target, day, chosen, first_day(filters, "last_seen"))
    return found


def _lost(target: str, day: int, chosen: Selection, bound: int | None) -> list[Segment]:
    since = max(bound or 0, day - _YEAR)
    recent = _newest_first(losses(target, since, day), since, day, lost=True)
    if bound is not None and bound >= day - REMEMBERED_DAYS:
        return recent
    counted = count(target, date.fromordinal(day), replace(chosen, status="lost"), dead=target == DEAD)
    level = sum(counted.links)
    recent, left = _within(recent, level, day)
    old = [Segment(TAIL, 0, "old lost", 0, left, True, None)] if since != bound and left else []
    return recent + old


def _live(target: str, day: int, chosen: Selection, bound: int | None) -> list[Segment]:
    since = max(bound or 0, day - _YEAR)
    recent = _newest_first(arrivals(target, since, day), since, day, lost=False)
    if bound is not None and bound >= day - REMEMBERED_DAYS:
        return recent
    counted = count(target, date.fromordinal(day), replace(chosen, status="live"), dead=target == DEAD)
    levels = {(kind, 0): links for kind, links in enumerate(counted.links) if kind != HUB}
    levels |= {(HUB, hub): links for hub, links in enumerate(counted.hubs)}
    found, old = [], []
    for (kind, hub), level in levels.items():
        fitting, left = _within([each for each in recent if (each.kind, each.hub) == (kind, hub)], level, day)
        found += fitting
        if since != bound and left:
            old.append(Segment(kind, hub, "old", 0, left, False, None))
    return sorted(found, key=lambda each: -(each.day or 0)) + old


def _newest_first(streams: Iterable[Stream], since: int, day: int, *, lost: bool) -> list[Segment]:
    found = []
    for stream in streams:
        gone = stream.gone(day) if stream.gone else None
        end = stream.count(day)
        if stream.count(since - 1) == end:
            continue
        for at in range(day, since - 1, -1):
            first = stream.count(at - 1)
            begin = first if gone is None else max(first, gone)
            if begin < end:
                found.append(Segment(stream.kind, stream.hub, stream.origin, begin, end, lost, at))
            end = first
    return sorted(found, key=lambda each: -(each.day or 0))


def _within(newest_first: list[Segment], level: int, day: int) -> tuple[list[Segment], int]:
    """The newest segments as far as the published level has room, and the room that is left."""
    found = []
    for each in newest_first:
        must = each.day is not None and each.day >= day - REMEMBERED_DAYS
        size = each.size if must else min(each.size, max(0, level))
        if size:
            found.append(replace(each, first=each.end - size))
        level -= size
    return found, max(0, level)


def _links(target: str, segment: Segment, many: int, day: int) -> Iterator[Link]:
    """The last `many` links of a segment."""
    attack = int(segment.origin.rpartition(" ")[2]) if segment.kind == NETWORK and segment.day is not None else None
    name = f"{target} {segment.origin} {segment.hub}"
    for number in range(segment.end - many, segment.end):
        lost = segment.day if segment.lost else None
        if segment.day is not None and not segment.lost:
            came = segment.day
        elif lost is not None and (attack or segment.origin == "tail"):
            came = attack or lost - lifetime_days(site(target))
        else:
            came, old = old_day(name, number)
            lost = (lost or old) if segment.lost else None
        yield Link(target, segment.kind, segment.hub, segment.origin, number, came, lost, day)


def _as_they_come(
    target: str, day: int, chosen: list[Segment], given: dict[str, Any]
) -> tuple[int, list[dict[str, Any]]]:
    """All links are meant: only those of the page, and before it, are made."""
    hundred, wanted = given.get("rank_scale") == "one_hundred", given.get("offset", 0) + given.get("limit", 100)
    found: list[dict[str, Any]] = []
    for each in chosen:
        many = min(each.size, wanted - len(found))
        found += [fields(link, hundred=hundred) for link in _links(target, each, many, day)]
    return sum(each.size for each in chosen), found


def _looked_at(chosen: list[Segment]) -> tuple[float, float]:
    """The shares that are looked at of other links and of hubs', which are thousands from one domain."""
    hubs = sum(each.size for each in chosen if each.kind == HUB)
    others = sum(each.size for each in chosen) - hubs
    if others >= MAX_LOOKED_AT:
        return (MAX_LOOKED_AT / (others + hubs),) * 2
    return 1.0, min(1.0, (MAX_LOOKED_AT - others) / max(1, hubs))


def _rows(target: str, day: int, given: dict[str, Any], group_by: str | None) -> tuple[int, list[dict[str, Any]]]:
    """How many rows there are in all, and those that were generated, in order."""
    filters, hundred = given.get("filters"), given.get("rank_scale") == "one_hundred"
    chosen = segments(target, day, Selection.of(given), filters)
    if filters is None and group_by is None and not given.get("order_by"):
        return _as_they_come(target, day, chosen, given)
    share_of = _looked_at(chosen)
    found: list[dict[str, Any]] = []
    more_links, more_groups = 0.0, 0.0
    more_of_domain: dict[str, float] = {}
    for each in chosen:
        looked = max(1, int(each.size * share_of[each.kind == HUB]))
        links = [fields(link, hundred=hundred) for link in _links(target, each, looked, day)]
        passed = [link for link in links if passes(filters, link)]
        found += passed
        share = len(passed) / looked
        more_links += (each.size - looked) * share
        if each.kind == HUB and passed:
            domain = passed[0]["domain_from"]
            more_of_domain[domain] = more_of_domain.get(domain, 0) + (each.size - looked) * share
        else:
            more_groups += groups(each.kind, each.first, each.end - looked) * share
    for rule in reversed(given.get("order_by") or []):
        field, _, direction = rule.partition(",")
        found.sort(key=lambda link: (link[field] is not None, link[field] or 0), reverse=direction == "desc")
    if group_by is None:
        return len(found) + round(more_links), found
    heads: dict[Any, dict[str, Any]] = {}
    for link in found:
        heads.setdefault(link[group_by], link)["group_count"] += 1
    if group_by == "domain_from":
        for domain, more in more_of_domain.items():
            heads[domain]["group_count"] += round(more)
    return len(heads) + round(more_groups), list(heads.values())
