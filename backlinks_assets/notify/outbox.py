"""What has been told and what is still to be delivered, kept in the response store's database.

Messages are an outbox: what is new is claimed and its message kept in one transaction, then delivered, each place apart.
A restart, or a second daemon, finds what the first has left. What is worth telling is `alerts.py`.
"""

import datetime as dt
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

import orjson
import sqlalchemy as sa

from backlinks_assets.notify.alerts import BALANCE, STOPPED, FailedRun, News
from backlinks_assets.notify.message import Message
from backlinks_assets.store.database import Database
from backlinks_assets.store.migrations import open_tables

SECOND_MESSAGE_AFTER: Final = dt.timedelta(minutes=15)
"""Between the first two messages about a day; each gap after that is twice the one before, so that a bad day makes
some seven messages at most. What comes in the meantime waits and is told together. What stops collecting waits no
longer than the first gap: there are few reasons, and each is told once."""
URGENT: Final = frozenset({STOPPED, BALANCE})
FIRST_RETRY_AFTER: Final = dt.timedelta(minutes=1)
LONGEST_RETRY: Final = dt.timedelta(hours=1)
GIVEN_UP_AFTER: Final = dt.timedelta(days=3)
"""Then a message is stale: what it says has been on the pages for days."""
CLAIM_LASTS: Final = dt.timedelta(minutes=10)
"""Longer than any sending. A daemon killed in mid-send leaves a message of which nobody knows; it is sent again then."""

metadata = sa.MetaData()

