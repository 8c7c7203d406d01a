"""`backlinks probe` as a person meets it: one question with the sum, the findings, and the same in a pipe."""

import commands
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.ci, pytest.mark.usefixtures("used_folder")]


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def said(screen: str) -> str:
    return " ".join(screen.split())


def test_a_person_is_asked_once_with_the_sum_and_reads_the_findings(api, write_targets) -> None:
    server = api()
    write_targets("plain39.example", "plain57.example")
    status, screen = commands.on_a_terminal("probe", question="Go on?", answer="n", columns=200)
    assert (status, {call.path for call in server.calls}) == (1, {"/v3/appendix/user_data"})
    assert "The probe reads 2 targets and one made-up name in full and in bulk: 15 calls, $0.36 at most." in said(
        screen
    )
    status, screen = commands.on_a_terminal("probe", question="Go on?", answer="y", columns=200)
    assert status == 0, screen
    assert "Probe of 2 targets, " in said(screen)
    assert "Come back tomorrow (UTC): run it again." in said(screen)
    status, screen = commands.on_a_terminal("probe", question="Go on?", answer="y")
    assert status == 0
    assert "Go on?" not in screen


def test_in_a_pipe_each_finding_is_a_line(api, write_targets) -> None:
    api()
    write_targets("plain39.example", "plain57.example")
    ended = commands.command("probe", "--yes")
    assert ended.status == 0, ended.err
    lines = [line.split("\t") for line in ended.out.splitlines()]
    assert [name for name, _ in lines] == ["equal", "moves", "unknown", "losses", "verdict"]
    assert commands.command("probe", "--targets", "1").status == 2
