"""kill -9 of a day in bulk: at most the calls in flight are paid again, and the next run goes on."""

import random

import collecting
import commands
import pytest
from collecting import rows
from kills import killed_in_mid_call, paid_in_bulk

pytestmark = pytest.mark.slow

TARGETS = [f"shop{number:03d}.example" for number in range(450)]
CALLS = 5 + 2
"""Live counts of 100 domains each, and two that count losses."""


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")
    monkeypatch.setenv("BACKLINKS_READ_TIMEOUT_S", "30")
    monkeypatch.setenv("BACKLINKS_WATCH", "bulk")
    monkeypatch.setenv("BACKLINKS_CONTROL_TARGETS", "0")


@pytest.mark.ci
def test_a_killed_day_in_bulk_pays_again_for_what_was_in_flight_only(api, write_targets, used_folder) -> None:
    server = api(latency_s=0.4)
    write_targets(*TARGETS)
    at_risk = 0
    for _ in range(2):
        at_risk += killed_in_mid_call(server, commands.start("run", "--json"), 0, 0.6)
    done = commands.command("run", "--json")
    assert done.status == 0, done.err
    assert paid_in_bulk(server) <= CALLS + at_risk
    assert rows("SELECT count(*) FROM responses") == [(CALLS,)]
    assert done.summary["bulk"]["missing"] == []


@pytest.mark.ci
@pytest.mark.timeout(600)
def test_twenty_kills_pay_again_for_what_was_in_flight_only(api) -> None:
    names = [f"shop{number:04d}.example" for number in range(2400)]
    server, calls, at_risk = api(latency_s=0.15), 24 + 3 * 2, 0
    for kill in range(20):
        many = random.choice((1, 2, 3))
        if kill < 10:
            server.let_answer(many - 1)  # the last is under way when the kill comes, however late that is
        run = commands.working(collecting.collect_in_bulk, *names)
        at_risk += killed_in_mid_call(server, run, 0, 0.1, many)
    assert at_risk >= 10, "half at least were killed in the middle of a call"
    assert commands.working(collecting.collect_in_bulk, *names).end().status == 0
    assert rows("SELECT count(*) FROM responses") == [(calls,)]
    assert paid_in_bulk(server) <= calls + at_risk
    seen = paid_in_bulk(server)
    assert commands.working(collecting.collect_in_bulk, *names).end().status == 0
    assert paid_in_bulk(server) == seen
