"""What bulk calls and lists of single links are refused for, before anything is looked up. None of it is charged.

One bad target refuses a whole bulk call, and the message names `targets`, not the culprit: `invalid.example` is one.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from backlinks_assets.simulator.http.validation import MAX_TAG_CHARACTERS, is_target, main_domain
from backlinks_assets.simulator.world.filters import is_field, well_formed

MAX_TARGETS, MAX_MAIN_DOMAINS = 1000, 100
MAX_DAYS_BACK = 365
MAX_LIMIT, MAX_OFFSET, MAX_ORDER_RULES = 1000, 20_000, 3
_BULK_OPTIONS = {
    "bulk_pages_summary": {"include_subdomains", "rank_scale"},
    "bulk_new_lost_backlinks": {"date_from"},
    "bulk_new_lost_referring_domains": {"date_from"},
}
_LINK_FIELDS = {
    "target", "mode", "filters", "order_by", "offset", "limit", "backlinks_status_type", "include_subdomains",
    "exclude_internal_backlinks", "rank_scale", "tag",
}  # fmt: skip
_SCALES, _STATUS_TYPES = ("one_hundred", "one_thousand"), ("all", "live", "lost")
_MODES = ("as_is", "one_per_domain", "one_per_anchor")


def bulk_fault(function: str, parameters: dict[str, Any], day: date) -> str | None:
    """The first field that the API would not take; "" for a field that it does not have, None when all are fine."""
    if set(parameters) - {"targets", "tag"} - _BULK_OPTIONS.get(function, set()):
        return ""
    given = {name: value for name, value in parameters.items() if value is not None}
    fine = {
        "targets": _are_targets(given.get("targets"), few_domains=function == "bulk_pages_summary"),
        "date_from": "date_from" not in given or _is_within_a_year(given["date_from"], day),
        **_common(given),
    }
    return next((name for name, ok in fine.items() if not ok), None)


def links_fault(parameters: dict[str, Any]) -> str | None:
    """The same for a list of single links."""
    if set(parameters) - _LINK_FIELDS:
        return ""
    given = {name: value for name, value in parameters.items() if value is not None}
    fine = {
        "target": isinstance(given.get("target"), str) and is_target(given["target"]),
        "mode": given.get("mode", "as_is") in _MODES,
        "filters": "filters" not in given or well_formed(given["filters"]),
        "order_by": _is_order(given.get("order_by", [])),
        "limit": _is_whole(given.get("limit", 100), 1, MAX_LIMIT),
        "offset": _is_whole(given.get("offset", 0), 0, MAX_OFFSET),
        "backlinks_status_type": given.get("backlinks_status_type", "live") in _STATUS_TYPES,
        "exclude_internal_backlinks": isinstance(given.get("exclude_internal_backlinks", True), bool),
        **_common(given),
    }
    return next((name for name, ok in fine.items() if not ok), None)


def _common(given: dict[str, Any]) -> dict[str, bool]:
    return {
        "include_subdomains": isinstance(given.get("include_subdomains", True), bool),
        "rank_scale": given.get("rank_scale", "one_thousand") in _SCALES,
        "tag": isinstance(given.get("tag", ""), str) and len(given.get("tag", "")) <= MAX_TAG_CHARACTERS,
    }


def _are_targets(targets: Any, *, few_domains: bool) -> bool:
    if not isinstance(targets, list) or not 1 <= len(targets) <= MAX_TARGETS:
        return False
    if not all(isinstance(target, str) and is_target(target) for target in targets):
        return False
    return not few_domains or len({main_domain(target) for target in targets}) <= MAX_MAIN_DOMAINS


def _is_within_a_year(text: Any, day: date) -> bool:
    try:
        return 0 <= (day - date.fromisoformat(text)).days <= MAX_DAYS_BACK
    except (TypeError, ValueError):
        return False


def _is_order(rules: Any) -> bool:
    if not isinstance(rules, list) or len(rules) > MAX_ORDER_RULES:
        return False
    parts = [rule.split(",") if isinstance(rule, str) else [] for rule in rules]
    return all(len(part) == 2 and is_field(part[0]) and part[1] in ("asc", "desc") for part in parts)


def _is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
