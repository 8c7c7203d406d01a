"""The response store: the answers that were paid for, and the claims of calls under way.

An answer is stored compressed, as it came, under (date, target, status type, request key, endpoint). A call is claimed
before it is made, so two runs never pay for the same answer. An answer and its cost are committed together. How the API is
called is `collect/collector.py`.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import sqlalchemy as sa
import zstandard

from backlinks_assets.account.leases import Lease
from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.dataforseo.endpoint import Parameters
from backlinks_assets.store import ledger, unusable_answers
from backlinks_assets.store.answers import Key, StoredAnswers, claims, responses
from backlinks_assets.store.budget import Budget, give_back, hold_day, room_set_aside, set_room_aside
from backlinks_assets.store.columns import hold, upsert
from backlinks_assets.store.database import StoreDatabase, StoreError, UnreachableError, metadata
from backlinks_assets.store.facts import fact, facts
from backlinks_assets.store.opening import open_tables
from backlinks_assets.store.outage import Patience, Waiting, answer_as_json, answer_from_json, repeated
from backlinks_assets.store.stored_verdicts import StoredVerdicts

T = TypeVar("T")


def _of_key(table: sa.Table) -> sa.ColumnElement[bool]:
    """Return the condition for the row of a key, whose fields are the parameters."""
    return sa.and_(*[table.c[name] == sa.bindparam(name) for name in Key._fields])


def _near(table: sa.Table, *columns: str) -> sa.Select[Any]:
    """Return the query for the keys, and these columns, of a table's rows of some `dates` and `targets`."""
    return sa.select(*[table.c[name] for name in (*Key._fields, *columns)]).where(
        table.c.date.in_(sa.bindparam("dates", expanding=True)),
        table.c.target.in_(sa.bindparam("targets", expanding=True)),
    )


# Built once: building a statement takes SQLAlchemy longer than executing it takes SQLite.
_STORED: Final = _near(responses)
_CLAIMED: Final = _near(claims, "owner")
_UNCLAIM: Final = claims.delete().where(_of_key(claims))


class Claim(NamedTuple):
    """The keys of a claim whose answers are stored by now, and those that must not be called for, with the reason."""

    stored: frozenset[Key]
    refused: dict[Key, str]


