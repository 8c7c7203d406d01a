"""On a terminal `backlinks run` asks once before the first paid day; elsewhere it never asks."""

import subprocess

import commands
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]


def on_a_terminal(answer: str, *arguments: str) -> tuple[int, str]:
    """Run a day on a terminal, type an answer when asked, and return exit status and screen."""
    return commands.on_a_terminal("run", *arguments, question="Go on?", answer=answer)


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def test_the_first_paid_day_is_asked_for_with_its_cost_and_the_second_is_not(api, write_targets) -> None:
    server = api()
    write_targets("shop.example", "other.example")
    status, screen = on_a_terminal("n")
    assert (status, len(server.calls)) == (1, 0)
    assert "4 calls" in screen
    assert "$0.10" in screen
    status, screen = on_a_terminal("y")
    assert (status, len(server.calls)) == (0, 4), screen
    status, screen = on_a_terminal("n")
    assert status == 0
    assert "Go on?" not in screen


@pytest.mark.ci
def test_yes_is_not_asked(api, write_targets) -> None:
    server = api()
    write_targets("shop.example")
    status, screen = on_a_terminal("n", "--yes")
    assert (status, len(server.calls)) == (0, 2)
    assert "Go on?" not in screen


@pytest.mark.ci
def test_a_program_is_never_asked(api, write_targets) -> None:
    server = api()
    write_targets("shop.example")
    done = subprocess.run([commands.SCRIPT, "run"], stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert (done.returncode, len(server.calls)) == (0, 2)


@pytest.mark.ci
def test_simulated_days_are_not_asked_for(write_targets) -> None:
    write_targets("shop.example")
    status, screen = on_a_terminal("n")
    assert status == 0
    assert "Go on?" not in screen
