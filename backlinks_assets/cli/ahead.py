"""Collecting ahead of Dagster's bookkeeping: one collector for all that a command asks for, in a thread of its own.

Here belongs what stands in the place of the API's resource while the command runs jobs in its process: the runs
report what has come, and the account is never idle while a run begins or its events are written.
"""

import datetime as dt
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from backlinks_assets.collect.collector import Collector, StopError
from backlinks_assets.collect.outcome import CollectRequest, Outcome
from backlinks_assets.defs.resources import BacklinksApi
from backlinks_assets.targets.file import Target


class Ahead:
    """The API as the runs of this process see it: what they ask for is under way already.

    `stopped` is why collecting ended early, None as long as it did not.
    """

    def __init__(self, api: BacklinksApi) -> None:
        self._api = api
        self._collector: Collector | None = None
        self._outcomes: dict[tuple[dt.date, str], Outcome] = {}
        self._news = threading.Condition()
        self._done = False
        self._bug: BaseException | None = None
        self._why_ended: str | None = None

    @property
    def stopped(self) -> str | None:
        return self._why_ended or (self._collector.stopped if self._collector else None)

    # --- the command's side ---------------------------------------------------------------------------------------

    @contextmanager
    def at_work(
        self, asks: Sequence[CollectRequest], on_outcome: Callable[[Outcome], None], began: dt.datetime | None = None
    ) -> Iterator[None]:
        """Collect in a thread of its own while the block goes on; `on_outcome` is told there of each target."""
        with self._api.collector(began) as collector:
            self._collector, self._done, self._why_ended = collector, False, None
            worker = threading.Thread(
                target=self._work, args=(collector, asks, on_outcome), name="collect-ahead", daemon=True
            )
            worker.start()
            try:
                yield
                while worker.is_alive():
                    worker.join(0.2)  # short waits let signals in
                if self._bug is not None:
                    raise self._bug
            except BaseException as error:
                self.stop("the run was stopped")
                if self._bug is not None and self._bug is not error:
                    error.add_note(f"Collecting failed too: {self._bug}")
                raise
            finally:
                worker.join()
                self._outcomes.clear()
                self._collector = None

    def stop(self, reason: str) -> None:
        """Start no more calls; those in flight are waited for and kept."""
        if self._collector is not None:
            self._collector.stop(reason)

    def has_answers(self, names: Collection[str]) -> bool:
        """Whether any answer has come for these targets that no run has reported yet."""
        with self._news:
            return any(outcome.error is None and outcome.target in names for outcome in self._outcomes.values())

    def _work(
        self, collector: Collector, asks: Sequence[CollectRequest], on_outcome: Callable[[Outcome], None]
    ) -> None:
        try:
            for outcome in collector.collect(asks):
                on_outcome(outcome)
                with self._news:
                    self._outcomes[outcome.date, outcome.target] = outcome
                    self._news.notify_all()
        except StopError as error:
            self._why_ended = str(error)
        except BaseException as error:  # noqa: BLE001 - raised again where a run waits for it
            self._bug = error
        finally:
            with self._news:
                self._done = True
                self._news.notify_all()

    # --- the asset's side, as BacklinksApi and Collector ------------------------------------------------------------

    def request(self, date: str, target: Target) -> CollectRequest:
        return self._api.request(date, target)

    @contextmanager
    def collector(self, began: dt.datetime | None = None) -> Iterator["Ahead"]:  # noqa: ARG002 - the command's counts
        yield self

    def collect(self, asks: Sequence[CollectRequest]) -> Iterator[Outcome]:
        """Yield the outcomes of these asks as they come; raises as `Collector.collect`."""
        wanted = {(ask.date, ask.target) for ask in asks}
        complete = True
        while wanted:
            with self._news:
                self._news.wait_for(lambda: self._done or not wanted.isdisjoint(self._outcomes))
                came = [self._outcomes.pop(key) for key in wanted & self._outcomes.keys()]
            if not came:
                break
            wanted.difference_update((outcome.date, outcome.target) for outcome in came)
            complete = complete and all(outcome.error is None for outcome in came)
            yield from came
        if self._bug is not None:
            raise self._bug
        if wanted and self._collector is not None:  # not known when this began, or reported before
            yield from self._collector.collect([ask for ask in asks if (ask.date, ask.target) in wanted])
            return
        if self.stopped and not complete:  # a stop that came after the last of these is another run's
            raise StopError(self.stopped)
