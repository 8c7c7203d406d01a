"""The README and the docs are true: every block of code in them is run, their commands exist, their links lead somewhere.

Each fenced block is of a kind that `KINDS` knows, and each kind has a test; a block of any other kind fails the first
test, so that none is left out. They run in a folder laid out as the project's own, on a demo of 14 days, and where a
command needs an account, against the simulator standing for the API.
"""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import commands
import dagster as dg
import duckdb
import pandas as pd
import polars as pl
import pytest
import requests
from dotenv import dotenv_values

from backlinks_assets.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEMO_DAYS = 14


@dataclass(frozen=True)
class Block:
    """One fenced block of a page, without its indentation; `line` is where it begins."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, without what stands behind a #."""
        return [line for line in (re.sub(r"\s+#.*", "", line).strip() for line in self.text.splitlines()) if line]

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"^( *)```([^\n`]*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [
        Block(
            page,
            text.count("\n", 0, match.start()) + 1,
            match[2],
            re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE),
        )
        for match in found
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]

SHELL: dict[str, Callable[[str], object]] = {
    "account": re.compile(r"\.venv/bin/backlinks (run|flags|doctor|targets|backtest)\b").match,
    "make": re.compile(r"make [a-z-]+$").match,
    "apprise": re.compile(r"\.venv/bin/apprise ").match,
    "services": re.compile(r"(sudo|cd /opt|docker run) ?").match,
    "dagster dev": re.compile(r'DAGSTER_HOME="\$PWD" \.venv/bin/dagster dev ').match,
}
"""Kinds of shell commands; each has a test below."""

ENVIRONMENT = {"env", "ini", "dotenv"}
PICTURES = {"targets.csv ─▶": "assets", "backlinks_assets/\n": "map"}
"""How blocks of no language begin, and what each draws; each has a test below."""


def kind_of(block: Block) -> str:
    """Return the kind of a block, by which the tests below choose theirs; fails for a block that none of them runs."""
    if block.language in {"sql", "python"}:
        return block.language
    if block.language in ENVIRONMENT:
        return "environment"
    if block.language == "sh":
        kinds = {kind for line in block.commands for kind, matches in SHELL.items() if matches(line)}
        known = all(any(matches(line) for matches in SHELL.values()) for line in block.commands)
        if known and len(kinds) == 1:
            return kinds.pop()
    if block.language == "":
        for start, kind in PICTURES.items():
            if block.text.startswith(start):
                return kind
    raise AssertionError(
        f"{block}: no test runs this block ({block.language or 'no language'}). Give it a kind in test_docs.py, and the "
        "kind a test that runs it."
    )


def of_kind(kind: str) -> list[Block]:
    found = []
    for block in BLOCKS:
        try:
            if kind_of(block) == kind:
                found.append(block)
        except AssertionError:  # told by the test of that
            continue
    return found


def blocks(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", of_kind(kind), ids=str)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's folder with data of its own: two weeks of the sample targets, as `make demo` makes sixty days."""
    folder = tmp_path_factory.mktemp("project")
    for path in ROOT.iterdir():
        if path.name not in {"data", "logs", ".venv", ".env", ".git"}:
            (folder / path.name).symlink_to(path)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "data").mkdir()
    shutil.copy(ROOT / "data" / "targets.csv", folder / "data")
    (made,) = re.findall(r"^demo:.*\n\t\$\(BIN\)/(.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    done = shell(folder, f".venv/bin/{made} --days {DEMO_DAYS} --json")
    assert done.status == 0, done.err
    assert done.out.count("\n") == 1
    assert (done.summary["days"], done.summary["simulated"]) == (DEMO_DAYS, True)
    assert done.summary["calls"] == 2 * DEMO_DAYS * done.summary["targets"]
    assert all(Path(done.summary[name]).exists() for name in ("pages", "duckdb", "parquet"))
    assert done.summary["flags"] > done.summary["flags_today"] >= 0
    return folder


def shell(folder: Path, text: str, **environment: str) -> commands.Ended:
    """Run shell commands in a folder, each only if those before it went well."""
    done = subprocess.run(
        ["sh", "-e", "-c", text], cwd=folder, env=plain(**environment), capture_output=True, text=True, timeout=240
    )
    return commands.Ended.of(done.returncode, done.stdout, done.stderr)


def plain(**environment: str) -> dict[str, str]:
    """Return the environment without the project's variables, but for those given."""
    prefixes = ("DATAFORSEO_", "BACKLINKS_", "DAGSTER_")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)} | environment


