"""The response store: the answers that were paid for, and the claims of calls under way.

An answer is stored compressed, as it came, under (date, target, status type, request key, endpoint). A call is claimed
before it is made, so two runs never pay for the same answer. An answer and its cost are committed together. How the API is
called is `collect/collector.py`.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson
import sqlalchemy as sa
import zstandard

from backlinks_assets.account.leases import Lease
from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.dataforseo.endpoint import Parameters
from backlinks_assets.dataforseo.endpoints.summary import NAME as SUMMARY
from backlinks_assets.store import ledger, unusable_answers
from backlinks_assets.store.budget import Budget, give_back, room_set_aside, set_room_aside
from backlinks_assets.store.database import Database, Instant, StoreError, metadata, upsert
from backlinks_assets.store.migrations import open_tables
from backlinks_assets.store.stored_answer import StoredAnswer


def _key() -> list[sa.Column[Any]]:
    return [
        sa.Column("date", sa.Date, primary_key=True),
        *[sa.Column(name, sa.String, primary_key=True) for name in ("target", "status_type", "request_key")],
        sa.Column("endpoint", sa.String, primary_key=True, server_default=SUMMARY),
    ]


responses = sa.Table(
    "responses",
    metadata,
    *_key(),
    sa.Column("parameters", sa.String, nullable=False, comment="the request's parameters, JSON"),
    sa.Column("task_id", sa.String),
    sa.Column("cost_usd", sa.Float, comment="as the answer says"),
    sa.Column("captured_at", Instant, nullable=False, comment="when the answer had been read, UTC"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("simulated", sa.Boolean, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False, comment="the vendor's JSON as it came, zstd"),
)

claims = sa.Table(
    "claims",
    metadata,
    *_key(),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("claimed_at", Instant, nullable=False),
)

facts = sa.Table(
    "facts", metadata, sa.Column("name", sa.String, primary_key=True), sa.Column("value", sa.String, nullable=False)
)


class Key(NamedTuple):
    """What makes two answers the same one."""

    date: dt.date
    target: str
    status_type: str
    request_key: str
    endpoint: str = SUMMARY


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
_ORIGIN: Final = sa.select(facts.c.value).where(facts.c.name == "origin")
_STORED: Final = _near(responses)
_CLAIMED: Final = _near(claims, "owner")
_UNCLAIM: Final = claims.delete().where(_of_key(claims))


class Claim(NamedTuple):
    """The keys of a claim whose answers are stored by now, and those that must not be called for, with the reason."""

    stored: frozenset[Key]
    refused: dict[Key, str]


class ResponseStore:
    """The store of one data folder, opened under one lease. Thread-safe.

    Raises:
        StoreError: the file can't be used, or holds answers of another origin.
    """

    def __init__(self, database: Database, lease: Lease, origin: str) -> None:
        self._database = database
        self._lease = lease
        self._origin = origin
        open_tables(database, metadata)
        with database.read() as tx:
            self._check_origin(tx)

    def _check_origin(self, tx: sa.Connection) -> bool:
        """Return whether the store is this origin's; False if it has none. Raises StoreError if it is another's.

        The recorded origin alone is not enough: it is recorded with a call, which may have given no answer. A store has an
        origin once it holds an answer, or while a living process has a call to it under way.
        """
        held = tx.execute(_ORIGIN).scalar()
        if held is None or held == self._origin:
            return held is not None
        has_answers = tx.execute(sa.select(responses.c.date).limit(1)).first() is not None
        if has_answers or any(self._lease.is_alive(owner) for _, owner in ledger.open_calls(tx)):
            raise StoreError(
                f"{self._database.file} {'holds' if has_answers else 'is about to get'} answers from {held}; answers "
                f"from {self._origin} would mix with them. Set BACKLINKS_DATA_DIR to another folder, or "
                "DATAFORSEO_BASE_URL back."
            )
        return False

    def claim(self, keys: Collection[Key], now: dt.datetime) -> Claim | None:
        """Claim calls, all or none; None while another living process has claimed one of them.

        A call whose answer is stored, or was charged and can't be used, is not claimed. A dead process's claim is taken
        over. Its call may be charged a second time, which nothing can prevent: the vendor has no idempotency key.
        """
        with self._database.write() as tx:
            is_ours = self._check_origin(tx)
            near: dict[str, Any] = {"dates": {key.date for key in keys}, "targets": {key.target for key in keys}}
            stored = frozenset(keys).intersection(Key(*row) for row in tx.execute(_STORED, near))
            unanswered = [key for key in keys if key not in stored]
            for *claimed, owner in tx.execute(_CLAIMED, near):
                if Key(*claimed) in unanswered and owner != self._lease.name and self._lease.is_alive(owner):
                    return None
            whys = unusable_answers.refusals(tx, **near) if is_ours else {}
            refused = {key: whys[key] for key in unanswered if key in whys}
            mine = {"owner": self._lease.name, "claimed_at": now}
            if rows := [{**key._asdict(), **mine} for key in unanswered if key not in refused]:
                upsert(tx, claims, rows, *mine)
            return Claim(stored, refused)

    def release(self, key: Key) -> None:
        """Give up a claim whose call will not be made, or gave nothing to store."""
        with self._database.write() as tx:
            tx.execute(claims.delete().filter_by(**key._asdict(), owner=self._lease.name))

    def start_call(self, call: ledger.Call, budget: Budget, others: Collection[str] = ()) -> None:
        """Enter a call in the ledger before it is sent; raises as `ledger.start`.

        While it is under way the store has its origin: of two runs over an empty store one is refused before it pays.
        """
        with self._database.write() as tx:
            is_ours = self._check_origin(tx)
            ledger.start(tx, call, budget, others)
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
        is_priced = answer is not None and answer.known_cost_usd is not None
        with self._database.write() as tx:
            ledger.end(tx, call_id, ledger.REFUSED if is_priced else ledger.NO_ANSWER, now, answer, message)
            if answer is not None and unusable_answers.is_worth_keeping(answer):
                unusable_answers.keep(tx, call_id, key._asdict(), answer, message, now, is_final=is_final)
            return retry is not None and set_room_aside(tx, retry[0], self._lease.name, now, retry[1], key.endpoint)

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
        row = {
            **key._asdict(),
            "parameters": parameters.text,
            "task_id": answer.task_id,
            "cost_usd": answer.cost_usd,
            "captured_at": now,
            "attempts": attempts,
            "simulated": answer.simulated,
            "body": zstandard.compress(answer.body, 3),
        }
        with self._database.write() as tx:
            upsert(tx, responses, row)
            ledger.end(tx, call_id, ledger.EMPTY if answer.result is None else ledger.DATA, now, answer)
            tx.execute(_UNCLAIM, key._asdict())

    def close_dead_calls(self, now: dt.datetime) -> int:
        """Close the ledger entries of processes that died in mid-call; return how many. Their cost stays unknown."""
        with self._database.read() as tx:
            dead = [call for call, owner in ledger.open_calls(tx) if not self._lease.is_alive(owner)]
            unsent = [call for call, owner in room_set_aside(tx) if not self._lease.is_alive(owner)]
        if dead or unsent:
            with self._database.write() as tx:
                give_back(tx, unsent)
                for call in dead:
                    ledger.end(tx, call, ledger.NO_ANSWER, now, None, "the process ended in mid-call")
        return len(dead)

    def unknown_calls(self, since: dt.datetime) -> list[ledger.Call]:
        """Return the calls that may or may not have been charged (`collect/reconcile.py`)."""
        with self._database.read() as tx:
            return ledger.unknown_calls(tx, since)

    def known_task_ids(self, dates: Collection[dt.date]) -> set[str]:
        with self._database.read() as tx:
            return ledger.known_task_ids(tx, dates)

    def reconcile_calls(self, costs: Iterable[tuple[str, float, str | None]]) -> None:
        """Book what calls without an answer cost: (call, dollars, the vendor's task id), in one transaction."""
        with self._database.write() as tx:
            for call_id, cost_usd, task_id in costs:
                ledger.correct(tx, call_id, cost_usd, task_id)

    def stored_keys(self, dates: Iterable[dt.date], endpoint: str = SUMMARY) -> set[Key]:
        """Return the keys of all answers stored for these days."""
        query = sa.select(*[responses.c[name] for name in Key._fields]).filter_by(endpoint=endpoint)
        with self._database.read() as tx:
            return {Key(*row) for row in tx.execute(query.where(responses.c.date.in_(list(dates))))}

    def answer(self, key: Key) -> StoredAnswer | None:
        return next(self._answers(**key._asdict()), None)

    def latest(self, date: dt.date, target: str, status_type: str, endpoint: str = SUMMARY) -> StoredAnswer | None:
        """Return the newest answer stored for a day and target, with any parameters."""
        found = self._answers(date=date, target=target, status_type=status_type, endpoint=endpoint)
        return max(found, key=lambda answer: answer.captured_at, default=None)

    def answers(self, date: dt.date, endpoint: str = SUMMARY) -> Iterator[StoredAnswer]:
        """Yield the answers stored for a day, in the order of the key, one at a time."""
        return self._answers(date=date, endpoint=endpoint)

    def _answers(self, **of: Any) -> Iterator[StoredAnswer]:
        columns = [responses.c[name] for name in StoredAnswer._fields]
        query = sa.select(*columns).filter_by(**of).order_by(*responses.primary_key.columns)
        with self._database.read() as tx:
            for row in tx.execute(query, execution_options={"yield_per": 100}):
                found = StoredAnswer(*row)
                yield found._replace(parameters=orjson.loads(row.parameters), body=zstandard.decompress(found.body))

    def dates(self, endpoint: str = SUMMARY) -> list[dt.date]:
        """Return the days for which anything is stored, oldest first."""
        with self._database.read() as tx:
            query = sa.select(responses.c.date).distinct().filter_by(endpoint=endpoint)
            return list(tx.execute(query.order_by("date")).scalars())

    def called(self, day: dt.date, endpoint: str = SUMMARY) -> set[str]:
        """Return the targets that have an answer of a day, or for which a call was started."""
        with self._database.read() as tx:
            stored = tx.execute(sa.select(responses.c.target).distinct().filter_by(date=day, endpoint=endpoint))
            return ledger.targets_called(tx, day, endpoint).union(stored.scalars())

    def day_costs(self, day: dt.date) -> ledger.DayCosts:
        with self._database.read() as tx:
            return ledger.day_costs(tx, day)
