"""Dagster's instance on a real Postgres: a whole day is recorded there, the password nowhere, few connections are held."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, Self

import commands
import dagster as dg
import psycopg
import pytest
import sqlalchemy as sa
from pages import ROOT

from backlinks_assets.cli.doctor.instance import instance as doctors_look
from backlinks_assets.dagster_instance.connections import HELD_OPEN, MAX_AT_ONCE
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.runs import MAX_RUNTIME_S
from backlinks_assets.settings import Settings

pytestmark = pytest.mark.slow

PASSWORD = "pa-ssw0rd-of-the-1nstance"
NAMES = [f"shop{number:02d}.example" for number in range(5)]
RESPONSES = dg.AssetKey("summary_responses")


@pytest.fixture
def url(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database, which is the instance of this test's environment, with a password (the server takes any)."""
    monkeypatch.setenv("BACKLINKS_INSTANCE_URL", postgres_url.replace("backlinks@", f"backlinks:{PASSWORD}@"))
    return postgres_url


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def dump(url: str) -> Iterator[str]:
    """Every row of every table, as text."""
    for schema, table in rows(
        url, "SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^pg_|^information'"
    ):
        for row in rows(url, f'SELECT t::text FROM "{schema}"."{table}" t'):
            yield str(row)


def dagster(*arguments: str, home: os.PathLike[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dagster", *arguments]
    environment = {**os.environ, "DAGSTER_HOME": str(home), "PYTHONWARNINGS": "ignore"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.ci
def test_a_day_is_recorded_in_the_database_and_the_password_nowhere(api, write_targets, tmp_path, url) -> None:
    server = api()
    write_targets(*NAMES)
    first, again = commands.command("run", "--json"), commands.command("run", "--json")
    assert (first.status, first.err, first.summary["failed"]) == (0, "", [])
    assert (again.summary["reused"], again.summary["calls"]) == (len(NAMES), 0)
    settings = Settings.from_env()
    with open_instance(settings) as instance:
        runs = instance.get_runs()
        assert {run.status for run in runs} == {dg.DagsterRunStatus.SUCCESS}
        assert {run.job_name for run in runs} == {"collect_job", "publish_job"}
        assert {run.tags["dagster/max_runtime"] for run in runs} == {str(MAX_RUNTIME_S)}
        assert len({run.tags["backlinks/host"] for run in runs}) == 1
        assert len(instance.get_materialized_partitions(RESPONSES)) == len(NAMES)
    assert not (settings.dagster_dir / "history").exists()
    doctor = commands.command("doctor", "--json")
    says = {check["check"]: check["says"] for check in doctor.summary["checks"]}
    assert f"by Postgres {rows(url, 'SHOW server_version')[0][0].split()[0]} at 127.0.0.1:" in says["dagster"]  # type: ignore[attr-defined]
    assert says["dagster"].count(f": {len(runs)} runs") == 1

    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text(encoding="utf-8"))
    shown = dagster("instance", "info", home=tmp_path)
    assert "PostgresRuns" in shown.stdout, shown.stderr
    assert server.calls
    said = [shown.stdout, shown.stderr, *(text for ended in (first, again, doctor) for text in (ended.out, ended.err))]
    assert not [text for text in (*said, *dump(url), repr(settings)) if PASSWORD in text]
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and PASSWORD.encode() in file.read_bytes()]


def test_simulated_answers_have_a_schema_of_their_own_in_the_same_database(settings, url, api) -> None:
    with open_instance(Settings.from_env()) as simulated:  # no credentials
        simulated.add_dynamic_partitions("targets", ["simulated.example"])
    api()
    with open_instance(Settings.from_env()) as real:
        assert real.get_dynamic_partitions("targets") == []
    schemas = rows(url, "SELECT schemaname FROM pg_tables WHERE tablename = 'event_logs' ORDER BY 1")
    assert schemas == [("public",), ("simulated",)]


@pytest.mark.ci
def test_the_doctor_makes_nothing_and_says_which_database_could_not_be_reached(
    monkeypatch, url, api, write_targets
) -> None:
    api()
    write_targets(*NAMES)
    says = doctors_look(Settings.from_env()).says
    assert says.startswith("runs are recorded by Postgres ")
    assert rows(url, "SELECT count(*) FROM pg_tables WHERE tablename = 'runs'") == [(0,)]
    monkeypatch.setenv("BACKLINKS_INSTANCE_URL", f"postgresql://backlinks:{PASSWORD}@127.0.0.1:1/dagster")
    patches = {"dagster_instance.connections.MAX_WAIT_S": 0.5}
    for call in (["doctor"], ["run"]):
        ended = commands.start(*call, patches=patches).end()
        assert ended.status == 1
        assert (
            "Dagster's database, 127.0.0.1:1/dagster (BACKLINKS_INSTANCE_URL), could not be reached"
            in ended.out + ended.err
        )
        assert PASSWORD not in ended.out + ended.err
        assert "Traceback" not in ended.out + ended.err


def test_a_user_without_rights_and_a_database_that_is_missing_are_told_at_once(
    monkeypatch, url, postgres, api, write_targets
) -> None:
    api()
    write_targets(*NAMES)
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS stranger")
        connection.execute("CREATE ROLE stranger LOGIN")
    as_stranger = url.replace("backlinks@", f"stranger:{PASSWORD}@")
    refused = {as_stranger: "permission denied", as_stranger + "x": "does not exist"}
    for wrong, why in refused.items():
        monkeypatch.setenv("BACKLINKS_INSTANCE_URL", wrong)
        ended = commands.command("run")
        assert (ended.status, why in ended.err) == (2, True), ended.err
        assert "(BACKLINKS_INSTANCE_URL), refused: " in ended.err
        assert PASSWORD not in ended.err
        assert "Traceback" not in ended.err


def test_processes_that_begin_at_once_on_an_empty_database_make_it_once(url) -> None:
    opening = [commands.opening() for _ in range(4)]
    assert [(ended.status, ended.err) for ended in (process.end() for process in opening)] == [(0, "")] * 4


class Opened:
    """Counts this process's connections to a database. The server still shows for a while those that were closed."""

    def __init__(self, database: str) -> None:
        self.database, self.now, self.most = database, 0, 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        sa.event.listen(sa.pool.Pool, "connect", self._connect)
        sa.event.listen(sa.pool.Pool, "close", self._close)
        return self

    def __exit__(self, *_: object) -> None:
        sa.event.remove(sa.pool.Pool, "connect", self._connect)
        sa.event.remove(sa.pool.Pool, "close", self._close)

    def _connect(self, connection: Any, _record: object) -> None:
        self._count(connection, 1)

    def _close(self, connection: Any, _record: object) -> None:
        self._count(connection, -1)

    def _count(self, connection: Any, change: int) -> None:
        if f" dbname={self.database} " in f" {getattr(connection, 'dsn', '')} ":
            with self._lock:
                self.now += change
                self.most = max(self.most, self.now)


def test_a_process_holds_few_connections_and_a_forked_child_has_its_own(url, postgres, settings) -> None:
    database = url.rpartition("/")[2]
    in_use = (
        f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'backlinks_assets' AND datname = '{database}'"
    )

    def work() -> None:
        for _ in range(20):
            instance.get_runs_count()

    with Opened(database) as opened, open_instance(settings) as instance, open_instance(settings) as other:
        threads = [threading.Thread(target=work) for _ in range(25)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 0 < opened.most <= MAX_AT_ONCE
        other.get_runs_count()
        commands.wait_for(lambda: int(str(rows(postgres.url(), in_use)[0][0])) <= HELD_OPEN)
        child = os.fork()
        if not child:
            try:
                instance.add_dynamic_partitions("targets", [f"child{number}.example" for number in range(50)])
            finally:
                os._exit(0)
        for _ in range(50):
            assert instance.get_runs_count() == 0
        os.waitpid(child, 0)
        assert instance.get_runs_count() == 0
        assert len(instance.get_dynamic_partitions("targets")) == 50


@pytest.mark.ci
def test_the_default_imports_nothing_of_postgres(settings) -> None:
    code = (
        "import sys\nfrom backlinks_assets.dagster_instance.home import open_instance\n"
        "from backlinks_assets.settings import Settings\nimport backlinks_assets.definitions\n"
        "with open_instance(Settings.from_env()): pass\n"
        "print([name for name in sys.modules if name.partition('.')[0] in {'dagster_postgres', 'psycopg2', 'psycopg'}])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
