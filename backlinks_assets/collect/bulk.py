"""From targets watched in bulk to stored answers: each target claimed, and calls split or bisected where they fail.

Here belongs the order of these steps. What is requested is `bulk_day.py`, one attempt `caller.py`.
"""

import contextlib
import datetime as dt
import queue
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import tenacity

from backlinks_assets.account.limiter import Cancelled
from backlinks_assets.collect.bulk_day import BULK_ENDPOINTS, BulkCall, BulkOutcome, BulkTarget, plan_of
from backlinks_assets.collect.caller import POLL_S, Call, Caller, NotCalledError
from backlinks_assets.collect.chunks import thousands
from backlinks_assets.collect.collector import Collector, refuse_beyond_budget
from backlinks_assets.collect.outcome import CollectRequest, Outcome
from backlinks_assets.dataforseo.endpoint import Request
from backlinks_assets.dataforseo.endpoints.bulk_pages_summary import BULK_PAGES_SUMMARY, MAX_MAIN_DOMAINS
from backlinks_assets.dataforseo.errors import ApiError, RequestError, TargetError, TransientError
from backlinks_assets.dataforseo.status_codes import INVALID_FIELD
from backlinks_assets.formatting import counted
from backlinks_assets.store.answers import Key
from backlinks_assets.store.bulk import BulkStore, LeftOut
from backlinks_assets.store.database import StoreError

MAX_SPLITS: Final = 3
"""A call that times out is made as halves, these as halves, and so on so many times; then as any other call."""
MAX_CULPRITS: Final = 5
"""Targets found in one planned call for which it was refused. With more of them it is not about single targets."""
TIMED_OUT: Final = 50401


