"""What `make` runs, and the UI that opens on the demo, as the docs say."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pages import PAGES, code_of, of_kind
from project_folder import DEMO_DAYS, plain, shell
from servers import free_port
from services import wait_for_answer

MAKE_RUNS = {
    "demo": ".venv/bin/backlinks demo",  # sixty days; the fixture `project` runs the same with fewer
    "test": '.venv/bin/python -m pytest -n 4 -m "not ci"',  # this very run
    "test-quick": '-m "not ci and not slow and not medium"',
    "coverage": "--cov-fail-under=",
    "test-ci": ".venv/bin/python -m pytest -n 5",
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
@pytest.mark.timeout(900)
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
            process.wait(120)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what did not end by itself
            process.wait()


def locations(port: int, output: Path) -> set[str]:
    """Wait until the UI is there and has loaded its code locations; return their names."""
    query = "{workspaceOrError{... on Workspace{locationEntries{name loadStatus locationOrLoadError{__typename}}}}}"

    def are_loaded(found: Any) -> bool:
        entries = found["workspaceOrError"]["locationEntries"]
        return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)

    try:
        entries = wait_for_answer(port, query, are_loaded)["workspaceOrError"]["locationEntries"]
    except AssertionError as error:
        raise AssertionError(output.read_text(encoding="utf-8")) from error
    assert {entry["locationOrLoadError"]["__typename"] for entry in entries} == {"RepositoryLocation"}
    return {entry["name"] for entry in entries}


def days_of(port: int, asset: str) -> int:
    """Return the number of days that the UI shows as materialized."""
    query = f'{{assetNodes(assetKeys:[{{path:["{asset}"]}}]){{partitionStats{{numMaterialized}}}}}}'
    found = wait_for_answer(port, query, lambda found: found["assetNodes"])
    return int(found["assetNodes"][0]["partitionStats"]["numMaterialized"])
