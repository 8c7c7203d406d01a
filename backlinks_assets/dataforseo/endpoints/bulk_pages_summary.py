"""`POST /v3/backlinks/bulk_pages_summary/live`: the live summary's counts of many targets in one call.

It is the only bulk endpoint with the spam score that is watched (`backlinks_spam_score`, of the links);
`bulk_spam_score` is of the target's own pages. A row of it names its target in `url`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from pydantic import field_validator

from backlinks_assets.dataforseo.bulk import (
    TARGET_FIELDS,
    BulkParameters,
    items_by_target,
    parse,
    targets_of,
    whole_number,
)
from backlinks_assets.dataforseo.endpoint import PaidEndpoint
from backlinks_assets.dataforseo.parameters import RankScale
from backlinks_assets.host import main_domain

NAME: Final = "backlinks/bulk_pages_summary/live"
MAX_MAIN_DOMAINS: Final = 100
"""Of one call; `docs.example.com` and `example.com` have one, `example.com` and `example.net` two."""

BREAKDOWNS: Final = tuple(
    f"referring_links_{name}"
    for name in ("tld", "types", "attributes", "platform_types", "semantic_locations", "countries")
)


class PagesSummaryParameters(BulkParameters):
    """Up to 1,000 targets of up to 100 main domains."""

    include_subdomains: bool = True
    rank_scale: RankScale = "one_thousand"

    @field_validator("targets")
    @classmethod
    def _few_main_domains(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        if (many := len({main_domain(target) for target in targets})) > MAX_MAIN_DOMAINS:
            raise ValueError(f"the API takes {MAX_MAIN_DOMAINS} main domains at most, not {many}")
        return targets


@dataclass(frozen=True, slots=True)
class PagesSummary:
    """A target's counts of live links. Any may be None: the API did not say."""

    rank: int | None
    main_domain_rank: int | None
    backlinks: int | None
    backlinks_spam_score: int | None
    broken_backlinks: int | None
    broken_pages: int | None
    referring_domains: int | None
    referring_domains_nofollow: int | None
    referring_main_domains: int | None
    referring_main_domains_nofollow: int | None
    referring_ips: int | None
    referring_subnets: int | None
    referring_pages: int | None
    referring_pages_nofollow: int | None
    first_seen: str | None
    lost_date: str | None
    breakdowns: Mapping[str, Mapping[str, int | None]]
    """By the API's name of the dimension; one that it did not send is left out."""


_COUNTS: Final = tuple(each.name for each in fields(PagesSummary) if each.type == int | None)


def readings(result: Mapping[str, Any] | None, targets: Iterable[str]) -> dict[str, PagesSummary]:
    """Return each target's counts; a target without a reading is left out."""
    items = items_by_target(result, targets, named="url", counts=_COUNTS)
    return {target: _summary(item) for target, item in items.items()}


def _summary(item: Mapping[str, Any]) -> PagesSummary:
    breakdowns = {name: _counts(item[name]) for name in BREAKDOWNS if isinstance(item.get(name), dict)}
    counts = {name: whole_number(item.get(name)) for name in _COUNTS}
    first_seen, lost_date = (_text(item.get(name)) for name in ("first_seen", "lost_date"))
    return PagesSummary(**counts, first_seen=first_seen, lost_date=lost_date, breakdowns=breakdowns)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _counts(node: Mapping[str, Any]) -> dict[str, int | None]:
    return {key: whole_number(value) for key, value in node.items()}


BULK_PAGES_SUMMARY: Final = PaidEndpoint(
    name=NAME,
    task=lambda request: request.task(),
    parse=parse,
    rows=lambda request: len(targets_of(request)),
    target_fields=TARGET_FIELDS,
)
