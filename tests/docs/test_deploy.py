"""The systemd units, started as plain processes on a copy: both services and the command meet on one instance."""

import json
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import commands
import pytest

ROOT = Path(__file__).parents[2]
INSTALLED = "/opt/backlinks"
UNITS = sorted((ROOT / "deploy").glob("*.service"))
HEALTH = "{instance{daemonHealth{allDaemonStatuses{daemonType healthy required}}}}"
RUNS = (
    "{runsOrError{... on Runs{results{jobName status}}} repositoriesOrError{... on RepositoryConnection{nodes{name}}}}"
)


@dataclass
class Unit:
    """What a unit file says of its process."""

    options: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Unit":
        unit = cls()
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and line[0] not in "#[":
                name, _, value = line.partition("=")
                unit.options.setdefault(name, []).append(value)
        return unit

    def environment(self) -> dict[str, str]:
        """Systemd starts a service with hardly more than this."""
        pairs = [pair for value in self.options["Environment"] for pair in shlex.split(value)]
        return {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", **dict(pair.split("=", 1) for pair in pairs)}

    def command(self) -> list[str]:
        (line,) = self.options["ExecStart"]
        return shlex.split(line)


def moved(text: str, home: Path) -> str:
    return text.replace(INSTALLED, str(home))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A copy of what an installation has in its folder; its `.env` names another data folder than the default."""
    home = tmp_path / "opt"
    home.mkdir()
    for name in ("dagster.yaml", "workspace.yaml"):
        (home / name).write_bytes((ROOT / name).read_bytes())
    (home / ".venv").symlink_to(sys.prefix)
    (home / ".env").write_text("BACKLINKS_DATA_DIR=kept\n")
    (home / "kept").mkdir()
    (home / "kept" / "targets.csv").write_text("target\nshop1.example\n")
    return home


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def started(unit: Unit, home: Path, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a unit's process from a folder of its own; the packages are this test's."""
    folder.mkdir()
    environment = {name: moved(value, home) for name, value in unit.environment().items()}
    words = [str(port) if word == "3000" else moved(word, home) for word in unit.command()]
    log = folder.with_suffix(".log").open("wb")
    own = subprocess.Popen(
        words, cwd=folder, env={**environment, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log, start_new_session=True
    )
    try:
        yield own
    finally:
        own.terminate()
        try:
            own.wait(30)
        except subprocess.TimeoutExpired:
            own.kill()
            own.wait()
        log.close()


def ask(port: int, query: str) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]
    except OSError:
        return None


def wait_for_answer(port: int, query: str, good: Any, seconds: float = 150) -> Any:
    end = time.monotonic() + seconds
    while not ((found := ask(port, query)) and good(found)):
        assert time.monotonic() < end, found
        time.sleep(0.5)
    return found


def all_healthy(found: Any) -> bool:
    daemons = found["instance"]["daemonHealth"]["allDaemonStatuses"]
    return all(one["healthy"] for one in daemons if one["required"])


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.ci
def test_services_and_command_started_anywhere_meet_on_one_instance(home: Path, tmp_path: Path) -> None:
    port = free_port()
    with ExitStack() as stack:
        for path in UNITS:
            stack.enter_context(started(Unit.read(path), home, tmp_path / path.stem, port))
        wait_for_answer(port, HEALTH, all_healthy)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        done = subprocess.run(
            [home / ".venv/bin/backlinks", "run"],
            cwd=elsewhere,
            env={"PATH": "/usr/bin:/bin", "DAGSTER_HOME": str(home), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=commands.PATIENCE_S,
        )
        assert done.returncode == 0, done.stderr
        found = wait_for_answer(port, RUNS, lambda found: len(found["runsOrError"]["results"]) >= 2)
    assert {"collect_job", "publish_job"} <= {run["jobName"] for run in found["runsOrError"]["results"]}
    assert [node["name"] for node in found["repositoriesOrError"]["nodes"]] == ["__repository__"]
    assert (home / "kept/demo/responses.sqlite").exists()
    assert (home / "kept/demo/dagster/history/runs.db").exists()
    assert not (home / "data").exists()
    assert [path for folder in (*UNITS, elsewhere) for path in files_below(tmp_path / folder.stem)] == []


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_has_what_keeps_it_up_and_apart(path: Path) -> None:
    options = Unit.read(path).options
    assert options["Restart"] == ["always"]
    assert options["User"] not in (["root"], ["0"])
    assert options["ReadWritePaths"] == [f"{INSTALLED}/data"]
    assert Unit.read(path).environment()["DAGSTER_HOME"] == INSTALLED
    assert int(options["TimeoutStopSec"][0]) > 135
    assert Path(Unit.read(path).command()[0]).name in {"dagster-daemon", "dagster-webserver"}
