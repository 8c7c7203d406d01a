"""Targets and the API's strings are data: in no sink are they SQL, a path, markup, a formula or a terminal's command.

A domain can hold none of these texts, so the targets file refuses them; a page's address and the strings of an answer can
hold all of them. The HTML report has tests of its own.
"""

import csv
import datetime as dt
import glob
import re
import sqlite3
import sys
from pathlib import Path

import commands
import dagster as dg
import duckdb
import faults
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from faults import Fault
from markupsafe import escape
from report_world import write_rows

from backlinks_assets.cli.flags import print_flags
from backlinks_assets.collect.outcome import Outcome
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.metadata import collecting, tables
from backlinks_assets.formatting import visible
from backlinks_assets.paths import parquet_path
from backlinks_assets.pipeline import ChangesDay
from backlinks_assets.report.evidence import read_evidence
from backlinks_assets.settings import Settings
from backlinks_assets.simulator.world.links import HOSTILE_TEXTS
from backlinks_assets.tables.duckdb_sync import sync
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]

HOSTILE = [
    "../../x",
    "=cmd()",
    "<img src=x onerror=alert(1)>",
    "'; drop table responses; --",
    "[x](javascript:alert(1))",
    "[red]x[/red]",
    "| `code` | **bold** |",
    "{{ 7 * 7 }}",
    "date=1999-01-01",
    "%0d%0aX-Injected: 1",
]
PAGES = [f"https://shop.example/{text}" for text in HOSTILE]


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


@pytest.mark.ci
def test_as_a_target_each_is_refused_with_its_line_and_never_asked_about(api, write_targets) -> None:
    server = api()
    write_targets("fine.example", *('"' + text.replace('"', '""') + '"' for text in HOSTILE))
    ended = commands.command("run")
    assert ended.status == 3
    assert [f"line {number}" for number in range(3, 3 + len(HOSTILE)) if f"line {number}" not in ended.err] == []
    assert "Traceback" not in ended.err
    assert {call.target for call in server.calls} == {"fine.example"}


@pytest.mark.ci
def test_pages_and_answers_full_of_such_strings_are_kept_as_they_are_and_name_no_file(
    api, write_targets, tmp_path: Path
) -> None:
    """Each page's own text is in its answers too, as every string of `info` and as a key of each breakdown."""
    texts = {**dict(zip(PAGES, HOSTILE, strict=True)), "https://shop.example/terminal": "\x1b]0;title\x07\x1b[31mred"}
    server = api(*[Fault(faults.strings(text), target=glob.escape(page)) for page, text in texts.items()])
    write_targets(*['"' + page.replace('"', '""') + '"' for page in texts])
    before = set(tmp_path.parent.iterdir())
    ended = commands.command("run", "--json")
    assert (ended.status, ended.err) == (0, "")
    assert {call.target for call in server.calls} == set(texts)
    settings = Settings.from_env()

    store = sqlite3.connect(settings.store_file)
    assert set(store.execute("SELECT DISTINCT target FROM responses")) == {(page,) for page in texts}
    store.close()
    with duckdb.connect(str(settings.duckdb_file), read_only=True) as tables:
        assert dict(tables.execute("SELECT DISTINCT target, info_server FROM backlinks_summary").fetchall()) == texts
        assert tables.execute("SELECT DISTINCT date FROM referring_links").fetchall() == [(commands.today(),)]
        for page, text in texts.items():
            found = "SELECT count(DISTINCT dimension) FROM referring_links WHERE target = ? AND key = ?"
            assert tables.execute(found, [page, text]).fetchone() == (6,)
    for file in settings.root.glob("parquet/*/*/*"):
        place = str(file.relative_to(settings.root / "parquet"))
        assert re.fullmatch(r"[a-z_]+/date=\d{4}-\d\d-\d\d/[a-z_]+\.parquet", place)
    (summary,) = settings.root.glob("parquet/backlinks_summary/*/*.parquet")
    assert set(pq.read_table(summary, partitioning=None)["target"].to_pylist()) == set(texts)
    assert set(tmp_path.parent.iterdir()) == before
    for file in tmp_path.rglob("*"):
        if file.parent.name == "targets" and file.is_file():  # a page a target, whose name is percent-encoded
            assert re.fullmatch(r"[A-Za-z0-9._~%-]+\.html", file.name)
            continue
        assert not any(
            part in file.name for part in ("cmd()", "<img", "drop table", "javascript", "[red]", "{{", "1999")
        )


