"""Which readings stay out of baselines, by what people said of incidents: spans, as far as they are known on a day.

What that does to a baseline is detection's; here verdicts become spans.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from backlinks_assets.incidents.incident import NOT_USUAL
from backlinks_assets.store.incident_verdicts import IncidentVerdict


class Span(NamedTuple):
    """A target's readings of a metric, from the first to the last day, both included."""

    first: dt.date
    last: dt.date
    target: str
    metric: str


def spans(said: Iterable[IncidentVerdict], day: dt.date) -> frozenset[Span]:
    """Return the spans by what was said up to the end of a day: of each incident from its first flag to its verdict.

    Reversible: a span is gone from the day on which the incident is reopened, or resolved for another reason.
    """
    found: dict[str, Span | None] = {}
    for one in said:
        if one.day <= day and one.action in {"resolve", "reopen"}:
            out = one.action == "resolve" and one.reason in NOT_USUAL and one.opened <= one.day
            found[one.incident] = Span(one.opened, one.day, one.target, one.metric) if out else None
    return frozenset(span for span in found.values() if span)


def by_known(days: Sequence[dt.date], said: Sequence[IncidentVerdict]) -> list[tuple[list[dt.date], frozenset[Span]]]:
    """Return sorted days in parts, each with the spans that were known on all of its days."""
    parts: list[tuple[list[dt.date], frozenset[Span]]] = []
    turns = sorted({one.day for one in said if one.action in {"resolve", "reopen"}})
    known = frozenset[Span]()
    for number, day in enumerate(days):
        if not number or any(days[number - 1] < turn <= day for turn in turns):
            known = spans(said, day)
        if parts and parts[-1][1] == known:
            parts[-1][0].append(day)
        else:
            parts.append(([day], known))
    return parts
