"""The requests that a run collects, and their outcomes: readings, what they cost, or why they are missing.

Plain records only. How they are made is `collector.py`.
"""

import datetime as dt
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import orjson

from backlinks_assets.dataforseo.answer import first_result
from backlinks_assets.dataforseo.endpoint import PaidEndpoint, Parameters
from backlinks_assets.dataforseo.endpoints.summary import SUMMARY
from backlinks_assets.store.answers import Key
from backlinks_assets.store.stored_answer import StoredAnswer

KeyT = TypeVar("KeyT")


@dataclass(frozen=True, slots=True)
class CollectRequest:
    """The answers of one endpoint about one target (or batch) on one day. All are collected, or none is begun.

    `own_parameters`: the target has its own, so that a refusal of them concerns this target alone.
    """

    date: dt.date
    target: str
    parameters: Parameters
    own_parameters: bool = False
    endpoint: PaidEndpoint = SUMMARY

    def key(self, status_type: str) -> Key:
        return Key(self.date, self.target, status_type, self.parameters.key, self.endpoint.name)

    def outcome(self) -> "Outcome":
        """Return an outcome in which nothing has come yet."""
        return Outcome(self.date, self.target, self.parameters.key)

    @property
    def keys(self) -> list[Key]:
        """Of all its answers."""
        return [self.key(status_type) for status_type in self.endpoint.status_types]


@dataclass(frozen=True, slots=True)
class Reading:
    """The few numbers of an answer that a run reports; the tables read the answer itself."""

    has_data: bool
    backlinks: int | None
    spam_score: int | None
    captured_at: dt.datetime


@dataclass(slots=True)
class Outcome:
    """The outcome of one request: complete when it has a reading of each status type and `error` is None.

    `request_key` is that of the request's parameters, since a target may have several requests. `calls` and `cost_usd` are of
    this run. `reused` answers were stored before it.
    """

    date: dt.date
    target: str
    request_key: str = ""
    readings: dict[str, Reading] = field(default_factory=dict)
    reused: int = 0
    calls: int = 0
    cost_usd: float = 0.0
    error: str | None = None

    @property
    def empty(self) -> bool:
        """Whether the API answered and knows nothing of the target."""
        return self.error is None and not any(reading.has_data for reading in self.readings.values())

    def fail(self, error: str) -> None:
        """Record why an answer is missing. Only the first reason is recorded."""
        self.error = self.error or error

    def reuse(
        self, status_type: str, stored: StoredAnswer | None, otherwise: str = "the stored answer is gone from the store"
    ) -> None:
        if stored is None:
            self.fail(otherwise)
        else:
            self.readings[status_type] = reading_of(first_result(orjson.loads(stored.body)), stored.captured_at)
            self.reused += 1


@dataclass(slots=True)
class Bought(Generic[KeyT]):
    """What came of a purchase: calls and dollars of this run, what failed and why, and why the rest was not begun."""

    calls: int = 0
    cost_usd: float = 0.0
    failed: dict[KeyT, str] = field(default_factory=dict)
    stopped: str | None = None


def reading_of(result: dict[str, object] | None, captured_at: dt.datetime) -> Reading:
    """Return what a run reports of an answer's result; None has no data."""

    def whole(name: str) -> int | None:
        value = (result or {}).get(name)
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    return Reading(result is not None, whole("backlinks"), whole("backlinks_spam_score"), captured_at)
