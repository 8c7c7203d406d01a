"""What stands within the text of the README and the docs: calls, programs, names, links and tables that exist."""

import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import commands
import dagster as dg
import duckdb
import pytest
from pages import PAGES, README, ROOT, Block, blocks, inline, of_kind


@pytest.mark.medium
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
        done = subprocess.run([program, option, file, "FROM latest_flags"], capture_output=True, timeout=200)
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