@pytest.mark.parametrize(
    "text", ["\x1b[31mred\x1b]0;title\x07", "[red]x[/red] [x](javascript:alert(1))", "line\nother line\r\nthird"]
)
def test_what_the_api_says_is_told_as_one_printable_line(api, write_targets, text: str) -> None:
    api(Fault(faults.code(40501, f"Invalid Field: 'target'. {text}")))
    write_targets("shop.example")
    ended = commands.command("run", "--json")
    assert ended.status == 3
    (failed,) = ended.summary["failed"]
    assert failed["reason"].isprintable()
    assert all(line.isprintable() for line in ended.err.split("\n"))
    for word in ("[red]x[/red]", "third", "title"):
        assert (word in ended.err) is (word in text)
    with open_instance(Settings.from_env()) as instance:
        (run,) = instance.get_runs(filters=dg.RunsFilter(job_name="collect_job"))
        events = [log.dagster_event for log in instance.all_logs(run.run_id) if log.dagster_event]
        (step,) = [event for event in events if event.is_step_failure]
        said = step.step_failure_data.user_failure_data.description
    assert "shop.example" in said
    assert all(line.isprintable() for line in said.split("\n"))


def a_flag(target: str, day: dt.date, reason: str) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(TABLES["backlinks_flags"].arrow.names)
    known = {
        "target": target,
        "metric": "spam_score",
        "value": 60,
        "score": 9.0,
        "kind": "jump",
        "severity": "critical",
    }
    return {**row, **known, "direction": "up", "reason": reason, "date": day, "simulated": False}


def the_flags_table(flags: pd.DataFrame) -> str:
    return str(tables.flags_table(ChangesDay(commands.today(), flags, {}), simulated=False).value)


def test_in_dagsters_markdown_names_and_reasons_are_plain_text() -> None:
    flags = pd.DataFrame([a_flag(text, commands.today(), text) for text in [*HOSTILE, *PAGES]])
    markdown = the_flags_table(flags)
    rendered = re.sub(r"(?<!\\)`[^`|\n]*`", "CODE", markdown)  # what is shown as code is shown as it is
    assert "<" not in rendered
    assert not re.search(r"(?<!\\)[\[\]`*]", rendered)
    for reason in (r"\[x\]", r"\*\*bold\*\*", r"\`code\`", "&lt;img src=x onerror=alert(1)&gt;"):
        assert reason in rendered
    rows = [line for line in markdown.splitlines() if line.startswith("| critical")]
    assert len(rows) == len(flags)
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 5 for row in rows)  # no name makes a cell of its own


def test_a_runs_error_names_hostile_targets_on_a_line_each() -> None:
    failed = [Outcome(commands.today(), page, error="said no") for page in PAGES]
    failure = collecting.failure(failed, 20, None)
    assert [line for line in (failure.description or "").splitlines() if line.startswith("- ")] == [
        f"- {page} ({commands.today()}): said no" for page in PAGES
    ]


@pytest.fixture
def flagged(api, write_targets) -> list[str]:
    """A published day whose flags are about hostile targets."""
    api()
    write_targets("shop.example")
    settings, today = Settings.from_env(), commands.today()
    names = [*HOSTILE, *PAGES, "tab\tand\nline"]
    rows = [a_flag(name, today, name) for name in names]
    for table in ("backlinks_flags", "backlinks_changes"):
        schema = TABLES[table].arrow
        typed = pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)
        write_day(settings.root, table, today, typed)
    sync(settings.root)
    return names


def test_in_a_pipe_each_flag_is_a_line_that_no_spreadsheet_computes(flagged: list[str]) -> None:
    lines = commands.command("flags").out.splitlines()
    cells = [line.split("\t") for line in lines]
    assert len(lines) == 1 + len(flagged)
    assert {len(row) for row in cells} == {8}
    assert not [cell for row in cells for cell in row if cell.startswith(("=", "+", "-", "@"))]
    assert "'=cmd()" in {row[2] for row in cells}


def test_as_json_each_flag_is_as_it_is(flagged: list[str]) -> None:
    assert {flag["target"] for flag in commands.command("flags", "--json").summary["flags"]} == set(flagged)


def test_on_a_terminal_names_are_no_markup_and_no_control_codes(flagged: list[str]) -> None:
    status, shown = commands.on_a_terminal("flags", environment={"COLUMNS": "200", "TERM": "xterm"})
    assert status == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    assert "[red]x[/red]" in text
    assert "[x](javascript:alert(1))" in text
    assert "\x1b]" not in text  # no title set, no link


def test_a_table_on_a_terminal_shows_markup_as_text(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    flag = a_flag("[bold]x[/bold]", commands.today(), "[link=https://elsewhere.example]y[/link]")
    print_flags([flag], "Flags", simulated=False)
    shown = capsys.readouterr().out
    assert "[bold]x[/bold]" in shown
    assert "[link=https://elsewhere.example]y[/link]" in shown


def test_a_backtest_of_hostile_names_writes_no_formula(clean_environment, tmp_path: Path) -> None:
    history, flags = tmp_path / "history.csv", tmp_path / "flags.csv"
    names = [*HOSTILE, "+1", "-1", "@sum", "\t=1", "fine.example"]
    first = commands.today() - dt.timedelta(days=60)
    with history.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["date", "target", "spam_score", "lost_backlinks", "live_backlinks"])
        for number in range(60):
            for at, name in enumerate(names):
                score = 5 if number < 45 + at else 80  # not together: the index would be what moved
                writer.writerow([first + dt.timedelta(days=number), name, score, 1000, 100_000])
    ended = commands.command("backtest", str(history), "--out", str(flags))
    assert ended.status == 0, ended.err
    with flags.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len({row["target"] for row in rows}) >= len(HOSTILE)
    assert not [cell for row in rows for cell in row.values() if cell.lstrip().startswith(("=", "+", "-", "@"))]
    printed = [cell for line in ended.out.splitlines() for cell in line.split("\t")]
    assert not [cell for cell in printed if cell.startswith(("=", "+", "-", "@"))]


