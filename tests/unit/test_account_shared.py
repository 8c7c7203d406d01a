"""The limits on Postgres: statements that may be repeated, a database that is away, and no machine's clock."""

import inspect
import itertools
import re
import threading
import time
import traceback
import uuid

import pytest
import sqlalchemy as sa
from accounts import engine_of, limiter_at, soon

from backlinks_assets.account import shared, shared_lease, shared_limiter, turns
from backlinks_assets.account.limiter import Cancelled, LimiterError
from backlinks_assets.account.shared import create_tables
from backlinks_assets.account.shared_lease import SharedLease
from backlinks_assets.account.shared_limiter import SharedLimiter


def never() -> bool:
    return False


def starts(account_url: str) -> list[float]:
    with engine_of(account_url).connect() as tx:
        rows = tx.exec_driver_sql("SELECT extract(epoch FROM starts_at) FROM account_slots WHERE token IS NOT NULL")
        return sorted(float(start) for (start,) in rows)


def prepared(account_url: str, *limits: int) -> SharedLimiter:
    limiter = SharedLimiter(engine_of(account_url), *limits)
    with limiter.permit():
        return limiter


def test_two_thousand_a_minute_is_paced_at_1960_with_no_burst_over_all_machines(account_url: str) -> None:
    limiters = [prepared(account_url, 2000, 300) for _ in range(2)]
    for limiter in limiters * 60:
        limiter._take(uuid.uuid4().hex, never)
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts(account_url))]
    assert len(gaps) == 119
    assert min(gaps) > 60 / 1960 - 1e-5


def test_a_statement_that_is_repeated_finds_its_own_slot_and_instant(account_url: str) -> None:
    limiter = prepared(account_url, 5, 2)  # twelve seconds apart: more than passes between the takings
    before = limiter._take("one", never)
    assert limiter._take("one", never) <= before
    assert len(starts(account_url)) == 1
    assert limiter._take("other", never) > before, "and the next one gets the next instant"


def test_no_instant_is_used_up_while_no_slot_is_free(account_url: str) -> None:
    limiter = prepared(account_url, 60, 1)
    limiter._take("one", never)
    for _ in range(3):
        with pytest.raises(Cancelled):
            limiter._take("two", soon())
    with engine_of(account_url).connect() as tx:
        ahead = tx.exec_driver_sql("SELECT extract(epoch FROM next_at - clock_timestamp()) FROM account_pace").scalar()
    assert ahead is not None
    assert ahead < 2.1


def test_an_instant_too_far_ahead_to_be_true_is_ignored(account_url: str) -> None:
    limiter = prepared(account_url, 60, 3)
    with engine_of(account_url).begin() as tx:
        tx.exec_driver_sql(
            "UPDATE account_pace SET next_at = now() + interval '1 hour', paused_until = now() + interval '1 hour'"
        )
    assert limiter._take("one", never) == 0


def test_no_clock_of_the_machine_is_used(account_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    true_time, ahead_s = time.time, itertools.cycle([3600.0, -3600.0])
    monkeypatch.setattr(time, "time", lambda: true_time() + next(ahead_s))
    limiter, lease = prepared(account_url, 6000, 2), SharedLease(engine_of(account_url))
    other = SharedLease(engine_of(account_url))
    for _ in range(5):
        with limiter.permit(), engine_of(account_url).begin() as tx:
            lease.fence(tx)
    assert other.is_alive(lease.name)
    limiter.pause(0.2)
    with limiter.permit() as permit:
        permit.keep_slot()
    assert 0 <= limiter.state().paused_s <= 0.2
    assert limiter.state().slots_waiting == 1
    lease.close()
    other.close()
    for module in (shared, shared_limiter, shared_lease, turns):
        assert not re.search(r"datetime|time\.time|CLOCK_REALTIME|utcnow", inspect.getsource(module))


def test_nothing_is_made_by_looking(account_url: str) -> None:
    state = SharedLimiter(engine_of(account_url)).state()
    assert (state.slots_held, state.slots_waiting, state.paused_s, state.lowered_to, state.machines) == (
        0,
        0,
        0,
        None,
        0,
    )
    assert sa.inspect(engine_of(account_url)).get_table_names() == []


def test_many_may_make_the_tables_at_once(account_url: str) -> None:
    failed: list[Exception] = []

    def make() -> None:
        try:
            create_tables(engine_of(account_url))
        except sa.exc.SQLAlchemyError as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    with limiter_at(account_url).permit():
        pass


def away() -> sa.Engine:
    """An engine of a database that is not there: on a port that nobody is given."""
    return sa.create_engine("postgresql+psycopg://someone:s3cret-passphrase@127.0.0.1:1/backlinks")


@pytest.mark.medium
def test_a_database_that_cannot_be_reached_stops_every_call_with_a_sentence_without_the_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared, "PATIENCE_S", 0.3)
    monkeypatch.setattr(shared_lease, "START_PATIENCE_S", 0.3)
    limiter = SharedLimiter(away())
    for call in (limiter.permit().__enter__, limiter.pause, limiter.lower_concurrency, limiter.state):
        with pytest.raises(LimiterError, match=r"the database backlinks on 127\.0\.0\.1:\d+.*run again") as raised:
            call()
        assert "s3cret" not in "".join(traceback.format_exception(raised.value))
    with pytest.raises(LimiterError, match="BACKLINKS_DATABASE_URL"):
        SharedLease(away())


def test_the_wait_for_a_database_can_be_cancelled() -> None:
    with pytest.raises(Cancelled, match="wait for the database"), SharedLimiter(away()).permit(soon()):
        pytest.fail("a call that nobody counted")


def test_a_release_that_does_not_reach_the_database_raises_nothing(
    account_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shared_limiter, "RELEASE_PATIENCE_S", 0.3)
    caplog.set_level("INFO")
    limiter = prepared(account_url, 60_000, 1)
    with limiter.permit():
        limiter._server._autocommit = away().execution_options(isolation_level="AUTOCOMMIT")
    assert "stays taken until its call's timeout" in caplog.text
    assert "s3cret" not in caplog.text
    assert limiter_at(account_url).state().slots_held == 1
