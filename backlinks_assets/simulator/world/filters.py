"""The filters of a request: whether they are well formed, which single link passes, and what share of links does.

A summary looks at no single link: a condition on `dofollow` keeps the dofollow share of each population,
any other condition keeps a share that belongs to its text. `and` keeps fewer, `or` more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from backlinks_assets.simulator.world.noise import draws

MAX_CONDITIONS = 8
NOFOLLOW_SHARES = (0.20, 0.08, 0.12, 0.05)  # of the tail, hubs, the old spam pool, spam attacks
_OPERATOR_NAMES = "= <> < <= > >= in not_in like not_like ilike not_ilike regex not_regex match not_match"
_FIELD_NAMES = """
    type domain_from url_from url_from_https domain_to url_to url_to_https tld_from is_new is_lost rank
    backlink_spam_score page_from_rank domain_from_rank domain_from_platform_type domain_from_is_ip
    domain_from_ip domain_from_country page_from_external_links page_from_internal_links page_from_size
    page_from_encoding page_from_language page_from_title page_from_status_code first_seen prev_seen last_seen
    item_type attributes dofollow original alt image_url anchor text_pre text_post semantic_location is_broken
    links_count group_count url_to_status_code url_to_spam_score url_to_redirect_target is_indirect_link
"""
_COMPARED = {"=": eq, "<>": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_OPERATORS, _FIELDS = frozenset(_OPERATOR_NAMES.split()), frozenset(_FIELD_NAMES.split())


def well_formed(filters: Any) -> bool:
    """Whether this is `[field, operator, value]`, or up to eight such conditions joined by "and", "or"."""
    conditions = _count(filters)
    return 0 < conditions <= MAX_CONDITIONS


def _is_condition(filters: list[Any]) -> bool:
    return len(filters) == 3 and isinstance(filters[0], str)


def _count(filters: Any) -> int:
    """Conditions in there; 9 or more when anything is malformed."""
    malformed = MAX_CONDITIONS + 1
    if not isinstance(filters, list) or not filters:
        return malformed
    if _is_condition(filters):
        field, operator, _ = filters
        known = isinstance(operator, str) and operator in _OPERATORS and field in _FIELDS
        return 1 if known else malformed
    joined = all(isinstance(word, str) and word in ("and", "or") for word in filters[1::2])
    return sum(map(_count, filters[::2])) if len(filters) % 2 and joined else malformed


def passing(filters: Any, kind: int) -> float:
    """The share, 0 to 1, of a population kind's links that pass well-formed filters (None: all pass)."""
    if filters is None:
        return 1.0
    if _is_condition(filters):
        field, operator, value = filters
        if field == "dofollow" and operator in ("=", "<>"):
            wanted = bool(value) is (operator == "=")
            return 1 - NOFOLLOW_SHARES[kind] if wanted else NOFOLLOW_SHARES[kind]
        return 0.1 + 0.85 * draws("filter", json.dumps(filters, sort_keys=True))[kind]
    share = passing(filters[0], kind)
    for word, each in zip(filters[1::2], filters[2::2], strict=True):
        other = passing(each, kind)
        share = share * other if word == "and" else 1 - (1 - share) * (1 - other)
    return share


def keeps_only(filters: Any) -> bool | None:
    """True when only dofollow links can pass, False when only nofollow ones can, None when both can."""
    if filters is None:
        return None
    if _is_condition(filters):
        field, operator, value = filters
        return bool(value) is (operator == "=") if field == "dofollow" and operator in ("=", "<>") else None
    if "or" in filters[1::2]:
        return None
    return next((only for each in filters[::2] if (only := keeps_only(each)) is not None), None)


def is_field(name: str) -> bool:
    """Whether links have a field of that name."""
    return name in _FIELDS


def passes(filters: Any, link: Mapping[str, Any]) -> bool:
    """Whether a single link passes well-formed filters. A condition with `regex` lets nothing pass, as the API's."""
    if filters is None:
        return True
    if _is_condition(filters):
        field, operator, value = filters
        return _holds(link.get(field), operator, value)
    passed = passes(filters[0], link)
    for word, each in zip(filters[1::2], filters[2::2], strict=True):
        passed = (passed and passes(each, link)) if word == "and" else (passed or passes(each, link))
    return passed


def _holds(actual: Any, operator: str, value: Any) -> bool:
    if "regex" in operator or (actual is None and operator != "<>"):
        return False
    negated = operator.startswith("not_")
    try:
        if operator in _COMPARED:
            return bool(_COMPARED[operator](actual, value))
        if operator in ("in", "not_in"):
            return (actual in value) is not negated
    except TypeError:  # of a text and a number
        return False
    pattern = re.escape(str(value)).replace("%", ".*")
    flags = re.DOTALL if operator in ("like", "not_like") else re.DOTALL | re.IGNORECASE
    return (re.fullmatch(pattern if "like" in operator else f".*{pattern}.*", str(actual), flags) is None) is negated


def first_day(filters: Any, field: str) -> int | None:
    """The earliest day that a link's instant may be of, where all conditions must hold and one says so."""
    if filters is None:
        return None
    if _is_condition(filters):
        name, operator, value = filters
        try:
            return date.fromisoformat(value[:10]).toordinal() if name == field and operator in (">", ">=") else None
        except (TypeError, ValueError):
            return None
    if "or" in filters[1::2]:
        return None
    return max((day for each in filters[::2] if (day := first_day(each, field)) is not None), default=None)