@pytest.fixture
def evidence(api, write_targets) -> Path:
    """A day on which what strangers wrote to do harm (`hostile.example` of the simulator) is the evidence of its flags."""
    api()
    write_targets("hostile.example", "plain3.example")
    root, today = Settings.from_env().root, commands.today()
    same = {
        "previous_date": today - dt.timedelta(days=200),
        "severity": "critical",
        "previous": 10.0,
        "value": 60.0,
        "score": 9.0,
    }
    flags = [
        {**same, "target": target, "metric": metric, "direction": "up", "kind": "step", "reason": "It rose."}
        for target in ("hostile.example", "plain3.example")
        for metric in ("lost_backlinks", "spam_score")
    ]
    for table in ("backlinks_flags", "backlinks_changes"):
        write_rows(root, table, today, flags)
    ended = commands.command("evidence", "--yes", "--json")
    assert ended.status == 0, ended.err
    said = " ".join(str(row) for one in ended.summary["evidence"] for row in one["rows"])
    assert all(text in said for text in ("<script>", "=HYPERLINK", "[click](javascript:", "\\u202e", "<!channel>"))
    return root


@pytest.mark.ci
def test_strangers_anchors_and_addresses_are_text_in_every_sink_of_evidence(evidence: Path) -> None:
    today = commands.today()
    piped = commands.command("evidence").out
    for line in piped.rstrip("\n").split("\n"):
        assert line.replace("\t", "").isprintable()
        assert not [one for one in line.split("\t") if one.startswith(("=", "+", "-", "@"))]
    status, screen = commands.on_a_terminal("evidence", columns=80)
    assert status == 0
    assert "\x1b]" not in screen
    assert "\x07" not in screen
    assert "\u202e" not in screen
    assert max(len(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line)) for line in screen.splitlines()) <= 80
    with (evidence / "reports" / f"evidence-{today}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert len(rows) > 10
    assert not [one for row in rows for one in row if one.startswith(("=", "+", "-", "@")) or not one.isprintable()]
    page = (evidence / "reports" / f"flags-{today}.html").read_text(encoding="utf-8")
    shown = read_evidence(evidence, today).of("hostile.example", "lost_backlinks")[0].rows
    assert len(shown) == 10
    assert all(str(escape(visible(row["anchor"]))) in page for row in shown)
    assert {row["anchor"] for row in shown} & set(HOSTILE_TEXTS)
    assert "<script>alert" not in page
    assert not re.search(r"<img[^>]*onerror", page)
    assert not re.search(
        r"href=\"(?!#|index\.html|evidence-|targets/)[^\"]*\"", page.split("<main>")[1].split("</main>")[0]
    )
    assert not [c for c in page if c in "\u202e\u2066\x00\x1b\ufffe"]


def test_a_message_says_the_sentence_and_shows_hostile_domains_as_text(evidence: Path, monkeypatch) -> None:
    from contextlib import nullcontext

    from backlinks_assets.notify.messages import Messages
    from backlinks_assets.notify.rule import EVERYTHING
    from backlinks_assets.notify.templates import render
    from backlinks_assets.targets.file import load_targets

    hostile = "evil.example\u202e<b>[x](javascript:alert(1))*"
    table = pq.read_table(parquet_path(evidence, "flag_evidence", commands.today()), partitioning=None)
    positions, domains = (table[name].to_pylist() for name in ("position", "domain_from"))
    names = [hostile if at == 1 else name for at, name in zip(positions, domains, strict=True)]
    table = table.set_column(table.column_names.index("domain_from"), "domain_from", pa.array(names, pa.string()))
    write_day(evidence, "flag_evidence", commands.today(), table)
    settings = Settings.from_env()
    messages = Messages(settings, load_targets(settings.targets_file), nullcontext)
    message = messages.of_day(commands.today(), messages.flags(commands.today()), EVERYTHING, None)
    assert message is not None
    for style in ("text", "markdown", "html"):
        body = render(message, style, 100_000)
        assert "went: " in body
        assert "came: " in body
        assert "\u202e" not in body
        assert style == "text" or "<b>[x]" not in body
        assert style != "markdown" or "[x](" not in body
