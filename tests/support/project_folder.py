"""A folder laid out as the project's own, in which the examples of the docs are run as a user types them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import commands
from pages import ROOT

DEMO_DAYS = 9


def lay_out_project(folder: Path) -> None:
    """Lay out the project with data of its own: some days of the sample targets, as `make demo` makes sixty days."""
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


def shell(folder: Path, text: str, **environment: str) -> commands.Ended:
    """Run shell commands in a folder, each only if those before it went well."""
    done = subprocess.run(
        ["sh", "-e", "-c", text], cwd=folder, env=plain(**environment), capture_output=True, text=True, timeout=500
    )
    return commands.Ended.of(done.returncode, done.stdout, done.stderr)


def plain(**environment: str) -> dict[str, str]:
    """Return the environment without the project's variables and those of the make that runs the tests, but for those given."""
    prefixes = ("DATAFORSEO_", "BACKLINKS_", "DAGSTER_", "MAKE", "MFLAGS", "WORKERS")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)} | environment
