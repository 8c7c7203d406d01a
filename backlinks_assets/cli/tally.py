"""What the runs of one command have collected, counted while they collect, and how a signal stops them.

The runs themselves are `execution.py`.
"""

import datetime as dt
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import PrivateAttr

from backlinks_assets.collect.bulk import BulkCollector
from backlinks_assets.collect.bulk_day import BulkDay, BulkOutcome, BulkTarget
from backlinks_assets.collect.collector import Collector, StopError
from backlinks_assets.collect.outcome import CollectRequest, Outcome
from backlinks_assets.defs.resources import BacklinksApi

T = TypeVar("T")


@dataclass
class Tally:
    """Counts of outcomes. `stopped` is why collecting ended early, `error` what a run failed with that is not about one target.

    `on_outcome` is called after each outcome. `began` is when the command was called, where that is not now. `sample` are
    targets that are read in full beside their reading in bulk: they are counted once.
    """

    began: dt.datetime | None = None
    on_outcome: Callable[[], object] = lambda: None
    calls: int = 0
    cost_usd: float = 0.0
    collected: int = 0
    reused: int = 0
    empty: list[str] = field(default_factory=list)
    failed: list[Outcome] = field(default_factory=list)
    seen: set[tuple[dt.date, str]] = field(default_factory=set)
    bulk: BulkDay | None = None
    sample: frozenset[str] = frozenset()
    stopped: str | None = None
    error: Exception | None = None
    _collector: Collector | None = None

    def add(self, outcome: Outcome) -> None:
        self.seen.add((outcome.date, outcome.target))
        self.calls += outcome.calls
        self.cost_usd += outcome.cost_usd
        if outcome.target in self.sample:
            return
        if outcome.error is not None:
            self.failed.append(outcome)
        elif outcome.calls == 0:
            self.reused += 1
        else:
            self.collected += 1
        if outcome.empty:
            self.empty.append(outcome.target)
        self.on_outcome()

    def add_bulk(self, outcome: BulkOutcome) -> None:
        self.bulk = self.bulk or BulkDay(outcome.date, 0)
        self.bulk.add(outcome)

    def stop(self, reason: str) -> None:
        """Start no more calls, now or later; those in flight are waited for and stored. The first reason counts."""
        self.stopped = self.stopped or reason
        if self._collector is not None:
            self._collector.stop(reason)

    def watch(self, collector: Collector) -> None:
        self._collector = collector
        if self.stopped:
            collector.stop(self.stopped)


class ObservedApi(BacklinksApi):
    """The API as the command's runs have it: the same calls, with a tally."""

    _tally: Tally = PrivateAttr(default_factory=Tally)

    def observe(self, tally: Tally) -> None:
        self._tally = tally

    @contextmanager
    def collector(self, began: dt.datetime | None = None) -> Iterator[BulkCollector]:
        with super().collector(self._tally.began or began) as collector:
            self._tally.watch(collector)
            yield collector

    def collect_in_bulk(
        self, day: dt.date, targets: Sequence[BulkTarget], began: dt.datetime | None = None
    ) -> Generator[BulkOutcome, None, None]:
        return self._counted(super().collect_in_bulk(day, targets, began), self._tally.add_bulk)

    def collect(
        self, requests: Sequence[CollectRequest], began: dt.datetime | None = None
    ) -> Generator[Outcome, None, None]:
        return self._counted(super().collect(requests, began), self._tally.add)

    def _counted(self, found: Generator[T, None, None], add: Callable[[T], object]) -> Generator[T, None, None]:
        """Yield outcomes that the tally has counted; what ends them is in the tally too."""
        try:
            with closing(found) as outcomes:
                for outcome in outcomes:
                    add(outcome)
                    yield outcome
        except StopError as error:
            self._tally.stopped = self._tally.stopped or str(error)
            raise
        except Exception as error:
            self._tally.error = error
            raise
