"""kill -9 of a back-fill: at most the calls in flight are paid again, and the next run goes on."""

import signal

import commands
import pytest
from collecting import rows
from kills import killed_in_mid_call, paid_in_bulk

pytestmark = pytest.mark.slow

CALLS = 31


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")
    monkeypatch.setenv("BACKLINKS_CALLS_AT_ONCE", "4")
    monkeypatch.setenv("BACKLINKS_READ_TIMEOUT_S", "30")


@pytest.mark.ci
def test_a_killed_back_fill_pays_again_for_what_was_in_flight_only(api, write_targets, used_folder) -> None:
    server = api(latency_s=0.4)
    write_targets(*(f"shop{number:03d}.example" for number in range(50)))
    at_risk = 0
    for _ in range(2):
        at_risk += killed_in_mid_call(server, commands.start("backfill", "--days", "30", "--yes"), 0.4, 1.0)
    done = commands.command("backfill", "--days", "30", "--yes", "--json")
    assert done.status == 0, done.err
    assert 0 < done.summary["calls"] < CALLS
    assert paid_in_bulk(server) <= CALLS + at_risk
    assert rows("SELECT count(*) FROM responses") == [(CALLS,)]
    assert commands.command("backfill", "--days", "30", "--json").summary["calls"] == 0


@pytest.mark.ci
def test_asked_to_stop_a_back_fill_starts_no_more_calls(api, write_targets, used_folder) -> None:
    server = api(latency_s=0.4)
    write_targets(*(f"shop{number:03d}.example" for number in range(5)))
    run = commands.start("backfill", "--days", "30", "--yes")
    commands.wait_for(lambda: run.is_over or bool(server.calls))
    run.signal(signal.SIGINT)
    done = run.end()
    assert (done.status, done.err.count("Stopped by a signal")) == (1, 1), done.err
    many = len(server.calls)
    assert 0 < many < CALLS
    assert rows("SELECT count(*) FROM responses") == [(many,)]
    assert commands.command("backfill", "--days", "30", "--yes", "--json").summary["calls"] == CALLS - many
