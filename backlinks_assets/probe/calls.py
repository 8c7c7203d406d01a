"""The probe's calls of a day: a few targets read in full and in bulk, a made-up name, one list of lost links. Pure.

Answers are stored under names of their own, so that no table is made of them and no day takes them for its readings; the
name is in each call's tag too. How the calls are made is `trial.py`, what the answers say `findings.py`.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson

from backlinks_assets.collect.outcome import CollectRequest
from backlinks_assets.collect.since_day import since_day
from backlinks_assets.dataforseo.bulk import BulkParameters
from backlinks_assets.dataforseo.endpoint import PaidEndpoint, Request, Tariff
from backlinks_assets.dataforseo.endpoints.bulk_new_lost_backlinks import BULK_NEW_LOST_BACKLINKS
from backlinks_assets.dataforseo.endpoints.bulk_new_lost_referring_domains import BULK_NEW_LOST_REFERRING_DOMAINS
from backlinks_assets.dataforseo.endpoints.bulk_pages_summary import BULK_PAGES_SUMMARY, PagesSummaryParameters
from backlinks_assets.dataforseo.endpoints.single_links import LOST_LINKS, LinksParameters
from backlinks_assets.dataforseo.endpoints.summary import SUMMARY, RequestParameters
from backlinks_assets.dataforseo.since import MAX_DAYS_BACK, SinceParameters
from backlinks_assets.store.bulk import variant_of
from backlinks_assets.store.stored_answer import StoredAnswer

UNKNOWN: Final = "no-such-site-q7x2zk9v.com"
"""A made-up name, to see what the API answers and charges for a target that it does not know."""
MONTH: Final = dt.timedelta(days=30)

Answers = Mapping[str, Sequence[StoredAnswer]]
"""The probe's stored answers of a day, by the name of the endpoint."""


def _own(endpoint: PaidEndpoint) -> PaidEndpoint:
    return replace(endpoint, name=f"probe/{endpoint.name}", route=endpoint.name)


SUMMARIES: Final = _own(SUMMARY)
PAGES: Final = _own(BULK_PAGES_SUMMARY)
LOSSES: Final = _own(BULK_NEW_LOST_BACKLINKS)
DOMAINS: Final = _own(BULK_NEW_LOST_REFERRING_DOMAINS)
LINKS: Final = _own(LOST_LINKS)
ENDPOINTS: Final = {each.name: each for each in (SUMMARIES, PAGES, LOSSES, DOMAINS, LINKS)}


@dataclass(frozen=True, slots=True)
class Since:
    """The days from which losses are counted. `level` and `month` stay the same while a probe goes on.

    `year` is as far back as the API goes, `level` is the day that watching in bulk counts from.
    """

    year: dt.date
    level: dt.date
    month: dt.date
    yesterday: dt.date

    @classmethod
    def on(cls, day: dt.date, first: dt.date) -> "Since":
        """Return those of a day, for a probe that began on `first`."""
        return cls(day - dt.timedelta(days=MAX_DAYS_BACK), since_day(first), first - MONTH, day - dt.timedelta(days=1))

    def __iter__(self) -> Iterator[dt.date]:
        return iter((self.year, self.level, self.month, self.yesterday))


