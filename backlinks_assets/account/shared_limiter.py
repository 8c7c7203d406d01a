"""The account's two limits over all machines that share a Postgres database.

What belongs here: one row for each slot and one for the pace, and the statements that take, release, pause and lower.
What the limits mean is `limiter.py`, and the algorithm of the pace `rate_limiter.py`.
"""

import logging
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from backlinks_assets.account.concurrency import LOWER_ONCE_IN_S, LOWERED_FOR_S
from backlinks_assets.account.limiter import Cancelled, Limiter, LimiterState, kept_if_interrupted
from backlinks_assets.account.rate_limiter import DISTRUST_S, HORIZON_S, MAX_PAUSE_S, PACED_SHARE
from backlinks_assets.account.shared import HeldSlot, Server, create_tables, held_slot, metadata
from backlinks_assets.account.turns import SLICE_S, Turns

POLL_S = (0.02, 0.06)
"""Between two looks for a free slot, by one thread of a process."""
RELEASE_PATIENCE_S = 5.0
"""An answer waits for its storing so long, if the database is away: it could not be stored either."""

_log = logging.getLogger(__name__)

_SECOND = "interval '1 second'"
_PAUSED = f"CASE WHEN paused_until <= clock_timestamp() + {MAX_PAUSE_S} * {_SECOND} THEN paused_until END"
_NEXT = f"CASE WHEN next_at <= clock_timestamp() + {DISTRUST_S} * {_SECOND} THEN next_at END"
_START = f"greatest(clock_timestamp(), {_NEXT}, {_PAUSED})"
_IS_LOWERED = (
    f"(lowered_until > clock_timestamp() AND lowered_until <= clock_timestamp() + {LOWERED_FOR_S} * {_SECOND})"
)
_USABLE = (
    f"CASE WHEN {_IS_LOWERED} THEN least(lowered_to, CAST(:at_once AS integer)) ELSE CAST(:at_once AS integer) END"
)
_SECONDS = "CAST(greatest(0, extract(epoch FROM {} - clock_timestamp())) AS double precision)"

