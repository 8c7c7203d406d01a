"""From a list of targets to landed answers: claim, the account's permit, the call with its retries, land.

Here belongs the order of these steps and what ends a run. One call is judged in `api/`, the limits are `account/`,
the keeping is `responses.py`; Dagster and the command see only the outcomes that are yielded.
"""

import contextlib
import datetime as dt
import queue
import shutil
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import tenacity

from backlinks_assets.account.limiter import AccountLimiter, Cancelled, LimiterError
from backlinks_assets.collect.outcome import STATUS_TYPES, Ask, Outcome, Part, reading_of
from backlinks_assets.collect.reconcile import look_up_costs
from backlinks_assets.collect.turns import NotCalledError, Room, Turn, Turns, new_call_id
from backlinks_assets.dataforseo.client import SummaryClient
from backlinks_assets.dataforseo.endpoints.summary import SummaryAnswer, SummaryRequest, request_tag
from backlinks_assets.dataforseo.errors import AccountError, ApiError, RequestError, TargetError, TransientError
from backlinks_assets.errors import BacklinksError
from backlinks_assets.store import ledger
from backlinks_assets.store.budget import Budget, BudgetError, PriceUnknownError
from backlinks_assets.store.database import StoreError
from backlinks_assets.store.responses import ResponseStore

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


