"""Two machines on one Postgres, with everything going wrong: judged where calls count, at a server that sees them arrive.

Run as a program, this file is one of the machines: a process of 25 threads that claim keys and make a call for each.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from accounts import engine_of, limiter_at
from counting_server import CountingServer, send, serving
from servers import Postgres

from backlinks_assets.account.leases import LeaseLostError
from backlinks_assets.account.shared import Server
from backlinks_assets.account.shared_lease import SharedLease
from backlinks_assets.account.shared_limiter import SharedLimiter

THREADS, KEYS = 25, 20_000
LEASE_S, CALL_TIMEOUT_S = 15.0, 45.0
"""The lease is longer than a busy machine stands still; a call's time is longer than the freeze."""
WORK_S = 0.6
HOUR_S = 3600.0

_WORK = "CREATE TABLE work (key int PRIMARY KEY, owner text, thread int, done bool NOT NULL DEFAULT false)"
_CLAIM = sa.text("""
UPDATE work SET owner = :me, thread = :thread WHERE key = coalesce(
    (SELECT key FROM work WHERE owner = :me AND thread = :thread AND NOT done LIMIT 1),
    (SELECT key FROM work WHERE owner IS NULL AND NOT done ORDER BY key LIMIT 1 FOR UPDATE SKIP LOCKED))
RETURNING key
""")
_DONE = sa.text("UPDATE work SET done = true WHERE key = :key")
_OTHERS = sa.text("SELECT string_agg(DISTINCT owner, ' ') AS names FROM work WHERE NOT done AND owner <> :me")
_FREE = sa.text("UPDATE work SET owner = NULL WHERE owner = :dead AND NOT done")


