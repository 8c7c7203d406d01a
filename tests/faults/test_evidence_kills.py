"""`backlinks evidence` killed while it pays: what was paid for stays, and at most the call in flight is paid again."""

from pathlib import Path

import commands
import pytest
from kills import wait_until_through
from report_world import a_flag, write_rows
from simulated_api import SimulatedApi

from backlinks_assets.evidence.files import TABLE
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import read_days

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]

TARGETS = [f"plain{number}.example" for number in range(6)]
KILLS = 3


@pytest.fixture
def flagged(api, write_targets, monkeypatch: pytest.MonkeyPatch) -> tuple[SimulatedApi, Path]:
    """The API, and a judged day with six flags, each of which is worth one question."""
    server = api(latency_s=0.3)
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")
    write_targets(*TARGETS)
    root, today = Settings.from_env().root, commands.today()
    flags = [a_flag(target, metric="spam_score", value=60.0, previous=20.0) for target in TARGETS]
    for table in ("backlinks_flags", "backlinks_changes"):
        write_rows(root, table, today, flags)
    return server, root


def paid(server: SimulatedApi) -> int:
    """Return the calls that are paid: after a kill the vendor's list of tasks is read too, which is free."""
    return sum(call.path.endswith("/backlinks/backlinks/live") for call in server.calls)


def killed_after(answers: int, server: SimulatedApi) -> None:
    """Kill a purchase while its next call is under way, however late the kill comes."""
    server.let_answer(answers)
    wanted = paid(server) + answers + 1
    process = commands.start("evidence", "--yes")
    commands.wait_for(lambda: process.is_over or paid(server) == wanted)
    process.kill()
    assert paid(server) == wanted
    server.let_answer()
    wait_until_through(server)


def test_a_killed_purchase_goes_on_where_it_was(flagged: tuple[SimulatedApi, Path]) -> None:
    server, root = flagged
    for kill in range(KILLS):
        killed_after(kill % 2, server)
    ended = commands.command("evidence", "--yes", "--json")
    assert ended.status == 0, ended.err
    assert ended.summary["missing"] == []
    assert {one["target"] for one in ended.summary["evidence"]} == set(TARGETS)
    assert paid(server) <= len(TARGETS) + KILLS
    calls = paid(server)
    again = commands.command("evidence", "--yes", "--json")
    assert (again.status, again.summary["calls"], paid(server)) == (0, 0, calls)
    assert {row["target"] for row in read_days(root, TABLE, commands.today(), commands.today()).to_pylist()} == set(
        TARGETS
    )


@pytest.mark.ci
def test_a_program_buys_only_with_yes_and_a_person_is_asked_once(flagged: tuple[SimulatedApi, Path]) -> None:
    server, _ = flagged
    ended = commands.command("evidence", "--json")
    assert (ended.status, paid(server), len(ended.summary["missing"])) == (3, 0, 6)
    assert "--yes" in commands.command("evidence").err
    status, screen = commands.on_a_terminal("evidence", question="Buy?", answer="n")
    assert (status, paid(server)) == (3, 0), screen
    assert "6 questions to buy, $0.17 at most" in screen
    status, screen = commands.on_a_terminal("evidence", TARGETS[0], columns=80, question="Buy?", answer="y")
    assert (status, paid(server)) == (0, 1), screen
    assert "with a spam score of 31 or more came" in " ".join(screen.split())
    assert commands.command("evidence", TARGETS[0]).status == 0
    assert paid(server) == 1
    assert commands.command("evidence", "other.example").status == 2
