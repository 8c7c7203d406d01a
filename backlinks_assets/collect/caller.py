"""One attempt at a call: the account's permit, the ledger, sending, and storing the answer.

Retries, and which calls are made, are `collector.py`; HTTP is `dataforseo/client.py`.
"""

import contextlib
import datetime as dt
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from backlinks_assets.account.limiter import Cancelled, Limiter, Permit
from backlinks_assets.collect.outcome import CollectRequest, Outcome
from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoint import BUILT_IN, Request, Tariff
from backlinks_assets.dataforseo.endpoints.summary import SUMMARY
from backlinks_assets.dataforseo.errors import ApiError, RequestError, TargetError, TransientError
from backlinks_assets.dataforseo.tag import request_tag
from backlinks_assets.store import ledger
from backlinks_assets.store.answers import Key
from backlinks_assets.store.budget import Budget, PriceUnknownError
from backlinks_assets.store.database import StoreError, UnreachableError
from backlinks_assets.store.responses import ResponseStore

MIN_FREE_BYTES: Final = 64 * 1024 * 1024
"""Below this much free space no call is started: its answer might not be stored."""
LATE: Final = dt.timedelta(hours=1)
"""How long after midnight (UTC) a run that began before it may go on with its day."""
POLL_S: Final = 0.25


class NotCalledError(Exception):
    """A call is not made: its day is over, or the same call was charged for an answer that can't be used."""


def is_open(date: dt.date, began: dt.datetime, now: dt.datetime) -> bool:
    """Whether a run may make calls for a day now: on the day, and for an hour more if it began on it."""
    if now.date() == date:
        return True
    midnight = dt.datetime.combine(date, dt.time(), dt.UTC) + dt.timedelta(days=1)
    return began.date() == date and midnight <= now < midnight + LATE


@dataclass(slots=True, eq=False)
class Call:
    """An answer that a target lacks. `call_id` is the id of the next call for it.

    `is_claimed`: this run alone may call. `has_room`: room in the budget is set aside for the next call.
    """

    key: Key
    call_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    is_claimed: bool = False
    has_room: bool = False
    is_begun: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Makes the calls of a run.

    Args:
        any_day: the API answers for any day, as only the simulator does.
        space_in: the folder whose free space is checked.
        began: when the run was requested.
        stop: set when no more calls are to be started.
        tariffs: the account's own prices by endpoint, as far as they are known.
    """

    client: Client
    limiter: Limiter
    store: ResponseStore
    owner: str
    budget: Budget
    any_day: bool
    space_in: Path
    began: dt.datetime
    now: Callable[[], dt.datetime]
    stop: threading.Event = field(default_factory=threading.Event)
    tariffs: Mapping[str, Tariff] = field(default_factory=dict)

    def attempt(
        self, request: CollectRequest, call: Call, together: Sequence[Call], number: int, outcome: Outcome
    ) -> Answer:
        """Make one attempt and store its answer; `outcome` counts it.

        `together` are calls that must be made too if this one is: all have room in the budget, or none has.

        Raises:
            ApiError: the answer can't be used. If it was charged, its cost is booked and the answer is stored as evidence.
            BudgetError, NotCalledError, StoreError, LimiterError, Cancelled: no call was made.
        """
        key, endpoint = call.key, request.endpoint
        tag = request_tag(key.date, key.target, key.status_type, endpoint.name)
        task = Request(key.target, request.parameters, key.status_type, tag)
        budget = self.budget
        if endpoint is not SUMMARY:  # whose price is a setting
            tariff = self.tariffs.get(endpoint.name, BUILT_IN)
            budget = replace(budget, expected_price_usd=endpoint.expected_price_usd(task, tariff))
        answer: Answer | None = None
        error: Exception | None = None
        with self._entered(call, together, number, budget) as permit:
            outcome.calls += 1
            try:
                answer = self.client.send(endpoint, task)
            except ApiError as failed:
                answer, error = failed.answer, failed
            except Exception as failed:  # noqa: BLE001 - raised again when the call is booked
                error = failed
            if isinstance(error, TransientError) and error.may_go_on:
                permit.keep_slot()
        if answer is not None:
            outcome.cost_usd += answer.known_cost_usd or 0.0
        if error is not None:
            self._end(call, answer, error, budget)
            raise error
        assert answer is not None
        self.store.store_answer(key, call.call_id, answer, request.parameters, number, self.now())
        call.is_claimed = False
        return answer

    @contextlib.contextmanager
    def _entered(self, call: Call, together: Sequence[Call], number: int, budget: Budget) -> Iterator[Permit]:
        """Yield the account's permit with the call entered in the ledger.

        While the store's database is away, the permit is given back and another taken later: a permit is for now.
        """
        while True:
            with self.limiter.permit(self.stop.is_set) as permit:
                try:
                    self._enter(call, together, number, budget)
                except UnreachableError:
                    pass
                else:
                    yield permit
                    return
            self.store.wait_until_back()
            if self.stop.is_set():
                raise Cancelled

    def not_callable(self, date: dt.date, now: dt.datetime) -> str | None:
        """Return why no call can be made for a day, or None: the API answers for the present only."""
        if self.any_day or is_open(date, self.began, now):
            return None
        when = "is over" if date < now.date() else "has not begun"
        return f"nothing is stored for {date} and the day {when} (UTC): the API answers for the present only"

    def _enter(self, call: Call, together: Sequence[Call], number: int, budget: Budget) -> None:
        """Enter the call in the ledger, if the day, the disk and the budget allow it."""
        key = call.key
        while True:
            now = self.now()  # read once, so that a call is booked on the UTC day for which it was allowed
            if (refusal := self.not_callable(key.date, now)) is not None:
                raise NotCalledError(refusal)
            if (free := shutil.disk_usage(self.space_in).free) < MIN_FREE_BYTES:
                raise StoreError(
                    f"Only {free >> 20} MiB are free for {self.space_in}: no call is started, since its answer might "
                    "not be stored. Free some space and run again."
                )
            entry = ledger.Call(
                call.call_id, key.date, key.target, key.status_type, self.owner, number, now, key.endpoint
            )
            with contextlib.suppress(PriceUnknownError):
                self.store.start_call(entry, budget, [other.call_id for other in together])
                call.is_begun, call.has_room = True, False
                for other in together:
                    other.has_room = not budget.is_open
                return
            if self.stop.wait(POLL_S):
                raise Cancelled

    def _end(self, call: Call, answer: Answer | None, error: Exception, budget: Budget) -> None:
        """Book a call whose answer can't be used, and set room aside for the next attempt where there is one."""
        ended, call.call_id = call.call_id, uuid.uuid4().hex
        retry = (call.call_id, budget) if isinstance(error, TransientError) else None
        final = isinstance(error, TargetError | RequestError)
        call.has_room = self.store.end_call(ended, call.key, answer, str(error), self.now(), final, retry)
        if isinstance(error, TransientError):
            if error.pause_account_s:
                self.limiter.pause(error.pause_account_s)
            if error.lower_concurrency:
                self.limiter.lower_concurrency()
