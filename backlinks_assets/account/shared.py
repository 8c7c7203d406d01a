"""What machines share of the account in Postgres: its tables, and statements that outlast a short outage.

All time is the server's, and waits are durations: what a machine's clock says means nothing. What the statements do is in
`shared_limiter.py` and `shared_lease.py`.
"""

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import sqlalchemy as sa
import tenacity

from backlinks_assets.account.limiter import Cancelled, LimiterError
from backlinks_assets.account.turns import SLICE_S

PATIENCE_S: Final = 300.0
"""How long the database may be away before a wait ends with an error."""
TABLES_LOCK: Final = 0x6261636B6C696E6B
"""Of `pg_advisory_xact_lock`: who makes tables holds it, since `CREATE TABLE IF NOT EXISTS` can fail beside another."""

metadata: Final = sa.MetaData()
_T = TypeVar("_T")
_instant: Final = sa.DateTime(timezone=True)

leases: Final = sa.Table(
    "account_leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("until", _instant, nullable=False, comment="after it, others may take the process for dead"),
)
slots: Final = sa.Table(
    "account_slots",
    metadata,
    sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("token", sa.Text, unique=True, comment="of the call that has the slot; NULL where none has"),
    sa.Column("starts_at", _instant, comment="the instant that was reserved for the call"),
    sa.Column("busy_until", _instant, comment="after it the call is surely over, whatever became of its process"),
    sa.Column("unanswered", sa.Boolean, nullable=False, server_default=sa.false()),
)
pace: Final = sa.Table(
    "account_pace",
    metadata,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("next_at", _instant, comment="the next free instant"),
    sa.Column("paused_until", _instant),
    sa.Column("lowered_to", sa.Integer),
    sa.Column("lowered_at", _instant),
    sa.Column("lowered_until", _instant),
)


@dataclass(frozen=True, slots=True)
class HeldSlot:
    """The slot of a permit. `call_timeout_s` after a call was entered in the ledger, the call is over."""

    token: str
    call_timeout_s: float


held_slot: Final[ContextVar[HeldSlot | None]] = ContextVar("held_slot", default=None)
"""The slot that this thread's permit holds, for the fence (`shared_lease.py`)."""


def create_tables(engine: sa.Engine) -> None:
    """Make the tables that are missing. Raises SQLAlchemy's errors."""
    with engine.begin() as tx:
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(TABLES_LOCK)))
        metadata.create_all(tx)


class Server:
    """The database as the limits use it: each statement is a transaction of its own, and is written to be repeatable.

    A statement's locks last no longer than it runs, so that a machine that freezes holds none.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")

    def one(
        self,
        statement: sa.Executable,
        patience_s: float | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        **values: Any,
    ) -> Any:
        """Run a statement and return its first row; None where it has none, or gives no rows. Raises as `patiently`."""

        def run() -> Any:
            with self._autocommit.connect() as connection:
                done = connection.execute(statement, values)
                return done.first() if done.returns_rows else None

        return self.patiently(run, patience_s, cancelled)

    def patiently(
        self, work: Callable[[], _T], patience_s: float | None = None, cancelled: Callable[[], bool] = lambda: False
    ) -> _T:
        """Do what may be repeated until the database does not fail it, for `patience_s` (`PATIENCE_S`) at most.

        Raises:
            LimiterError: the database is away for longer, or refuses the statement.
            Cancelled: `cancelled()` turned true while the database was away.
        """

        def sleep(seconds: float) -> None:
            end = time.monotonic() + seconds
            while (left_s := end - time.monotonic()) > 0:
                if cancelled():
                    raise Cancelled("No call was started: the wait for the database was cancelled.")
                time.sleep(min(left_s, SLICE_S))

        try:
            return tenacity.Retrying(
                retry=tenacity.retry_if_exception(_is_away),
                stop=tenacity.stop_after_delay(PATIENCE_S if patience_s is None else patience_s),
                wait=tenacity.wait_random_exponential(multiplier=0.1, max=2),
                sleep=sleep,
                reraise=True,
            )(work)
        except sa.exc.SQLAlchemyError as error:
            raise LimiterError(
                f"The account's limits are in {self._place()}, which {self._said(error)}. No call is started without "
                "them. See to the database, or to BACKLINKS_DATABASE_URL, and run again."
            ) from None

    def _place(self) -> str:
        url = self.engine.url
        return f"the database {url.database} on {url.host}:{url.port or 5432}"

    def _said(self, error: sa.exc.SQLAlchemyError) -> str:
        said = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        if self.engine.url.password:
            said = said.replace(str(self.engine.url.password), "***")
        return f"{'could not be used' if _is_away(error) else 'refused a statement'} ({said})"


def _is_away(error: BaseException) -> bool:
    """Whether a statement may succeed later: no connection, a restart, too many connections, a standby not yet promoted."""
    if isinstance(error, sa.exc.DBAPIError) and getattr(error.orig, "sqlstate", None) == "25006":  # read-only
        return True
    return isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.TimeoutError) or (
        isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
    )
