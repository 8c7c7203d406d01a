"""The response store: what was paid for, and who is paying for what just now.

Here belong claims, landed answers and the origin they are from. An answer is kept compressed, as it came, under
(date, target, status type, request key); a call is claimed before it is made, so that two runs never pay for the
same answer, and an answer and its cost are committed together. How answers are asked for is `collect/collector.py`.
"""

import datetime as dt
import threading
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson
import sqlalchemy as sa
import zstandard
from sqlalchemy.dialects.sqlite import insert

from backlinks_assets.account.leases import Owner
from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.dataforseo.endpoint import Parameters
from backlinks_assets.statements import Statement
from backlinks_assets.store import ledger, unusable_answers
from backlinks_assets.store.budget import Budget, give_back, room_set_aside, set_room_aside
from backlinks_assets.store.database import Database, StoreError
from backlinks_assets.store.migrations import open_tables
from backlinks_assets.store.stored_answer import StoredAnswer

metadata = sa.MetaData()

responses = sa.Table(
    "responses",
    metadata,
    sa.Column("date", sa.String, primary_key=True),
    sa.Column("target", sa.String, primary_key=True),
    sa.Column("status_type", sa.String, primary_key=True),
    sa.Column("request_key", sa.String, primary_key=True),
    sa.Column("parameters", sa.String, nullable=False, comment="the request's parameters, JSON"),
    sa.Column("task_id", sa.String),
    sa.Column("cost_usd", sa.Float, comment="as the answer says"),
    sa.Column("captured_at", sa.String, nullable=False, comment="when the answer had been read, UTC"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("simulated", sa.Boolean, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False, comment="the vendor's JSON as it came, zstd"),
)

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("date", sa.String, primary_key=True),
    sa.Column("target", sa.String, primary_key=True),
    sa.Column("status_type", sa.String, primary_key=True),
    sa.Column("request_key", sa.String, primary_key=True),
    sa.Column("owner", sa.String, nullable=False),
    sa.Column("claimed_at", sa.String, nullable=False),
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

    def columns(self) -> dict[str, str]:
        return {**self._asdict(), "date": self.date.isoformat()}


def _of_key(table: sa.Table) -> sa.ColumnElement[bool]:
    """Return the condition for one row of a table that has the key; its parameters are `Key.columns()`."""
    return sa.and_(*[table.c[name] == sa.bindparam(name) for name in Key._fields])


_ORIGIN: Final = Statement(sa.select(facts.c.value).where(facts.c.name == "origin"))
_FACT: Final = insert(facts)
_SET_ORIGIN: Final = Statement(
    _FACT.on_conflict_do_update(index_elements=["name"], set_={"value": _FACT.excluded.value})
)
_LANDED: Final = Statement(sa.select(1).where(_of_key(responses)))
_ANSWER: Final = Statement(sa.select(responses).where(_of_key(responses)))
_DAY: Final = Statement(
    sa.select(responses).where(responses.c.date == sa.bindparam("date")).order_by(*responses.primary_key.columns)
)
_LAND: Final = Statement(insert(responses).on_conflict_do_nothing())
_HOLDER: Final = Statement(sa.select(claims.c.owner).where(_of_key(claims)))
_CLAIM: Final = insert(claims)
_CLAIM_OR_TAKE_OVER: Final = Statement(
    _CLAIM.on_conflict_do_update(
        index_elements=list(claims.primary_key.columns),
        set_={"owner": _CLAIM.excluded.owner, "claimed_at": _CLAIM.excluded.claimed_at},
    )
)
_UNCLAIM: Final = Statement(claims.delete().where(_of_key(claims)))
_GIVE_UP: Final = Statement(claims.delete().where(_of_key(claims), claims.c.owner == sa.bindparam("owner")))


class Claim(NamedTuple):
    """What came of a claim: the keys whose answers have landed meanwhile, and why others are not to be called for."""

    landed: frozenset[Key]
    refused: dict[Key, str]


class ResponseStore:
    """The store of one data folder, opened by one owner. Thread-safe.

    Raises:
        StoreError: the file can't be used, or holds answers of another origin.
    """

    def __init__(self, database: Database, owner: Owner, origin: str) -> None:
        self._database = database
        self._owner = owner
        self._origin = origin
        open_tables(database, metadata, ledger.metadata, unusable_answers.metadata)
        with database.read() as tx:
            self._check_origin(tx)

    # --- origin -------------------------------------------------------------------------------------------------

    def _check_origin(self, tx: sa.Connection) -> bool:
        """Return whether the store is this origin's; False if it is nobody's. Raises StoreError if it is another's.

        The fact alone says nothing: it is entered with a call, which may have given no answer. A store is an origin's
        once it holds an answer, and as long as a living process has a call of it under way.
        """
        held = _ORIGIN.on(tx, {}).fetchone()
        if held is None or held[0] == self._origin:
            return held is not None
        has_answers = tx.execute(sa.select(responses.c.date).limit(1)).first() is not None
        if has_answers or any(self._owner.is_alive(owner) for _, owner in ledger.open_calls(tx)):
            raise StoreError(
                f"{self._database.file} {'holds' if has_answers else 'is about to get'} answers from {held[0]}; answers "
                f"from {self._origin} would mix with them. Set BACKLINKS_DATA_DIR to another folder, or "
                "DATAFORSEO_BASE_URL back."
            )
        return False

    # --- claims -------------------------------------------------------------------------------------------------

    def claim(self, keys: Collection[Key], now: dt.datetime) -> Claim | None:
        """Claim calls for this owner, all or none; None while a living owner is at one of them.

        What has landed, or has been charged for an answer that can't be used, is not claimed. A dead owner's claim is
        taken over; its call may be charged a second time, which nothing can prevent: the vendor knows no idempotency key.
        """
        with self._database.write() as tx:
            is_ours = self._check_origin(tx)
            landed = frozenset(key for key in keys if _LANDED.on(tx, key.columns()).fetchone())
            open_keys = [key for key in keys if key not in landed]
            for key in open_keys:
                held = _HOLDER.on(tx, key.columns()).fetchone()
                if held and held[0] != self._owner.name and self._owner.is_alive(held[0]):
                    return None
            whys = {key: unusable_answers.refusal(tx, key.columns()) for key in open_keys} if is_ours else {}
            refused = {key: why for key, why in whys.items() if why is not None}
            for key in open_keys:
                if key not in refused:
                    mine = {**key.columns(), "owner": self._owner.name, "claimed_at": now.isoformat()}
                    _CLAIM_OR_TAKE_OVER.on(tx, mine)
            return Claim(landed, refused)

    def release(self, key: Key) -> None:
        """Give up a claim whose call will not be made, or gave nothing to keep."""
        with self._database.write() as tx:
            _GIVE_UP.on(tx, {**key.columns(), "owner": self._owner.name})

    # --- calls --------------------------------------------------------------------------------------------------

    def start_call(self, call: ledger.Call, budget: Budget, others: Collection[str] = ()) -> None:
        """Enter a call in the ledger before it is sent; raises as `ledger.start`.

        With it the store is its origin's until it ends: of two runs over an empty store one is refused before it pays.
        """
        with self._database.write() as tx:
            is_ours = self._check_origin(tx)
            ledger.start(tx, call, budget, others)
            if not is_ours:
                unusable_answers.forgive(tx)  # what another host refused says nothing of this one
                _SET_ORIGIN.on(tx, {"name": "origin", "value": self._origin})

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
        """Book a call that gave nothing to use, with what its answer cost, if one came; keep what was charged.

        `is_final`: if the answer was charged, the same call is not made again (`claim`). `retry` is the id of the call
        that will be made in its place, for which room in the budget is set aside; returned is whether there was any.
        """
        cost_usd = answer.known_cost_usd if answer else None
        with self._database.write() as tx:
            ledger.end(
                tx,
                call_id,
                ledger.NO_ANSWER if cost_usd is None else ledger.REFUSED,
                ended_at=now,
                cost_usd=cost_usd,
                status_code=answer.status_code if answer else None,
                task_id=answer.task_id if answer and cost_usd is not None else None,
                message=message,
            )
            if answer is not None and unusable_answers.is_worth_keeping(answer):
                unusable_answers.keep(tx, call_id, key.columns(), answer, message, now, is_final=is_final)
            return retry is not None and set_room_aside(tx, retry[0], self._owner.name, now, retry[1])

    def give_back(self, call_id: str) -> None:
        """Give back the room that was set aside for a call that will not be made."""
        with self._database.write() as tx:
            give_back(tx, [call_id])

    def land(
        self,
        key: Key,
        call_id: str,
        answer: Answer,
        parameters: Parameters,
        attempts: int,
        now: dt.datetime,
    ) -> None:
        """Keep an answer durably, book its cost and end its claim, in one transaction."""
        row = {
            **key.columns(),
            "parameters": parameters.text,
            "task_id": answer.task_id,
            "cost_usd": answer.cost_usd,
            "captured_at": now.isoformat(),
            "attempts": attempts,
            "simulated": answer.simulated,
            "body": zstandard.compress(answer.body, 3),
        }
        with self._database.write() as tx:
            _LAND.on(tx, row)
            ledger.end(
                tx,
                call_id,
                ledger.EMPTY if answer.result is None else ledger.DATA,
                ended_at=now,
                cost_usd=answer.cost_usd,
                status_code=answer.status_code,
                task_id=answer.task_id,
            )
            _UNCLAIM.on(tx, key.columns())

    def close_dead_calls(self, now: dt.datetime) -> int:
        """Close the ledger entries of owners that died in mid-call; return how many. Their cost stays unknown."""
        with self._database.read() as tx:
            dead = [call for call, owner in ledger.open_calls(tx) if not self._owner.is_alive(owner)]
            unsent = [call for call, owner in room_set_aside(tx) if not self._owner.is_alive(owner)]
        if dead or unsent:
            with self._database.write() as tx:
                give_back(tx, unsent)
                for call in dead:
                    ledger.end(tx, call, ledger.NO_ANSWER, ended_at=now, message="the process ended in mid-call")
        return len(dead)

    def unknown_calls(self, since: dt.datetime) -> list[ledger.UnknownCall]:
        """Return the calls of which it is not known whether they were charged (`collect/reconcile.py`)."""
        with self._database.read() as tx:
            return ledger.unknown_calls(tx, since)

    def known_task_ids(self, dates: Collection[dt.date]) -> set[str]:
        with self._database.read() as tx:
            return ledger.known_task_ids(tx, dates)

    def settle_calls(self, settled: Iterable[tuple[str, float, str | None]]) -> None:
        """Book what calls without an answer did cost: (call, dollars, the vendor's id), in one transaction."""
        with self._database.write() as tx:
            for call_id, cost_usd, task_id in settled:
                ledger.settle(tx, call_id, cost_usd, task_id)

    # --- reading ------------------------------------------------------------------------------------------------

    def landed(self, dates: Iterable[dt.date]) -> set[Key]:
        """Return the keys of all answers kept for these days."""
        with self._database.read() as tx:
            rows = tx.execute(
                sa.select(*[responses.c[name] for name in Key._fields]).where(
                    responses.c.date.in_([date.isoformat() for date in dates])
                )
            )
            return {Key(dt.date.fromisoformat(row[0]), row[1], row[2], row[3]) for row in rows}

    def answer(self, key: Key) -> StoredAnswer | None:
        """Return one kept answer, or None."""
        with self._database.read() as tx:
            row = _ANSWER.on(tx, key.columns()).fetchone()
        return _stored(row) if row else None

    def latest(self, date: dt.date, target: str, status_type: str) -> StoredAnswer | None:
        """Return the newest answer kept for a day and target, whatever parameters it was asked with."""
        query = sa.select(responses).where(
            responses.c.date == date.isoformat(),
            responses.c.target == target,
            responses.c.status_type == status_type,
        )
        with self._database.read() as tx:
            row = tx.execute(query.order_by(responses.c.captured_at.desc()).limit(1)).first()
        return _stored(row) if row else None

    def answers(self, date: dt.date) -> Iterator[StoredAnswer]:
        """Yield the answers kept for a day, in the order of the key, one at a time."""
        with self._database.read() as tx:
            # Rows as SQLite gives them: over a year those of SQLAlchemy take a tenth of the time of a rebuild.
            yield from map(_stored, _DAY.on(tx, {"date": date.isoformat()}))

    def dates(self) -> list[dt.date]:
        """Return the days for which anything is kept, oldest first."""
        with self._database.read() as tx:
            rows = tx.execute(sa.select(responses.c.date).distinct().order_by(responses.c.date))
            return [dt.date.fromisoformat(row.date) for row in rows]

    def called(self, day: dt.date) -> set[str]:
        """Return the targets that have an answer of a day, or of which a call for it was started."""
        with self._database.read() as tx:
            kept = tx.execute(sa.select(responses.c.target).distinct().where(responses.c.date == day.isoformat()))
            return ledger.targets_called(tx, day).union(kept.scalars())

    def day_costs(self, day: dt.date) -> ledger.DayCosts:
        """Return what the ledger holds of a UTC day."""
        with self._database.read() as tx:
            return ledger.day_costs(tx, day)


@lru_cache(maxsize=1024)
def _parameters(text: str) -> dict[str, Any]:
    """Return a request's parameters: one object, that nobody changes, for all answers asked for with the same."""
    parameters: dict[str, Any] = orjson.loads(text)
    return parameters


_threads = threading.local()


def _decompressor() -> zstandard.ZstdDecompressor:
    """Return this thread's own: making one takes longer than a body does."""
    if not hasattr(_threads, "decompressor"):
        _threads.decompressor = zstandard.ZstdDecompressor()
    found: zstandard.ZstdDecompressor = _threads.decompressor
    return found


def _stored(row: Any) -> StoredAnswer:
    # Taken apart at once, in the order of the table's columns: a name looked up in a row costs as much as a small field.
    date, target, status_type, request_key, parameters, task_id, cost_usd, captured_at, attempts, simulated, body = row
    return StoredAnswer(
        dt.date.fromisoformat(date),
        target,
        status_type,
        request_key,
        _parameters(parameters),
        _decompressor().decompress(body),
        task_id,
        cost_usd,
        dt.datetime.fromisoformat(captured_at),
        attempts,
        bool(simulated),
    )
