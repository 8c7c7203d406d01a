"""From a list of targets to landed answers: claim, the account's permit, the call with its retries, land.

Here belongs the order of these steps and what ends a run. One call is judged in `api/`, the limits are `account/`,
the keeping is `responses.py`; Dagster and the command see only the outcomes that are yielded.
"""

import contextlib
import datetime as dt
import queue
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson
import tenacity

from backlinks_assets.account import ledger
from backlinks_assets.account.limiter import AccountLimiter, Cancelled, LimiterError
from backlinks_assets.api.client import SummaryClient
from backlinks_assets.api.errors import AccountError, ApiError, RequestError, TransientError
from backlinks_assets.api.listed import ListedTask
from backlinks_assets.api.models import (
    RequestParameters,
    StatusType,
    SummaryAnswer,
    SummaryRequest,
    first_result,
    request_tag,
)
from backlinks_assets.store.database import StoreError
from backlinks_assets.store.models import StoredAnswer
from backlinks_assets.store.responses import ClaimState, Key, ResponseStore
from backlinks_assets.store.settle import settle

STATUS_TYPES: Final[tuple[StatusType, ...]] = ("live", "lost")
MOST_ATTEMPTS: Final = 5
MOST_SECONDS_A_CALL: Final = 600.0
"""Attempts and waits of one call together; what needs longer is a matter for a later run."""
FAILURES_IN_A_ROW: Final = 30
"""So many calls that all retries could not save, with no answer between them, are an outage, not bad luck."""
SPACE_KEPT_BYTES: Final = 64 * 1024 * 1024
"""Below this much free space no call is started: its answer might not be kept."""

_POLL_S: Final = 0.25
_TOGETHER_S: Final = 0.5
"""So long finished targets of a long run are gathered: to report one by one, each in a process that slept, takes half again."""


LATE: Final = dt.timedelta(hours=1)
"""So long after midnight (UTC) a run that began before it may go on with its day."""


class StopError(Exception):
    """The run must not start another call; the message says why and what to do. What was paid for is kept."""


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


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def is_open(date: dt.date, began: dt.datetime, now: dt.datetime) -> bool:
    """Whether a run that began then may make calls for a day now: on the day, and for an hour if it began on it."""
    if now.date() == date:
        return True
    midnight = dt.datetime.combine(date, dt.time(), dt.UTC) + dt.timedelta(days=1)
    return began.date() == date and midnight <= now < midnight + LATE


