"""Leases of processes on several machines: a row that each process renews, by the server's clock.

An advisory lock would vanish when the server restarts, while its process lives. What leases are for is `leases.py`.
"""

import logging
import os
import socket
import threading
import uuid
from contextlib import suppress
from typing import Final

import sqlalchemy as sa

from backlinks_assets.account.leases import Lease, LeaseLostError
from backlinks_assets.account.limiter import Cancelled, LimiterError
from backlinks_assets.account.shared import Server, create_tables, held_slot

LEASE_S: Final = 60.0
START_PATIENCE_S: Final = 15.0
"""A run that can't reach the database when it starts says so after this."""

_log = logging.getLogger(__name__)

_UNTIL: Final = "clock_timestamp() + :lease_s * interval '1 second'"
# Nobody could renew while the server was down, so nobody is dead within a lease of its start.
_EXPIRED: Final = (
    "until < clock_timestamp() AND pg_postmaster_start_time() + :lease_s * interval '1 second' < clock_timestamp()"
)
_BEGIN: Final = sa.text(f"""
INSERT INTO account_leases (name, host, until) VALUES (:name, :host, {_UNTIL}) ON CONFLICT DO NOTHING
""")  # noqa: S608 - the pieces are above
_RENEW: Final = sa.text(f"UPDATE account_leases SET until = {_UNTIL} WHERE name = :name RETURNING name")  # noqa: S608
_BURY: Final = sa.text(f"""
WITH dead AS (DELETE FROM account_leases WHERE name = :name AND {_EXPIRED} RETURNING name)
SELECT EXISTS (SELECT FROM account_leases WHERE name = :name) AND NOT EXISTS (SELECT FROM dead) AS is_alive
""")  # noqa: S608
_CLEAN: Final = sa.text(
    f"DELETE FROM account_leases WHERE {_EXPIRED} AND until < clock_timestamp() - interval '1 day'"  # noqa: S608
)
_END: Final = sa.text("DELETE FROM account_leases WHERE name = :name")
# A machine that freezes in the transaction must not commit it later, when others have taken over: the server ends it.
_CHECK: Final = sa.text("""
SELECT CAST(extract(epoch FROM until - clock_timestamp()) AS double precision) AS left_s,
       set_config('idle_in_transaction_session_timeout', :idle, true)
FROM account_leases WHERE name = :name
""")
_MARK: Final = sa.text("""
UPDATE account_slots SET busy_until = clock_timestamp() + :call_timeout_s * interval '1 second'
WHERE token = :token RETURNING slot
""")


class SharedLease(Lease):
    """A row with an end, renewed by a thread at a quarter of its length.

    A process is dead once another one has found its lease expired and removed the row; then its name never comes back. So
    a process that was cut off or frozen for longer goes on if nobody has taken anything of it, and otherwise sends nothing.

    Raises LimiterError if the database can't be used.
    """

    def __init__(self, engine: sa.Engine, lease_s: float | None = None) -> None:
        self.name = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        lease_s = LEASE_S if lease_s is None else lease_s
        self._lease_s = lease_s
        # Connections of its own: a renewal waits for no other work, and `is_alive` is called inside transactions.
        self._engine = sa.create_engine(engine.url, pool=engine.pool.recreate())
        self._server = Server(self._engine)
        self._known_dead: set[str] = set()
        self._closed = threading.Event()
        try:
            self._server.patiently(lambda: create_tables(self._engine), START_PATIENCE_S)
            self._server.one(_CLEAN, START_PATIENCE_S, lease_s=lease_s)
            host = socket.gethostname()
            self._server.one(_BEGIN, START_PATIENCE_S, name=self.name, host=host, lease_s=lease_s)
        except BaseException:
            self._engine.dispose()
            raise
        self._renewing = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._renewing.start()

    def _renew(self) -> None:
        while not self._closed.wait(self._lease_s / 4):
            try:
                row = self._server.one(_RENEW, cancelled=self._closed.is_set, name=self.name, lease_s=self._lease_s)
            except Cancelled:
                return
            except LimiterError as error:
                _log.warning("The lease could not be renewed: %s", error)
            else:
                if row is None:
                    _log.warning("This process was taken for dead by another one, and starts no more calls.")
                    return

    def close(self) -> None:
        self._closed.set()
        self._renewing.join()
        with suppress(LimiterError):  # it expires by itself
            self._server.one(_END, 1.0, name=self.name)
        self._engine.dispose()

    def is_alive(self, name: str) -> bool:
        """Whether it is still held; the row of a dead one is removed. Raises LimiterError if that can't be found out."""
        if name == self.name:
            return True
        if name not in self._known_dead:
            if self._server.one(_BURY, name=name, lease_s=self._lease_s).is_alive:
                return True
            self._known_dead.add(name)
        return False

    def fence(self, tx: sa.Connection) -> None:
        """Check that this process's lease and the slot of this thread's permit are still its own, and mark the slot anew.

        Raises LeaseLostError if one is not.
        """
        idle_ms = str(max(1, int(self._lease_s * 250)))
        row = tx.execute(_CHECK, {"name": self.name, "idle": idle_ms}).first()
        if row is not None and row.left_s < self._lease_s / 2:
            row = tx.execute(_RENEW, {"name": self.name, "lease_s": self._lease_s}).first()
        if row is None:
            raise LeaseLostError(
                "This process was cut off from the database, or frozen, for so long that another one took it for dead and "
                "may have taken over its calls. It starts no more of them. Run again: what is missing is then collected."
            )
        slot = held_slot.get()
        if slot is not None:
            mark = {"token": slot.token, "call_timeout_s": slot.call_timeout_s}
            if tx.execute(_MARK, mark).first() is None:
                raise LeaseLostError(
                    f"This call waited for more than {slot.call_timeout_s:.0f} s after its permit, and another one has its "
                    "slot: it is not started. Run again."
                )
