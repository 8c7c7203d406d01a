"""The house rules that a reader relies on: one direction of imports, a purpose at the top, nothing done at import."""

import ast
import re
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PACKAGE = ROOT / "backlinks_assets"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
MAX_LINES = 350

BASE = "dates formatting folder paths errors postgres_url env_values"
MAY_IMPORT = {
    # What each room may import beside itself, as `room` or `room.module`. README.md says the same in words.
    "errors": "",
    "dates": "errors",
    "formatting": "",
    "postgres_url": "",
    "host": "",
    "paths": "",
    "folder": "errors",
    "cron": "errors",
    "anchor": "errors folder paths",
    "tables_url": "anchor",
    "env_values": "errors postgres_url",
    "settings": "errors anchor cron paths env_values postgres_url tables_url",
    "dataforseo": f"{BASE} host",
    "targets": f"{BASE} host dataforseo.endpoints detection.settings",
    "account": BASE,
    "store": f"{BASE} account dataforseo",
    "collect": f"{BASE} host settings account dataforseo store targets detection.metrics detection.settings simulator",
    "tables": f"{BASE} dataforseo store detection.metrics",
    "published": f"{BASE} settings tables_url tables",
    "detection": BASE,
    "incidents": f"{BASE} store.incident_verdicts tables",
    "current_incidents": f"{BASE} settings targets store collect published incidents",
    "serve": f"{BASE} settings store.incident_verdicts collect.collector published incidents current_incidents report "
    "detection.metrics",
    "due_days": f"{BASE} settings store tables",
    "evidence": f"{BASE} host settings dataforseo store collect tables",
    "probe": f"{BASE} settings dataforseo store collect tables targets",
    "backfill": f"{BASE} settings dataforseo store collect tables targets",
    "pipeline": f"{BASE} settings targets store collect tables published detection incidents due_days",
    "report": f"{BASE} settings evidence incidents.incident tables detection.metrics targets.target",  # whose it is
    "notify": f"{BASE} settings evidence targets dataforseo store collect tables incidents report detection.metrics",
    "dagster_instance": f"{BASE} settings anchor account",
    "dagster_home": "dagster_instance",
    "defs": f"{BASE} settings cron targets dataforseo store collect tables published detection pipeline due_days report notify "
    "evidence backfill dagster_instance",
    "definitions": "defs",
    "load": f"{BASE} settings targets tables published",
    "cli": f"{BASE} host settings anchor targets account dataforseo store collect tables incidents current_incidents published "
    "detection report evidence probe backfill notify serve defs definitions dagster_instance simulator.world simulator.http",
    "simulator": "",
}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def tracked() -> list[str]:
    """Return the names of the project's files, as git lists them."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=200)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@cache
def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = node.module == "backlinks_assets"  # a module at the top is imported by its name
            found.update(f"{node.module}.{alias.name}" if whole else node.module for alias in node.names)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


USES_DAGSTER = {"defs", "cli", "definitions", "dagster_home", "dagster_instance", "load"}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.medium
def test_a_room_imports_what_the_table_allows() -> None:
    wrong = []
    for path in MODULES:
        own = room(path)
        allowed = [own, *MAY_IMPORT[own].split()]
        for name in imports(path):
            package, _, rest = name.partition(".")
            known = any(rest == other or rest.startswith(other + ".") for other in allowed)
            if package == "backlinks_assets" and rest and not known:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {rest}")
    assert wrong == []


@pytest.mark.medium
def test_dagster_stays_in_its_rooms() -> None:
    uses = {room(path) for path in MODULES if any(name.split(".")[0] == "dagster" for name in imports(path))}
    assert uses <= USES_DAGSTER


@pytest.mark.medium
def test_every_module_says_what_belongs_in_it() -> None:
    assert [str(path) for path in MODULES if not ast.get_docstring(parsed(path))] == []


def test_no_two_modules_of_a_room_have_the_same_name() -> None:
    named = Counter((room(path), path.stem) for path in MODULES)
    assert [where for where, times in named.items() if times > 1] == []


@pytest.mark.parametrize("folder", [PACKAGE, TESTS, ROOT / "bench", ROOT / "examples"], ids=lambda folder: folder.name)
def test_no_file_is_longer_than_350_lines(folder: Path) -> None:
    lines = {path: path.read_text(encoding="utf-8").count("\n") for path in folder.rglob("*.py")}
    assert {str(path.relative_to(ROOT)): many for path, many in lines.items() if many > MAX_LINES} == {}


def test_what_is_to_do_is_done_or_an_issue() -> None:
    left = re.compile("TO" + r"DO\b|FIX" + r"ME\b")
    assert [name for name in tracked() if left.search((ROOT / name).read_text(encoding="utf-8", errors="ignore"))] == []


def test_package_files_are_empty() -> None:
    assert [str(path) for path in PACKAGE.rglob("__init__.py") if path.read_text(encoding="utf-8").strip()] == []


@pytest.mark.ci
@pytest.mark.slow
def test_nothing_is_made_or_read_at_import(tmp_path: Path) -> None:
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in MODULES if path.stem != "__main__"]
    code = (
        "import builtins, importlib, os, socket\n"
        "def no(*_, **__): raise AssertionError('network at import')\n"
        "socket.socket.connect = no\n"
        "before = set(os.listdir('.'))\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert set(os.listdir('.')) == before, os.listdir('.')\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr


def test_the_two_location_names_agree() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    workspace = (ROOT / "workspace.yaml").read_text(encoding="utf-8")
    assert f"location_name: {project['tool']['dagster']['code_location_name']}" in workspace
    assert f"module_name: {project['tool']['dagster']['module_name']}" in workspace


def test_no_file_names_where_packages_came_from_or_where_it_was_written() -> None:
    wrong = re.compile(rb"index-url|find-links|" + re.escape(str(ROOT).encode()) + b"/")
    for name in tracked():
        if Path(name).name != Path(__file__).name:
            assert not wrong.search((ROOT / name).read_bytes()), name


@pytest.mark.parametrize("path", sorted(TESTS.glob("*/test_*.py")), ids=lambda path: path.stem)
def test_what_a_file_makes_once_is_made_by_one_worker(path: Path) -> None:
    from scheduling import REAL_TIME, SHARED

    if re.search(r"^@pytest\.fixture\(scope=\"module\"", path.read_text(encoding="utf-8"), re.MULTILINE):
        assert SHARED.search(path.name) or REAL_TIME.search(path.name)


def test_the_tests_that_share_a_worker_are_there() -> None:
    from scheduling import REAL_TIME, SHARED

    files = [path.name for path in TESTS.glob("*/test_*.py")]
    for named in re.findall(r"\w+(?=[|)])", SHARED.pattern) + re.findall(
        r"\w+(?=[|)])", REAL_TIME.pattern.split("|over")[0]
    ):
        assert f"test_{named}.py" in files, named
