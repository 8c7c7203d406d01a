"""`backlinks flags`: the order in which a day's flags are shown, what they are called, and the filters."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from report_world import DAY, FAULT, a_day, a_flag, a_turn

from backlinks_assets.cli.flags import _labels, _shown, print_flags, read_flags, show_flags
from backlinks_assets.settings import Settings
from backlinks_assets.tables import duckdb_sync
from backlinks_assets.targets.target import TargetsError

Shown = Callable[..., list[dict[str, Any]]]


def test_the_vendors_fault_comes_first_then_targets_that_went_down_then_the_most_unusual(settings: Settings) -> None:
    loud = a_flag("loud.example", severity="critical", score=90.0)
    a_day(
        settings.root, [a_flag("mild.example"), loud, a_turn("gone.example"), a_turn("back.example", back=True), FAULT]
    )
    duckdb_sync.sync(settings.root)
    day, flags = read_flags(settings, None)
    assert day == DAY
    assert [flag["target"] for flag in flags] == ["*", "gone.example", "loud.example", "back.example", "mild.example"]
    assert [_shown(flag)[3] for flag in flags[:3]] == ["vendor fault", "target down", "lost backlinks"]


@pytest.fixture
def grouped(settings: Settings, write_targets: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> Shown:
    """Four flags of two groups and of none, and the vendor's fault; what `backlinks flags` prints as JSON."""
    write_targets("a.example,Acme,Ann", "b.example,Bolt,", "c.example,,", header="target,group,owner")
    flags = [a_flag("a.example", severity="critical"), *map(a_flag, ("b.example", "c.example", "gone.example")), FAULT]
    a_day(settings.root, flags)
    duckdb_sync.sync(settings.root)

    def shown(group: str | None = None, severity: str | None = None) -> list[dict[str, Any]]:
        assert show_flags(None, group=group, severity=severity, as_json=True) == 0
        found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["flags"]
        return found

    return shown


def names(flags: list[dict[str, Any]]) -> list[str]:
    return [flag["target"] for flag in flags]


def test_flags_have_the_groups_and_owners_of_the_targets_file_and_are_filtered_by_them(grouped: Shown) -> None:
    assert [(flag["target"], flag["group"], flag["owner"]) for flag in grouped()][:2] == [
        ("*", "", ""),
        ("a.example", "Acme", "Ann"),
    ]
    assert names(grouped(" ACME ")) == ["*", "a.example"]  # what is about all targets is about them too
    assert names(grouped("")) == ["*", "c.example", "gone.example"]
    assert names(grouped("Bolt", "critical")) == ["*"]
    assert names(grouped(severity="warning")) == ["b.example", "c.example", "gone.example"]
    with pytest.raises(TargetsError, match="did you mean 'Bolt'"):
        grouped("Blot")


def test_a_targets_file_that_cannot_be_read_hides_no_flag_but_cannot_filter(
    grouped: Shown, write_targets: Callable[..., Path]
) -> None:
    write_targets(header="nonsense")
    assert len(grouped()) == 5
    with pytest.raises(TargetsError):
        grouped("Acme")


@pytest.mark.parametrize("text", ["=cmd()", "[red]x[/red]", "\x9b31mred"])
def test_a_group_is_no_formula_and_no_command_of_the_terminal(
    settings: Settings, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    flag = {"date": DAY, "target": "a.example", "metric": "spam_score", "severity": "critical", "kind": "step"}
    print_flags([{**flag, "reason": "Up.", "group": text, "owner": text}], "Flags", simulated=False)
    (_, line) = capsys.readouterr().out.splitlines()
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in line.split("\t"))
    assert line.replace("\t", "").isprintable()
    assert "\x9b" not in _labels({"group": text, "owner": text})
