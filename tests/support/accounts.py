"""The account's limits and leases in both of their forms, files and Postgres, with a time that tests may let pass."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from backlinks_assets.account.clock import Clock
from backlinks_assets.account.leases import FileLease, Lease
from backlinks_assets.account.limiter import AccountLimiter, Limiter
from backlinks_assets.account.shared_lease import SharedLease
from backlinks_assets.account.shared_limiter import SharedLimiter

FORMS = ["files", "postgres"]
_INSTANTS = {
    "account_slots": ["starts_at", "busy_until"],
    "account_pace": ["next_at", "paused_until", "lowered_at", "lowered_until"],
    "account_leases": ["until"],
}
_engines: dict[str, sa.Engine] = {}


def engine_of(url: str) -> sa.Engine:
    """Return this process's engine of a database."""
    if url not in _engines:
        _engines[url] = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), pool_size=30)
    return _engines[url]


def limiter_at(place: str, *limits: int, call_timeout_s: float = 135.0, clock: Clock | None = None) -> Limiter:
    """Return the limits at a place: the URL of a database, or a folder."""
    if "://" in place:
        return SharedLimiter(engine_of(place), *limits, call_timeout_s=call_timeout_s)
    return AccountLimiter(Path(place), *limits, call_timeout_s=call_timeout_s, clock=clock)


def lease_at(place: str, lease_s: float = 60.0) -> Lease:
    return SharedLease(engine_of(place), lease_s) if "://" in place else FileLease(Path(place) / "owners")


class LaterClock(Clock):
    """The machine's, set forward by a test."""

    def __init__(self) -> None:
        self.later_s = 0.0

    def now_s(self) -> float:
        return super().now_s() + self.later_s


class Place:
    """Where limits are, and the time there."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._clock = LaterClock()

    def limiter(self, *limits: int, call_timeout_s: float = 135.0) -> Limiter:
        return limiter_at(self.place, *limits, call_timeout_s=call_timeout_s, clock=self._clock)

    def pass_time(self, seconds: float) -> None:
        """Let time pass there. On Postgres every stored instant becomes so much earlier: the server's clock can't be set."""
        self._clock.later_s += seconds
        if "://" in self.place:
            with engine_of(self.place).begin() as tx:
                for table, columns in _INSTANTS.items():
                    earlier = ", ".join(f"{name} = {name} - {seconds} * interval '1 second'" for name in columns)
                    tx.exec_driver_sql(f"UPDATE {table} SET {earlier}")


@pytest.fixture(params=FORMS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder, or the URL of an empty database, for `limiter_at` and `lease_at`."""
    yield str(tmp_path / "account") if request.param == "files" else request.getfixturevalue("postgres_url")
    dispose()


@pytest.fixture
def account(place: str) -> Place:
    return Place(place)


@pytest.fixture
def account_url(postgres_url: str) -> Iterator[str]:
    """The URL of an empty database; this process's connections to it are closed after the test."""
    yield postgres_url
    dispose()


def dispose() -> None:
    for engine in _engines.values():
        engine.dispose()
    _engines.clear()


def soon(looks: int = 3) -> Callable[[], bool]:
    """A `cancelled` that is true after a few looks: what is free is taken before."""
    left = iter([False] * looks)
    return lambda: next(left, True)
