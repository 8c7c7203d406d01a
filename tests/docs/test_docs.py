"""The README and the docs are true: every block of code in them is run.

Each fenced block is of a kind that `pages.kind_of` knows, and each kind has a test; a block of any other kind fails the first
test, so that none is left out. They run in a folder laid out as the project's own, on a demo of a few days, and where a
command needs an account, against the simulator standing for the API.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import commands
import dagster as dg
import duckdb
import pandas as pd
import polars as pl
import pytest
from dotenv import dotenv_values
from pages import BLOCKS, PAGES, ROOT, Block, blocks, blocks_of, kind_of, of_kind
from project_folder import shell

from backlinks_assets.settings import Settings


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


@pytest.mark.ci
@blocks("sql")
def test_every_query_runs_and_returns_rows(project: Path, block: Block) -> None:
    with duckdb.connect(str(project / "data" / "demo" / "backlinks.duckdb"), read_only=True) as connection:
        assert connection.execute(block.text).fetchall()


@blocks("python")
def test_every_python_example_runs_and_finds_rows(project: Path, block: Block, monkeypatch) -> None:
    """What the examples of consume.md return is looked at in `test_consume.py`, which runs each of them too."""
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
        read = {name: value or "" for name, value in dotenv_values(tmp_path / "fragment").items()}
        settings = Settings.from_env(read, only_reads="DATAFORSEO_BASE_URL" in read)  # a reader's, without credentials
    assert settings.calls_at_once == 7


@pytest.mark.ci
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


@pytest.mark.ci
def test_the_commands_work_on_the_demo_too(project: Path, monkeypatch) -> None:
    (backtest,) = [line for block in of_kind("account") for line in block.commands if "backlinks backtest" in line]
    monkeypatch.chdir(project)
    monkeypatch.delenv("BACKLINKS_DATA_DIR")
    for line in (backtest, ".venv/bin/backlinks flags", ".venv/bin/backlinks doctor"):
        done = commands.command(*line.split()[1:])
        assert done.status == 0, f"{line}: {done.err}"
    assert len(pd.read_csv(project / "flags.csv"))


@blocks("apprise")
def test_the_command_that_tries_an_announcement_sends_it(project: Path, block: Block) -> None:
    from notify_places import PATIENTLY, webhook

    with webhook() as place:
        done = shell(project, block.text.replace("URL", place.url(f"hook{PATIENTLY}")))
        assert done.status == 0, done.out + done.err
        assert [(post["title"], post["message"]) for post in place.posts] == [("A test", "It works.")]


@blocks("announce")
def test_the_command_that_tries_all_places_sends_to_each(project: Path, block: Block) -> None:
    from notify_places import PATIENTLY, webhook

    with webhook() as place:
        done = shell(project, block.commands[0], BACKLINKS_NOTIFY_URLS=place.url(f"hook{PATIENTLY}"))
        assert done.status == 0, done.out + done.err
        assert place.titles == ["Backlinks: a test message"]


@blocks("channels")
def test_the_channels_file_of_the_docs_is_one_that_is_understood(tmp_path: Path, block: Block, monkeypatch) -> None:
    from backlinks_assets.notify.channel_file import described, read_channels

    (tmp_path / "channels.toml").write_text(block.text, encoding="utf-8")
    for name in ("ACME_URL", "LEAD_MAIL"):
        monkeypatch.setenv(name, "jsons://hook.example/x")
    monkeypatch.setenv("BACKLINKS_CHANNELS_FILE", str(tmp_path / "channels.toml"))
    found = read_channels(Settings.from_env(), ["Acme GmbH"])
    assert (found.problems, found.warnings) == ([], [])
    assert [described(entry.rule) for entry in found.entries] == [
        "critical flags of Acme GmbH, each day",
        "flags, once a week, on Mondays; also that nothing moved",
    ]


@pytest.mark.medium
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
    r"deploy/[\w.-]+\w|requirements[\w-]*\.lock|\.env\.example|(?<=enable --now ).*|\.venv/\.runtime|\.venv/bin/backlinks .*"
)


@blocks("services")
def test_what_the_administrator_types_names_what_is_there(block: Block) -> None:
    """It needs root, users and services of the machine: read by the shell, with the files and names in it looked up."""
    assert subprocess.run(["sh", "-n", "-c", block.text], timeout=120).returncode == 0
    units = {path.stem for path in (ROOT / "deploy").glob("*.service")}
    for named in NAMED_FILES.findall(block.text):
        if named.startswith("backlinks-"):
            assert set(named.split()) <= units
        elif named == "deploy/.env":  # which the block makes
            assert f"deploy/env.example {named}" in block.text
        elif named.startswith(".venv/bin/"):
            commands.parsed(named)
        elif named == ".venv/.runtime":
            assert "$(VENV)/.runtime:" in (ROOT / "Makefile").read_text(encoding="utf-8")
        else:
            assert list(ROOT.glob(named)), named
    for variable in re.findall(r"BACKLINKS_\w+", block.text):
        assert f"`{variable}`" in (ROOT / "README.md").read_text(encoding="utf-8")
