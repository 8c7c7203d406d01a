"""The items of the bulk endpoints: the same history, read out for many targets at once.

What a target that the index does not know looks like in a bulk answer is documented nowhere, so all three are here:
    empty.example       has no item
    empty-list.example  has an item without a number; so has the made-up name of `backlinks probe`
    empty-null.example  has a null in place of its item
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from backlinks_assets.simulator.world.answers import NO_DATA, rank, result_of
from backlinks_assets.simulator.world.flows import Stream, arrivals, losses, span
from backlinks_assets.simulator.world.history import HUB
from backlinks_assets.simulator.world.links import groups

Item = dict[str, Any]
_NOT_IN_BULK = ("target", "info", "crawled_pages", "internal_links_count", "external_links_count")


def items(function: str, parameters: dict[str, Any], day: date) -> list[Item | None]:
    """The items of a bulk call for its targets, in their order."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return [item for target in given["targets"] if (item := _item(function, target, given, day)) != {}]


def _item(function: str, target: str, given: dict[str, Any], day: date) -> Item | None:
    key = target if "://" in target else target.lower()
    named, make = _FUNCTIONS[function]
    if key in NO_DATA:
        return {"empty.example": {}, "empty-null.example": None}.get(key, {named: target, "first_seen": None})
    return {named: target, **make(key, given, day)}


def _pages_summary(target: str, given: dict[str, Any], day: date) -> Item:
    options: Item = {name: value for name, value in given.items() if name in ("include_subdomains", "rank_scale")}
    (found,) = result_of(target, options, day) or [{}]
    of_domain = rank(found["referring_main_domains"], given.get("rank_scale"))
    return {"main_domain_rank": of_domain, **{name: found[name] for name in found if name not in _NOT_IN_BULK}}


def _since(given: dict[str, Any], day: date) -> int:
    """The first day: a month ago where the request names none."""
    return date.fromisoformat(given["date_from"]).toordinal() if "date_from" in given else day.toordinal() - 30


def new_and_lost(target: str, since: int, day: int) -> tuple[int, int]:
    """Links that came from `since` on and are still there, and those that went."""
    new, lost = ([span(each, since, day) for each in found(target, since, day)] for found in (arrivals, losses))
    return sum(end - first for first, end in new), sum(end - first for first, end in lost)


def _new_lost_backlinks(target: str, given: dict[str, Any], day: date) -> Item:
    new, lost = new_and_lost(target, _since(given, day), day.toordinal())
    return {"new_backlinks": new, "lost_backlinks": lost}


def _new_lost_domains(target: str, given: dict[str, Any], day: date) -> Item:
    """A hub is lost where none of its links is left, and never new."""
    since, today = _since(given, day), day.toordinal()

    def domains(stream: Stream) -> int:
        first, end = span(stream, since, today)
        return (stream.whole and end > first) if stream.kind == HUB else groups(stream.kind, first, end)

    new, lost = (sum(map(domains, found(target, since, today))) for found in (arrivals, losses))
    return {
        "new_referring_domains": new,
        "lost_referring_domains": lost,
        "new_referring_main_domains": -(-new * 92 // 100),
        "lost_referring_main_domains": -(-lost * 92 // 100),
    }


def _backlinks(target: str, _: dict[str, Any], day: date) -> Item:
    (found,) = result_of(target, {}, day) or [{}]
    return {"backlinks": found["backlinks"]}


def _spam_score(target: str, _: dict[str, Any], day: date) -> Item:
    """The score of the target's own pages, which is not that of its links."""
    (found,) = result_of(target, {}, day) or [{}]
    return {"spam_score": found["info"]["target_spam_score"]}


_FUNCTIONS: dict[str, tuple[str, Callable[[str, dict[str, Any], date], Item]]] = {
    "bulk_pages_summary": ("url", _pages_summary),
    "bulk_new_lost_backlinks": ("target", _new_lost_backlinks),
    "bulk_new_lost_referring_domains": ("target", _new_lost_domains),
    "bulk_backlinks": ("target", _backlinks),
    "bulk_spam_score": ("target", _spam_score),
}
BULK_FUNCTIONS = frozenset(_FUNCTIONS)
