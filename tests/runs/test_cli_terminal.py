"""What a person sees: help that teaches, tables that fit the terminal, plain lines in a pipe, the Tab key."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import commands
import pyarrow as pa
import pytest
import typer

from backlinks_assets.cli.app import app
from backlinks_assets.settings import Settings
from backlinks_assets.tables.duckdb_sync import sync
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]

ROOT = typer.main.get_command(app)
CALLS = ["", "run", "demo", "flags", "backtest", "announce", "doctor", "targets"]
CALLS += ["targets list", "targets add", "targets retire", "targets check"]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
BOXES = re.compile(r"[\u2500-\u257f]")
LONG = "https://shop.example/" + "a-long-folder/" * 6 + "page"
REASON = "Lost backlinks rose by 267 (+30%) to 1,155 against 888 a day before, 27 times this target's usual swing."


def on_a_terminal(columns: int, *arguments: str, environment: Mapping[str, str] = commands.NOTHING) -> tuple[int, str]:
    """Run `backlinks ARGUMENTS` on a terminal of so many columns; return its exit status and all it wrote."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            patch.delenv(name, raising=False)
        return commands.on_a_terminal(
            *arguments, columns=columns, environment={"TERM": "xterm-256color", **environment}
        )


def lines_of(screen: str) -> list[str]:
    return ESCAPES.sub("", screen).splitlines()


@pytest.fixture
def flagged(clean_environment: Path) -> Settings:
    """A published day with three flags, one of them of a page with a long name."""
    settings, today = Settings.from_env(), commands.today()
    rows = [
        {"target": target, "metric": metric, "severity": severity, "reason": REASON, "score": score}
        for target, metric, severity, score in (
            ("*", "lost_backlinks", "warning", 1.0),
            (LONG, "spam_score", "critical", 9.0),
            ("shop.example", "lost_backlinks", "warning", 8.0),
        )
    ]
    full = [{"date": today, "simulated": True, "value": 1.0, "baseline": 1.0, **row} for row in rows]
    for table in ("backlinks_flags", "backlinks_changes"):
        schema = TABLES[table].arrow
        typed = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in full], schema=schema)
        write_day(settings.root, table, today, typed)
    sync(settings.root)
    return settings


# --- help -----------------------------------------------------------------------------------------------------------


def examples(call: str) -> list[str]:
    """Return the commands under `Examples:` of a call's help, as they are shown."""
    shown = commands.script(*call.split(), "--help").out
    block = re.search(r"^  Examples:\n((?:    .+\n)+)", shown, re.MULTILINE)
    assert block, f"{call}: no examples"
    lines = block[1].splitlines()
    assert all(line.startswith("    # ") for line in lines[::2]), f"{call}: each example is told what it does"
    return [line.strip() for line in lines[1::2]]


@pytest.mark.parametrize("call", CALLS)
def test_help_teaches_with_examples_that_the_command_itself_accepts(call: str) -> None:
    found = examples(call)
    assert len(found) >= 2
    for example in found:
        commands.parsed(example)


def test_an_example_that_the_command_does_not_accept_would_be_found() -> None:
    with pytest.raises(AssertionError, match="--dat"):
        commands.parsed("backlinks flags --dat 2026-11-24")
    with pytest.raises(AssertionError, match="nonsense"):
        commands.parsed("backlinks targets check && backlinks nonsense")


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("call", ["", "run", "targets retire"])
def test_help_fits_the_terminal_and_keeps_its_lines(call: str, columns: int) -> None:
    status, screen = on_a_terminal(columns, *call.split(), "--help")
    assert status == 0
    assert max(map(len, lines_of(screen))) <= min(columns, 100)
    assert not BOXES.search(screen)
    if call == "run":
        assert "    backlinks run --json | tail -1 > day.json" in lines_of(screen)


