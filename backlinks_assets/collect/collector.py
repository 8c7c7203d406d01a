"""From a list of targets to stored answers: many targets at once, each with its claims, calls and retries.

Here belong the order of these steps and what stops a run. One attempt is `caller.py`; Dagster and the command see only the
yielded outcomes.
"""

import contextlib
import datetime as dt
import queue
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import tenacity

from backlinks_assets.account.limiter import Cancelled, LimiterError
from backlinks_assets.collect.caller import POLL_S, Call, Caller, NotCalledError
from backlinks_assets.collect.outcome import CollectRequest, Outcome, reading_of
from backlinks_assets.collect.reconcile import reconcile_within_limits
from backlinks_assets.collect.room import Room
from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.dataforseo.errors import ApiError, RequestError, TargetError, TransientError
from backlinks_assets.errors import BacklinksError
from backlinks_assets.store.answers import Key
from backlinks_assets.store.budget import Budget, BudgetError
from backlinks_assets.store.bulk import BulkStore
from backlinks_assets.store.database import StoreError

MAX_ATTEMPTS: Final = 5
MAX_SECONDS_PER_CALL: Final = 600.0
"""Attempts and waits of one call together. What needs longer is left to a later run."""
MAX_CONSECUTIVE_FAILURES: Final = 30
"""So many failed calls, each with all its retries and no answer between them, are an outage."""

_READ_TOGETHER: Final = 500
"""So many targets' stored answers are in memory at once."""

_BATCH_S: Final = 0.5
"""Outcomes of a long run are yielded in batches of this time. Yielding each at once costs 50 % more CPU."""


class StopError(BacklinksError):
    """The run must not start another call; the message says why and what to do. What was paid for is stored."""