class Collector:
    """Asks about many targets at once and yields each as soon as it is finished.

    Args:
        any_day: only the simulator may be asked about a day that is not the present one.
        space_in: the folder whose free space is watched.
        billed_after: a call older than this is over at the vendor too, and then in its list if it was charged.
        began: when the run was asked for, if not now.
    """

    def __init__(  # noqa: PLR0913 - the parts it is put together from
        self,
        client: SummaryClient,
        limiter: AccountLimiter,
        store: ResponseStore,
        *,
        owner: str,
        budget: ledger.Budget,
        at_once: int,
        any_day: bool,
        space_in: Path,
        billed_after: dt.timedelta = dt.timedelta(seconds=135),
        began: dt.datetime | None = None,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        self._client = client
        self._limiter = limiter
        self._store = store
        self._owner = owner
        self._budget = budget
        self._at_once = at_once
        self._any_day = any_day
        self._space_in = space_in
        self._billed_after = billed_after
        self._began = began or now()
        self._now = now
        self._stop = threading.Event()
        self._stop_reason: str | None = None
        self._lock = threading.Lock()
        self._failed_in_a_row = 0
        self._retrying = tenacity.Retrying(  # one for all threads: what it knows of a call is each thread's own
            retry=tenacity.retry_if_exception_type(TransientError),
            stop=tenacity.stop_after_attempt(MOST_ATTEMPTS) | tenacity.stop_before_delay(MOST_SECONDS_A_CALL),
            wait=_wait_s,
            sleep=tenacity.sleep_using_event(self._stop),
            reraise=True,
        )

    def stop(self, reason: str) -> None:
        """Start no more calls; those in flight are waited for and kept. The first reason given is the one told."""
        with self._lock:
            self._stop_reason = self._stop_reason or reason
        self._stop.set()

    @property
    def stopped(self) -> str | None:
        """Why no more calls are started, as soon as that is so; None while they are."""
        return self._stop_reason

    def collect(self, asks: Sequence[Ask]) -> Iterator[Outcome]:
        """Yield an outcome for every ask, in the order in which they finish, at most half a second after.

        Raises:
            StopError: after the last outcome, when the run had to stop; the asks that were not made have it as
                their error too.
        """
        if not asks:
            return
        if self._store.close_dead_calls(self._now()):
            self._settle()
        landed = self._store.landed({ask.date for ask in asks})
        finished: queue.SimpleQueue[tuple[int, StatusType, _Part]] = queue.SimpleQueue()
        turns = _Turns(
            (number, ask, status_type, ask.key(status_type) in landed)
            for number, ask in enumerate(asks)
            for status_type in STATUS_TYPES
        )
        begun: dict[int, tuple[Outcome, int]] = {}
        left = len(asks)
        pool = ThreadPoolExecutor(max_workers=self._at_once, thread_name_prefix="collect")
        try:
            for _ in range(self._at_once):
                pool.submit(self._work, turns, finished)
            while left:
                if finished.empty() and left > self._at_once:
                    self._stop.wait(_TOGETHER_S)
                try:
                    number, status_type, part = finished.get(timeout=_POLL_S)
                except queue.Empty:
                    continue
                ask = asks[number]
                outcome, missing = begun.pop(number, (Outcome(ask.date, ask.target), len(STATUS_TYPES)))
                part.add_to(outcome, status_type)
                if missing > 1:
                    begun[number] = outcome, missing - 1
                    continue
                left -= 1
                yield outcome
        finally:
            # Also when the consumer goes away or is interrupted: calls in flight end and are kept.
            if left:
                self.stop("the run was stopped")
                turns.close()
            pool.shutdown(wait=True)
        if not self._stop.is_set():
            self._settle()
        if self._stop_reason:
            raise StopError(self._stop_reason)

    def _settle(self) -> None:
        """Ask the vendor's list about calls without an answer, within the limits. The run does not depend on it."""

        def listed(first: dt.datetime, last: dt.datetime, offset: int) -> list[ListedTask]:
            with self._limiter.permit(self._stop.is_set):
                return self._client.tasks_between(first, last, offset)

        with contextlib.suppress(ApiError, LimiterError, Cancelled):
            settle(self._store, listed, self._now(), self._billed_after)

    def _work(self, turns: "_Turns", finished: "queue.SimpleQueue[tuple[int, StatusType, _Part]]") -> None:
        for number, ask, status_type, is_landed in turns:
            finished.put((number, status_type, self._part(ask, status_type, is_landed)))

    def _part(self, ask: Ask, status_type: StatusType, is_landed: bool) -> "_Part":
        part = _Part()
        try:
            if is_landed:
                part.take(self._store.answer(ask.key(status_type)))
            else:
                self._one(ask, status_type, part)
        except Exception as error:  # noqa: BLE001 - a worker's bug must end the run with its name, not hang it
            part.error = f"unexpected error: {type(error).__name__}: {error}"
            self.stop(part.error)
        return part

    def _one(self, ask: Ask, status_type: StatusType, part: "_Part") -> None:
        key = ask.key(status_type)
        try:
            if self._stop.is_set():
                raise Cancelled
            if (refusal := self._not_callable(ask.date, self._now())) is not None:
                part.take(self._store.latest(ask.date, ask.target, status_type), otherwise=refusal)
                return
            if not self._claimed(key):
                part.take(self._store.answer(key))
                return
            try:
                answer, _ = self._ask(ask, status_type, part)
            except BaseException:
                with contextlib.suppress(StoreError):  # the first error is the one to tell
                    self._store.release(key)
                raise
            part.reading = _reading(answer.result, self._now())
            self._failed_in_a_row = 0
        except Cancelled:
            part.error = f"not asked: {self._stop_reason or 'the run was stopped'}"
        except (AccountError, ledger.BudgetError, StoreError, LimiterError, _NoSpaceError) as error:
            part.error = str(error)
            self.stop(str(error))
        except RequestError as error:
            part.error = error.message
            if not ask.own_parameters:
                self.stop(error.message)
        except TransientError as error:
            part.error = f"{error.message}; {MOST_ATTEMPTS} attempts at most were made"
            self._count_failure(error)
        except (ApiError, _DayOverError) as error:
            part.error = str(error)

    def _not_callable(self, date: dt.date, now: dt.datetime) -> str | None:
        """Return why the API can't be asked about a day, or None: it answers for the present only."""
        if self._any_day or is_open(date, self._began, now):
            return None
        when = "is over" if date < now.date() else "has not begun"
        return f"nothing is stored for {date} and the day {when} (UTC): the API answers for the present only"

    def _claimed(self, key: Key) -> bool:
        """Claim the call; wait while another run is at it. False: its answer has landed in the meantime."""
        while True:
            state = self._store.claim(key, self._now())
            if state is not ClaimState.TAKEN:
                return state is ClaimState.OURS
            if self._stop.wait(_POLL_S):
                raise Cancelled

    def _ask(self, ask: Ask, status_type: StatusType, part: "_Part") -> tuple[SummaryAnswer, int]:
        for attempt in self._retrying:
            with attempt:
                number = attempt.retry_state.attempt_number
                return self._attempt(ask, status_type, part, number), number
        raise AssertionError("unreachable: the last attempt's error is raised")

    def _attempt(self, ask: Ask, status_type: StatusType, part: "_Part", number: int) -> SummaryAnswer:
        """Make one call and land its answer: slot, permit, ledger, send, release, land."""
        request = SummaryRequest(
            ask.target, status_type, ask.parameters, request_tag(ask.date, ask.target, status_type)
        )
        call_id = uuid.uuid4().hex
        try:
            with self._limiter.permit(self._stop.is_set) as permit:
                self._enter(call_id, ask, status_type, number)
                part.calls += 1
                try:
                    answer = self._client.ask(request)
                except TransientError as error:
                    if error.may_go_on:
                        permit.keep_slot()
                    raise
        except ApiError as error:
            part.cost_usd += (error.answer.cost_usd or 0.0) if error.answer else 0.0
            self._store.end_call(call_id, error.answer, error.message, self._now())
            if isinstance(error, TransientError):
                self._slow_down(error)
            raise
        part.cost_usd += answer.cost_usd or 0.0
        if answer.simulated and not self._any_day:
            message = "the bundled simulator answered where the real API was expected"
            self._store.end_call(call_id, answer, message, self._now())
            raise RequestError(f"{message}: nothing of it is kept. Add /simulator to DATAFORSEO_BASE_URL, or unset it")
        self._store.land(ask.key(status_type), call_id, answer, ask.parameters, number, self._now())
        return answer

    def _enter(self, call_id: str, ask: Ask, status_type: StatusType, number: int) -> None:
        """Enter the call in the ledger at its very start: the day, the space and the budget must allow it."""
        while True:
            now = self._now()  # one look, so that a call is booked on the UTC day on which it was found allowed
            if (refusal := self._not_callable(ask.date, now)) is not None:
                raise _DayOverError(refusal)
            if (free := shutil.disk_usage(self._space_in).free) < SPACE_KEPT_BYTES:
                raise _NoSpaceError(
                    f"Only {free >> 20} MiB are free for {self._space_in}: no call is started, since its answer might not "
                    "be kept. Free some space and run again."
                )
            call = ledger.Call(call_id, ask.date, ask.target, status_type, self._owner, number, now)
            try:
                return self._store.start_call(call, self._budget)
            except ledger.PriceUnknownError:
                if self._stop.wait(_POLL_S):
                    raise Cancelled from None

    def _slow_down(self, error: TransientError) -> None:
        if error.pause_account_s:
            self._limiter.pause(error.pause_account_s)
        if error.lower_concurrency:
            self._limiter.lower_concurrency()

    def _count_failure(self, error: TransientError) -> None:
        with self._lock:
            self._failed_in_a_row += 1
            outage = self._failed_in_a_row >= FAILURES_IN_A_ROW
        if error.stops_run or outage:
            self.stop(f"The API does not answer: {error.message}. Run again later; what was paid for is kept.")


class _DayOverError(Exception):
    """The partition's day is not the present one any more."""


class _NoSpaceError(Exception):
    """There is too little free space to keep an answer."""


class _Turns:
    """What is to be done, taken by many threads, one item each in turn. What is not yet taken takes no memory."""

    def __init__(self, items: Iterator[tuple[int, Ask, StatusType, bool]]) -> None:
        self._items = items
        self._lock = threading.Lock()
        self._closed = False

    def __iter__(self) -> Iterator[tuple[int, Ask, StatusType, bool]]:
        return self

    def __next__(self) -> tuple[int, Ask, StatusType, bool]:
        with self._lock:
            if self._closed:
                raise StopIteration
            return next(self._items)

    def close(self) -> None:
        """Give no more."""
        with self._lock:
            self._closed = True


@dataclass(slots=True)
class _Part:
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
            self.reading = _reading(first_result(orjson.loads(stored.body)), stored.captured_at)
            self.reused = True

    def add_to(self, outcome: Outcome, status_type: StatusType) -> None:
        outcome.calls += self.calls
        outcome.cost_usd += self.cost_usd
        outcome.reused += self.reused
        outcome.error = outcome.error or self.error
        if self.reading is not None:
            outcome.readings[status_type] = self.reading


def _reading(result: dict[str, object] | None, captured_at: dt.datetime) -> Reading:
    def whole(name: str) -> int | None:
        value = (result or {}).get(name)
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    return Reading(result is not None, whole("backlinks"), whole("backlinks_spam_score"), captured_at)


_backoff = tenacity.wait_exponential_jitter(multiplier=1.0, max=60.0, jitter=2.0)


def _wait_s(state: tenacity.RetryCallState) -> float:
    """Return the seconds before the next attempt: exponential with jitter, or longer where the API asked for it."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_s if isinstance(error, TransientError) and error.retry_after_s else 0.0
    backoff = _backoff(state)
    return asked + backoff / 2 if asked > backoff else backoff
