"""Quiet targets made from a seed, and changes to their columns: what the worlds of detection's golden replay are built from.

The numbers come from Python's own generator, whose sequence does not change between releases, and are whole, so that every
machine makes the same ones.
"""

import datetime as dt
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from backlinks_assets.detection.settings import DetectionSettings

FIRST = dt.date(2026, 3, 2)

Change = Callable[[float], float]
SPAM, LOST, LIVE, DOMAINS = "spam_score", "lost_backlinks", "live_backlinks", "referring_main_domains"
LOST_DATE = "lost_date"


@dataclass
class Site:
    """One target's columns, a value a day; None is no reading of that column, `unread` are days without a row."""

    columns: dict[str, list[float | None]]
    unread: set[int] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)

    def from_day(self, day: int, until: int | None = None, **changes: Change) -> "Site":
        """Change columns from a day on, or on the days before `until`."""
        for name, change in changes.items():
            values = self.columns[name]
            for at in range(day, len(values) if until is None else until):
                value = values[at]
                values[at] = None if value is None else float(round(change(value)))
        return self

    def skip(self, *days: int) -> "Site":
        self.unread.update(days)
        return self

    def null(self, name: str, *days: int) -> "Site":
        for day in days:
            self.columns[name][day] = None
        return self

    def request(self, day: int, key: str) -> "Site":
        """Ask with other parameters from a day on."""
        self.requests[day:] = [key] * (len(self.requests) - day)
        return self


@dataclass(frozen=True)
class World:
    """A history as `detect` takes it, with the settings and thresholds it is judged by."""

    name: str
    history: pd.DataFrame
    settings: DetectionSettings = field(default_factory=DetectionSettings)
    thresholds: Mapping[str, Mapping[str, float | bool]] = field(default_factory=dict)


def plus(number: float) -> Change:
    return lambda value: value + number


def times(factor: float) -> Change:
    return lambda value: value * factor


def site(seed: int, days: int, size: float, *, swing: float = 0.003, drift: float = 0.001, spam: float = 20.0) -> Site:
    """Return a quiet target: `size` lost links with small daily losses, three times as many live ones."""
    chance = random.Random(seed)

    def normal() -> float:  # the sum of twelve uniform numbers, exact on every machine
        return sum(chance.random() for _ in range(12)) - 6

    lost, live, scores, level = [], [], [], math.log(size)
    for _ in range(days):
        level += drift + swing * normal()
        lost.append(float(round(math.exp(level))))
        live.append(float(round(3 * size * (1 + swing * normal()))))
        scores.append(float(min(100, max(0, round(spam + 0.6 * normal())))))
    domains = [float(max(1, round(size / 4)))] * days
    return Site(
        {SPAM: list(scores), LOST: list(lost), LIVE: list(live), DOMAINS: list(domains), LOST_DATE: [0.0] * days},
        set(),
        ["first"] * days,
    )


def sites(seed: int, many: int, days: int, **kinds: float) -> list[Site]:
    """Return quiet targets of 30 to some 100,000 links."""
    return [site(seed * 1000 + n, days, 30 * 10 ** (3.5 * n / max(1, many - 1)), **kinds) for n in range(many)]


def frame(
    found: list[Site], columns: tuple[str, ...] = (SPAM, LOST, LIVE, DOMAINS), *, requests: bool = False
) -> pd.DataFrame:
    rows = []
    for number, one in enumerate(found):
        for day in range(len(one.requests)):
            if day not in one.unread:
                row: dict[str, object] = {"date": FIRST + dt.timedelta(days=day), "target": f"t{number:02d}.example"}
                row |= {name: one.columns[name][day] for name in columns}
                rows.append(row | ({"request_key": one.requests[day]} if requests else {}))
    made = pd.DataFrame(rows)
    return made.astype(dict.fromkeys(columns, "float64"))