def refuse_beyond_budget(
    store: BulkStore, day: dt.date, budget: Budget, price_usd: float, needs: str, *, otherwise: str = ""
) -> None:
    """Raise StopError where the budget of a UTC day has no room for calls together, of which a part is of no use.

    `needs` is what the sentence begins with, for instance `The probe needs 3 calls`; `otherwise` what else can be done.
    """
    left = store.budget_left_usd(day, budget)
    if left is not None and price_usd > left + 1e-9:
        raise StopError(
            f"{needs} of ${price_usd:,.6g} together, and the budget of ${budget.usd_per_day or 0:,.2f} for {day} (UTC) has "
            f"${left:,.6g} left: none was made. Raise BACKLINKS_BUDGET_USD_PER_DAY, {otherwise}or go on tomorrow."
        )


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Collector:
    """Collects many targets at once and yields each when it is finished.

    Args:
        at_once: targets at work. The calls of one target follow one another.
        billed_after: a call older than this has ended at the vendor too, and is in its list if it was charged.
    """

    def __init__(self, caller: Caller, *, at_once: int, billed_after: dt.timedelta = dt.timedelta(seconds=135)) -> None:
        self._caller = caller
        self._store = caller.store
        self._at_once = at_once
        self._billed_after = billed_after
        self._stop = caller.stop
        self._stop_reason: str | None = None
        self._no_room: str | None = None
        self._room = Room(self._stop)
        self._lock = threading.Lock()
        self._failed_in_a_row = 0
        self._retrying = tenacity.Retrying(  # shared by all threads: its state is per thread
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=tenacity.stop_after_attempt(MAX_ATTEMPTS) | tenacity.stop_before_delay(MAX_SECONDS_PER_CALL),
            wait=_wait_s,
            sleep=tenacity.sleep_using_event(self._stop),
            reraise=True,
        )

    def stop(self, reason: str) -> None:
        """Start no more calls; those in flight are waited for and stored. Only the first reason is recorded."""
        with self._lock:
            self._stop_reason = self._stop_reason or reason
        self._stop.set()

    @property
    def stopped(self) -> str | None:
        """Why no more calls are started; None while they are."""
        return self._stop_reason

    def collect(self, requests: Sequence[CollectRequest]) -> Iterator[Outcome]:
        """Yield an outcome for every request, in the order in which they finish, at most half a second after.

        Raises:
            StopError: after the last outcome, if the run had to stop. Requests that were not begun have the same error.
        """
        if not requests:
            return
        self._begin()
        yield from self._outcomes(requests)
        self._end()

    def _begin(self) -> None:
        """Book the calls that dead processes left."""
        if self._store.close_dead_calls(self._caller.now()):
            reconcile_within_limits(self._caller, self._billed_after)

    def _end(self) -> None:
        """Book the run's own calls without an answer; raises StopError if the run had to stop."""
        if not self._stop.is_set():
            reconcile_within_limits(self._caller, self._billed_after)
        if reason := self._stop_reason or self._no_room:
            raise StopError(reason)

    def _outcomes(self, requests: Sequence[CollectRequest]) -> Iterator[Outcome]:
        stored = self._store.stored_keys({request.date for request in requests})
        whole, lacking = list[CollectRequest](), list[CollectRequest]()
        for request in requests:
            (whole if stored.issuperset(request.keys) else lacking).append(request)
        finished: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        left = len(lacking)
        pool = ThreadPoolExecutor(max_workers=self._at_once, thread_name_prefix="collect")
        try:
            for request in lacking:
                pool.submit(lambda request: finished.put(self._outcome(request, stored)), request)
            yield from self._reused(whole, stored)
            while left:
                if finished.empty() and left > self._at_once:
                    self._stop.wait(_BATCH_S)
                outcome = finished.get()
                left -= 1
                yield outcome
        finally:
            # Calls in flight end and are stored, also when the consumer is gone or interrupted.
            if left:
                self.stop("the run was stopped")
            pool.shutdown(wait=True, cancel_futures=True)

    def _reused(self, requests: Sequence[CollectRequest], stored: set[Key]) -> Iterator[Outcome]:
        """Yield the outcomes of requests all of whose answers are stored."""
        for start in range(0, len(requests), _READ_TOGETHER):
            some = requests[start : start + _READ_TOGETHER]
            outcomes = [request.outcome() for request in some]
            try:
                found = self._store.answers_to([key for request in some for key in request.keys])
                for request, outcome in zip(some, outcomes, strict=True):
                    for key in request.keys:
                        outcome.reuse(key.status_type, found.get(key))
            except Exception:  # noqa: BLE001 - met again, by the target whose answer it is
                outcomes = [self._outcome(request, stored) for request in some]
            yield from outcomes

    def _outcome(self, request: CollectRequest, stored: set[Key]) -> Outcome:
        outcome = request.outcome()
        missing = [key for key in request.keys if key not in stored]
        try:
            for key in request.keys:
                if key not in missing:
                    outcome.reuse(key.status_type, self._store.answer(key))
            if missing and outcome.error is None:
                self._collect(request, missing, outcome)
        except Exception as error:  # noqa: BLE001 - a bug in a worker must end the run, not hang it
            outcome.fail(self._reason(error, request))
        return outcome

    def _collect(self, request: CollectRequest, missing: Sequence[Key], outcome: Outcome) -> None:
        """Get the answers that a target lacks, once the budget has room for all: one alone has no use."""
        while True:
            if self._stop.is_set():
                raise Cancelled
            entered, refused = self._room.enter(len(missing)), None
            calls = [Call(key) for key in missing]
            try:
                return self._call_all(request, calls, outcome)
            except BudgetError as error:  # none is begun; calls under way may still leave room
                refused = error
            finally:
                with contextlib.suppress(StoreError):  # the first error is the one to report
                    for call in calls:
                        if call.is_claimed:
                            self._store.release(call.key)
                        if call.has_room:
                            self._store.give_back(call.call_id)
                self._room.leave(entered, refused)

    def _call_all(self, request: CollectRequest, calls: Sequence[Call], outcome: Outcome) -> None:
        """Begin all calls or none. Once begun, the others are made even if one fails."""
        if (refusal := self._caller.not_callable(request.date, self._caller.now())) is not None:
            for call in calls:
                status_type = call.key.status_type
                stored = self._store.latest(request.date, request.target, status_type, request.endpoint.name)
                outcome.reuse(status_type, stored, refusal)
            return
        missing = self._claimed(calls, outcome)
        for number, call in enumerate(missing):
            try:
                answer = self._answer(request, call, [] if number else missing[1:], outcome)
            except Exception as error:
                if not number and not call.is_begun:
                    raise
                outcome.fail(self._reason(error, request))
            else:
                outcome.readings[call.key.status_type] = reading_of(answer.result, self._caller.now())

    def _claimed(self, calls: Sequence[Call], outcome: Outcome) -> list[Call]:
        """Claim all calls, and wait while another run is at one; return those whose answers are still missing.

        Raises:
            NotCalledError: one of them must not be made again, so none is made.
        """
        while (claim := self._store.claim([call.key for call in calls], self._caller.now())) is None:
            if self._stop.wait(POLL_S):
                raise Cancelled
        for call in calls:
            call.is_claimed = call.key not in claim.stored and call.key not in claim.refused
            if call.key in claim.stored:
                outcome.reuse(call.key.status_type, self._store.answer(call.key))
        for refusal in claim.refused.values():
            raise NotCalledError(refusal)
        return [call for call in calls if call.is_claimed]

    def _answer(self, request: CollectRequest, call: Call, others: Sequence[Call], outcome: Outcome) -> Answer:
        """Make a call, and again after a transient error."""
        for attempt in self._retrying:
            with attempt:
                together = [] if call.is_begun else others
                number = attempt.retry_state.attempt_number
                answer = self._caller.attempt(request, call, together, number, outcome)
                self._failed_in_a_row = 0
                return answer
        raise AssertionError("unreachable: the last attempt's error is raised")

    def _reason(self, error: Exception, request: CollectRequest) -> str:
        """Return the text for an error, and stop the run where the other targets would meet it too."""
        match error:
            case Cancelled():
                return f"not requested: {self._stop_reason or 'the run was stopped'}"
            case BudgetError():
                self._no_room = self._no_room or str(error)
            case TransientError():
                self._count_failure(error)
                return f"{error.message}; {MAX_ATTEMPTS} attempts at most were made"
            case TargetError() | NotCalledError():
                pass
            case RequestError() if request.own_parameters:
                pass
            case ApiError() | StoreError() | LimiterError():
                self.stop(str(error))
            case _:
                said = f"unexpected error: {type(error).__name__}: {error}"
                self.stop(said)
                return said
        return str(error)

    def _count_failure(self, error: TransientError) -> None:
        with self._lock:
            self._failed_in_a_row += 1
            outage = self._failed_in_a_row >= MAX_CONSECUTIVE_FAILURES
        if error.stops_run or outage:
            self.stop(f"The API does not answer: {error.message}. Run again later; what was paid for is kept.")


_backoff = tenacity.wait_exponential_jitter(multiplier=1.0, max=60.0, jitter=2.0)


def _wait_s(state: tenacity.RetryCallState) -> float:
    """Return the seconds before the next attempt: exponential with jitter, or longer where the API says so."""
    error = state.outcome.exception() if state.outcome else None
    wanted = error.retry_after_s if isinstance(error, TransientError) and error.retry_after_s else 0.0
    backoff = _backoff(state)
    return wanted + backoff / 2 if wanted > backoff else backoff
