"""`backlinks history`: a target's readings and flags as text, JSON, CSV, and within 80 columns of a terminal."""

import csv
import io
import json
import re

import commands
import pytest
from report_world import DAY, HOSTILE, a_day, a_flag, a_history, a_turn, answers, days_before, write_rows

from backlinks_assets.cli.history import show_history
from backlinks_assets.cli.small_chart import HEIGHT, small_chart
from backlinks_assets.settings import Settings
from backlinks_assets.tables import duckdb_sync

SHOP = "shop.example"


@pytest.fixture
def world(settings: Settings) -> Settings:
    """Sixty days of a target with a gap, two flags on the last of them, and a target of each hostile name."""
    a_history(settings.root, [SHOP, *HOSTILE], gap=range(20, 24))
    reasons = [a_flag(name, reason=f"Rose: {name}\x1b[31m") for name in HOSTILE]
    a_day(settings.root, [a_flag(severity="critical", metric="spam_score"), a_flag(), *reasons])
    duckdb_sync.sync(settings.root)
    return settings


@pytest.mark.medium
def test_json_has_all_readings_and_flags_oldest_first(world: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert show_history("WWW.Shop.example", days=None, as_json=True, as_csv=False) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == SHOP
    assert len(found["readings"]) == 56
    assert [found["readings"][at]["date"] for at in (0, -1)] == [str(days_before(59)), str(DAY)]
    last = found["readings"][-1]
    assert (last["spam_score"], last["lost_backlinks"], last["live_backlinks"]) == (20, 1500, 10_000)
    assert last["rank"] is None
    assert [flag["metric"] for flag in found["flags"]] == ["lost_backlinks", "spam_score"]


@pytest.mark.medium
def test_days_are_counted_back_from_the_last_reading(world: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    show_history(SHOP, days=22, as_json=True, as_csv=False)
    assert len(json.loads(capsys.readouterr().out)["readings"]) == 20  # two days of the gap


@pytest.mark.medium
def test_the_csv_and_the_lines_in_a_pipe_have_the_days_flags_beside_the_reading(
    world: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    show_history(SHOP, days=None, as_json=False, as_csv=True)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert (len(rows), rows[0]["flags"], rows[0]["rank"]) == (56, "", "")
    assert rows[-1]["flags"] == "warning lost_backlinks; critical spam_score"
    show_history(SHOP, days=1, as_json=False, as_csv=False)
    head, line = capsys.readouterr().out.splitlines()
    assert dict(zip(head.split("\t"), line.split("\t"), strict=True))["lost_backlinks"] == "1500"


def test_a_day_with_a_flag_and_no_reading_has_a_line(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(settings.root, "backlinks_summary", days_before(1), answers(SHOP, 20, 1000))
    a_day(settings.root, [a_turn(SHOP)])
    duckdb_sync.sync(settings.root)
    show_history(SHOP, days=None, as_json=False, as_csv=True)
    assert capsys.readouterr().out.splitlines()[-1] == f"{DAY},{SHOP},,,,,,,,,critical target_down"


@pytest.mark.medium
def test_a_hostile_name_is_no_formula_in_a_csv(world: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    for name in HOSTILE:
        show_history(name, days=None, as_json=False, as_csv=True)
        rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
        assert rows, name
        assert not [row for row in rows if row["target"].startswith(("=", "+", "-", "@"))]


@pytest.mark.medium
def test_an_unknown_target_names_a_similar_one_and_ends_with_2(world: Settings) -> None:
    ended = commands.command("history", "shop.exampel")
    assert ended.status == 2
    assert "Did you mean 'shop.example'?" in ended.err
    assert commands.command("history", SHOP, "--json", "--csv").status == 2


def test_without_tables_it_says_how_to_make_them(settings: Settings) -> None:
    ended = commands.command("history", SHOP)
    assert (ended.status, "backlinks run" in ended.err) == (2, True)


@pytest.mark.first
@pytest.mark.slow
@pytest.mark.parametrize("name", [SHOP, HOSTILE[0], HOSTILE[-1]])
def test_on_a_terminal_it_fits_80_columns_and_shows_charts_and_flags(world: Settings, name: str) -> None:
    status, said = commands.on_a_terminal("history", name, environment={"COLUMNS": "80", "TERM": "xterm"})
    assert status == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)
    assert max(len(line.rstrip("\r")) for line in text.split("\n")) <= 80
    assert "█" in text
    assert "▲ warning" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_chart_has_the_last_value_and_the_severest_mark_of_each_column() -> None:
    values = {days_before(back): float(100 - back) for back in range(100)}
    marks = {DAY: "warning", days_before(1): "critical"}
    lines = small_chart(values, marks, days_before(99), DAY, width=24).splitlines()
    assert len(lines) == HEIGHT + 1
    assert lines[0].startswith("100 ")
    assert lines[0].endswith("█")
    assert lines[-1] == " " * 23 + "◆"
    assert small_chart({}, {}, DAY, DAY, width=80) == ""
    assert small_chart({DAY: 0.0}, {}, DAY, DAY, width=80).splitlines()[-1] == "0 ▁"