# The upper slots first: they leave the lower ones to processes that may use fewer.
_TAKE = sa.text(f"""
WITH mine AS MATERIALIZED (
    SELECT starts_at FROM account_slots WHERE token = :token
), free AS MATERIALIZED (
    SELECT slot FROM account_slots
    WHERE NOT EXISTS (SELECT FROM mine)
      AND slot < (SELECT {_USABLE} FROM account_pace)
      AND (token IS NULL OR busy_until < clock_timestamp())
    ORDER BY slot DESC LIMIT 1 FOR UPDATE SKIP LOCKED
), paced AS (
    UPDATE account_pace SET next_at = {_START} + :interval_s * {_SECOND}
    FROM free WHERE {_START} <= clock_timestamp() + {HORIZON_S} * {_SECOND}
    RETURNING next_at - :interval_s * {_SECOND} AS starts_at
), taken AS (
    UPDATE account_slots SET token = :token, starts_at = paced.starts_at, unanswered = false,
           busy_until = paced.starts_at + :hold_s * {_SECOND}
    FROM free, paced WHERE account_slots.slot = free.slot
    RETURNING account_slots.starts_at
), reserved AS (
    SELECT starts_at FROM mine UNION ALL SELECT starts_at FROM taken
)
SELECT (SELECT {_SECONDS.format("starts_at")} FROM reserved) AS starts_in_s,
       EXISTS (SELECT FROM free) AS is_free,
       (SELECT {_SECONDS.format(_START)} FROM account_pace) AS pace_s
""")  # noqa: S608 - the pieces are above
_PAUSE_LEFT = sa.text(f"SELECT {_SECONDS.format(_PAUSED)} AS paused_s FROM account_pace")  # noqa: S608
_RELEASE = sa.text("UPDATE account_slots SET token = NULL, busy_until = NULL WHERE token = :token")
_KEEP = sa.text("UPDATE account_slots SET unanswered = true WHERE token = :token")
_PAUSE = sa.text(f"""
UPDATE account_pace SET paused_until = greatest({_PAUSED}, clock_timestamp() + :pause_s * {_SECOND})
""")  # noqa: S608
_STEPS = (
    f"(NOT {_IS_LOWERED} OR lowered_until IS NULL OR lowered_at <= clock_timestamp() - {LOWER_ONCE_IN_S} * {_SECOND})"
)
_LOWER = sa.text(f"""
UPDATE account_pace
SET lowered_to = CASE WHEN {_STEPS} THEN greatest(1, {_USABLE} * 2 / 3) ELSE {_USABLE} END,
    lowered_at = CASE WHEN {_STEPS} THEN clock_timestamp() ELSE lowered_at END,
    lowered_until = clock_timestamp() + {LOWERED_FOR_S} * {_SECOND}
RETURNING lowered_to
""")  # noqa: S608
_PREPARE = (
    sa.text("INSERT INTO account_pace (one) VALUES (1) ON CONFLICT DO NOTHING"),
    sa.text("INSERT INTO account_slots (slot) SELECT generate_series(0, :at_once - 1) ON CONFLICT DO NOTHING"),
)
_STATE = sa.text(f"""
SELECT count(*) FILTER (WHERE NOT unanswered) AS held, count(*) FILTER (WHERE unanswered) AS waiting,
       (SELECT count(DISTINCT host) FROM account_leases WHERE until > clock_timestamp()) AS machines,
       coalesce((SELECT {_SECONDS.format(_PAUSED)} FROM account_pace), 0) AS paused_s,
       (SELECT least(lowered_to, CAST(:at_once AS integer)) FROM account_pace WHERE {_IS_LOWERED}) AS lowered_to,
       (SELECT {_SECONDS.format("lowered_until")} FROM account_pace WHERE {_IS_LOWERED}) AS lowered_s
FROM account_slots WHERE token IS NOT NULL AND busy_until > clock_timestamp()
""")  # noqa: S608


class SharedSlot:
    """Leave for one call at a time, held until `release`, or until its call must be over."""

    def __init__(self, server: Server, token: str) -> None:
        self._server = server
        self._token = token
        self._process = os.getpid()
        self._unanswered = False

    def keep_slot(self) -> None:
        """No answer came and the server may still be at work: the slot stays taken for its marked time."""
        self._unanswered = True

    def release(self) -> None:
        """Free the slot, at once or after its marked time (`keep_slot`). Never raises: an answer may be there."""
        if self._process != os.getpid():  # a child forked while it was held
            return
        try:
            self._server.one(_KEEP if self._unanswered else _RELEASE, RELEASE_PATIENCE_S, token=self._token)
        except Exception as error:  # noqa: BLE001 - its mark frees it
            _log.info("A slot stays taken until its call's timeout: %s", error)


