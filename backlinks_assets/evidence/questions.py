"""Which question a flag raises, in which order questions are bought, and the request for each. Pure.

What the answers say is `sentences.py`; how they are bought is `purchase.py`. Source of the traps: `is_new` means since the
crawler's last visit, so that what is new since a day is a filter on `first_seen`.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from backlinks_assets.dataforseo.endpoint import PaidEndpoint
from backlinks_assets.dataforseo.endpoints.single_links import LIVE_LINKS, LOST_LINKS, LinksParameters

LOST_DOMAINS: Final = "lost_domains"
NEW_SPAM: Final = "new_spam"
LOST_SPAM: Final = "lost_spam"

MIN_SPAM_SCORE: Final = 31
"""From this score on the vendor calls a link's spam level medium."""
DAYS_BEFORE_PREVIOUS: Final = 3
"""A link that went between two readings may have been visited last some days before the first of them."""
DAYS_OF_SECOND_TRY: Final = 28

_STRONGEST_FIRST: Final = ("domain_from_rank,desc", "rank,desc")
_WORST_FIRST: Final = ("backlink_spam_score,desc",)
_ENDPOINTS: Final = {LOST_DOMAINS: LOST_LINKS, NEW_SPAM: LIVE_LINKS, LOST_SPAM: LOST_LINKS}
_ORDERS: Final = {LOST_DOMAINS: _STRONGEST_FIRST, NEW_SPAM: _WORST_FIRST, LOST_SPAM: _WORST_FIRST}


@dataclass(frozen=True, slots=True)
class Flagged:
    """A flag, as far as evidence depends on it. `live` and `live_before` are live links on its day and at the reading before."""

    target: str
    metric: str
    value: float | None = None
    previous: float | None = None
    previous_date: dt.date | None = None
    score: float | None = None
    direction: str | None = None
    kind: str | None = None
    severity: str | None = None
    live: float | None = None
    live_before: float | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether it raises a question: no move of the index does, and no fall of the stock of lost links."""
        return bool(questions(self))


@dataclass(frozen=True, slots=True)
class Question:
    """One question about a target on a flag's day, with the links since `since`, and the flags that raise it."""

    date: dt.date
    target: str
    name: str
    since: dt.date
    flags: tuple[Flagged, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        return self.target, self.name

    @property
    def endpoint(self) -> PaidEndpoint:
        return _ENDPOINTS[self.name]

    @property
    def may_try_again(self) -> bool:
        """Whether links are known to be lost, so that none in the answer is worth a second, wider one."""
        return self.name == LOST_DOMAINS and any(flag.metric != "spam_score" for flag in self.flags)

    def parameters(
        self, rows: int, own: Mapping[str, Any] | None = None, since: dt.date | None = None
    ) -> LinksParameters:
        """Return the request for so many rows; `own` are the target's own parameters of the targets file."""
        own = dict(own or {})
        filters: list[Any] = [["is_lost", "=", True], "and", ["last_seen", ">=", _instant(since or self.since)]]
        if self.name == NEW_SPAM:
            filters = [
                ["first_seen", ">=", _instant(since or self.since)],
                "and",
                ["backlink_spam_score", ">=", MIN_SPAM_SCORE],
            ]
        if only := own.pop("backlinks_filters", None):
            filters = [*filters, "and", only]
        known = {name: own[name] for name in LinksParameters.model_fields if own.get(name) is not None}
        return LinksParameters(filters=filters, order_by=_ORDERS[self.name], limit=rows, **known)


def questions(flag: Flagged) -> tuple[str, ...]:
    """Return the names of the questions that a flag raises, none for most that need no answer."""
    if flag.target == "*" or flag.kind in ("index_move", "vendor_fault"):
        return ()
    if flag.metric == "spam_score":
        if flag.direction == "down":
            return (LOST_SPAM,)
        fell = flag.live is not None and flag.live_before is not None and flag.live < flag.live_before
        return (NEW_SPAM, LOST_DOMAINS) if fell else (NEW_SPAM,)
    if flag.metric == "target_down":
        return (LOST_DOMAINS,) if flag.direction == "down" else ()
    return (LOST_DOMAINS,) if flag.direction == "up" else ()


def in_order(date: dt.date, flags: Iterable[Flagged]) -> list[Question]:
    """Return the questions of a day's flags, each once, in the order in which they are bought.

    Critical flags come first, then the most unusual; a target that is down has no score and comes before those that have one.
    """
    found: dict[tuple[str, str], Question] = {}
    for flag in sorted(flags, key=_importance):
        for name in questions(flag):
            since = first_day(date, flag.previous_date)
            before = found.get((flag.target, name))
            raised = (*before.flags, flag) if before else (flag,)
            found[flag.target, name] = Question(
                date, flag.target, name, min(since, before.since if before else since), raised
            )
    return list(found.values())


def first_day(date: dt.date, previous: dt.date | None) -> dt.date:
    """Return D0: the day since which links are asked about, three days before the reading before the flag."""
    return (previous or date - dt.timedelta(days=1)) - dt.timedelta(days=DAYS_BEFORE_PREVIOUS)


def second_first_day(date: dt.date) -> dt.date:
    return date - dt.timedelta(days=DAYS_OF_SECOND_TRY)


def question_of(status_type: str, parameters: Mapping[str, Any]) -> str | None:
    """Return the question that a stored answer is of, by its request; None if it is of none."""
    order = tuple(parameters.get("order_by") or ())
    names = [name for name, of in _ORDERS.items() if of == order and _ENDPOINTS[name].status_types == (status_type,)]
    return names[0] if names and since_of(parameters) else None


def since_of(parameters: Mapping[str, Any]) -> dt.date | None:
    """Return the day since which a stored answer's request asked for links."""
    filters = parameters.get("filters")
    for part in filters if isinstance(filters, list) else ():
        if isinstance(part, list) and part[:2] in (["last_seen", ">="], ["first_seen", ">="]):
            return dt.date.fromisoformat(str(part[2])[:10])
    return None


def wanted(setting: str, flags: Sequence[Flagged]) -> list[Flagged]:
    """Return the flags for which evidence is bought by the setting (`off`, `critical` or `all`), the first to be bought first."""
    if setting == "off":
        return []
    found = [flag for flag in flags if flag.is_wanted and (setting == "all" or flag.severity == "critical")]
    return sorted(found, key=_importance)


def _importance(flag: Flagged) -> tuple[bool, float, str, str]:
    size = inf if flag.score is None else abs(flag.score)
    return flag.severity != "critical", -size, flag.target, flag.metric


def _instant(day: dt.date) -> str:
    return f"{day} 00:00:00 +00:00"
