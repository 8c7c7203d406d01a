"""`backlinks probe` killed while it pays: it goes on with the same targets, and at most the calls in flight are paid again."""

import time

import commands
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.ci, pytest.mark.timeout(600), pytest.mark.usefixtures("used_folder")]

TARGETS = [f"plain{number}.example" for number in range(30)]
CALLS = 2 * 7 + 6 + 2
"""Of six targets and the made-up name, but for the list of lost links, which there may be none for."""
AT_ONCE = 7
"""Targets at work; one call of each is in flight. A killed call keeps its slot for minutes, so there must be more slots."""


def test_a_killed_probe_goes_on_where_it_was(api, write_targets, monkeypatch: pytest.MonkeyPatch) -> None:
    server = api(latency_s=1.0)  # so that none is done before it is seen to have begun
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")
    write_targets(*TARGETS)

    def paid() -> int:
        return sum(bool(call.cost_usd) for call in server.calls)

    kills = 2
    for kill in range(kills):
        process = commands.start("probe", "--targets", "6", "--yes")
        wanted, until = paid() + 3, time.monotonic() + commands.PATIENCE_S
        while paid() < wanted and not process.is_over and time.monotonic() < until:
            time.sleep(0.02)
        process.kill()
        assert paid() >= wanted, kill
        # Those in flight are paid too, and are not taken for the next one's.
        commands.wait_for(lambda: all(call.ended for call in server.calls))
    server.latency_s = 0.2
    ended = commands.command("probe", "--targets", "6", "--yes", "--json")
    assert (ended.status, ended.summary["targets"], ended.summary["verdict"]) == (0, 6, "come_back"), ended.err
    assert paid() <= CALLS + 1 + kills * AT_ONCE
    calls = paid()
    again = commands.command("probe", "--targets", "6", "--yes", "--json")
    assert (again.status, again.summary["calls"], paid()) == (0, 0, calls)