class Machine:
    """A process of its own, and the keys that it was at when it was killed or frozen."""

    def __init__(self, url: str, port: int, clock_off_s: float) -> None:
        self.url = url
        root, support = Path(__file__).parents[2], Path(__file__).parents[1] / "support"
        self.process = subprocess.Popen(
            [sys.executable, __file__, url, str(port), str(clock_off_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{support}"},
            text=True,
        )
        self.under_way: set[str] = set()

    def asked(self, query: str) -> set[str]:
        """Return what a query finds; `%s` is for the names of this machine's leases. A connection of before may be dead."""
        with psycopg.connect(self.url) as connection:
            found = connection.execute(query, [f"{self.process.pid}-%"]).fetchall()
        return {str(value) for (value,) in found}

    def strike(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.under_way = self.asked("SELECT key FROM work WHERE owner LIKE %s AND NOT done")

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def is_buried(self) -> bool:
        """Whether another machine has found that its lease has expired."""
        return not self.asked("SELECT name FROM account_leases WHERE name LIKE %s")

    def is_alone(self) -> bool:
        """Whether nothing is left that others have claimed and not done."""
        return not self.asked("SELECT key FROM work WHERE owner NOT LIKE %s AND NOT done LIMIT 1")

    def stop(self) -> dict[str, int]:
        """Let it finish the calls that it has begun; return what it has counted."""
        said, _ = self.process.communicate("stop\n", timeout=200)
        assert self.process.returncode == 0
        counted: dict[str, int] = json.loads(said)
        return counted


@contextmanager
def machines(url: str, port: int) -> Iterator[list[Machine]]:
    running = [Machine(url, port, 0.0), Machine(url, port, HOUR_S)]
    try:
        yield running
    finally:
        for machine in running:
            machine.process.kill()
            machine.process.communicate()


def calls_of_keys(server: CountingServer) -> Counter[str]:
    """How many calls came for each key. A machine that is killed between connecting and sending has made none."""
    return Counter(line.partition(" ")[0] for line, _ in server.lines if line)


def wait_for(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 150
    while not is_so():
        assert time.monotonic() < end, is_so
        time.sleep(0.2)


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_limits_hold_over_two_machines_whatever_fails(postgres: Postgres, account_url: str) -> None:
    with engine_of(account_url).begin() as tx:
        tx.exec_driver_sql(_WORK)
        tx.exec_driver_sql(f"INSERT INTO work (key) SELECT generate_series(1, {KEYS})")
    with serving(WORK_S) as server, machines(account_url, server.port) as running:
        one, other = running
        time.sleep(65)  # a whole minute at the full rate
        one.strike(signal.SIGKILL)
        postgres.stop("fast")
        postgres.start()
        running.append(third := Machine(account_url, server.port, -HOUR_S))
        time.sleep(15)
        postgres.stop("immediate")
        postgres.start()
        time.sleep(10)
        other.strike(signal.SIGSTOP)
        wait_for(other.is_buried)
        time.sleep(3)
        other.thaw()
        time.sleep(10)
        postgres.stop("fast")
        time.sleep(20)
        before = len(server.arrivals)
        postgres.start()
        wait_for(lambda: len(server.arrivals) > before + 200)  # it goes on after the outage
        counted = [machine.stop() for machine in (other, third)]
        # What the dead left claimed is made now, by one who finds that they are dead.
        running.append(last := Machine(account_url, server.port, 0.0))
        wait_for(last.is_alone)
        counted.append(last.stop())
    minute, called = server.most_in(60.0), calls_of_keys(server)
    twice = {key: calls for key, calls in called.items() if calls > 1}
    print(f"{len(server.arrivals)} calls, {server.most_at_once} at once, {minute} in the worst minute, ", end="")
    print(f"{len(twice)} twice, {counted}")
    assert server.most_at_once <= 30
    assert minute <= 2000
    engine_of(account_url).dispose()
    with engine_of(account_url).connect() as tx:
        undone = "SELECT count(*) FROM work WHERE owner IS NOT NULL AND NOT done"
        assert tx.exec_driver_sql(undone).scalar() == 0, "what was claimed was made"
        done = {str(key) for (key,) in tx.exec_driver_sql("SELECT key FROM work WHERE done")}
    assert done == set(called)
    again = {key: sum(key in machine.under_way for machine in running) for key in twice}
    assert {key: calls for key, calls in twice.items() if calls > 1 + again[key]} == {}, "not under way when struck"
    assert len(twice) <= 2 * THREADS
    assert counted[0]["refused"] >= 1, "the fence refused what was frozen"


# What follows runs in the processes.


class Run:
    """A lease and its threads, until it is stopped or taken for dead."""

    def __init__(self, url: str, port: int, stopped: threading.Event) -> None:
        self.engine, self.port, self.stopped = engine_of(url), port, stopped
        self.server, self.limiter = Server(self.engine), limiter_at(url, 2000, 30, call_timeout_s=CALL_TIMEOUT_S)
        assert isinstance(self.limiter, SharedLimiter)
        self.lease = SharedLease(self.engine, LEASE_S)
        self.calls, self.refused = itertools.count(), itertools.count()
        self.lost = threading.Event()

    def work(self, thread: int) -> None:
        while not (self.stopped.is_set() or self.lost.is_set()):
            row = self.server.one(_CLAIM, me=self.lease.name, thread=thread)
            if row is None:
                time.sleep(0.1)
                continue
            with self.limiter.permit():
                try:
                    self.server.patiently(self.enter)
                except LeaseLostError:
                    next(self.refused)
                    self.lost.set()
                    return
                send(self.port, f"{row.key} {os.getpid()}")
                next(self.calls)
            self.server.one(_DONE, key=row.key)

    def enter(self) -> None:
        with self.engine.begin() as tx:
            self.lease.fence(tx)

    def take_over(self) -> None:
        names = self.server.one(_OTHERS, me=self.lease.name).names
        for name in (names or "").split():
            if not self.lease.is_alive(name):
                self.server.one(_FREE, dead=name)

    def all(self) -> None:
        threads = [threading.Thread(target=self.work, args=[number]) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        while not (self.stopped.wait(1.0) or self.lost.is_set()):
            self.take_over()
        for thread in threads:
            thread.join()
        self.lease.close()


def machine(url: str, port: int, clock_off_s: float) -> None:
    true_time = time.time
    time.time = lambda: true_time() + clock_off_s
    stopped, runs = threading.Event(), []
    threading.Thread(target=lambda: (sys.stdin.readline(), stopped.set()), daemon=True).start()
    while not stopped.is_set():
        runs.append(Run(url, port, stopped))
        runs[-1].all()
    print(json.dumps({name: sum(next(getattr(run, name)) for run in runs) for name in ("calls", "refused")}))


if __name__ == "__main__":
    machine(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
