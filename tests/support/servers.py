"""Servers for the tests of more than one machine: a Postgres and an object store on loopback, real ones.

A session's tests share one of each; each test has a database, or a bucket, of its own. Where a server is not installed, the
tests that need it are skipped with the reason. In CI, which installs both, that is a failure.
"""

import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

STARTS_WITHIN_S = 120
ACCESS_KEY, SECRET_KEY = "tests-access-key", "tests-secret-key"
_S3_CONFIG = """{"identities": [{"name": "tests", "credentials": [{"accessKey": "%s", "secretKey": "%s"}],
"actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}"""


_FIRST_PORT, _PORTS_OF_A_WORKER = 10_240, 500
_next_port = itertools.count(os.getpid())  # so that two suites at once begin at different ones


def free_port(apart: int = 0) -> int:
    """Return a port on which nothing listens, nor on the one that is so far above it.

    It is used seconds later, and again after a restart. So it is below those that the system gives to servers and clients that
    ask for any, and of the ports of this worker alone.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 20
    for number in itertools.islice(_next_port, _PORTS_OF_A_WORKER):
        port = _FIRST_PORT + worker * _PORTS_OF_A_WORKER + number % _PORTS_OF_A_WORKER
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                if apart:
                    other.bind(("127.0.0.1", port + apart))
            except OSError:
                continue
            return port
    raise AssertionError("None of this worker's ports is free.")


def missing(what: str) -> None:
    """Skip the test that needs a server; in CI fail."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is not installed, and CI runs every test")
    pytest.skip(f"{what} is not installed")


def _postgres_programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


class Postgres:
    """A Postgres server of its own folder and port. Root can't run one, so it is then run as `postgres` or `nobody`."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self.as_user: list[str] = []
        if os.geteuid() == 0:
            user = next(name for name in ("postgres", "nobody") if _is_user(name))
            shutil.chown(self.folder, user)
            self.as_user = ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups"]
        self._run("initdb", "-D", str(self.data), "-U", "backlinks", "-A", "trust", "-E", "UTF8", "--no-sync")
        with (self.data / "postgresql.conf").open("a") as conf:
            # No power is cut here, and a killed server's files are in the kernel's memory: so nothing waits for a disk.
            conf.write(f"port={self.port}\nlisten_addresses='127.0.0.1'\nunix_socket_directories=''\nfsync=off\n")
            conf.write("max_connections=200\nlogging_collector=off\n")
        self.start()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://backlinks@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        self._run(
            "pg_ctl", "-D", str(self.data), "-w", "-t", str(STARTS_WITHIN_S), "-l", str(self.folder / "log"), "start"
        )

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` tells its clients, `immediate` is a crash."""
        self._run("pg_ctl", "-D", str(self.data), "-w", "-t", str(STARTS_WITHIN_S), "-m", mode, "stop")

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        import psycopg

        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
        return self.url(name)

    def remove(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            [*self.as_user, str(self.programs / program), *arguments],
            env=environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@dataclass(frozen=True)
class ObjectStore:
    """An S3 server (SeaweedFS) and the variables by which clients reach it."""

    endpoint: str

    @property
    def variables(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
        }

    def new_bucket(self) -> str:
        """Make an empty bucket and return its name."""
        import s3fs

        name = f"test-{uuid.uuid4().hex[:12]}"
        s3fs.S3FileSystem(key=ACCESS_KEY, secret=SECRET_KEY, endpoint_url=self.endpoint).mkdir(name)
        return name


@contextmanager
def object_store_of(program: Path) -> Iterator[ObjectStore]:
    """Run SeaweedFS in a folder of its own; its port for gRPC is 10,000 above that for HTTP."""
    ports = {name: free_port(10_000) for name in ("master.port", "volume.port", "filer.port", "s3.port")}
    with tempfile.TemporaryDirectory(prefix="objects-") as folder:
        config = Path(folder) / "s3.json"
        config.write_text(_S3_CONFIG % (ACCESS_KEY, SECRET_KEY))
        command = [
            str(program), "server", "-s3", f"-dir={folder}", f"-s3.config={config}", "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1", "-volume.max=1000", "-master.volumeSizeLimitMB=64", "-volume.minFreeSpace=1MiB",
            "-s3.port.iceberg=0", "-s3.port.lance=0",
            *(f"-{name}={port}" for name, port in ports.items()),
        ]  # fmt: skip
        with (Path(folder) / "log").open("wb") as log:
            server = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            store = ObjectStore(f"http://127.0.0.1:{ports['s3.port']}")
            _wait_until(lambda: bool(store.new_bucket()), lambda: (Path(folder) / "log").read_text()[-2000:])
            yield store
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait()


def _wait_until(is_up: Callable[[], bool], log: Callable[[], str]) -> None:
    end = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            if is_up():
                return
        except Exception as error:
            if time.monotonic() > end:
                raise AssertionError(f"The server is not up after {STARTS_WITHIN_S} s.\n{log()}") from error
        time.sleep(0.2)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running Postgres. A test that stops it starts it again."""
    programs = _postgres_programs()
    if programs is None:
        missing("Postgres (on Debian: apt install postgresql)")
    assert programs is not None
    server = Postgres(programs)
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """The URL of a new, empty database."""
    return postgres.new_database()


@pytest.fixture(params=["embedded", "postgres"])
def instance_place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where Dagster's instance is: in the data folder, or on Postgres."""
    place: str = request.param
    if place == "postgres":
        monkeypatch.setenv("BACKLINKS_INSTANCE_URL", request.getfixturevalue("postgres_url"))
    return place


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    program = Path(sys.executable).with_name("weed")
    if not program.exists():
        missing("SeaweedFS (make .venv/.servers)")
    with object_store_of(program) as store:
        yield store


@pytest.fixture
def bucket(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new, empty bucket's `s3://` URL; the environment has the keys to it."""
    for name, value in object_store.variables.items():
        monkeypatch.setenv(name, value)
    return f"s3://{object_store.new_bucket()}"
