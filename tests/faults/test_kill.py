"""kill -9 at any instant, and being asked to stop: what was paid for is kept, and the next run simply goes on.

The server is the judge: it knows which answers it finished, and goes on with the calls of a client that is dead.
"""

import os
import random
import signal
import sqlite3
import time

import commands
import duckdb
import faults
import pyarrow.parquet as pq
import pytest
from faults import Fault
from kills import wait_until_through
from simulated_api import PRICE_USD, SimulatedApi

from backlinks_assets.settings import Settings

pytestmark = pytest.mark.slow

TARGETS, AT_ONCE = 300, 30


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def names(count: int) -> list[str]:
    return [f"shop{number:03d}.example" for number in range(count)]


def paid_calls(server: SimulatedApi) -> int:
    return sum(call.path.endswith("/summary/live") for call in server.calls)


def finished(server: SimulatedApi) -> int:
    """The good answers that the server has sent to their end."""
    return sum(
        call.status_code == 20000 and call.status_type is not None and call.ended is not None for call in server.calls
    )


def in_the_store() -> tuple[int, int]:
    """How many answers are kept, and how many calls were in flight: read beside whatever is going on."""
    settings = Settings.from_env()
    if not settings.store_file.exists():
        return 0, 0
    store = sqlite3.connect(settings.store_file, timeout=60)
    try:
        if store.execute("SELECT count(*) FROM sqlite_master WHERE name = 'api_calls'").fetchone() == (0,):
            return 0, 0
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (kept,) = store.execute("SELECT count(*) FROM responses").fetchone()
        (in_flight,) = store.execute("SELECT count(*) FROM api_calls WHERE outcome = 'in_flight'").fetchone()
    finally:
        store.close()
    return kept, in_flight


def nothing_is_half_written() -> None:
    settings = Settings.from_env()
    for file in settings.root.glob("parquet/**/*.parquet"):
        assert pq.read_table(file).num_rows >= 0
    if settings.duckdb_file.exists():
        with duckdb.connect(str(settings.duckdb_file), read_only=True) as connection:
            connection.execute("SELECT count(*) FROM backlinks_summary").fetchone()


def briefly(_settings: Settings) -> float:
    """How long a dead call's slot is left alone."""
    return 0.1


@pytest.mark.timeout(600)
def test_kills_at_random_moments_lose_only_what_was_in_flight(api, write_targets) -> None:
    wanted = 20 if "CI" in os.environ else 3
    patches = {"collect.factory.slot_held_s": briefly}  # the server is through with them before the next run
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    server = api(latency_s=0.15)
    write_targets(*names(TARGETS))
    kills = lost = 0
    for _ in range(2 * wanted):
        if kills == wanted:
            break
        run = commands.start("run", "--json", patches=patches)
        time.sleep(moments.uniform(0.2, 1.9))
        kills += not run.is_over
        run.kill()
        kept, in_flight = in_the_store()
        wait_until_through(server)  # its side of the dead calls goes on
        lost_now = finished(server) - kept - lost
        assert 0 <= lost_now <= in_flight <= AT_ONCE
        lost += lost_now
        nothing_is_half_written()

    ended = commands.command("run", "--json", patches=patches)
    assert (ended.status, ended.err) == (0, "")
    assert ended.summary["failed"] == []
    kept, in_flight = in_the_store()
    assert (kept, in_flight) == (2 * TARGETS, 0)
    assert finished(server) - kept == lost
    assert server.peak_at_once <= AT_ONCE
    nothing_is_half_written()
    with duckdb.connect(str(Settings.from_env().duckdb_file), read_only=True) as tables:
        assert tables.execute("SELECT count(DISTINCT target), count(*) FROM backlinks_summary").fetchone() == (
            TARGETS,
            2 * TARGETS,
        )
    before = paid_calls(server)
    assert commands.command("run", "--json").summary["reused"] == TARGETS
    assert paid_calls(server) == before


@pytest.mark.ci
def test_a_dead_runs_calls_count_as_long_as_the_server_may_be_at_them(api, write_targets, monkeypatch) -> None:
    monkeypatch.setenv("BACKLINKS_READ_TIMEOUT_S", "16")  # so long, and an eighth, are a dead call's slots left alone
    server = api(latency_s=8)
    write_targets(*names(32))
    run = commands.start("run")
    commands.wait_for(lambda: len(server.calls) >= AT_ONCE)
    run.kill()
    server.latency_s = 0.1
    assert commands.command("run", "--json").summary["failed"] == []  # it starts while the server is at the dead calls
    assert server.peak_at_once == AT_ONCE
    assert in_the_store() == (64, 0)


@pytest.mark.ci
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.ci)])
def test_asked_to_stop_it_starts_nothing_keeps_what_is_in_flight_and_says_how_to_go_on(
    api, write_targets, number: int
) -> None:
    server = api()
    write_targets(*names(60))
    server.let_answer(20)
    run = commands.start("run", "--json")
    commands.wait_for(lambda: len(server.calls) == 20 + AT_ONCE)
    run.signal(number)
    commands.wait_for(lambda: not run.catches(number))  # it has been told
    server.let_answer()
    ended = run.end()
    assert ended.status == 1
    assert "what was paid for is stored" in ended.err.lower()
    assert "Traceback" not in ended.err
    assert len(server.calls) == 20 + AT_ONCE
    assert in_the_store() == (len(server.calls), 0)
    assert ended.summary["calls"] == len(server.calls)

    assert commands.command("run").status == 0
    assert len(server.calls) == 120
    assert server.spent_usd == pytest.approx(120 * PRICE_USD)


@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.ci), signal.SIGINT])
def test_asked_a_second_time_it_ends_at_once(api, write_targets, number: int) -> None:
    server = api(Fault(faults.silence(100)))
    write_targets(*names(10))
    run = commands.start("run")
    commands.wait_for(lambda: len(server.calls) == 10)
    run.signal(number)
    commands.wait_for(lambda: not run.catches(number))  # two signals at once would be one
    assert not run.is_over
    run.signal(number)
    commands.wait_for(lambda: run.is_over, 60)
    assert run.end().status != 0


@pytest.mark.ci
def test_stopped_while_it_builds_the_tables_it_ends_with_a_sentence_and_whole_files(api, write_targets) -> None:
    server = api()
    write_targets(*names(3))
    run = commands.start("run")
    commands.wait_for(lambda: len(server.calls) == 6)
    commands.wait_for(lambda: in_the_store() == (6, 0))
    commands.wait_for(lambda: any(Settings.from_env().root.glob("parquet/**/*.parquet")))
    run.signal(signal.SIGTERM)
    ended = run.end()
    assert ended.status in {0, 1}  # 0: it had built them all by then
    assert "Traceback" not in ended.err
    nothing_is_half_written()
    assert commands.command("run").status == 0


def test_stopped_before_the_first_call_it_makes_none(api, write_targets) -> None:
    server = api()
    write_targets(*names(3))
    server.let_answer(0)  # so that it is not through before it is asked
    run = commands.start("run")
    commands.wait_for(Settings.from_env().dagster_dir.exists)
    run.signal(signal.SIGTERM)
    server.let_answer()
    ended = run.end()
    assert "Traceback" not in ended.err
    assert ended.status == 1
    assert len(server.calls) <= 6
