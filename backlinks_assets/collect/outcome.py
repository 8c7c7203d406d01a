"""What is asked of a run, and what it reports: a target on a day, its two readings, what they cost, or why they are missing.

Plain records only. How they come about is `collector.py`; who works on which is `turns.py`.
"""

import datetime as dt
from dataclasses import dataclass, field
from typing import Final

import orjson

from backlinks_assets.dataforseo.endpoints.summary import RequestParameters, StatusType, first_result
from backlinks_assets.store.responses import Key
from backlinks_assets.store.stored_answer import StoredAnswer

STATUS_TYPES: Final[tuple[StatusType, ...]] = ("live", "lost")


@dataclass(frozen=True, slots=True)
class Ask:
    """One target on one day, with the parameters of its requests; `own_parameters` if they are not the project's."""

    date: dt.date
    target: str
    parameters: RequestParameters
    own_parameters: bool = False

    def key(self, status_type: StatusType) -> Key:
        return Key(self.date, self.target, status_type, self.parameters.key)


@dataclass(frozen=True, slots=True)
class Reading:
    """The few numbers of an answer that a run reports; the tables read the answer itself."""

    has_data: bool
    backlinks: int | None
    spam_score: int | None
    captured_at: dt.datetime


@dataclass(slots=True)
class Outcome:
    """What became of one target: complete when both readings are there and `error` is None.

    `calls` and `cost_usd` are of this run; `reused` answers were here before it.
    """

    date: dt.date
    target: str
    readings: dict[StatusType, Reading] = field(default_factory=dict)
    reused: int = 0
    calls: int = 0
    cost_usd: float = 0.0
    error: str | None = None

    @property
    def empty(self) -> bool:
        """The API answered and knows nothing of the target."""
        return self.error is None and not any(reading.has_data for reading in self.readings.values())


@dataclass(slots=True)
class Part:
    """One of a target's two answers, as a worker found it."""

    reading: Reading | None = None
    reused: bool = False
    calls: int = 0
    cost_usd: float = 0.0
    error: str | None = None

    def take(self, stored: StoredAnswer | None, otherwise: str = "the kept answer is gone from the store") -> None:
        if stored is None:
            self.error = otherwise
        else:
            self.reading = reading_of(first_result(orjson.loads(stored.body)), stored.captured_at)
            self.reused = True

    def add_to(self, outcome: Outcome, status_type: StatusType) -> None:
        outcome.calls += self.calls
        outcome.cost_usd += self.cost_usd
        outcome.reused += self.reused
        outcome.error = outcome.error or self.error
        if self.reading is not None:
            outcome.readings[status_type] = self.reading


def reading_of(result: dict[str, object] | None, captured_at: dt.datetime) -> Reading:
    """Return what a run reports of an answer's result; None has no data."""

    def whole(name: str) -> int | None:
        value = (result or {}).get(name)
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    return Reading(result is not None, whole("backlinks"), whole("backlinks_spam_score"), captured_at)