# --- blocks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_is_of_a_kind_that_a_test_runs(block: Block) -> None:
    assert kind_of(block)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("sh", "rm -rf data\n"),
        ("sh", ".venv/bin/backlinks run\nrm -rf data\n"),
        ("yaml", "a: 1\n"),
        ("", "a picture\n"),
    ],
)
def test_a_block_that_no_test_runs_would_be_found(language: str, text: str) -> None:
    with pytest.raises(AssertionError, match="no test runs this block"):
        kind_of(Block(PAGES[0], 1, language, text))


def test_no_block_is_missed_by_the_pattern_that_finds_them() -> None:
    for page in PAGES:
        assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks_of(page)), page.name


@blocks("sql")
def test_every_query_runs_and_returns_rows(project: Path, block: Block) -> None:
    with duckdb.connect(str(project / "data" / "demo" / "backlinks.duckdb"), read_only=True) as connection:
        assert connection.execute(block.text).fetchall()


@blocks("python")
def test_every_python_example_runs_and_finds_rows(project: Path, block: Block, monkeypatch) -> None:
    """What the examples of consume.md return is looked at in `test_consume.py`, which runs each of them too."""
    import test_consume

    assert block.page.name != "consume.md" or block.text in test_consume.EXAMPLES
    monkeypatch.chdir(project)
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(block.text, str(block), "exec"), names)
    made = {name: value for name, value in names.items() if not name.startswith("__")}
    assert made
    for name, value in made.items():
        if isinstance(value, pd.DataFrame | pl.DataFrame):
            assert len(value), name
        if isinstance(value, dg.AssetsDefinition):
            today = str(commands.today())
            with dg.instance_for_test() as instance:
                assert dg.materialize([value], instance=instance, partition_key=today).success


def test_every_environment_fragment_is_read_by_the_settings(tmp_path: Path) -> None:
    for block in [*of_kind("environment"), Block(PAGES[0], 1, "env", "BACKLINKS_CALLS_AT_ONCE=7\n")]:
        (tmp_path / "fragment").write_text(block.text, encoding="utf-8")
        settings = Settings.from_env(
            {name: value or "" for name, value in dotenv_values(tmp_path / "fragment").items()}
        )
    assert settings.calls_at_once == 7


@pytest.mark.parametrize("page", sorted({block.page for block in of_kind("account")}), ids=lambda page: page.name)
def test_the_commands_of_a_page_do_in_their_order_what_it_says(api, project: Path, page: Path) -> None:
    server = api()
    account = {name: os.environ[name] for name in os.environ if name.startswith("DATAFORSEO_")}
    for block in of_kind("account"):
        if block.page == page:
            done = shell(project, block.text, **account)
            assert done.status == 0, f"{block}: {done.err}"
            assert done.out, block
    if page.name == "README.md":
        listed = shell(project, ".venv/bin/backlinks targets list --json").summary["targets"]
        assert listed[-1]["target"] == "example.com"
        assert len([call for call in server.calls if call.cost_usd]) == 2 * len(listed)
        assert (project / "data" / "reports" / "index.html").exists()
        assert (project / "flags.csv").read_text().startswith("date,target,")


def test_the_commands_work_on_the_demo_too(project: Path) -> None:
    (backtest,) = [block for block in of_kind("account") if "backtest" in block.text]
    done = shell(project, f"{backtest.text}\n.venv/bin/backlinks flags\n.venv/bin/backlinks doctor")
    assert done.status == 0, done.err
    assert len(pd.read_csv(project / "flags.csv"))


