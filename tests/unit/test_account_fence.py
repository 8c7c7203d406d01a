"""Leases: who is dead, and that one who was taken for dead sends nothing any more."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from accounts import Place, engine_of, lease_at

from backlinks_assets.account.leases import LeaseLostError
from backlinks_assets.account.shared_lease import SharedLease
from backlinks_assets.account.shared_limiter import SharedLimiter

HOLD = """
import sys, time
from accounts import lease_at
lease = lease_at(sys.argv[1], 20.0)
print(lease.name, flush=True)
time.sleep(600)
"""


def eventually(what: Callable[[], bool]) -> None:
    end = time.monotonic() + 90
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def end_of(place: str, name: str) -> Any:
    """The end of a lease as it stands, by the server's clock; None of a file, which has none."""
    if "://" not in place:
        return None
    with engine_of(place).connect() as tx:
        return tx.exec_driver_sql("SELECT until FROM account_leases WHERE name = %s", (name,)).scalar_one()


def fence(lease: SharedLease, account_url: str) -> None:
    with engine_of(account_url).begin() as tx:
        lease.fence(tx)


def no_more_renewed(lease: SharedLease) -> None:
    """As a frozen process's: its thread does nothing."""
    lease._closed.set()
    lease._renewing.join()


@pytest.mark.medium
def test_a_lease_ends_with_its_process_and_when_it_is_closed(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    support, root = Path(__file__).parents[1] / "support", Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{support}:{root}")
    mine, other = lease_at(place, 2.0), lease_at(place, 60.0)
    assert mine.is_alive(mine.name)
    assert mine.is_alive(other.name)
    other.close()
    assert not mine.is_alive(other.name)
    with subprocess.Popen([sys.executable, "-c", HOLD, place], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        name = process.stdout.readline().strip()
        first = end_of(place, name)
        eventually(lambda: first is None or end_of(place, name) > first)  # it is renewed
        assert mine.is_alive(name)
        process.kill()
        process.wait()
        Place(place).pass_time(21)
        eventually(lambda: not mine.is_alive(name))
    assert not mine.is_alive("nobody's")
    mine.close()


def test_nobody_is_dead_within_a_lease_of_the_servers_start(account_url: str) -> None:
    lease, quick, slow = (SharedLease(engine_of(account_url), lease_s) for lease_s in (3600.0, 0.1, 86_400.0))
    Place(account_url).pass_time(100_000)
    assert slow.is_alive(lease.name), "the server has not been up for a day"
    assert not quick.is_alive(lease.name)
    for each in (lease, quick, slow):
        each.close()


def test_one_that_was_taken_for_dead_sends_nothing_and_does_not_come_back(account_url: str) -> None:
    # A fence leaves its transaction a quarter of the lease, and a busy machine needs more than of a short one.
    frozen, other = SharedLease(engine_of(account_url), 3600.0), SharedLease(engine_of(account_url), 0.1)
    fence(frozen, account_url)
    no_more_renewed(frozen)
    assert other.is_alive(frozen.name)
    Place(account_url).pass_time(3700)
    eventually(lambda: not other.is_alive(frozen.name))
    with pytest.raises(LeaseLostError, match="Run again"):
        fence(frozen, account_url)
    frozen._closed.clear()
    frozen._lease_s = 0.1
    frozen._renew()  # ends, since there is nothing to renew
    with pytest.raises(LeaseLostError):
        fence(frozen, account_url)
    assert not other.is_alive(frozen.name)
    frozen.close()
    other.close()


def test_one_that_nobody_missed_goes_on_and_is_alive_again(account_url: str) -> None:
    lease, other = SharedLease(engine_of(account_url)), SharedLease(engine_of(account_url), 0.1)
    Place(account_url).pass_time(3600)
    fence(lease, account_url)
    assert other.is_alive(lease.name), "the fence has renewed it"
    lease.close()
    other.close()


def test_a_call_whose_slot_was_given_to_another_is_not_sent(account_url: str) -> None:
    lease = SharedLease(engine_of(account_url))
    slow, other = (SharedLimiter(engine_of(account_url), 60_000, 1, call_timeout_s=60) for _ in range(2))
    with slow.permit():
        Place(account_url).pass_time(61)
        other._take("another call", lambda: False)
        with pytest.raises(LeaseLostError, match="another one has its slot"):
            fence(lease, account_url)
    assert other.state().slots_held == 1, "its release freed nobody else's slot"
    lease.close()


def test_the_fence_marks_the_slot_anew_so_that_the_call_is_counted_from_its_sending(account_url: str) -> None:
    lease = SharedLease(engine_of(account_url))
    limiter = SharedLimiter(engine_of(account_url), 60_000, 1, call_timeout_s=600)
    with limiter.permit():
        Place(account_url).pass_time(400)
        fence(lease, account_url)
        Place(account_url).pass_time(400)
        assert limiter.state().slots_held == 1
    fence(lease, account_url)  # without a permit, as in free calls
    lease.close()


def test_a_machine_that_freezes_between_the_fence_and_the_commit_has_entered_nothing(account_url: str) -> None:
    lease = SharedLease(engine_of(account_url), 0.8)
    with engine_of(account_url).begin() as tx:
        tx.exec_driver_sql("CREATE TABLE entered (call int)")

    def enter_slowly() -> None:
        with engine_of(account_url).begin() as tx:
            lease.fence(tx)
            tx.exec_driver_sql("INSERT INTO entered VALUES (1)")
            time.sleep(1.0)

    with pytest.raises(sa.exc.DBAPIError) as raised:
        enter_slowly()
    assert raised.value.connection_invalidated
    with engine_of(account_url).connect() as tx:
        assert tx.exec_driver_sql("SELECT count(*) FROM entered").scalar() == 0
    lease.close()


def test_doctor_counts_machines_not_processes(account_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    leases = [SharedLease(engine_of(account_url)) for _ in range(2)]
    monkeypatch.setattr("socket.gethostname", lambda: "another-host")
    leases.append(SharedLease(engine_of(account_url)))
    limiter = SharedLimiter(engine_of(account_url))
    with limiter.permit():
        assert limiter.state().machines == 2
    for lease in leases:
        lease.close()
    assert limiter.state().machines == 0
