"""Which targets share a bulk call, and how many calls a day has. Pure: nothing is requested here.

Targets of one call have the same parameters: the caller makes chunks of each group (by `rank_scale`) apart.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from backlinks_assets.dataforseo.bulk import MAX_TARGETS
from backlinks_assets.dataforseo.endpoint import BUILT_IN, Tariff
from backlinks_assets.dataforseo.endpoints import (
    bulk_new_lost_backlinks,
    bulk_new_lost_referring_domains,
    bulk_pages_summary,
)
from backlinks_assets.dataforseo.endpoints.bulk_pages_summary import MAX_MAIN_DOMAINS
from backlinks_assets.host import main_domain

Chunk = tuple[str, ...]

SINCE: Final = (bulk_new_lost_backlinks.NAME, bulk_new_lost_referring_domains.NAME)
"""The endpoints that count since a day."""


@dataclass(frozen=True, slots=True)
class Thousand:
    """Up to 1,000 targets: the calls for their live counts, and one chunk for each call that counts since a day."""

    pages: tuple[Chunk, ...]
    since: Chunk


def thousands(targets: Iterable[str], main_domains: int = MAX_MAIN_DOMAINS) -> Iterator[Thousand]:
    """Yield the chunks of a day, sorted, so that the same targets make the same calls.

    Targets of one main domain (public suffixes without the private list) are beside each other. `main_domains` is how many
    a call for live counts may have.
    """
    ordered = sorted((main_domain(target), target) for target in set(targets))
    for at in range(0, len(ordered), MAX_TARGETS):
        part = ordered[at : at + MAX_TARGETS]
        yield Thousand(tuple(_pages(part, main_domains)), tuple(sorted(target for _, target in part)))


def _pages(part: Sequence[tuple[str, str]], main_domains: int) -> Iterator[Chunk]:
    chunk: list[str] = []
    mains: set[str] = set()
    for main, target in part:
        if main not in mains and len(mains) == main_domains:
            yield tuple(sorted(chunk))
            chunk, mains = [], set()
        chunk.append(target)
        mains.add(main)
    yield tuple(sorted(chunk))


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one endpoint, and the rows that they return."""

    endpoint: str
    calls: int
    rows: int

    def price_usd(self, tariff: Tariff = BUILT_IN) -> float:
        return tariff.call_usd * self.calls + tariff.row_usd * self.rows


def bulk_calls(targets: Iterable[str], *, first_of_month: bool = False) -> list[Calls]:
    """Return the calls of a day in bulk: 12 for 1,000 domains, 14 on the first run of a month.

    That run asks for what is new and lost since the old month's day as well as since the new one's.
    """
    parts = list(thousands(targets))
    watched = sum(len(part.since) for part in parts)
    times = 2 if first_of_month else 1
    pages = Calls(bulk_pages_summary.NAME, sum(len(part.pages) for part in parts), watched)
    return [pages, *(Calls(name, times * len(parts), times * watched) for name in SINCE)]