@dataclass(frozen=True, slots=True)
class Plan:
    """A day's calls. `days` are the probe's stored answers of this day and of those before it since the probe began."""

    day: dt.date
    targets: tuple[str, ...]
    days: Mapping[dt.date, Answers]

    @property
    def since(self) -> Since:
        return Since.on(self.day, min([self.day, *self.days]))

    def summaries(self) -> list[CollectRequest]:
        """Return the requests for two summaries of each target, those with stored answers too."""
        names = [*self.targets, *([] if self._knows(SUMMARIES, UNKNOWN) else [UNKNOWN])]
        return [CollectRequest(self.day, name, RequestParameters(), True, SUMMARIES) for name in names]

    def in_bulk(self, targets: Sequence[str]) -> list[CollectRequest]:
        """Return the bulk calls for those of some targets that lack an answer, and those with the made-up name."""
        found = [one for endpoint, make in self._kinds() if (one := self._bulk(endpoint, make, targets)) is not None]
        if targets:
            pair = (targets[0], UNKNOWN)
            kinds: list[tuple[PaidEndpoint, Make]] = [(PAGES, _pages), (LOSSES, self._losses(self.since.month))]
            found += [
                self._request(endpoint, make(pair)) for endpoint, make in kinds if not self._knows(endpoint, UNKNOWN)
            ]
        return found

    def links(self, target: str | None) -> list[CollectRequest]:
        """Return the request for a target's lost links, unless such a list is stored."""
        if target is None or any(of[LINKS.name] for of in self.days.values()):
            return []
        filters = [["is_lost", "=", True], "and", ["last_seen", ">=", f"{self.since.month} 00:00:00 +00:00"]]
        parameters = LinksParameters(mode="as_is", filters=filters, order_by=("last_seen,desc",))
        return [CollectRequest(self.day, target, parameters, True, LINKS)]

    def missing(self) -> list[CollectRequest]:
        """Return what is still to be requested but for single links, one for each call; a target's summaries are two."""
        held = {(one.target, one.status_type) for one in self._today(SUMMARIES)}
        summaries = [
            request
            for request in self.summaries()
            for status_type in SUMMARIES.status_types
            if (request.target, status_type) not in held
        ]
        return [*summaries, *self.in_bulk(self.targets)]

    def _kinds(self) -> list[tuple[PaidEndpoint, "Make"]]:
        losses = [(LOSSES, self._losses(since)) for since in self.since]
        return [(PAGES, _pages), *losses, (DOMAINS, self._losses(self.since.month))]

    def _losses(self, since: dt.date) -> "Make":
        return lambda names: SinceParameters.on(self.day, since, names)

    def _bulk(self, endpoint: PaidEndpoint, make: "Make", targets: Iterable[str]) -> CollectRequest | None:
        variant, _ = variant_of(orjson.loads(make(("any.example",)).text))
        kinds = (variant_of(answer.parameters) for answer in self._today(endpoint))
        held = {name for of, names in kinds if of == variant for name in names}
        wanted = tuple(name for name in targets if name not in held)
        return self._request(endpoint, make(wanted)) if wanted else None

    def _request(self, endpoint: PaidEndpoint, parameters: BulkParameters) -> CollectRequest:
        return CollectRequest(self.day, parameters.batch, parameters, True, endpoint)

    def _today(self, endpoint: PaidEndpoint) -> Sequence[StoredAnswer]:
        return self.days.get(self.day, {}).get(endpoint.name, ())

    def _knows(self, endpoint: PaidEndpoint, name: str) -> bool:
        """Whether an answer about a name is stored for any day: of a summary both, of a bulk call one."""
        found = [
            one
            for of in self.days.values()
            for one in of[endpoint.name]
            if one.target == name or name in variant_of(one.parameters)[1]
        ]
        return len(found) >= len(endpoint.status_types)


Make = Callable[[tuple[str, ...]], BulkParameters]


def _pages(targets: tuple[str, ...]) -> BulkParameters:
    return PagesSummaryParameters(targets=targets)


def price_usd(requests: Iterable[CollectRequest], tariffs: Mapping[str, Tariff]) -> float:
    """Return what calls cost at most, by the account's tariffs; the built-in one counts for an endpoint without."""
    return sum(
        one.endpoint.expected_price_usd(
            Request(one.target, one.parameters), tariffs.get(one.endpoint.route or "", Tariff())
        )
        for one in requests
    )


def spread(names: Sequence[str], sizes: Mapping[str, int], many: int) -> list[str]:
    """Return so many names of all sizes: evenly over those whose size is known, smallest first, and then the others."""
    known = sorted((name for name in names if name in sizes), key=lambda name: (sizes[name], name))
    ordered = [*known, *(name for name in names if name not in sizes)]
    if len(ordered) <= many:
        return ordered
    return [ordered[round(at * (len(ordered) - 1) / (many - 1))] for at in range(many)]
