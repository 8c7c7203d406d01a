"""What the API refuses about a request's parameters before it looks anything up. None of it is charged.

`invalid.example` is always refused with 40501, as is a name under no known public suffix. Names under the
reserved `.example` are fine: the sample targets live there. A host that is not ASCII is refused (send the
punycode form).
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import tldextract

from backlinks_assets.simulator.world.filters import well_formed

MAX_TAG_CHARACTERS, MAX_KEYS = 255, 1000
_BOOLEANS = ("include_subdomains", "include_indirect_links", "exclude_internal_backlinks")
_KNOWN = {
    *_BOOLEANS, "target", "internal_list_limit", "backlinks_status_type", "backlinks_filters", "rank_scale",
    "tag",
}  # fmt: skip
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})+", re.IGNORECASE)


def invalid_field(parameters: dict[str, Any]) -> str | None:
    """The first field whose value the API would not take; None when all are fine. A null is unset."""
    given = {name: value for name, value in parameters.items() if value is not None}
    target, limit = given.get("target"), given.get("internal_list_limit", 10)
    fine = {
        "target": isinstance(target, str) and is_target(target),
        **{name: isinstance(given.get(name, True), bool) for name in _BOOLEANS},
        "internal_list_limit": isinstance(limit, int) and not isinstance(limit, bool) and 1 <= limit <= MAX_KEYS,
        "backlinks_status_type": given.get("backlinks_status_type", "live") in ("all", "live", "lost"),
        "backlinks_filters": "backlinks_filters" not in given or well_formed(given["backlinks_filters"]),
        "rank_scale": given.get("rank_scale", "one_thousand") in ("one_hundred", "one_thousand"),
        "tag": isinstance(given.get("tag", ""), str) and len(given.get("tag", "")) <= MAX_TAG_CHARACTERS,
    }
    return next((name for name, ok in fine.items() if not ok), None)


def unknown_fields(parameters: dict[str, Any]) -> list[str]:
    """The names of fields that the endpoint does not have."""
    return [name for name in parameters if name not in _KNOWN]


@lru_cache(maxsize=8192)
def is_target(target: str) -> bool:
    """Whether the API would look this up: a name under a public suffix, an IPv4 address, a page's URL."""
    host = target
    if "://" in target:
        try:
            parts = urlsplit(target)
            host = parts.hostname or ""
            _ = parts.port
        except ValueError:
            return False
        if parts.scheme.lower() not in ("http", "https") or any(c.isspace() and c != " " for c in target):
            return False
    try:
        return ipaddress.IPv4Address(host).version > 0
    except ValueError:
        pass
    if host.lower() == "invalid.example" or not _HOST.fullmatch(host):
        return False
    return host.lower().endswith(".example") or bool(_suffixes().extract_str(host).suffix)


@lru_cache(maxsize=8192)
def main_domain(target: str) -> str:
    """The domain of a valid target that was registered; an address is its own."""
    host = ((urlsplit(target).hostname or "") if "://" in target else target).lower()
    labels = host.split(".")
    if labels[-1] == "example":
        return ".".join(labels[-2:])
    found = _suffixes().extract_str(host)
    return f"{found.domain}.{found.suffix}" if found.suffix else host


@lru_cache(maxsize=1)
def _suffixes() -> tldextract.TLDExtract:
    """Public suffixes from the snapshot inside tldextract: nothing is fetched, nothing written."""
    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
