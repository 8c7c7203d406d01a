"""The README and the docs are true: their queries run, their commands exist, their links lead somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str, page: Path = ROOT / "README.md") -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two weeks of the sample targets, as `make demo` makes sixty days."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DATAFORSEO_", "BACKLINKS_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "backlinks_assets.cli.app", "demo", "--days", "14"],
        env={**environment, "BACKLINKS_DATA_DIR": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return folder / "demo"


def test_every_query_of_the_readme_runs_and_returns_rows(demo: Path) -> None:
    queries = blocks("sql")
    assert len(queries) == 3
    with duckdb.connect(str(demo / "backlinks.duckdb"), read_only=True) as connection:
        for query in queries:
            assert connection.execute(query).fetchall(), query


def test_every_call_that_the_docs_name_exists() -> None:
    calls = {call for page in PAGES for call in re.findall(r"backlinks ((?:targets )?[a-z]+)\b", _code(page))}
    assert {"run", "demo", "flags", "targets add", "backtest", "doctor"} <= calls
    for call in sorted(calls):
        done = subprocess.run(
            [sys.executable, "-m", "backlinks_assets.cli.app", *call.split(), "--help"], capture_output=True, timeout=60
        )
        assert done.returncode == 0, call


def test_every_make_target_that_the_docs_name_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {name for page in PAGES for name in re.findall(r"\bmake ([a-z]+)\b", _code(page))}
    assert {"demo", "test", "ui"} <= named <= targets


def test_every_link_within_the_docs_leads_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_variable_of_the_settings_is_in_the_readme() -> None:
    source = (ROOT / "backlinks_assets" / "settings.py").read_text(encoding="utf-8")
    for name in set(re.findall(r'"((?:BACKLINKS|DATAFORSEO)_[A-Z_]+)"', source)):
        assert f"`{name}`" in README, name


def test_the_map_names_every_package_and_module() -> None:
    package = ROOT / "backlinks_assets"
    for path in package.iterdir():
        if path.is_dir() and (path / "__init__.py").exists():
            assert f"  {path.name}/" in README, path.name
        elif path.suffix == ".py" and path.name != "__init__.py":
            assert path.name in README, path.name


def test_every_table_is_in_the_readme() -> None:
    from backlinks_assets.tables.schemas import TABLES

    for name in TABLES:
        assert f"`{name}`" in README, name


def test_the_examples_shipped_are_the_simulators() -> None:
    from backlinks_assets.simulator.samples import sample_targets_csv

    assert (ROOT / "data" / "targets.csv").read_text(encoding="utf-8") == sample_targets_csv()


def _code(page: Path) -> str:
    """Return what a page shows as code: blocks and inline."""
    text = page.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"```.*?```", text, re.DOTALL) + re.findall(r"`[^`\n]+`", text))
