"""The command `backlinks targets`, driven as a person or another program does."""

import datetime as dt
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from backlinks_assets.cli.targets import app


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DATAFORSEO_LOGIN", "DATAFORSEO_PASSWORD", "DATAFORSEO_BASE_URL", "BACKLINKS_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BACKLINKS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("BACKLINKS_TARGETS_FILE", str(tmp_path / "targets.csv"))
    return tmp_path / "targets.csv"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def test_a_target_is_added_listed_retired_and_listed_no_more(path: Path) -> None:
    assert run("add", "WWW.Example.com", "--note", "our shop").stdout == f"Added example.com to {path}, line 2.\n"
    assert run("list").stdout == "example.com\t\t\tour shop\t\t\t\n"
    done = run("retire", "example.com", "--date", "2020-01-31")
    assert done.stdout == f"example.com is retired from 2020-01-31 on ({path}, line 2).\n"
    assert run("list").stdout == ""
    assert run("list", "--all").stdout == "example.com\t\t2020-01-31\tour shop\t\t\t\n"
    assert run("check").stdout == f"{path}: 0 watched, 1 retired, no problems.\n"


def test_a_target_is_retired_from_today_where_no_day_is_given(path: Path) -> None:
    path.write_text("target\na.com\n")
    before = dt.datetime.now(dt.UTC).date()
    assert run("retire", "a.com").exit_code == 0
    written = dt.date.fromisoformat(path.read_text().split(",")[-1].strip())
    assert before <= written <= dt.datetime.now(dt.UTC).date()


def test_json_holds_what_a_program_needs(path: Path) -> None:
    path.write_text("target,internal_list_limit,retired,note\na.com,50,,é\nb.com,,2020-01-31,\n", encoding="utf-8")
    done = run("list", "--all", "--json")
    [first, second] = json.loads(done.stdout.splitlines()[-1])["targets"]
    assert first == {
        "target": "a.com",
        "active": True,
        "retired": None,
        "note": "é",
        "parameters": {"internal_list_limit": 50},
        "thresholds": {},
        "line": 2,
        "group": "",
        "owner": "",
        "tags": [],
        "watch": None,
    }
    assert (second["active"], second["retired"]) == (False, "2020-01-31")
    path.write_text("target\n")
    assert json.loads(run("list", "--json").stdout) == {"file": str(path), "targets": []}


def test_check_tells_a_program_how_many_are_watched_and_each_problem_with_its_line(path: Path) -> None:
    path.write_text("target,retired\na.com,\nb.com,2020-01-31\n")
    done = run("check", "--json")
    assert json.loads(done.stdout) == {"file": str(path), "watched": 1, "retired": 1, "problems": [], "stay_full": []}
    path.write_text("target,retired\nexa mple.com,\na.com,soon\n")
    done = run("check", "--json")
    assert done.exit_code == 2
    assert [(one["line"], one["text"]) for one in json.loads(done.stdout)["problems"]] == [
        (2, "exa mple.com"),
        (3, "soon"),
    ]
    assert "2 problems in the file." in done.stderr


def test_a_pipe_gets_one_line_a_target_whatever_its_note(path: Path) -> None:
    path.write_text('target,include_subdomains,note\na.com,no,"tab\there\nand a line"\n')
    assert run("list").stdout == "a.com\tinclude_subdomains=false\t\ttab here and a line\t\t\t\n"


def test_every_bad_line_is_named_on_stderr(path: Path) -> None:
    path.write_text("target,retired\nexa mple.com,\na.com,soon\nco.uk,\nb.com,\n")
    for words, status, out in ((("check",), 2, ""), (("list",), 3, "b.com\t\t\t\t\t\t\n")):
        done = run(*words)
        assert (done.exit_code, done.stdout) == (status, out)
        assert [line.split(":")[0] for line in done.stderr.splitlines()] == [
            f"{path}, line 2",
            f"{path}, line 3",
            f"{path}, line 4",
            "3 problems in the file.",
        ]


def test_a_program_gets_the_good_targets_and_the_problems(path: Path) -> None:
    path.write_text("target,retired\nexa mple.com,\nb.com,\nold.com,02/01/2026\n")
    listed = run("list", "--json")
    assert listed.exit_code == 3
    found = json.loads(listed.stdout)
    assert [one["target"] for one in found["targets"]] == ["b.com"]
    assert [one["line"] for one in found["problems"]] == [2, 4]
    checked = run("check", "--json")
    assert checked.exit_code == 2
    found = json.loads(checked.stdout)
    assert (found["watched"], found["retired"], [one["line"] for one in found["problems"]]) == (1, 0, [2, 4])