class BulkCollector(Collector):
    """A collector that also reads many targets a call."""

    def __init__(self, caller: Caller, store: BulkStore, *, at_once: int, billed_after: dt.timedelta) -> None:
        super().__init__(caller, at_once=at_once, billed_after=billed_after)
        self._bulk = store
        self._main_domains = MAX_MAIN_DOMAINS
        self._lines: dict[str, str] = {}
        self._left_out: dict[str, LeftOut] = {}
        self._known: set[Key] = set()
        self._once = self._retrying.copy(retry=tenacity.retry_if_exception(_is_worth_repeating))

    def collect_in_bulk(
        self, date: dt.date, targets: Sequence[BulkTarget], unjoined: Collection[str] = ()
    ) -> Iterator[BulkOutcome]:
        """Yield an outcome for each planned call: live counts first, then losses, and then what other runs left.

        `unjoined` are those of the targets that need last month's day too (`plan_of`).

        Raises:
            StopError: before the first call, if the budget has no room for all; after the last outcome, if the run had to stop.
        """
        if not targets:
            return
        self._begin_in_bulk(targets)
        self._known = {batch.key for each in BULK_ENDPOINTS for batch in self._bulk.batches(date, each.name)}
        plan = plan_of(self._bulk, date, targets, unjoined)
        self._refuse_beyond_budget([*plan.pages, *plan.since])
        for endpoint, reused in plan.reused.items():
            yield BulkOutcome(date, endpoint, reused=sorted(reused))
        for calls in (plan.pages, plan.since):
            yield from self._phase(calls)
        self._end()

    def collect_calls(
        self, calls: Sequence[BulkCall], targets: Sequence[BulkTarget], known: Collection[Key]
    ) -> Generator[BulkOutcome, None, None]:
        """Yield an outcome for each of some calls about these targets. Raises as `collect_in_bulk`.

        `known` are the keys of the stored answers that were read before the calls were planned, and lack what they are for.
        """
        if not calls:
            return
        self._begin_in_bulk(targets)
        self._known = set(known)
        self._refuse_beyond_budget(calls)
        ahead = [call for call in calls if call.variant == calls[0].variant]  # a target that is refused is found once
        for part in (ahead, [call for call in calls if call.variant != calls[0].variant]):
            yield from self._phase(part)
        self._end()

    def _begin_in_bulk(self, targets: Sequence[BulkTarget]) -> None:
        self._begin()
        self._lines = {one.target: one.line for one in targets}
        lines = self._bulk.left_out().items()
        self._left_out = {name: one for name, one in lines if self._lines.get(name) == one.line}

    def _phase(self, calls: Sequence[BulkCall]) -> Iterator[BulkOutcome]:
        """Yield the outcomes of some planned calls, and then of what other runs held, once they are done with it."""
        while calls:
            again: list[BulkCall] = []
            finished: queue.SimpleQueue[tuple[BulkCall, BulkOutcome]] = queue.SimpleQueue()
            pool = ThreadPoolExecutor(max_workers=self._at_once, thread_name_prefix="bulk")
            left = len(calls)
            try:
                for call in calls:
                    pool.submit(_put, finished, self._planned, call)
                while left:
                    call, outcome = finished.get()
                    left -= 1
                    if outcome.held:
                        again.append(replace(call, targets=outcome.held))
                    yield outcome
            finally:
                if left:
                    self.stop("the run was stopped")
                pool.shutdown(wait=True, cancel_futures=True)
            if again:
                self._stop.wait(POLL_S)
            calls = again

    def _planned(self, call: BulkCall) -> BulkOutcome:
        outcome = BulkOutcome(call.date, call.endpoint.name)
        mine: tuple[str, ...] = ()
        try:
            wanted = self._not_left_out(call.targets, outcome)
            if self._stop.is_set():
                raise Cancelled
            if wanted:
                claim = self._bulk.claim_targets(
                    call.date, call.endpoint.name, call.variant, wanted, self._known, self._caller.now(), call.kind
                )
                mine, outcome.held = claim.mine, claim.held
                unanswered = {*mine, *claim.held}
                outcome.reused = [one for one in wanted if one not in unanswered]
                self._answer_for(call, mine, outcome)
        except Exception as error:  # noqa: BLE001 - a bug in a worker must end the run, not hang it
            self._fail(call, mine or call.targets, error, outcome)
        finally:
            if mine:
                with contextlib.suppress(StoreError):  # the first error is the one to report
                    self._bulk.release_targets(call.date, call.endpoint.name, call.variant, mine)
        return outcome

    def _fail(self, call: BulkCall, targets: Collection[str], error: Exception, outcome: BulkOutcome) -> None:
        reason = self._reason(error, CollectRequest(call.date, "", call.make(call.targets), endpoint=call.endpoint))
        settled = {*outcome.answered, *outcome.reused, *outcome.held}
        outcome.failed = {**{one: reason for one in targets if one not in settled}, **outcome.failed}

    def _answer_for(self, call: BulkCall, targets: tuple[str, ...], outcome: BulkOutcome) -> None:
        """Get answers for claimed targets, by as many calls as it takes; one that fails leaves the others' parts."""
        waiting = [(part, 0) for part in self._parts(call, targets)]
        while waiting:
            part, splits = waiting.pop(0)
            try:
                self._send(call, part, outcome)
            except TransientError as error:
                if _is_worth_repeating(error) or splits == MAX_SPLITS or len(part) == 1 or self._stop.is_set():
                    self._fail(call, part, error, outcome)
                else:
                    self._count_failure(error)
                    half = len(part) // 2
                    waiting[:0] = [(part[:half], splits + 1), (part[half:], splits + 1)]
            except (TargetError, RequestError) as error:
                if call.endpoint is BULK_PAGES_SUMMARY and "main domain" in error.message.lower() and len(part) > 1:
                    self._main_domains = max(1, self._main_domains // 2)
                    waiting[:0] = [(each, splits) for each in self._parts(call, part)]
                elif _names_a_target(error):
                    waiting[:0] = [(each, splits) for each in self._without_culprit(call, part, error, outcome)]
                else:
                    self._fail(call, part, error, outcome)
            except Exception as error:  # noqa: BLE001 - the other parts have their own fate
                self._fail(call, part, error, outcome)

    def _without_culprit(
        self, call: BulkCall, refused: tuple[str, ...], error: ApiError, outcome: BulkOutcome
    ) -> list[tuple[str, ...]]:
        """Find a target for which a call was refused, by half after half; return what is still to be requested.

        The first half alone is requested: if it is fine, the culprit is in the other. Halves that are taken for good are
        requested together at the end.
        """
        suspects, is_certain = refused, len(refused) == 1
        good: list[str] = []
        last = error
        while len(suspects) > 1:
            half, rest = suspects[: len(suspects) // 2], suspects[len(suspects) // 2 :]
            try:
                self._send(call, half, outcome)
            except ApiError as again:
                if not _names_a_target(again):
                    raise
                good += rest
                suspects, last, is_certain = half, again, len(half) == 1
            else:
                suspects, is_certain = rest, False
        if not is_certain:  # so far it was only left over: perhaps the call was refused for having too many
            try:
                self._send(call, suspects, outcome)
            except ApiError as again:
                if not _names_a_target(again):
                    raise
                last, is_certain = again, True
        if not is_certain:
            self._main_domains = max(1, self._main_domains // 2)
            return self._parts(call, tuple(sorted(good)))
        (culprit,) = suspects
        self._leave_out(culprit, last, outcome)
        if sum(one in self._left_out for one in {*call.targets}) > MAX_CULPRITS:
            self._fail(call, good, last, outcome)
            return []
        return self._parts(call, tuple(sorted(good)))

    def _parts(self, call: BulkCall, targets: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Return the chunks of some targets of a call, by what this run knows of the limit of main domains."""
        if call.endpoint is not BULK_PAGES_SUMMARY or self._main_domains == MAX_MAIN_DOMAINS:
            return [targets] if targets else []
        return [chunk for part in thousands(targets, self._main_domains) for chunk in part.pages]

    def _send(self, call: BulkCall, targets: tuple[str, ...], outcome: BulkOutcome) -> None:
        """Make one call, and again after a transient error that says nothing of its size."""
        parameters = call.make(targets)
        request = CollectRequest(call.date, parameters.batch, parameters, endpoint=call.endpoint)
        key = request.key(call.kind)
        if (why := self._bulk.refusal(key)) is not None:
            raise NotCalledError(why)
        counts = Outcome(call.date, parameters.batch)
        one = Call(key)
        try:
            for attempt in self._once:
                with attempt:
                    self._caller.attempt(request, one, [], attempt.retry_state.attempt_number, counts)
            self._failed_in_a_row = 0
            self._known.add(key)
            outcome.answered += targets
        finally:
            outcome.calls += counts.calls
            outcome.cost_usd += counts.cost_usd
            if one.has_room:
                with contextlib.suppress(StoreError):
                    self._store.give_back(one.call_id)

    def _leave_out(self, target: str, error: ApiError, outcome: BulkOutcome) -> None:
        found = LeftOut(self._lines.get(target, ""), str(self._caller.now().date()), error.message)
        self._bulk.leave_out(target, found)
        self._left_out[target] = found
        self._not_left_out((target,), outcome)

    def _not_left_out(self, targets: tuple[str, ...], outcome: BulkOutcome) -> tuple[str, ...]:
        for target in targets:
            if (one := self._left_out.get(target)) is not None:
                outcome.failed[target] = (
                    f"a bulk call was refused for it on {one.since} ({one.why}), so it is left out of them until its line of "
                    "the targets file is changed"
                )
        return tuple(one for one in targets if one not in self._left_out)

    def _refuse_beyond_budget(self, plan: Sequence[BulkCall]) -> None:
        """Stop before the first call where the day's budget has no room for all that is planned."""
        wanted = [
            replace(call, targets=tuple(one for one in call.targets if one not in self._left_out)) for call in plan
        ]
        asked = [call for call in wanted if call.targets]
        price = sum(call.endpoint.expected_price_usd(Request("", call.make(call.targets))) for call in asked)
        needs = f"What is to be read in bulk needs {counted(len(asked), 'call')}"
        refuse_beyond_budget(self._bulk, self._caller.now().date(), self._caller.budget, price, needs)


def _put(
    finished: queue.SimpleQueue[tuple[BulkCall, BulkOutcome]], work: Callable[[BulkCall], BulkOutcome], call: BulkCall
) -> None:
    finished.put((call, work(call)))


def _is_worth_repeating(error: BaseException) -> bool:
    """Whether the same call may do better: not one that took too long, which fewer targets may not."""
    if not isinstance(error, TransientError):
        return False
    return not error.may_go_on and (error.answer is None or error.answer.status_code != TIMED_OUT)


def _names_a_target(error: ApiError) -> bool:
    return isinstance(error, TargetError) and error.answer is not None and error.answer.status_code == INVALID_FIELD