class ResponseStore(StoredAnswers, StoredVerdicts):
    """The store of one data folder, or of all machines that share one, opened under one lease. Thread-safe.

    While a shared database is away, what is written is repeated (`patience`), and answers wait in the folder `waiting`.

    Raises:
        StoreError: the database can't be used, or holds answers of another origin.
    """

    def __init__(
        self,
        database: StoreDatabase,
        lease: Lease,
        origin: str,
        patience: Patience | None = None,
        waiting: Path | None = None,
    ) -> None:
        super().__init__(database, patience)
        self._lease = lease
        self._origin = origin
        self._waiting = Waiting(waiting) if waiting else None
        self._uncertain: set[str] = set()
        open_tables(database, metadata)
        with database.read() as tx:
            self._check_origin(tx)
        self._store_what_waits()

    def now(self) -> dt.datetime:
        """Return the UTC instant by which calls are booked: of a shared database the server's."""
        return self._database.now()

    def _check_origin(self, tx: sa.Connection) -> bool:
        """Return whether the store is this origin's; False if it has none. Raises StoreError if it is another's.

        The recorded origin alone is not enough: it is recorded with a call, which may have given no answer. A store has an
        origin once it holds an answer, or while a living process has a call to it under way.
        """
        held = fact(tx, "origin")
        if held is None or held == self._origin:
            return held is not None
        has_answers = tx.execute(sa.select(responses.c.date).limit(1)).first() is not None
        if has_answers or any(self._lease.is_alive(owner) for _, owner in ledger.open_calls(tx)):
            raise StoreError(
                f"{self._database.place} {'holds' if has_answers else 'is about to get'} answers from {held}; answers "
                f"from {self._origin} would mix with them. Let {self._database.variable} name another one, or set "
                "DATAFORSEO_BASE_URL back."
            )
        return False

    @repeated
    def claim(self, keys: Collection[Key], now: dt.datetime) -> Claim | None:
        """Claim calls, all or none; None while another living process has claimed one of them.

        A call whose answer is stored, or was charged and can't be used, is not claimed. A dead process's claim is taken
        over. Its call may be charged a second time, which nothing can prevent: the vendor has no idempotency key.
        """
        with self._database.write() as tx:
            hold(tx, *{f"claim {key.date} {key.target}" for key in keys})
            is_ours = self._check_origin(tx)
            near: dict[str, Any] = {"dates": {key.date for key in keys}, "targets": {key.target for key in keys}}
            # Claims are read before answers: one that is stored meanwhile ends its claim, and is then found.
            claimed = [(Key(*of), owner) for *of, owner in tx.execute(_CLAIMED, near) if owner != self._lease.name]
            stored = frozenset(keys).intersection(Key(*row) for row in tx.execute(_STORED, near))
            unanswered = [key for key in keys if key not in stored]
            if any(self._lease.is_alive(owner) for key, owner in claimed if key in unanswered):
                return None
            whys = unusable_answers.refusals(tx, **near) if is_ours else {}
            refused = {key: whys[key] for key in unanswered if key in whys}
            mine = {"owner": self._lease.name, "claimed_at": now}
            if rows := [{**key._asdict(), **mine} for key in unanswered if key not in refused]:
                upsert(tx, claims, rows, *mine)
            return Claim(stored, refused)

    @repeated
    def release(self, key: Key) -> None:
        """Give up a claim whose call will not be made, or gave nothing to store."""
        with self._database.write() as tx:
            tx.execute(claims.delete().filter_by(**key._asdict(), owner=self._lease.name))

    def start_call(self, call: ledger.Call, budget: Budget, others: Collection[str] = ()) -> None:
        """Enter a call in the ledger before it is sent; raises as `ledger.start`.

        While it is under way the store has its origin: of two runs over an empty store one is refused before it pays.
        """
        try:
            with self._database.write() as tx:
                hold(tx, "origin", shared=True)
                is_ours = self._check_origin(tx)
                if is_ours:
                    self._start(tx, call, budget, others)
            if not is_ours:
                self._start_first(call, budget, others)
        except UnreachableError:
            self._uncertain.add(call.call_id)  # it may be entered all the same
            raise

    def _start(self, tx: sa.Connection, call: ledger.Call, budget: Budget, others: Collection[str]) -> None:
        self._lease.fence(tx)
        if call.call_id not in self._uncertain or not ledger.is_entered(tx, call.call_id):
            ledger.start(tx, call, budget, others)

    def _start_first(self, call: ledger.Call, budget: Budget, others: Collection[str]) -> None:
        """Start the call by which the store gets its origin, while nobody else starts one."""
        with self._database.write() as tx:
            hold(tx, "origin")
            is_ours = self._check_origin(tx)
            self._start(tx, call, budget, others)
            if not is_ours:
                unusable_answers.forgive(tx)  # another host's refusals don't concern this one
                upsert(tx, facts, {"name": "origin", "value": self._origin}, "value")

    def end_call(
        self,
        call_id: str,
        key: Key,
        answer: Answer | None,
        message: str,
        now: dt.datetime,
        is_final: bool,
        retry: tuple[str, Budget] | None = None,
    ) -> bool:
        """Book a call without a usable answer, and store an answer that was charged.

        `is_final`: if the answer was charged, the same call is not made again (`claim`). `retry` is the id of the call
        that will be made instead. Returns whether the budget had room for it, which is then set aside.
        """

        def end(tx: sa.Connection) -> bool:
            if retry is not None:
                hold_day(tx, now.date())
            self._end(tx, call_id, key, answer, message, now, is_final=is_final)
            return retry is not None and set_room_aside(tx, retry[0], self._lease.name, now, retry[1], key.endpoint)

        record = {"key": list(key), "now": now, "message": message, "is_final": is_final}
        return self._write(end, call_id, answer, record)

    def _end(
        self,
        tx: sa.Connection,
        call_id: str,
        key: Key,
        answer: Answer | None,
        message: str,
        now: dt.datetime,
        *,
        is_final: bool,
    ) -> None:
        is_priced = answer is not None and answer.known_cost_usd is not None
        ledger.end(tx, call_id, ledger.REFUSED if is_priced else ledger.NO_ANSWER, now, answer, message)
        if answer is not None and unusable_answers.is_worth_keeping(answer):
            unusable_answers.keep(tx, call_id, key._asdict(), answer, message, now, is_final=is_final)

    @repeated
    def give_back(self, call_id: str) -> None:
        """Give back the room that was set aside for a call that will not be made."""
        with self._database.write() as tx:
            give_back(tx, [call_id])

    def store_answer(
        self,
        key: Key,
        call_id: str,
        answer: Answer,
        parameters: Parameters,
        attempts: int,
        now: dt.datetime,
    ) -> None:
        """Store an answer durably, book its cost and end its claim, in one transaction."""
        record = {"key": list(key), "now": now, "parameters": parameters.text, "attempts": attempts}
        self._write(
            lambda tx: self._store(tx, key, call_id, answer, parameters.text, attempts, now), call_id, answer, record
        )

    def _store(
        self,
        tx: sa.Connection,
        key: Key,
        call_id: str,
        answer: Answer,
        parameters: str,
        attempts: int,
        now: dt.datetime,
    ) -> None:
        row = {
            **key._asdict(),
            "parameters": parameters,
            "task_id": answer.task_id,
            "cost_usd": answer.cost_usd,
            "captured_at": now,
            "attempts": attempts,
            "simulated": answer.simulated,
            "body": zstandard.compress(answer.body, 3),
        }
        upsert(tx, responses, row)
        ledger.end(tx, call_id, ledger.EMPTY if answer.result is None else ledger.DATA, now, answer)
        tx.execute(_UNCLAIM, key._asdict())

    def _write(
        self, write: Callable[[sa.Connection], T], call_id: str, answer: Answer | None, record: dict[str, Any]
    ) -> T:
        """Write what came of a call. While the database is away, a paid answer waits in a file too."""

        def once() -> T:
            with self._database.write() as tx:
                return write(tx)

        try:
            return once()
        except UnreachableError:
            if (waiting := self._waiting) is None:
                raise
        more = {"place": self._database.place, "origin": self._origin, "answer": answer and answer_as_json(answer)}
        try:
            where = f"What came of a call waits in {waiting.put(call_id, record | more)} and is stored by the next run."
        except StoreError as error:  # the database may be back before this process ends
            where = str(error)
        try:
            done = self.patience.repeat(once)
        except UnreachableError as error:
            raise UnreachableError(f"{error} {where}") from None
        waiting.remove(call_id)
        return done

    def _store_what_waits(self) -> None:
        """Store the answers that earlier processes left because the database was away."""
        if self._waiting is None:
            return
        for call_id, record in self._waiting.records():
            if (record["place"], record["origin"]) != (self._database.place, self._origin):
                continue
            date, *of = record["key"]
            key, now = Key(dt.date.fromisoformat(date), *of), dt.datetime.fromisoformat(record["now"])
            answer = record["answer"] and answer_from_json(record["answer"])
            with self._database.write() as tx:
                if not ledger.is_entered(tx, call_id):
                    continue  # a database that was restored to before it; the file stays
                if "parameters" in record:
                    self._store(tx, key, call_id, answer, record["parameters"], record["attempts"], now)
                else:
                    self._end(tx, call_id, key, answer, record["message"], now, is_final=record["is_final"])
            self._waiting.remove(call_id)

    @repeated
    def close_dead_calls(self, now: dt.datetime) -> int:
        """Close the ledger entries of processes that died in mid-call; return how many. Their cost stays unknown."""
        with self._database.read() as tx:
            dead = [call for call, owner in ledger.open_calls(tx) if not self._lease.is_alive(owner)]
            unsent = [call for call, owner in room_set_aside(tx) if not self._lease.is_alive(owner)]
        if dead or unsent:
            with self._database.write() as tx:
                hold(tx, "ledger")
                give_back(tx, unsent)
                for call in sorted(dead):
                    ledger.end(tx, call, ledger.NO_ANSWER, now, None, "the process ended in mid-call")
        return len(dead)

    @repeated
    def unknown_calls(self, since: dt.datetime) -> list[ledger.Call]:
        """Return the calls that may or may not have been charged (`collect/reconcile.py`)."""
        with self._database.read() as tx:
            return ledger.unknown_calls(tx, since)

    @repeated
    def known_task_ids(self, dates: Collection[dt.date]) -> set[str]:
        with self._database.read() as tx:
            return ledger.known_task_ids(tx, dates)

    @repeated
    def reconcile_calls(self, costs: Iterable[tuple[str, float, str | None]]) -> None:
        """Book what calls without an answer cost: (call, dollars, the vendor's task id), in one transaction."""
        booked = list(costs)
        with self._database.write() as tx:
            hold(tx, "ledger")
            for call_id, cost_usd, task_id in booked:
                ledger.correct(tx, call_id, cost_usd, task_id)
