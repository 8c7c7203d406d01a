"""What a day in bulk requests: the calls of three endpoints, over targets that have no answer yet.

Plain records and the plan. How calls are made, split and bisected is `bulk.py`; which targets share one is `chunks.py`.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from backlinks_assets.collect.chunks import thousands
from backlinks_assets.collect.since_day import former_since_day, need_former, since_day
from backlinks_assets.dataforseo.bulk import BulkParameters
from backlinks_assets.dataforseo.endpoint import PaidEndpoint
from backlinks_assets.dataforseo.endpoints.bulk_new_lost_backlinks import BULK_NEW_LOST_BACKLINKS
from backlinks_assets.dataforseo.endpoints.bulk_new_lost_referring_domains import BULK_NEW_LOST_REFERRING_DOMAINS
from backlinks_assets.dataforseo.endpoints.bulk_pages_summary import BULK_PAGES_SUMMARY, PagesSummaryParameters
from backlinks_assets.dataforseo.parameters import RankScale
from backlinks_assets.dataforseo.since import SinceParameters
from backlinks_assets.store.bulk import BulkStore, variant_of

SINCE_ENDPOINTS: Final = (BULK_NEW_LOST_BACKLINKS, BULK_NEW_LOST_REFERRING_DOMAINS)
BULK_ENDPOINTS: Final = (BULK_PAGES_SUMMARY, *SINCE_ENDPOINTS)

Make = Callable[[tuple[str, ...]], BulkParameters]


@dataclass(frozen=True, slots=True)
class BulkTarget:
    """A target watched in bulk. `line` is a text that is another once its line of the targets file is changed."""

    target: str
    rank_scale: RankScale = "one_thousand"
    line: str = ""


@dataclass(frozen=True, slots=True)
class BulkCall:
    """Targets that one call is to answer for; `make` returns its parameters for these or for a part of them.

    `kind` is the status type under which the answer is stored.
    """

    date: dt.date
    endpoint: PaidEndpoint
    make: Make
    targets: tuple[str, ...]
    kind: str = ""

    @property
    def variant(self) -> str:
        """The call's parameters but for its targets, as JSON."""
        return _variant(self.make)


@dataclass(slots=True)
class BulkOutcome:
    """What became of a planned call. `calls` and `cost_usd` are of this run, of all its parts.

    `answered` have an answer now, `reused` had one before; `failed` have a reason; `held` are at work in another run.
    """

    date: dt.date
    endpoint: str
    calls: int = 0
    cost_usd: float = 0.0
    answered: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    held: tuple[str, ...] = ()


@dataclass(slots=True)
class BulkDay:
    """What became of a day's targets in bulk, added up. `failed` have no answer of some endpoint, for the reason given."""

    date: dt.date
    targets: int
    calls: int = 0
    cost_usd: float = 0.0
    answered: set[str] = field(default_factory=set)
    reused: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    stopped: str | None = None

    def add(self, outcome: BulkOutcome) -> None:
        self.calls += outcome.calls
        self.cost_usd += outcome.cost_usd
        self.answered.update(outcome.answered)
        self.reused.update(outcome.reused)
        for target, why in outcome.failed.items():
            self.failed.setdefault(target, why)

    @property
    def has_answers(self) -> bool:
        return bool(self.answered or self.reused)


@dataclass(frozen=True, slots=True)
class Plan:
    """The calls of a day, those for live counts first, and how many answers there are already, by endpoint."""

    pages: list[BulkCall]
    since: list[BulkCall]
    reused: dict[str, set[str]]


def plan_of(store: BulkStore, date: dt.date, targets: Sequence[BulkTarget], unjoined: Collection[str] = ()) -> Plan:
    """Return what is still to be requested of a day: targets with an answer are left out before chunks are made.

    `unjoined` need last month's day too, whatever is stored: this month's answers may have had no count of them.
    """
    done = _answered(store, date)
    plan = Plan([], [], {endpoint.name: set() for endpoint in BULK_ENDPOINTS})

    def missing(endpoint: PaidEndpoint, make: Make, names: Iterable[str]) -> list[str]:
        wanted = list(names)
        there = done.get((endpoint.name, _variant(make)), set()).intersection(wanted)
        plan.reused[endpoint.name].update(there)
        return [name for name in wanted if name not in there]

    former = {*_former_needed(store, date, [one.target for one in targets]), *unjoined}
    sinces = [(since_day(date), None), (former_since_day(date), former)]
    for scale, names in _by_scale(targets).items():
        make = _pages(scale)
        for part in thousands(missing(BULK_PAGES_SUMMARY, make, names)):
            plan.pages.extend(BulkCall(date, BULK_PAGES_SUMMARY, make, chunk) for chunk in part.pages)
        for since, only in sinces:
            make = _since(date, since)
            wanted = [name for name in names if only is None or name in only]
            for endpoint in SINCE_ENDPOINTS:
                chunks = thousands(missing(endpoint, make, wanted))
                plan.since.extend(BulkCall(date, endpoint, make, part.since) for part in chunks)
    return plan


def _by_scale(targets: Iterable[BulkTarget]) -> dict[RankScale, list[str]]:
    found: dict[RankScale, list[str]] = {}
    for one in targets:
        found.setdefault(one.rank_scale, []).append(one.target)
    return dict(sorted(found.items()))


def _variant(make: Make) -> str:
    return variant_of(orjson.loads(make(("any.example",)).text))[0]


def _pages(scale: RankScale) -> Make:
    return lambda targets: PagesSummaryParameters(targets=targets, rank_scale=scale)


def _since(date: dt.date, since: dt.date) -> Make:
    return lambda targets: SinceParameters.on(date, since, targets)


def _answered(store: BulkStore, date: dt.date) -> dict[tuple[str, str], set[str]]:
    """Return the targets that have a stored answer of a day, by endpoint and variant."""
    found: dict[tuple[str, str], set[str]] = {}
    for endpoint in BULK_ENDPOINTS:
        for batch in store.batches(date, endpoint.name):
            found.setdefault((endpoint.name, batch.variant), set()).update(batch.targets)
    return found


def _former_needed(store: BulkStore, date: dt.date, targets: Collection[str]) -> list[str]:
    """Return the targets that need last month's day too, by what is stored of the days before."""

    def counted_since(day: dt.date) -> Mapping[str, Collection[dt.date]]:
        found: dict[str, set[dt.date]] = {}
        for batch in store.batches(day, BULK_NEW_LOST_BACKLINKS.name):
            since = dt.date.fromisoformat(orjson.loads(batch.variant)["date_from"])
            for target in batch.targets:
                found.setdefault(target, set()).add(since)
        return found

    return need_former(date, targets, counted_since)