class StopError(BacklinksError):
    """The run must not start another call; the message says why and what to do. What was paid for is kept."""


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
        budget: Budget,
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
        self._half_paid: str | None = None
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
        while asks:
            put_off, room = yield from self._round(asks)
            asks = [ask for ask, _ in put_off]
            if asks and (self._stop.is_set() or not room.has_called):
                self._stop_reason = self._stop_reason or room.refused
                yield from (outcome for _, outcome in put_off)
                break
        if not self._stop.is_set():
            self._settle()
        if reason := self._stop_reason or self._half_paid:
            raise StopError(reason)

    def _round(self, asks: Sequence[Ask]) -> Generator[Outcome, None, tuple[list[tuple[Ask, Outcome]], Room]]:
        """Yield the outcomes of asks; return those put off for want of room in the budget, which calls under way may leave."""
        turns = Turns(asks, self._store.landed({ask.date for ask in asks}))
        finished: queue.SimpleQueue[tuple[Turn, Part]] = queue.SimpleQueue()
        begun: dict[int, tuple[Outcome, int]] = {}
        put_off: list[tuple[Ask, Outcome]] = []
        left = len(asks)
        pool = ThreadPoolExecutor(max_workers=self._at_once, thread_name_prefix="collect")
        try:
            for _ in range(self._at_once):
                pool.submit(self._work, turns, finished)
            while left:
                if finished.empty() and left > self._at_once:
                    self._stop.wait(_TOGETHER_S)
                try:
                    turn, part = finished.get(timeout=_POLL_S)
                except queue.Empty:
                    continue
                new = Outcome(turn.ask.date, turn.ask.target), len(STATUS_TYPES)
                outcome, missing = begun.pop(turn.number, new)
                part.add_to(outcome, turn.status_type)
                if missing > 1:
                    begun[turn.number] = outcome, missing - 1
                    continue
                left -= 1
                if turn.pair.is_put_off:
                    put_off.append((turn.ask, outcome))
                else:
                    yield outcome
        finally:
            # Also when the consumer goes away or is interrupted: calls in flight end and are kept.
            if left:
                self.stop("the run was stopped")
                turns.close()
            pool.shutdown(wait=True)
        return put_off, turns.room

    def _settle(self) -> None:
        look_up_costs(self._store, self._client, self._limiter, self._now(), self._billed_after, self._stop.is_set)

    def _work(self, turns: Turns, finished: "queue.SimpleQueue[tuple[Turn, Part]]") -> None:
        for turn in turns:
            finished.put((turn, self._part(turn)))

    def _part(self, turn: Turn) -> Part:
        part = Part()
        try:
            if turn.is_kept:
                part.take(self._store.answer(turn.key))
            else:
                self._one(turn, part)
        except Exception as error:  # noqa: BLE001 - a worker's bug must end the run with its name, not hang it
            part.error = f"unexpected error: {type(error).__name__}: {error}"
            self.stop(part.error)
        finally:
            turn.pair.end(turn, part.error)
            with contextlib.suppress(StoreError):  # the first error is the one to tell
                if turn.is_claimed:
                    self._store.release(turn.key)
                if turn.has_room:
                    self._store.give_back(turn.call_id)
        return part

    def _one(self, turn: Turn, part: Part) -> None:
        ask = turn.ask
        try:
            if self._stop.is_set():
                raise Cancelled
            turn.pair.hold_back()
            if (refusal := self._not_callable(ask.date, self._now())) is not None:
                part.take(self._store.latest(ask.date, ask.target, turn.status_type), otherwise=refusal)
                return
            if not self._claimed(turn):
                part.take(self._store.answer(turn.key))
                return
            answer = self._ask(turn, part)
            part.reading = reading_of(answer.result, self._now())
            self._failed_in_a_row = 0
        except Cancelled:
            part.error = f"not asked: {self._stop_reason or 'the run was stopped'}"
        except BudgetError as error:
            part.error = str(error)
            if turn.pair.has_begun:
                self._half_paid = self._half_paid or str(error)
        except (AccountError, StoreError, LimiterError) as error:
            part.error = str(error)
            self.stop(str(error))
        except RequestError as error:
            part.error = error.message
            if not ask.own_parameters:
                self.stop(error.message)
        except TransientError as error:
            part.error = f"{error.message}; {MOST_ATTEMPTS} attempts at most were made"
            self._count_failure(error)
        except (ApiError, NotCalledError) as error:
            part.error = str(error)

    def _not_callable(self, date: dt.date, now: dt.datetime) -> str | None:
        """Return why the API can't be asked about a day, or None: it answers for the present only."""
        if self._any_day or is_open(date, self._began, now):
            return None
        when = "is over" if date < now.date() else "has not begun"
        return f"nothing is stored for {date} and the day {when} (UTC): the API answers for the present only"

    def _claimed(self, turn: Turn) -> bool:
        """Claim the target's calls, and wait while another run is at one. False: this answer has landed meanwhile."""
        with turn.pair.lock:
            while not turn.pair.claim(turn, self._store, self._now()):
                if self._stop.wait(_POLL_S):
                    raise Cancelled
        return turn.is_claimed

    def _ask(self, turn: Turn, part: Part) -> SummaryAnswer:
        for attempt in self._retrying:
            with attempt:
                return self._attempt(turn, part, attempt.retry_state.attempt_number)
        raise AssertionError("unreachable: the last attempt's error is raised")

    def _attempt(self, turn: Turn, part: Part, number: int) -> SummaryAnswer:
        """Make one call and keep its answer: slot, permit, ledger, send, release, land or keep as evidence."""
        with self._limiter.permit(self._stop.is_set) as permit:
            self._enter(turn, number)
            part.calls += 1
            answer, error = self._send(turn)
            if isinstance(error, TransientError) and error.may_go_on:
                permit.keep_slot()
        if answer is not None:
            part.cost_usd += answer.known_cost_usd or 0.0
        if error is not None:
            self._end(turn, answer, error)
            raise error
        assert answer is not None
        self._store.land(turn.key, turn.call_id, answer, turn.ask.parameters, number, self._now())
        turn.is_claimed = False
        return answer

    def _send(self, turn: Turn) -> tuple[SummaryAnswer | None, Exception | None]:
        """Send a call; return what came, if anything did, and why it can't be used, if it can't."""
        ask = turn.ask
        tag = request_tag(ask.date, ask.target, turn.status_type)
        try:
            answer = self._client.ask(SummaryRequest(ask.target, turn.status_type, ask.parameters, tag))
        except ApiError as error:
            if error.answer is None or not error.answer.simulated or self._any_day:
                return error.answer, error
        except Exception as error:  # noqa: BLE001 - raised again when the call is booked
            return None, error
        else:
            if not answer.simulated or self._any_day:
                return answer, None
        free = SummaryAnswer(b"", 200, cost_usd=0.0, simulated=True)
        return free, RequestError(
            "the bundled simulator answered where the real API was expected: nothing of it is kept. Add /simulator to "
            "DATAFORSEO_BASE_URL, or unset it"
        )

    def _end(self, turn: Turn, answer: SummaryAnswer | None, error: Exception) -> None:
        """Book a call whose answer can't be used, and set room aside for the next attempt where there is one."""
        ended, turn.call_id = turn.call_id, new_call_id()
        retry = (turn.call_id, self._budget) if isinstance(error, TransientError) else None
        final = isinstance(error, TargetError | RequestError)
        turn.has_room = self._store.end_call(ended, turn.key, answer, str(error), self._now(), final, retry)
        if isinstance(error, TransientError):
            self._slow_down(error)

    def _enter(self, turn: Turn, number: int) -> None:
        """Enter the call in the ledger at its very start: the day, the space and the budget must allow it.

        The target's other call, if it must be made too, is let in with it: both have room in the budget, or neither.
        """
        ask, pair = turn.ask, turn.pair
        is_capped = self._budget.usd_per_day is not None
        while True:
            with pair.lock if is_capped else contextlib.nullcontext():  # without a cap there is room for all
                pair.check()
                now = self._now()  # one look, so that a call is booked on the UTC day on which it was found allowed
                if (refusal := self._not_callable(ask.date, now)) is not None:
                    raise NotCalledError(refusal)
                if (free := shutil.disk_usage(self._space_in).free) < SPACE_KEPT_BYTES:
                    raise StoreError(
                        f"Only {free >> 20} MiB are free for {self._space_in}: no call is started, since its answer might "
                        "not be kept. Free some space and run again."
                    )
                call = ledger.Call(turn.call_id, ask.date, ask.target, turn.status_type, self._owner, number, now)
                others = [] if pair.has_begun else [each for each in pair.to_call if each is not turn]
                with contextlib.suppress(PriceUnknownError), pair.beginning():
                    self._store.start_call(call, self._budget, [other.call_id for other in others])
                    turn.has_room = False
                    for other in others:
                        other.has_room = is_capped
                    return
            if self._stop.wait(_POLL_S):
                raise Cancelled

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


_backoff = tenacity.wait_exponential_jitter(multiplier=1.0, max=60.0, jitter=2.0)


def _wait_s(state: tenacity.RetryCallState) -> float:
    """Return the seconds before the next attempt: exponential with jitter, or longer where the API asked for it."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_s if isinstance(error, TransientError) and error.retry_after_s else 0.0
    backoff = _backoff(state)
    return asked + backoff / 2 if asked > backoff else backoff
