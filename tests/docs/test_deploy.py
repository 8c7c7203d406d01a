"""The systemd units, started as plain processes on a copy: all services and the command meet on one instance."""

import shlex
import socket
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import commands
import pytest
import requests
from servers import free_port
from services import HEALTH, ROOT, all_healthy, started, wait_for_answer

INSTALLED = "/opt/backlinks"
UNITS = sorted((ROOT / "deploy").glob("*.service"))
ON_ONE_MACHINE = [path for path in UNITS if path.stem != "backlinks-collector"]
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


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.ci
@pytest.mark.timeout(900)
def test_services_and_command_started_anywhere_meet_on_one_instance(home: Path, tmp_path: Path) -> None:
    port, pages = free_port(), free_port()
    ports = {"3000": str(port), "8787": str(pages)}
    with ExitStack() as stack:
        for path in ON_ONE_MACHINE:
            unit = Unit.read(path)
            words = [ports.get(word, moved(word, home)) for word in unit.command()]
            environment = {name: moved(value, home) for name, value in unit.environment().items()}
            stack.enter_context(started(words, tmp_path / path.stem, environment))
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
        commands.wait_for(lambda: listens(pages), commands.PATIENCE_S)
        shown = requests.get(f"http://127.0.0.1:{pages}/", timeout=commands.PATIENCE_S)
        assert (shown.status_code, shown.url) == (200, f"http://127.0.0.1:{pages}/index.html")
    assert {"collect_job", "publish_job"} <= {run["jobName"] for run in found["runsOrError"]["results"]}
    assert [node["name"] for node in found["repositoriesOrError"]["nodes"]] == ["__repository__"]
    assert (home / "kept/demo/responses.sqlite").exists()
    assert (home / "kept/demo/dagster/history/runs.db").exists()
    assert not (home / "data").exists()
    assert [path for folder in (*ON_ONE_MACHINE, elsewhere) for path in files_below(tmp_path / folder.stem)] == []


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_has_what_keeps_it_up_and_apart(path: Path) -> None:
    options = Unit.read(path).options
    assert options["Restart"] == ["always"]
    assert options["User"] not in (["root"], ["0"])
    assert options["ReadWritePaths"] == [f"{INSTALLED}/data"]
    assert Unit.read(path).environment()["DAGSTER_HOME"] == INSTALLED
    program = Path(Unit.read(path).command()[0]).name
    assert program in {"backlinks", "dagster-daemon", "dagster-webserver", "dagster"}
    assert program == "backlinks" or int(options["TimeoutStopSec"][0]) > 135  # what a run waits for at most
