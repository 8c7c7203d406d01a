"""Which way a target is watched: the column, the setting, and targets that bulk calls can't count."""

import json

import pytest
from typer.testing import CliRunner

from backlinks_assets.cli.targets import app
from backlinks_assets.env_values import SettingsError
from backlinks_assets.settings import Settings
from backlinks_assets.targets.file import parse_targets
from backlinks_assets.targets.watch import is_in_bulk, stay_full_said


def read(text: str):
    return parse_targets(text, source="targets.csv")


def test_a_targets_own_column_comes_before_the_setting() -> None:
    watched = read("target,watch\na.com,bulk\nb.com,FULL\nc.com,\n")
    assert watched.bad_lines == []
    assert {way: [one.target for one in watched if is_in_bulk(one, way)] for way in ("full", "bulk")} == {
        "full": ["a.com"],
        "bulk": ["a.com", "c.com"],
    }


def test_a_word_that_is_no_way_is_named_with_its_line() -> None:
    watched = read("target,watch\na.com,bulk\nb.com,weekly\n")
    assert [one.target for one in watched] == ["a.com"]
    assert watched.bad_lines[0].reason.startswith("line 3: ")
    assert "can't be watch: write full" in watched.bad_lines[0].why


def test_two_lines_of_a_target_may_not_say_two_ways() -> None:
    assert [one.watch for one in read("target,watch\na.com,\na.com,bulk\n")] == ["bulk"]
    assert "with another watch" in str(read("target,watch\na.com,full\na.com,bulk\n").refusal())


@pytest.mark.parametrize(
    ("column", "cell", "why"),
    [
        ("backlinks_filters", '"[""dofollow"", ""="", true]"', "backlinks_filters"),
        ("include_subdomains", "false", "include_subdomains=false"),
        ("include_indirect_links", "no", "include_indirect_links=false"),
        ("exclude_internal_backlinks", "0", "exclude_internal_backlinks=false"),
        ("include_subdomains", "true", None),
        ("rank_scale", "one_hundred", None),
        ("internal_list_limit", "10", None),
    ],
)
def test_targets_that_bulk_calls_cannot_count_stay_full_and_are_named(column: str, cell: str, why: str | None) -> None:
    watched = read(f"target,{column}\na.com,{cell}\nb.com,\n")
    assert [is_in_bulk(one, "bulk") for one in watched] == [why is None, True]
    said = stay_full_said(watched, "bulk")
    assert said is None if why is None else f"a.com ({why})." in (said or "")
    assert stay_full_said(watched, "full") is None


def test_check_names_what_stays_full(write_targets, monkeypatch: pytest.MonkeyPatch) -> None:
    write_targets("a.com,no", "b.com,", header="target,include_subdomains")
    monkeypatch.setenv("BACKLINKS_WATCH", "bulk")
    shown = CliRunner().invoke(app, ["check"])
    assert (shown.exit_code, "Watched in full" in shown.stdout, "a.com (include_subdomains=false)" in shown.stdout) == (
        0,
        True,
        True,
    )
    found = json.loads(CliRunner().invoke(app, ["check", "--json"]).stdout)
    assert found["stay_full"] == [{"target": "a.com", "because": "include_subdomains=false"}]


def test_the_settings_are_checked() -> None:
    settings = Settings.from_env({"BACKLINKS_WATCH": "Bulk", "BACKLINKS_CONTROL_TARGETS": "0"})
    assert (settings.watch, settings.control_targets) == ("bulk", 0)
    assert (Settings.from_env({}).watch, Settings.from_env({}).control_targets) == ("full", 3)
    for name, text in (("BACKLINKS_WATCH", "thin"), ("BACKLINKS_CONTROL_TARGETS", "1001")):
        with pytest.raises(SettingsError, match=f"{name} is '{text}'"):
            Settings.from_env({name: text})