@blocks("apprise")
def test_the_command_that_tries_an_announcement_sends_it(project: Path, block: Block) -> None:
    from notify_places import webhook

    with webhook() as place:
        done = shell(project, block.text.replace("URL", place.url()))
        assert done.status == 0, done.out + done.err
        assert [(post["title"], post["message"]) for post in place.posts] == [("A test", "It works.")]


def test_the_urls_of_the_announcements_are_ones_that_are_understood() -> None:
    import apprise

    page = (ROOT / "docs" / "announcements.md").read_text(encoding="utf-8")
    urls = [
        url for row in re.findall(r"^\|.*\|$", page, re.MULTILINE) for url in re.findall(r"`([a-z]+://[^`]+)`", row)
    ]
    assert len(urls) == 5
    assert len(Settings.from_env({"BACKLINKS_NOTIFY_URLS": " ".join(urls)}).notify_urls) == 5
    known = {scheme for service in apprise.Apprise().details()["schemas"] for scheme in _schemes(service)}
    assert {url.partition(":")[0] for url in urls} | {"mailtos"} <= known


def _schemes(service: dict[str, Any]) -> list[str]:
    return [*(service["protocols"] or []), *(service["secure_protocols"] or [])]


def test_the_example_environment_is_read_as_it_is_and_with_all_that_it_offers(tmp_path: Path) -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    offered = re.sub(r"^# (?=[A-Z_]+=)", "", text, flags=re.MULTILINE).replace("=\n", "=x\n")
    for name, content in (("as-it-is", text), ("all", offered)):
        (tmp_path / name).write_text(content, encoding="utf-8")
        read = {key: value or "" for key, value in dotenv_values(tmp_path / name).items()}
        settings = Settings.from_env(read)
        assert settings.simulated is (name == "as-it-is")
    assert (settings.budget_usd_per_day, settings.low_balance_usd, len(settings.notify_urls)) == (25, 10, 1)


# --- always on ---

NAMED_FILES = re.compile(
    r"deploy/\*\.service|\.env\.example|(?<=enable --now ).*|\.venv/\.runtime|\.venv/bin/backlinks \w+"
)


@blocks("services")
def test_what_the_administrator_types_names_what_is_there(block: Block) -> None:
    """It needs root, users and services of the machine: read by the shell, with the files and names in it looked up."""
    assert subprocess.run(["sh", "-n", "-c", block.text], timeout=10).returncode == 0
    units = {path.stem for path in (ROOT / "deploy").glob("*.service")}
    for named in NAMED_FILES.findall(block.text):
        if named.startswith("backlinks-"):
            assert set(named.split()) == units
        elif named.startswith(".venv/bin/"):
            commands.parsed(named)
        elif named == ".venv/.runtime":
            assert "$(VENV)/.runtime:" in (ROOT / "Makefile").read_text(encoding="utf-8")
        else:
            assert list(ROOT.glob(named)), named
    for variable in re.findall(r"BACKLINKS_\w+", block.text):
        assert f"`{variable}`" in (ROOT / "README.md").read_text(encoding="utf-8")


# --- make and the UI ------------------------------------------------------------------------------------------------

MAKE_RUNS = {
    "demo": ".venv/bin/backlinks demo",  # sixty days; the fixture `project` runs the same with fourteen
    "test": '.venv/bin/python -m pytest -n 3 -m "not ci"',  # this very run
    "test-quick": '-m "not ci and not slow"',
    "test-ci": ".venv/bin/python -m pytest -n 3",
    "ui": ".venv/bin/dagster dev -w workspace.yaml",  # run for real below
    "bench": ".venv/bin/python bench/run.py",  # minutes on a quiet machine; test_performance runs its parts
    "screenshots": ".venv/bin/python docs/screenshots.py",  # a minute in a browser
    "lock": "uv pip compile",  # asks the package index
}


@pytest.mark.parametrize("target", MAKE_RUNS)
def test_make_runs_what_it_says(project: Path, target: str) -> None:
    """Only told (`make -n`), with the reason beside each; the installation counts as done."""
    done = shell(project, f"make -n -o .venv/.runtime -o .venv/.dev {target}")
    assert done.status == 0, done.err
    assert MAKE_RUNS[target] in done.out