class SharedLimiter(Limiter):
    """The limits of all machines, in one database. Tables are made at the first permit.

    What `AccountLimiter` promises for processes holds for machines. A wait goes on once the database is back, if it is
    away for no longer than some minutes. A slot whose release was lost with the database is free after `call_timeout_s`.
    """

    def __init__(
        self,
        engine: sa.Engine,
        calls_per_minute: int = 2000,
        calls_at_once: int = 30,
        call_timeout_s: float = 135.0,
    ) -> None:
        super().__init__(calls_per_minute, calls_at_once, call_timeout_s)
        self._server = Server(engine)
        self._paced_per_minute = PACED_SHARE * calls_per_minute
        self._turns = Turns()
        self._preparing = threading.Lock()
        self._is_prepared = False

    @contextmanager
    def permit(self, cancelled: Callable[[], bool] = lambda: False) -> Iterator[SharedSlot]:
        slot = self._acquire(cancelled)
        try:
            with kept_if_interrupted(slot):
                yield slot
        finally:
            held_slot.set(None)
            slot.release()

    def _acquire(self, cancelled: Callable[[], bool]) -> SharedSlot:
        self._prepare(cancelled)
        while True:
            token = uuid.uuid4().hex
            wait_s = self._take(token, cancelled)
            slot = SharedSlot(self._server, token)
            try:
                if wait_s > 0:
                    _sleep(wait_s, cancelled, "the account's pace")
                # A pause may have come meanwhile.
                if wait_s == 0 or not self._server.one(_PAUSE_LEFT, cancelled=cancelled).paused_s:
                    held_slot.set(HeldSlot(token, self.call_timeout_s))
                    return slot
            except BaseException:
                slot.release()
                raise
            slot.release()

    def _take(self, token: str, cancelled: Callable[[], bool]) -> float:
        """Take a slot and reserve an instant under a new token; return the seconds until that instant."""
        values: dict[str, Any] = {
            "token": token,
            "at_once": self.calls_at_once,
            "interval_s": 60 / self._paced_per_minute,
            "hold_s": self.call_timeout_s,
        }
        waits_for = "a free slot"
        with self._turns.turn(cancelled) as is_first:
            while is_first and not cancelled():
                row = self._server.one(_TAKE, cancelled=cancelled, **values)
                if row.starts_in_s is not None:
                    return float(row.starts_in_s)
                poll_s = random.uniform(*POLL_S)
                waits_for = "the account's pace" if row.is_free else "a free slot"
                _sleep(max(poll_s, row.pace_s) if row.is_free else poll_s, cancelled, waits_for)
        raise _cancelled(waits_for)

    def _prepare(self, cancelled: Callable[[], bool]) -> None:
        """Make the tables and this process's slots, once."""
        with self._preparing:
            if not self._is_prepared:
                self._server.patiently(lambda: create_tables(self._server.engine), cancelled=cancelled)
                for statement in _PREPARE:
                    self._server.one(statement, cancelled=cancelled, at_once=self.calls_at_once)
                self._is_prepared = True

    def pause(self, seconds: float = 60.0) -> None:
        if not seconds > 0:
            raise ValueError(f"A pause must be longer than 0 s, not {seconds}.")
        self._prepare(lambda: False)
        self._server.one(_PAUSE, pause_s=min(seconds, MAX_PAUSE_S))

    def lower_concurrency(self) -> int:
        self._prepare(lambda: False)
        return int(self._server.one(_LOWER, at_once=self.calls_at_once).lowered_to)

    def state(self) -> LimiterState:
        """Return the current limits, over all machines. Nothing is created, and a database that is away is an error at once.

        A slot whose process died counts as held until its call must be over.
        """
        row = None
        if self._server.patiently(self._has_tables, 0):
            row = self._server.one(_STATE, 0, at_once=self.calls_at_once)
        return LimiterState(
            calls_per_minute=self.calls_per_minute,
            paced_per_minute=self._paced_per_minute,
            calls_at_once=self.calls_at_once,
            slots_held=row.held if row else 0,
            slots_waiting=row.waiting if row else 0,
            paused_s=row.paused_s if row else 0.0,
            lowered_to=row.lowered_to if row else None,
            lowered_s=(row.lowered_s or 0.0) if row else 0.0,
            machines=row.machines if row else 0,
        )

    def _has_tables(self) -> bool:
        return set(metadata.tables) <= set(sa.inspect(self._server.engine).get_table_names())


def _sleep(seconds: float, cancelled: Callable[[], bool], waits_for: str) -> None:
    end = time.monotonic() + seconds
    while (left_s := end - time.monotonic()) > 0:
        time.sleep(min(left_s, SLICE_S))
        if cancelled():
            raise _cancelled(waits_for)


def _cancelled(waits_for: str) -> Cancelled:
    return Cancelled(f"No call was started: the wait for {waits_for} was cancelled.")