messages = sa.Table(
    "announced_messages",
    metadata,
    sa.Column("message_id", sa.Integer, primary_key=True),
    sa.Column("day", sa.String, nullable=False, index=True),
    sa.Column("composed_at", sa.String, nullable=False),
    sa.Column("message", sa.String, nullable=False, comment="JSON"),
)
told = sa.Table(
    "announced_news",
    metadata,
    sa.Column("day", sa.String, primary_key=True),
    sa.Column("key", sa.String, primary_key=True),
    sa.Column("message_id", sa.Integer),
)
deliveries = sa.Table(
    "announcement_deliveries",
    metadata,
    sa.Column("message_id", sa.Integer, primary_key=True),
    sa.Column("place", sa.String, primary_key=True, comment="hash of the URL: the URL itself is kept nowhere"),
    sa.Column("state", sa.String, nullable=False, comment="waiting, sent, given up"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", sa.String, nullable=False),
    sa.Column("claimed_until", sa.String),
    sa.Column("reason", sa.String, comment="why the last attempt failed"),
)
runs = sa.Table(
    "announced_runs",
    metadata,
    sa.Column("run_id", sa.String, primary_key=True),
    sa.Column("day", sa.String, nullable=False, index=True),
    sa.Column("failed", sa.String, nullable=False, comment="JSON"),
)
notes = sa.Table(
    "announcement_notes", metadata, sa.Column("name", sa.String, primary_key=True), sa.Column("value", sa.String)
)

WAITING: Final = "waiting"
SENT: Final = "sent"
GIVEN_UP: Final = "given up"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one place, claimed. `attempts` are those before."""

    message_id: int
    place: str
    attempts: int
    composed_at: dt.datetime
    message: Message


@dataclass(frozen=True, slots=True)
class Failing:
    """A place that has messages waiting of which the last attempt failed."""

    place: str
    messages: int
    attempts: int
    next_at: dt.datetime
    reason: str


class Memory:
    """The announcements' tables in one database. Raises StoreError as `Database` does."""

    def __init__(self, database: Database) -> None:
        self._database = database
        open_tables(database, metadata)

    # --- notes --------------------------------------------------------------------------------------------------

    def note(self, name: str, default: str) -> str:
        """Return what is noted under a name; the first time, note `default`."""
        with self._database.write() as tx:
            held = tx.execute(sa.select(notes.c.value).where(notes.c.name == name)).scalar()
            if held is None:
                tx.execute(notes.insert().values(name=name, value=default))
            return default if held is None else str(held)

    def write_note(self, name: str, value: str) -> None:
        with self._database.write() as tx:
            _put(tx, name, value)

    def turn(self, name: str, now: dt.datetime, every: dt.timedelta) -> bool:
        """Whether something done `every` so often is due; True to one asker only, which has then taken the turn."""
        with self._database.write() as tx:
            last = tx.execute(sa.select(notes.c.value).where(notes.c.name == name)).scalar()
            if last is not None and dt.datetime.fromisoformat(last) > now - every:
                return False
            _put(tx, name, now.isoformat())
            return True

    def place_salt(self) -> bytes:
        """Return the salt of the places' hashes, made at first."""
        return bytes.fromhex(self.note("salt", os.urandom(16).hex()))

    # --- failed runs --------------------------------------------------------------------------------------------

    def keep_runs(self, failed: Sequence[FailedRun]) -> None:
        """Keep failed runs; those kept already stay as they are."""
        if not failed:
            return
        with self._database.write() as tx:
            ids = [run.run_id for run in failed]
            known = set(tx.execute(sa.select(runs.c.run_id).where(runs.c.run_id.in_(ids))).scalars())
            for run in failed:
                if run.run_id not in known:
                    row = {"run_id": run.run_id, "day": run.day.isoformat(), "failed": orjson.dumps(run).decode()}
                    tx.execute(runs.insert().values(row))

    def failed_runs(self, day: dt.date) -> list[FailedRun]:
        """Return the failed runs kept of a day, oldest first."""
        with self._database.read() as tx:
            rows = tx.execute(sa.select(runs.c.failed).where(runs.c.day == day.isoformat())).scalars().all()
        found = [FailedRun(**{**kept, **_times(kept)}) for kept in map(orjson.loads, rows)]
        return sorted(found, key=lambda run: run.ended_at)

    # --- messages -----------------------------------------------------------------------------------------------

    def is_told(self, day: dt.date, key: str) -> bool:
        with self._database.read() as tx:
            return key in _told(tx, day)

    def mark_told(self, day: dt.date, key: str) -> None:
        """Count something as told that needs no message."""
        with self._database.write() as tx:
            _tell(tx, day, [key], None)

    def put_in_outbox(
        self,
        day: dt.date,
        news: Sequence[News],
        places: Collection[str],
        now: dt.datetime,
        compose: Callable[[list[News], int, dt.datetime | None], Message],
    ) -> Message | None:
        """Make one message of what is new, for all places; None if nothing is, or the last message is too young.

        `compose` is given the new pieces, the message's number of the day and when the last one was made. It reads
        tables, and a write transaction would keep paid answers waiting meanwhile: so it is called before that begins.
        What is claimed and the message are kept together, if what was new still is: of two who ask at once one makes
        it, and what is then left to the other is told by a later look.
        """
        if not news:
            return None
        with self._database.read() as tx:
            due = _due(tx, day, news, now)
        if due is None:
            return None
        message = compose(*due)
        row = {
            "day": day.isoformat(),
            "composed_at": now.isoformat(),
            "message": orjson.dumps(message.as_json()).decode(),
        }
        with self._database.write() as tx:
            if _due(tx, day, news, now) != due:
                return None
            made = tx.execute(messages.insert().values(row)).inserted_primary_key
            assert made is not None
            _tell(tx, day, [key for piece in due[0] for key in piece.keys], made[0])
            tx.execute(deliveries.insert(), [_waiting(made[0], place, now) for place in places])
        return message

    # --- deliveries ---------------------------------------------------------------------------------------------

    def hand_over(self, places: Collection[str], now: dt.datetime) -> None:
        """Give what waits for places that are no longer set to those set now that have not had it: a corrected URL."""
        if not places:
            return
        with self._database.write() as tx:
            gone = (deliveries.c.state == WAITING, deliveries.c.place.not_in(list(places)))
            for message_id in tx.execute(sa.select(deliveries.c.message_id).where(*gone).distinct()).scalars().all():
                query = sa.select(deliveries.c.place).where(deliveries.c.message_id == message_id)
                have = set(tx.execute(query).scalars())
                for place in sorted(set(places) - have):
                    tx.execute(deliveries.insert().values(_waiting(message_id, place, now)))
            tx.execute(deliveries.update().where(*gone).values(state=GIVEN_UP, reason="the place is no longer set"))

    def claim(self, places: Collection[str], now: dt.datetime) -> Delivery | None:
        """Claim the oldest delivery that is due to one of the places, or return None."""
        free = sa.or_(deliveries.c.claimed_until.is_(None), deliveries.c.claimed_until <= now.isoformat())
        due = (deliveries.c.state == WAITING, deliveries.c.next_at <= now.isoformat(), free)
        query = (
            sa.select(deliveries, messages.c.composed_at, messages.c.message)
            .join(messages, messages.c.message_id == deliveries.c.message_id)
            .where(*due, deliveries.c.place.in_(list(places)))
            .order_by(deliveries.c.message_id, deliveries.c.place)
        )
        with self._database.write() as tx:
            row = tx.execute(query.limit(1)).first()
            if row is None:
                return None
            until = (now + CLAIM_LASTS).isoformat()
            tx.execute(deliveries.update().where(_is(row.message_id, row.place)).values(claimed_until=until))
        message = Message.from_json(orjson.loads(row.message))
        return Delivery(row.message_id, row.place, row.attempts, dt.datetime.fromisoformat(row.composed_at), message)

    def sent(self, delivery: Delivery) -> None:
        """Keep that a delivery has arrived."""
        changes = {"state": SENT, "attempts": delivery.attempts + 1, "claimed_until": None, "reason": None}
        with self._database.write() as tx:
            tx.execute(deliveries.update().where(_is(delivery.message_id, delivery.place)).values(changes))

    def failed(self, delivery: Delivery, reason: str, now: dt.datetime) -> bool:
        """Keep that an attempt failed; return whether there will be another: after 1, 2, 4 … 60 minutes, for three days."""
        wait = min(FIRST_RETRY_AFTER * 2 ** min(delivery.attempts, 10), LONGEST_RETRY)
        goes_on = now - delivery.composed_at <= GIVEN_UP_AFTER
        changes = {
            "state": WAITING if goes_on else GIVEN_UP,
            "attempts": delivery.attempts + 1,
            "next_at": (now + wait).isoformat(),
            "claimed_until": None,
            "reason": reason,
        }
        with self._database.write() as tx:
            tx.execute(deliveries.update().where(_is(delivery.message_id, delivery.place)).values(changes))
        return goes_on

    def failing(self, places: Collection[str]) -> list[Failing]:
        """Return the places with messages that an attempt has failed to deliver."""
        query = sa.select(deliveries).where(
            deliveries.c.state == WAITING, deliveries.c.attempts > 0, deliveries.c.place.in_(list(places))
        )
        with self._database.read() as tx:
            rows = tx.execute(query.order_by(deliveries.c.next_at)).all()
        found = []
        for place in dict.fromkeys(row.place for row in rows):
            of_place = [row for row in rows if row.place == place]
            worst = max(of_place, key=lambda row: row.attempts)
            next_at = dt.datetime.fromisoformat(of_place[0].next_at)
            found.append(Failing(place, len(of_place), worst.attempts, next_at, worst.reason or ""))
        return found


def _due(
    tx: sa.Connection, day: dt.date, news: Sequence[News], now: dt.datetime
) -> tuple[list[News], int, dt.datetime | None] | None:
    """Return what is new of a day, the number of its next message and when the last was made; None if none is due."""
    known = _told(tx, day)
    fresh = [piece for piece in news if piece.keys[0] not in known]
    query = sa.select(messages.c.composed_at).where(messages.c.day == day.isoformat())
    earlier = [dt.datetime.fromisoformat(at) for at in tx.execute(query.order_by("message_id")).scalars()]
    if not fresh or (earlier and now < earlier[-1] + _gap(fresh, len(earlier))):
        return None
    return fresh, len(earlier) + 1, earlier[-1] if earlier else None


def _gap(fresh: Sequence[News], messages_before: int) -> dt.timedelta:
    urgent = any(piece.kind in URGENT for piece in fresh)
    return SECOND_MESSAGE_AFTER * (1 if urgent else 2 ** (messages_before - 1))


def _put(tx: sa.Connection, name: str, value: str) -> None:
    if not tx.execute(notes.update().where(notes.c.name == name).values(value=value)).rowcount:
        tx.execute(notes.insert().values(name=name, value=value))


def _told(tx: sa.Connection, day: dt.date) -> set[str]:
    return set(tx.execute(sa.select(told.c.key).where(told.c.day == day.isoformat())).scalars())


def _tell(tx: sa.Connection, day: dt.date, keys: Sequence[str], message_id: int | None) -> None:
    known = _told(tx, day)
    rows = [{"day": day.isoformat(), "key": key, "message_id": message_id} for key in dict.fromkeys(keys)]
    if new := [row for row in rows if row["key"] not in known]:
        tx.execute(told.insert(), new)


def _waiting(message_id: int, place: str, now: dt.datetime) -> dict[str, object]:
    return {"message_id": message_id, "place": place, "state": WAITING, "attempts": 0, "next_at": now.isoformat()}


def _is(message_id: int, place: str) -> sa.ColumnElement[bool]:
    return sa.and_(deliveries.c.message_id == message_id, deliveries.c.place == place)


def _times(kept: dict[str, str]) -> dict[str, object]:
    return {"day": dt.date.fromisoformat(kept["day"]), "ended_at": dt.datetime.fromisoformat(kept["ended_at"])}