@pytest.mark.ci
def test_help_and_flags_import_nothing_heavy(flagged: Settings) -> None:
    heavy = {"dagster", "pandas", "pyarrow", "numpy", "requests", "sqlalchemy"}
    for arguments in (["--help"], ["flags"], ["flags", "--json"], ["targets", "list", "--help"]):
        code = (
            f"import sys; sys.argv = ['backlinks', *{arguments}]\n"
            "from backlinks_assets.cli.app import main\n"
            "try: main()\nexcept SystemExit as end: assert not end.code, end\n"
            f"print(sorted({{name.partition('.')[0] for name in sys.modules}} & {heavy}))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
        assert done.stdout.splitlines()[-1] == "[]", (arguments, done.stdout[-200:], done.stderr)


# --- tables and lines -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_flags_fit_the_terminal_with_every_word_of_target_and_reason(flagged: Settings, columns: int) -> None:
    status, screen = on_a_terminal(columns, "flags")
    assert status == 0
    lines = lines_of(screen)
    assert max(map(len, lines)) <= columns
    assert "\x1b[" in screen
    assert "all targets" in screen
    words = " ".join(screen.split())
    if columns < 100:  # the reason under its target, as text that is read on
        assert ESCAPES.sub("", words).count(REASON) == 3
        assert LONG in "".join(line.strip() for line in lines)
    else:
        assert any(line.startswith("critical") and "spam score" in line for line in lines)
        assert LONG in "".join(line[11:51].strip() for line in lines)


@pytest.mark.ci
@pytest.mark.parametrize(
    "arguments", [["flags"], ["doctor"], ["targets", "list"], ["targets", "check"], ["run"], ["backtest", "h.csv"]]
)
def test_in_a_pipe_there_are_neither_escapes_nor_boxes(flagged: Settings, write_targets, arguments: list[str]) -> None:
    write_targets("shop.example,[why]", header="target,note")
    Path("h.csv").write_text("date,target,spam_score,lost_backlinks\n2026-01-01,a.com,1,2\n")
    done = commands.command(*arguments)
    assert done.status == 0, done.err
    assert done.out
    assert not ESCAPES.search(done.out + done.err)
    assert not BOXES.search(done.out + done.err)
    cells = {"flags": 8, "doctor": 3, "targets list": 7}.get(" ".join(arguments))
    assert cells is None or {len(line.split("\t")) for line in done.out.splitlines()} == {cells}


def test_a_pipe_that_is_closed_early_is_no_error(flagged: Settings) -> None:
    done = subprocess.run(
        ["sh", "-c", f"'{commands.SCRIPT}' flags | head -1"], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.startswith("date\t")
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_the_backtest_has_a_bar_for_each_count_and_says_how_to_get_the_reasons(tmp_path: Path) -> None:
    from made_histories import change, made

    change(made(), 40, 5, spam_score=lambda score: score + 18).to_csv(tmp_path / "history.csv", index=False)
    status, screen = on_a_terminal(80, "backtest", "history.csv")
    assert status == 0
    lines = lines_of(screen)
    assert any(line.startswith("site005.example") and line.endswith("━" * 24) for line in lines)
    assert any("--out flags.csv" in line for line in lines)
    assert max(len(line) for line in lines if not line.startswith("Judging")) <= 80


def test_a_first_day_says_that_it_is_too_early_for_flags(api, write_targets) -> None:
    api()
    write_targets("shop.example")
    assert "stored so far: 1 day." in commands.command("run").out


@pytest.mark.parametrize("columns", [60, 120])
def test_the_doctor_says_what_is_to_be_done_and_fits_the_terminal(columns: int) -> None:
    status, screen = on_a_terminal(columns, "doctor")
    lines = lines_of(screen)
    assert status == 2
    assert max(map(len, lines)) <= columns
    assert lines[-1] == "To do before a run: targets."
    assert "backlinks targets add example.com" in " ".join(screen.split())


def test_the_sentences_of_errors_are_broken_between_words(write_targets) -> None:
    write_targets("exa mple.com", "co.uk")
    status, screen = on_a_terminal(60, "targets", "check")
    assert status == 2
    assert max(map(len, lines_of(screen))) <= 60
    assert "under which domains are registered" in " ".join(screen.split())


@pytest.mark.ci
def test_a_duckdb_file_that_is_none_is_told_and_the_next_run_makes_it_anew(flagged: Settings, write_targets) -> None:
    flagged.duckdb_file.write_text("no database")
    done = commands.script("flags")
    assert done.status == 1
    assert "`backlinks run` makes it anew" in done.err
    assert "Traceback" not in done.err
    write_targets("shop.example")
    assert commands.command("run").status == 0
    assert commands.script("flags").status == 0


def test_a_day_that_is_not_judged_is_told_with_those_that_are(flagged: Settings) -> None:
    done = commands.script("flags", "--date", "2024-02-29")
    assert done.status == 2
    assert f"the days from {commands.today()} to {commands.today()} are" in done.err


# --- the Tab key ----------------------------------------------------------------------------------------------------


def offered(line: str) -> list[str]:
    """Return what bash offers at the end of a line, through the script that --install-completion installs."""
    code = (
        f'source "$HOME/.bash_completions/backlinks.sh"; COMP_WORDS=({line}""); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))\n'
        f"_backlinks_completion '{commands.SCRIPT}'\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.ci
def test_the_tab_key_knows_calls_targets_and_days(
    flagged: Settings, write_targets, monkeypatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    install = subprocess.run(
        ["bash", "-c", f"'{commands.SCRIPT}' --install-completion; exit $?"], capture_output=True, text=True, timeout=60
    )
    assert install.returncode == 0, install.stderr
    write_targets("shop.example,", "other.example,", "old.example,2020-01-31", header="target,retired")
    assert "backtest" in offered("backlinks ")
    assert offered("backlinks targets retire ") == ["shop.example", "other.example"]
    assert offered("backlinks targets retire sh") == ["shop.example"]
    assert offered("backlinks flags --date ") == [str(commands.today())]
    write_targets("exa mple.com")
    assert offered("backlinks targets retire ") == []  # and not a word about the bad line


# --- for programs ---------------------------------------------------------------------------------------------------


def test_the_doctor_tells_a_program_each_check_and_the_exit_status(api, write_targets) -> None:
    api()
    write_targets("shop.example")
    fine = commands.command("doctor", "--json")
    told = {one["check"]: one["state"] for one in fine.summary["checks"]}
    assert (fine.status, fine.summary["status"], fine.summary["simulated"]) == (0, 0, False)
    assert told.pop("account") == "note"  # no budget is set
    assert set(told.values()) == {"fine"}
    write_targets("co.uk")
    bad = commands.command("doctor", "--json")
    assert (bad.status, bad.summary["status"]) == (2, 2)
    assert [one["check"] for one in bad.summary["checks"] if one["state"] == "to do"] == ["targets"]


def test_the_backtest_tells_a_program_all_counts(tmp_path: Path) -> None:
    from made_histories import change, made

    change(made(), 40, 5, spam_score=lambda score: score + 18).to_csv(tmp_path / "history.csv", index=False)
    told = commands.command("backtest", "history.csv", "--json", "--out", "flags.csv").summary
    assert (told["flags"], told["target_days"], told["written_to"]) == (1, 1500, "flags.csv")
    assert told["by_kind"] == [{"metric": "spam_score", "kind": "step", "severity": "critical", "flags": 1}]
    assert told["by_day"] == [{"date": "2026-10-11", "flags": 1}]
    assert told["by_target"] == [{"target": "site005.example", "flags": 1}]


def test_a_demo_of_too_few_days_is_refused() -> None:  # what --json tells is read where test_docs makes its demo
    refused = commands.command("demo", "--days", "1")
    assert refused.status == 2
    assert "from 2 to 300 days" in refused.err
