"""What a probe's stored answers say: are both ways' numbers equal, do they move together, how losses are dated. Pure.

Sentences and the verdict are `verdict.py`. A reading that is missing on one side is compared with nothing.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import orjson

from backlinks_assets.dataforseo.answer import first_result
from backlinks_assets.dataforseo.bulk import whole_number
from backlinks_assets.dataforseo.endpoints import (
    bulk_new_lost_backlinks,
    bulk_new_lost_referring_domains,
    bulk_pages_summary,
)
from backlinks_assets.dataforseo.endpoints.single_links import links_of
from backlinks_assets.probe.calls import DOMAINS, ENDPOINTS, LINKS, LOSSES, PAGES, SUMMARIES, UNKNOWN, Answers, Since
from backlinks_assets.store.stored_answer import StoredAnswer

METRICS: Final = ("live", "spam", "lost")

LINKS_APART: Final = 0.02
"""Counts of links that differ by no more than this share are equal."""
POINTS_APART: Final = 1
"""And spam scores by no more than so many points."""
MOVE_SHARE: Final = 0.001
"""A summary's count moves where it changes by more than this share, and by one link at least; a score by one point."""
SEEN_SHARE: Final = 0.5
"""Bulk saw a move where it changed in the same direction by at least this part of it."""


@dataclass(slots=True)
class Share:
    """So many of so many."""

    hits: int = 0
    of: int = 0

    def count(self, hit: bool) -> None:
        self.hits += hit
        self.of += 1

    @property
    def is_most(self) -> bool:
        """Whether at least half are hits."""
        return 2 * self.hits >= self.of


@dataclass(slots=True)
class Reading:
    """A target's numbers of a day: `full` by summaries, `bulk` by bulk calls, by metric; None or absent: no reading.

    `since` are the lost links by the day from which they are counted, `domains` the lost referring domains of a month.
    """

    full: dict[str, int | None] = field(default_factory=dict)
    bulk: dict[str, int | None] = field(default_factory=dict)
    since: dict[dt.date, int | None] = field(default_factory=dict)
    domains: int | None = None


@dataclass(frozen=True, slots=True)
class UnknownRow:
    """What an endpoint answers for the made-up name, and the cost of that call of so many targets."""

    endpoint: str
    row: str
    cost_usd: float | None
    targets: int


@dataclass(frozen=True, slots=True)
class Dated:
    """Losses found between two days in a row, from one fixed day on, and those counted since the earlier of the two."""

    found: int
    of_yesterday: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A target's lost links last seen since a day: how many a list has, and how many bulk counts from the same day."""

    target: str
    since: dt.date
    listed: int | None
    in_bulk: int | None
    last_seen: str | None


@dataclass(frozen=True, slots=True)
class Findings:
    """What is found so far. `equal` and `moves` are by metric; `apart` are the days between readings that were compared."""

    days: tuple[dt.date, ...]
    targets: int
    simulated: bool
    cost_usd: float
    equal: Mapping[str, Share]
    moves: Mapping[str, Share]
    apart: tuple[int, ...]
    unknown: tuple[UnknownRow, ...]
    dated: Dated | None
    listed: Listed | None


def find(days: Mapping[dt.date, Answers]) -> Findings:
    """Return what the answers of a probe's days say, at least one day's."""
    held = sorted(days)
    read = {day: readings(days[day], Since.on(day, held[0])) for day in held}
    answers = [one for of in days.values() for found in of.values() for one in found]
    return Findings(
        days=tuple(held),
        targets=len({name for each in read.values() for name in each}),
        simulated=any(one.simulated for one in answers),
        cost_usd=sum(one.cost_usd or 0.0 for one in answers),
        equal=_equal(read.values()),
        moves=_moves([read[day] for day in held]),
        apart=tuple((later - earlier).days for earlier, later in pairwise(held)),
        unknown=tuple(_unknown(days.values())),
        dated=_dated(read, held[0]),
        listed=_listed(days, read, held[0]),
    )


def readings(answers: Answers, since: Since) -> dict[str, Reading]:
    """Return a day's numbers by target, the made-up name left out."""
    found: dict[str, Reading] = {}
    for one in answers[SUMMARIES.name]:
        result, of = _result(one) or {}, found.setdefault(one.target, Reading()).full
        if one.status_type == "lost":
            of["lost"] = whole_number(result.get("backlinks"))
        else:
            of |= {
                "live": whole_number(result.get("backlinks")),
                "spam": whole_number(result.get("backlinks_spam_score")),
            }
    for target, page in _rows(answers[PAGES.name], bulk_pages_summary.readings):
        found.setdefault(target, Reading()).bulk |= {"live": page.backlinks, "spam": page.backlinks_spam_score}
    for one in answers[LOSSES.name]:
        day = dt.date.fromisoformat(str(one.parameters["date_from"]))
        for target, losses in _rows([one], bulk_new_lost_backlinks.readings):
            found.setdefault(target, Reading()).since[day] = losses.lost_backlinks
    for target, lost in _rows(answers[DOMAINS.name], bulk_new_lost_referring_domains.readings):
        found.setdefault(target, Reading()).domains = lost.lost_referring_domains
    for each in found.values():
        each.bulk["lost"], each.bulk["year"] = each.since.get(since.level), each.since.get(since.year)
    found.pop(UNKNOWN, None)
    return found


