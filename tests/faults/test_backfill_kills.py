"""kill -9 of a back-fill: at most the calls in flight are paid again, and the next run goes on."""

import signal

import commands
import pytest
from collecting import rows
from kills import killed_in_mid_call, paid_in_bulk

pytestmark = pytest.mark.slow

CALLS, AT_ONCE = 31, 4


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")
    monkeypatch.setenv("BACKLINKS_CALLS_AT_ONCE", str(AT_ONCE))
    monkeypatch.setenv("BACKLINKS_READ_TIMEOUT_S", "15")  # an eighth more, and a dead call's slot is free


@pytest.mark.ci
def test_a_killed_back_fill_pays_again_for_what_was_in_flight_only(api, write_targets, used_folder) -> None:
    server = api(latency_s=0.4)
    write_targets(*(f"shop{number:03d}.example" for number in range(50)))
    at_risk = 0
    for _ in range(2):
        server.let_answer(10)  # so that no run is through before it is killed
        at_risk += killed_in_mid_call(server, commands.start("backfill", "--days", "30", "--yes"), 0.4, 1.0)
    ((kept,),) = rows("SELECT count(*) FROM responses")
    done = commands.command("backfill", "--days", "30", "--yes", "--json")
    assert done.status == 0, done.err
    assert done.summary["calls"] == CALLS - kept > 0
    assert paid_in_bulk(server) <= CALLS + at_risk
    assert rows("SELECT count(*) FROM responses") == [(CALLS,)]
    assert commands.command("backfill", "--days", "30", "--json").summary["calls"] == 0


@pytest.mark.ci
def test_asked_to_stop_a_back_fill_starts_no_more_calls(api, write_targets, used_folder) -> None:
    server = api()
    write_targets(*(f"shop{number:03d}.example" for number in range(5)))
    server.let_answer(2)
    run = commands.start("backfill", "--days", "30", "--yes")
    commands.wait_for(lambda: run.is_over or len(server.calls) == 2 + AT_ONCE)
    run.signal(signal.SIGINT)
    commands.wait_for(lambda: not run.catches(signal.SIGINT))  # it has been told
    server.let_answer()
    done = run.end()
    assert (done.status, done.err.count("Stopped by a signal")) == (1, 1), done.err
    many = len(server.calls)
    assert many == 2 + AT_ONCE
    assert rows("SELECT count(*) FROM responses") == [(many,)]
    assert commands.command("backfill", "--days", "30", "--yes", "--json").summary["calls"] == CALLS - many
