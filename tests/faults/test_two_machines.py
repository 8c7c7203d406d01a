"""Two machines that collect with one store: the real command in two homes, judged at the server that is called.

What the limits and leases do alone is `test_shared_account.py`.
"""

import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import commands
import psycopg
import pytest
from simulated_api import PRICE_USD, SimulatedApi

from backlinks_assets.collect.factory import open_store
from backlinks_assets.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.ci, pytest.mark.timeout(900)]

TARGETS = 150
LEASE_S = 16.0
"""Longer than a busy machine stands still, shorter than the outage."""


def an_hour_ahead() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def an_hour_behind() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


class Machine:
    """A home and a data folder of its own, with a list of targets; the store's address is in the environment."""

    def __init__(self, folder: Path, targets: list[str]) -> None:
        self.environment = {"BACKLINKS_DATA_DIR": str(folder)}
        folder.mkdir()
        (folder / "targets.csv").write_text("\n".join(["target", *targets]) + "\n")

    def start(self, now=None) -> commands.Process:
        patches = {"account.shared_lease.LEASE_S": LEASE_S}  # a minute, of which only the length is another
        if now is not None:
            patches["collect.collector.utc_now"] = now
        return commands.start("run", "--json", environment=self.environment, patches=patches)

    def run(self) -> commands.Ended:
        return self.start().end()


def names(first: int, last: int) -> list[str]:
    return [f"shop{number:03d}.example" for number in range(first, last)]


@pytest.fixture
def server(api, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> SimulatedApi:
    monkeypatch.setenv("BACKLINKS_DATABASE_URL", postgres_url)
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")
    monkeypatch.setenv("BACKLINKS_READ_TIMEOUT_S", "20")  # after which a dead call's slot is free
    return api(latency_s=0.4)


def calls_of(server: SimulatedApi) -> Counter[tuple[str, str]]:
    return Counter((call.target, call.status_type) for call in server.calls if call.target)


def at_work(url: str) -> int:
    """Return how many processes have made calls."""
    with psycopg.connect(url) as connection:
        (count,) = connection.execute("SELECT count(DISTINCT owner) FROM api_calls").fetchone() or (0,)
    return int(count)


def both_at_work(
    server: SimulatedApi, url: str, first: Machine, second: Machine, now=None
) -> tuple[commands.Process, commands.Process]:
    """Start two machines and return when both make calls: before that, and after it, a run waits for no database.

    The first has a third of the slots, and answers come slowly, so that it is at work still when the second begins.
    """
    server.latency_s, usual = 6.0, server.latency_s
    first.environment["BACKLINKS_CALLS_AT_ONCE"] = "10"
    runs = []
    for number, machine in enumerate((first, second), start=1):
        runs.append(machine.start(now if number == 1 else None))
        end = time.monotonic() + commands.PATIENCE_S
        while not server.calls or at_work(url) < number:
            assert time.monotonic() < end, f"{number} at work"
            time.sleep(0.2)
    server.latency_s = usual
    return runs[0], runs[1]


def stored() -> int:
    with open_store(Settings.from_env()) as store:
        return len(store.stored_keys([commands.today()]))


def all_is_stored_and_paid(server: SimulatedApi, targets: int, twice: int) -> None:
    """Each answer is stored, at most so many calls were made again, and the ledger knows what all of them cost."""
    calls = calls_of(server)
    assert len(calls) == stored() == 2 * targets
    assert sum(calls.values()) - len(calls) <= twice
    assert server.peak_at_once <= 30
    assert server.spent_usd == pytest.approx(sum(calls.values()) * PRICE_USD)


@pytest.mark.parametrize(
    ("one", "other"),
    [((0, TARGETS), (0, TARGETS)), ((0, 100), (50, TARGETS))],
    ids=["the-same-list", "lists-that-overlap"],
)
def test_two_at_once_pay_once_and_hold_the_limits(
    server: SimulatedApi, tmp_path: Path, one: tuple[int, int], other: tuple[int, int]
) -> None:
    machines = [Machine(tmp_path / "a", names(*one)), Machine(tmp_path / "b", names(*other))]
    ended = [run.end() for run in [machines[0].start(), machines[1].start(an_hour_ahead)]]
    assert [(run.status, run.err) for run in ended] == [(0, "")] * 2
    assert sum(run.summary["calls"] for run in ended) == 2 * TARGETS
    all_is_stored_and_paid(server, TARGETS, 0)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_one_is_killed_and_the_database_restarted_and_the_other_has_the_whole_day(
    server: SimulatedApi, tmp_path: Path, postgres, postgres_url: str, mode: str
) -> None:
    machines = [Machine(tmp_path / name, names(0, TARGETS)) for name in "ab"]
    living, dying = both_at_work(server, postgres_url, machines[1], machines[0], an_hour_behind)
    commands.wait_for(lambda: len(server.calls) >= 60)
    dying.kill()
    postgres.stop(mode)
    time.sleep(3)
    postgres.start()
    ended = living.end()
    assert ended.status in (0, 3), ended.err
    again = machines[1].run()  # what the dead one had claimed, where its lease was still good
    assert again.status == 0, again.err
    all_is_stored_and_paid(server, TARGETS, 60)


def test_an_outage_of_twenty_seconds_loses_nothing(
    server: SimulatedApi, tmp_path: Path, postgres, postgres_url: str
) -> None:
    machines = [Machine(tmp_path / "a", names(0, 100)), Machine(tmp_path / "b", names(50, TARGETS))]
    runs = both_at_work(server, postgres_url, *machines)
    postgres.stop("fast")
    time.sleep(20)
    postgres.start()
    ended = [run.end() for run in runs]
    assert [run.status for run in ended] == [0, 0], [run.err for run in ended]
    all_is_stored_and_paid(server, TARGETS, 0)


def test_one_that_is_frozen_beyond_its_lease_sends_nothing_that_another_has_taken(
    server: SimulatedApi, tmp_path: Path
) -> None:
    machines = [Machine(tmp_path / name, names(0, TARGETS)) for name in "ab"]
    frozen = machines[0].start()
    commands.wait_for(lambda: len(server.calls) >= 60, commands.PATIENCE_S)
    frozen.signal(signal.SIGSTOP)
    commands.wait_for(lambda: all(call.ended for call in server.calls))
    time.sleep(LEASE_S + 2)
    other = machines[1].run()
    assert other.status == 0, other.err
    frozen.signal(signal.SIGCONT)
    ended = frozen.end()
    assert ended.status in (0, 1), ended.err
    assert "Traceback" not in ended.err
    all_is_stored_and_paid(server, TARGETS, 30)


def test_a_machine_with_nothing_but_the_address_builds_the_day_without_a_call(
    server: SimulatedApi, tmp_path: Path
) -> None:
    assert Machine(tmp_path / "a", names(0, 20)).run().status == 0
    before = len(server.calls)
    ended = Machine(tmp_path / "new", names(0, 20)).run()
    assert (ended.status, ended.summary["calls"], ended.summary["reused"]) == (0, 0, 20)
    assert len(server.calls) == before
    assert list((tmp_path / "new" / "parquet").glob("backlinks_flags/date=*/*.parquet"))
    assert not (tmp_path / "new" / "responses.sqlite").exists()