def most_lost(losses: Iterable[StoredAnswer], since: dt.date, targets: Collection[str]) -> str | None:
    """Return the target that lost most links since a day, by stored answers; None where none lost any."""
    of_day = [one for one in losses if one.parameters["date_from"] == str(since)]
    counts = [
        (row.lost_backlinks or 0, target)
        for target, row in _rows(of_day, bulk_new_lost_backlinks.readings)
        if target in targets
    ]
    lost, target = max(counts, default=(0, ""))
    return target if lost else None


def _result(answer: StoredAnswer) -> dict[str, Any] | None:
    return first_result(orjson.loads(answer.body))


def _rows(answers: Iterable[StoredAnswer], of: Any) -> Iterator[tuple[str, Any]]:
    for one in answers:
        yield from of(_result(one), one.parameters["targets"]).items()


def _equal(days: Iterable[Mapping[str, Reading]]) -> dict[str, Share]:
    """Compare the numbers of each target and day. The stock of lost links is compared with a year's losses."""
    found = {metric: Share() for metric in METRICS}
    for each in (reading for day in days for reading in day.values()):
        in_bulk = {**each.bulk, "lost": each.bulk.get("year")}
        for metric in METRICS:
            one, other = each.full.get(metric), in_bulk.get(metric)
            if one is not None and other is not None:
                apart = POINTS_APART if metric == "spam" else LINKS_APART * max(one, other)
                found[metric].count(abs(one - other) <= apart)
    return found


def _moves(days: list[dict[str, Reading]]) -> dict[str, Share]:
    """Count the summaries' moves from each day to the next, and those of them that bulk saw.

    Of lost links only rises: what bulk counts can't fall.
    """
    found = {metric: Share() for metric in METRICS}
    for earlier, later in pairwise(days):
        for target in earlier.keys() & later.keys():
            before, now = earlier[target], later[target]
            for metric in METRICS:
                moved, seen = (
                    _change(of[0], of[1], metric) for of in ((before.full, now.full), (before.bulk, now.bulk))
                )
                if moved is None or not _is_move(moved, before.full[metric] or 0, metric):
                    continue
                found[metric].count(seen is not None and seen * moved > 0 and abs(seen) >= SEEN_SHARE * abs(moved))
    return found


def _change(before: Mapping[str, int | None], now: Mapping[str, int | None], metric: str) -> int | None:
    one, other = before.get(metric), now.get(metric)
    return None if one is None or other is None else other - one


def _is_move(change: int, before: int, metric: str) -> bool:
    if metric == "lost" and change < 0:
        return False
    return abs(change) >= (1 if metric == "spam" else max(1, MOVE_SHARE * before))


def _unknown(days: Iterable[Answers]) -> Iterator[UnknownRow]:
    for name in ENDPOINTS:
        about = (one for of in days for one in of[name] if UNKNOWN in (one.target, *one.parameters.get("targets", ())))
        if (one := next(about, None)) is not None:
            targets = one.parameters.get("targets", (one.target,))
            yield UnknownRow(name.removeprefix("probe/"), _row_of(one), one.cost_usd, len(targets))


def _row_of(answer: StoredAnswer) -> str:
    result = _result(answer)
    if answer.target == UNKNOWN:
        return "no result" if result is None else _numbers_of(result)
    items = (result or {}).get("items")
    rows = items if isinstance(items, list) else []
    mine = [row for row in rows if isinstance(row, dict) and UNKNOWN in (row.get("url"), row.get("target"))]
    if mine:
        return _numbers_of(mine[0])
    return "null in place of its row" if None in rows else "no row"


def _numbers_of(row: Mapping[str, Any]) -> str:
    numbers = [value for value in map(whole_number, row.values()) if value is not None]
    if not numbers:
        return "a row without numbers"
    return "a row with numbers" if any(numbers) else "a row of zeros"


def _dated(read: Mapping[dt.date, Mapping[str, Reading]], first: dt.date) -> Dated | None:
    """Compare what one fixed day's count rose by with what is counted since the day before; None without two days in a row."""
    found = of_yesterday = compared = 0
    for day, later in read.items():
        earlier, since = read.get(day - dt.timedelta(days=1), {}), Since.on(day, first)
        for target in earlier.keys() & later.keys():
            before, now = earlier[target].since.get(since.month), later[target].since.get(since.month)
            yesterday = later[target].since.get(since.yesterday)
            if before is not None and now is not None and yesterday is not None:
                compared += 1
                found += max(0, now - before)
                of_yesterday += yesterday
    return Dated(found, of_yesterday) if compared else None


def _listed(
    days: Mapping[dt.date, Answers], read: Mapping[dt.date, Mapping[str, Reading]], first: dt.date
) -> Listed | None:
    for day, of in days.items():
        for one in of[LINKS.name]:
            links, since = links_of(_result(one)), Since.on(day, first).month
            reading = read[day].get(one.target, Reading())
            seen = max((str(row["last_seen"]) for row in links.rows if row.get("last_seen")), default=None)
            return Listed(one.target, since, links.total_count, reading.since.get(since), seen and seen[:10])
    return None