def test_targets_are_added_and_retired_beside_bad_lines(path: Path) -> None:
    path.write_text("target,retired\nexa mple.com,\nb.com,\n")
    assert run("add", "c.com").stdout == f"Added c.com to {path}, line 4.\n"
    assert run("retire", "b.com", "--date", "2026-11-24").exit_code == 0
    assert path.read_text() == "target,retired\nexa mple.com,\nb.com,2026-11-24\nc.com,\n"


REFUSED = {
    "a bad target": (("add", "example.com/a"), "to watch a page, write https://example.com/a"),
    "a target with brackets": (("add", "[/red]"), "'[/red]'"),
    "a target that is there": (("add", "a.com"), "is watched already"),
    "a target that is not": (("retire", "b.com"), "is not in"),
    "a bad day": (("retire", "a.com", "--date", "24.11.2026"), "YYYY-MM-DD"),
    "a day that is none": (("retire", "a.com", "--date", "2026-02-30"), "no such day"),
    "a formula": (("add", "--", "-a.com"), "is not a domain"),
    "a note that is no text": (("add", "b.com", "--note", "caf\udce9"), "UTF-8"),
}


@pytest.mark.parametrize(("words", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_done_ends_with_2_and_a_sentence(path: Path, words: tuple[str, ...], sentence: str) -> None:
    path.write_text("target\na.com\n")
    done = run(*words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in " ".join(done.stderr.split())
    assert isinstance(done.exception, SystemExit)
    assert path.read_text() == "target\na.com\n"


@pytest.mark.parametrize("words", ["list", "check", "retire a.com"])
def test_a_missing_file_tells_how_to_make_it(path: Path, words: str) -> None:
    done = run(*words.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"{path} is not there: make it with `backlinks targets add example.com`.\n"


def test_a_setting_that_can_not_be_used_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_AT_ONCE", "many")
    done = run("check")
    assert done.exit_code == 2
    assert done.stderr.startswith("BACKLINKS_CALLS_AT_ONCE is 'many'")
    assert not path.exists()


def test_a_page_and_a_name_for_examples_are_told_what_they_are(path: Path) -> None:
    done = run("add", "https://shop.example")
    assert done.exit_code == 0
    assert "watched as one page" in done.stdout
    assert "reserved for examples" in done.stdout
    assert path.exists()


def test_a_thresholds_value_is_checked_and_its_column_accepted(path: Path) -> None:
    from backlinks_assets.detection.settings import THRESHOLD_COLUMNS

    column = next(iter(THRESHOLD_COLUMNS))
    path.write_text(f"target,{column}\na.com,no number\n")
    done = run("check")
    assert done.exit_code == 2
    assert f"{path}, line 2: 'a.com' has a threshold that can't be used" in done.stderr


@pytest.mark.medium
def test_a_terminal_gets_a_table_with_brackets_as_they_are(path: Path) -> None:
    path.write_text("target,note\nexample.com,[red]not markup[/nor this]\nhttps://b.com/[x],\n")
    reading, terminal = pty.openpty()
    code = "from backlinks_assets.cli.targets import app; app()"
    subprocess.run(
        [sys.executable, "-B", "-c", code, "list"],
        stdout=terminal,
        check=True,
        env=os.environ | {"COLUMNS": "120", "TERM": "xterm"},
    )
    os.close(terminal)
    shown = b""
    while chunk := _read(reading):
        shown += chunk
    os.close(reading)
    text = shown.decode()
    assert "[red]not markup[/nor this]" in text
    assert "https://b.com/[x]" in text
    assert "own settings" not in text  # a column that no target fills
    assert "2 targets." in text


def _read(reading: int) -> bytes:
    try:
        return os.read(reading, 65536)
    except OSError:  # Linux ends a terminal whose other side is closed this way
        return b""


def test_importing_the_command_brings_no_heavy_package() -> None:
    heavy = ["dagster", "pandas", "tldextract", "requests", "sqlalchemy"]
    code = f"import sys, backlinks_assets.cli.targets; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
