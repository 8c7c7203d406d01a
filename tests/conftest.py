"""What the tests share: a clean environment, a data folder, a stand-in for the API that behaves as it does, Dagster."""

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import hypothesis
import pytest
import revisions  # noqa: F401 - does its work
from accounts import account, account_url, place  # noqa: F401 - fixtures
from dagster._core.storage.defs_state.base import DefsStateStorage
from faults import Fault
from project_folder import lay_out_project
from scheduling import Scheduling
from servers import bucket, instance_place, object_store, postgres, postgres_url  # noqa: F401 - fixtures
from simulated_api import SimulatedApi
from stores import each_store, over_both, store_database, store_place  # noqa: F401 - fixtures
from team import hook, team  # noqa: F401 - fixtures

from backlinks_assets.settings import Settings

if TYPE_CHECKING:
    from serving import Site

PREFIXES = ("BACKLINKS_", "DATAFORSEO_", "DAGSTER_")
RUN_DAGSTER = {"instance", "project"}
"""Fixtures whose tests have runs."""
SERVERS = {"api", "bucket", "each_store", "machines", "object_store", "postgres", "postgres_url"}
"""Fixtures whose tests have a server or a store of their own."""
MEMORY, ROOM_BYTES = Path("/dev/shm"), 4_000_000_000

ON_POSTGRES_TOO = {"test_ledger.py", "test_account_both.py"}
"""Of what is tested over each kind of database, the files whose Postgres half is not left to CI."""

ONE_CASE_ON_POSTGRES = {"test_answers_kept.py"}
"""Files whose cases are shapes of an answer, which no database knows: over Postgres the first case of each test is run."""

_latest_storage = DefsStateStorage.get


def _storage_of_a_living_instance() -> DefsStateStorage | None:
    """Dagster remembers the instance that was opened last. A context of an earlier test that is closed when its memory is
    freed, in the middle of another test, makes that a dead one.
    """
    storage = _latest_storage()
    return storage if storage is not None and storage._instance_weakref and storage._instance_weakref() else None


DefsStateStorage.get = _storage_of_a_living_instance

hypothesis.settings.register_profile("tests", deadline=None)  # a busy machine is no fault
hypothesis.settings.load_profile("tests")


def pytest_configure() -> None:
    """Put temporary folders in memory, where there is room: thousands of commits would wait for the disk.

    Nothing here could lose the machine's power; what a killed process leaves is the same in memory as on a disk.
    What runs in the background of a shell ignores Ctrl-C, and so would all that tests start and stop by it: this undoes that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    there = os.statvfs(MEMORY)
    if there.f_bavail * there.f_frsize >= ROOM_BYTES and not there.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # so that it is looked up again


def pytest_collection_finish() -> None:
    """Leave what stays to the end, packages and thousands of tests, out of each later search for garbage."""
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    over_both(metafunc)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    return Scheduling(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Know a test's size by its fixtures, and start the slow ones first: no worker is left alone with one at the end."""
    begun, on_postgres = set[str](), set[str]()
    items[:] = [
        item
        for item in items
        if not (
            item.path.name in ONE_CASE_ON_POSTGRES and _is_on_postgres(item) and _is_further_case(item, on_postgres)
        )
    ]
    for item in items:
        fixtures = getattr(item, "fixturenames", [])
        if not RUN_DAGSTER.isdisjoint(fixtures):
            item.add_marker("slow")
        elif not SERVERS.isdisjoint(fixtures):
            item.add_marker("medium")
        if "project" in fixtures or (item.path.name not in ON_POSTGRES_TOO and _is_on_postgres(item)):
            item.add_marker("ci")  # of the docs' examples too: the demo that they need is long
        if item.get_closest_marker("first") and _is_further_case(item, begun):
            item.add_marker("ci")
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def _is_further_case(item: pytest.Item, begun: set[str]) -> bool:
    """Whether a case of the same test came before, of those that were asked about with the same set."""
    test = item.nodeid.partition("[")[0]
    is_further = test in begun
    begun.add(test)
    return is_further


def _is_on_postgres(item: pytest.Item) -> bool:
    """Whether it is the Postgres half of a test over each kind of database."""
    given = getattr(item, "callspec", None)
    return given is not None and "postgres" in (
        given.params.get(name) for name in ("each_store", "place", "instance_place")
    )


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No variable of the machine reaches a test, no test writes outside its own folder, no `.env` is found."""
    for name in list(os.environ):
        if name.startswith(PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BACKLINKS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


Api = Callable[..., SimulatedApi]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """Start a server that stands for the real API, and point the environment at it.

    It answers without the simulator's path and header, so that the project takes its answers for real ones.
    """
    started: list[SimulatedApi] = []

    def start(*faults: Fault, **knobs: object) -> SimulatedApi:
        server = SimulatedApi(as_real=True, faults=faults, **knobs).start()
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


@pytest.fixture
def ids(settings: Settings) -> list[str]:
    """The IDs of two incidents of today that `backlinks serve` has to show, with a report of them."""
    from serving import put_incidents

    return put_incidents(settings, "shop.example", "blog.example")


@pytest.fixture
def site(settings: Settings, ids: list[str]) -> Iterator["Site"]:
    """`backlinks serve` at work over these."""
    from serving import serving

    with serving(settings) as found:
        yield found


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's folder with a demo of a few days, as the docs' examples find it; they go on from what others did."""
    folder = tmp_path_factory.mktemp("project")
    lay_out_project(folder)
    return folder


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which Dagster has made its tables, to be copied: that is quicker than their making."""
    folder = tmp_path_factory.mktemp("dagster")
    with dg.instance_for_test(temp_dir=str(folder), overrides=storage_in(folder)):
        return folder


@pytest.fixture
def used_folder(clean_environment: Path, made_home: Path) -> None:
    """Let Dagster's files be in the data folder already, as after a first command: their making is a fifth of a day's CPU."""
    shutil.copytree(made_home, clean_environment / "dagster", ignore=shutil.ignore_patterns("dagster.yaml", "*.lock"))


@pytest.fixture
def instance(tmp_path: Path, made_home: Path) -> Iterator[dg.DagsterInstance]:
    """An instance with the project's storage, in the test's folder, in which nothing has run."""
    shutil.copytree(made_home, tmp_path, dirs_exist_ok=True)
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides=storage_in(tmp_path)) as instance:
        yield instance


def storage_in(folder: Path) -> dict[str, object]:
    """The project's storage in a folder, without what steps print: keeping that takes four processes a step."""
    own = {"module": "backlinks_assets.dagster_home", "class": "ProjectStorage", "config": {"base_dir": str(folder)}}
    none = {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager", "config": {}}
    return {"storage": {"custom": own}, "compute_logs": none}