def test_every_make_target_that_the_docs_name_is_looked_at() -> None:
    named = {name for page in PAGES for name in re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)\b", code_of(page))}
    assert {"demo", "test", "ui"} <= named <= set(MAKE_RUNS)


@pytest.mark.ci
def test_dagster_opens_on_the_demo_as_the_docs_say_and_complains_of_nothing(project: Path, tmp_path: Path) -> None:
    """`make ui` and the workspace of two locations, at once; the second on a copy, since each has a daemon."""
    shutil.copytree(project / "data", tmp_path / "copy")
    (block,) = of_kind("dagster dev")
    first, second = free_port(), free_port()
    with (
        started(project, f"make -o .venv/.runtime ui PORT={first}") as ui,
        started(project, f"{block.text.strip()} -p {second}", BACKLINKS_DATA_DIR=str(tmp_path / "copy")) as both,
    ):
        assert locations(first, ui) == {"backlinks_assets"}
        assert locations(second, both) == {"backlinks_assets", "downstream"}
        assert days_of(first, "backlinks_flags") == days_of(second, "backlinks_flags") == DEMO_DAYS
        for output in (ui, both):
            assert complaints(output.read_text(encoding="utf-8"), dagsters_own=output is both) == []


def complaints(said: str, *, dagsters_own: bool) -> list[str]:
    """Return the lines that are warnings or errors. `dagsters_own`: not its marks of what it may still change, which
    `make ui` silences and a bare `dagster dev` does not.
    """
    lines = re.findall(r"^.*(?:\bWARNING\b|\bERROR\b|\bCRITICAL\b|Warning:|Traceback).*$", said, re.MULTILINE)
    own = re.compile(r"(Supersession|Beta|Preview)Warning:")
    return [line for line in lines if not (dagsters_own and own.search(line))]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started(folder: Path, command: str, **environment: str) -> Iterator[Path]:
    """Start a command that goes on until it is stopped; yield the file of what it says."""
    output = folder / f"said-{time.monotonic_ns()}"
    with output.open("wb") as opened:
        process = subprocess.Popen(
            ["sh", "-c", command],
            cwd=folder,
            env=plain(**environment),
            stdout=opened,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield output
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what did not end by itself
            process.wait()


def ask(port: int, query: str) -> dict[str, Any]:
    return dict(requests.post(f"http://127.0.0.1:{port}/graphql", json={"query": query}, timeout=60).json()["data"])


def locations(port: int, output: Path) -> set[str]:
    """Wait until the UI is there and has loaded its code locations; return their names."""
    end = time.monotonic() + 120
    while True:
        try:
            assert requests.get(f"http://127.0.0.1:{port}/server_info", timeout=5).json()["dagster_version"]
            break
        except (requests.ConnectionError, requests.Timeout):
            assert time.monotonic() < end, output.read_text(encoding="utf-8")
            time.sleep(0.2)
    query = "{workspaceOrError{... on Workspace{locationEntries{name loadStatus locationOrLoadError{__typename}}}}}"
    while True:
        entries = ask(port, query)["workspaceOrError"]["locationEntries"]
        if all(entry["loadStatus"] == "LOADED" for entry in entries):
            assert {entry["locationOrLoadError"]["__typename"] for entry in entries} == {"RepositoryLocation"}
            return {entry["name"] for entry in entries}
        time.sleep(0.2)


def days_of(port: int, asset: str) -> int:
    """Return the number of days that the UI shows as materialized."""
    query = f'{{assetNodes(assetKeys:[{{path:["{asset}"]}}]){{partitionStats{{numMaterialized}}}}}}'
    return int(ask(port, query)["assetNodes"][0]["partitionStats"]["numMaterialized"])


# --- what stands within the text ------------------------------------------------------------------------------------


def code_of(page: Path) -> str:
    """Return what a page shows as code: blocks and inline."""
    return "\n".join([*(block.text for block in blocks_of(page)), *inline(page)])


def inline(page: Path) -> list[str]:
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", text)


def test_every_call_that_the_docs_name_is_one_that_the_command_accepts() -> None:
    named = {line for page in PAGES for line in inline(page) if re.match(r"(\.venv/bin/)?backlinks ", line)}
    assert {"backlinks targets list", "backlinks run [--date YYYY-MM-DD] [--json] [--yes]"} <= named
    for line in sorted(named):
        commands.parsed(re.sub(r"[\[\]]", "", line))
    for page in PAGES:
        for block in of_kind("account"):
            if block.page == page:
                for line in block.commands:
                    commands.parsed(line)


def test_every_call_is_in_the_readme_with_all_its_options() -> None:
    import typer

    from backlinks_assets.cli.app import app

    table = [line for line in README.splitlines() if line.startswith("| `backlinks ")]
    for name, command in typer.main.get_command(app).commands.items():
        (row,) = [line for line in table if f"`backlinks {name}" in line]
        if hasattr(command, "commands"):
            assert all(re.search(rf"\b{one}`", row) for one in command.commands), name
            continue
        options = {option for one in command.params for option in one.opts if option.startswith("--")}
        assert options - set(re.findall(r"--[a-z]+", row)) == set(), name


def test_every_program_that_the_docs_name_is_there(project: Path) -> None:
    for line in [one for page in PAGES for one in inline(page) if one.startswith("python ")]:
        file = line.split()[1]
        assert (ROOT / file).exists(), line


def test_the_ways_to_ask_a_query_open_the_demos_file(project: Path, monkeypatch) -> None:
    monkeypatch.chdir(project)
    (python,) = [line for line in inline(PAGES[0]) if line.startswith("duckdb.connect(")]
    assert len(eval(python, {"duckdb": duckdb})) >= 0
    (by_hand,) = [line for line in inline(PAGES[0]) if line.startswith("duckdb -readonly ")]
    program, option, file = by_hand.split()
    if shutil.which(program):  # DuckDB's own command line, which the project does not install
        done = subprocess.run([program, option, file, "FROM latest_flags"], capture_output=True, timeout=60)
        assert done.returncode == 0
    assert Path(file).exists()


def test_what_the_demo_names_is_where_the_readme_says(project: Path) -> None:
    assert "`data/demo/reports/index.html`" in README
    assert (project / "data" / "demo" / "reports" / "index.html").exists()
    today = commands.today()
    assert (project / "data" / "demo" / "parquet" / "backlinks_flags" / f"date={today}").exists()
    assert (project / "data" / "demo" / "reports" / f"flags-{today - timedelta(days=1)}.html").exists()


@blocks("assets")
def test_the_picture_of_the_assets_names_those_that_there_are(block: Block) -> None:
    from backlinks_assets.definitions import defs

    drawn = set(re.findall(r"\b[a-z]+_[a-z_]+\b", block.text))
    with dg.instance_for_test():  # Dagster loads definitions only where an instance is open, or none ever was
        assert drawn == {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}


@blocks("map")
def test_the_map_names_every_package_and_module(block: Block) -> None:
    package = ROOT / "backlinks_assets"
    for path in package.iterdir():
        if path.is_dir() and (path / "__init__.py").exists():
            assert re.search(rf"^  (.*  )?{path.name}/", block.text, re.MULTILINE), path.name
        elif path.suffix == ".py" and path.name != "__init__.py":
            assert path.name in block.text, path.name
    for name in re.findall(r"\b([a-z_]+(?:/|\.py))", block.text):
        assert name == "backlinks_assets/" or (package / name).exists(), name


def test_every_link_within_the_docs_leads_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_variable_of_the_settings_is_in_the_readme() -> None:
    source = (ROOT / "backlinks_assets" / "settings.py").read_text(encoding="utf-8")
    for name in set(re.findall(r'"((?:BACKLINKS|DATAFORSEO)_[A-Z_]+)"', source)):
        assert f"`{name}`" in README, name


def test_every_table_is_in_the_readme() -> None:
    from backlinks_assets.tables.schemas import TABLES

    for name in TABLES:
        assert f"`{name}`" in README, name


def test_the_examples_shipped_are_the_simulators() -> None:
    from backlinks_assets.simulator.world.samples import sample_targets_csv

    assert (ROOT / "data" / "targets.csv").read_text(encoding="utf-8") == sample_targets_csv()
