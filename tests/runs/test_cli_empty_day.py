"""Days on which the API knows none of the targets: charged, kept, judged, and done like any other."""

import json

import commands
import faults
import pytest
from faults import Fault

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]

UNKNOWN = ["empty-list.example", "empty-null.example", "empty.example"]
"""Three ways in which an answer says that the API knows nothing."""


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


@pytest.mark.parametrize("targets", [UNKNOWN, pytest.param(UNKNOWN[:1], marks=pytest.mark.ci)], ids=["three", "one"])
def test_a_first_day_that_knows_no_target_is_done(api, write_targets, targets: list[str]) -> None:
    server = api()
    write_targets(*targets)
    ended = commands.command("run", "--json")
    assert (ended.status, ended.err) == (0, "")
    assert ended.summary | {"seconds": 0, "cost_usd": 0} == {
        "date": str(commands.today()),
        "targets": len(targets),
        "collected": len(targets),
        "reused": 0,
        "empty": targets,
        "failed": [],
        "calls": 2 * len(targets),
        "cost_usd": 0,
        "flags": 0,
        "seconds": 0,
    }
    assert len(server.calls) == 2 * len(targets)
    shown = commands.command("flags", "--json")
    assert shown.status == 0
    assert json.loads(shown.out) == {"date": str(commands.today()), "simulated": False, "flags": []}
    again = commands.command("run", "--json")
    assert (again.status, again.summary["calls"], again.summary["empty"]) == (0, 0, targets)


@pytest.mark.ci
def test_a_first_day_that_knows_no_target_and_is_refused_another_names_it(api, write_targets) -> None:
    api(Fault(faults.code(40501, "Invalid Field: 'target'."), target="shop.example"))
    write_targets("empty.example", "shop.example")
    ended = commands.command("run", "--json")
    assert ended.status == 3
    assert ended.summary["empty"] == ["empty.example"]
    assert [failed["target"] for failed in ended.summary["failed"]] == ["shop.example"]


@pytest.mark.ci
def test_a_day_that_knows_no_target_is_the_latest_judged_one(write_targets) -> None:
    write_targets("shop.example")  # the simulator, which answers for the past too
    yesterday = str(commands.today().fromordinal(commands.today().toordinal() - 1))
    assert commands.command("run", "--date", yesterday).status == 0
    write_targets("empty.example")
    assert commands.command("run").status == 0
    shown = commands.command("flags", "--json")
    assert (shown.status, shown.summary["date"]) == (0, str(commands.today()))
    other = commands.command("flags", "--date", "2026-01-05")
    assert other.status == 2
    assert f"the days from {yesterday} to {commands.today()} are" in other.err
