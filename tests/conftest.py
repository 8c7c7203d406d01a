"""What the tests share: a clean environment, a data folder, a stand-in for the API that behaves as it does."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backlinks_assets.settings import Settings
from backlinks_assets.simulator.faults import Fault
from backlinks_assets.simulator.server import Simulator

PREFIXES = ("BACKLINKS_", "DATAFORSEO_", "DAGSTER_")


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No variable of the machine reaches a test, no test writes outside its own folder, no `.env` is found."""
    import os

    for name in list(os.environ):
        if name.startswith(PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BACKLINKS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


Api = Callable[..., Simulator]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """Start a server that stands for the real API, and point the environment at it.

    It answers without the simulator's path and header, so that the project takes its answers for real ones.
    """
    started: list[Simulator] = []

    def start(*faults: Fault, **knobs: object) -> Simulator:
        server = Simulator(as_real=True, faults=faults, **knobs).start()
        started.append(server)
        monkeypatch.setenv("DATAFORSEO_BASE_URL", server.url)
        monkeypatch.setenv("DATAFORSEO_LOGIN", "someone@example.com")
        monkeypatch.setenv("DATAFORSEO_PASSWORD", "s3cret-passphrase")
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def write_targets(clean_environment: Path) -> Callable[..., Path]:
    """Write a targets file into the data folder."""

    def write(*lines: str, header: str = "target") -> Path:
        clean_environment.mkdir(parents=True, exist_ok=True)
        path = clean_environment / "targets.csv"
        path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def settings(clean_environment: Path) -> Settings:
    return Settings.from_env()
