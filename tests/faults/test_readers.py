"""What a SQL client that opens the DuckDB file for writing, as most do unless told otherwise, can do to its readers: nothing.

Modes stop it where it is not root; root (a container, and these tests on most machines) it does not stop, so that what
such a client leaves beside the file is removed.
"""

import datetime as dt
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import commands
import dagster as dg
import duckdb
import pyarrow as pa
import pytest

from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.paths import duckdb_path
from backlinks_assets.settings import Settings
from backlinks_assets.tables import duckdb_sync
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.client_logs import client_logs, remove_client_logs
from backlinks_assets.tables.duckdb_sync import reading, sync
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
DAY = dt.date(2026, 3, 14)
LINKS = "referring_links"
NOBODY = 65534


def keep_links(root: Path, rows: int, day: dt.date = DAY) -> None:
    """Write a day of `referring_links`."""
    row = {"target": "a.com", "status_type": "live", "dimension": "tld", "links": 1, "simulated": False}
    rows_of_day = [row | {"key": str(number)} for number in range(rows)]
    write_day(root, LINKS, day, pa.Table.from_pylist(rows_of_day, schema=TABLES[LINKS].parquet_schema))


def count(root: Path) -> int:
    with reading(root) as connection:
        return connection.execute(f"SELECT count(*) FROM {LINKS}").fetchall()[0][0]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class Client:
    """A SQL client in a process of its own, with the file open for writing."""

    def __init__(self, file: Path) -> None:
        code = (
            "import duckdb, sys\nconnection = duckdb.connect(sys.argv[1])\nprint('open', flush=True)\n"
            "for line in sys.stdin:\n    connection.execute(line)\n    print('done', flush=True)\n"
        )
        command = [sys.executable, "-c", code, str(file)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._heard()

    def runs(self, statement: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(statement + "\n")
        self._process.stdin.flush()
        self._heard()

    def ends(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0

    def is_killed(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _heard(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline()


@pytest.fixture
def client() -> Iterator[Callable[[Path], Client]]:
    """Open the file in clients that modes do not stop, as they do not stop root; they are gone at the end."""
    clients: list[Client] = []

    def opened(file: Path) -> Client:
        file.chmod(mode(file) | stat.S_IWUSR)
        clients.append(Client(file))
        return clients[-1]

    yield opened
    for one in clients:
        one.is_killed()


@contextmanager
def as_nobody() -> Iterator[Path]:
    """Give a folder of a user whom modes stop, and be that user; where these tests run as such a user, they are it."""
    root_runs = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:
        if root_runs:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            if root_runs:
                os.seteuid(0)


# --- modes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("umask", "published"), [(0o022, 0o444), (0o077, 0o400), (0o027, 0o440)])
def test_the_file_is_published_read_only_by_whom_the_umask_lets_read(
    tmp_path: Path, umask: int, published: int
) -> None:
    before = os.umask(umask)
    try:
        for rows in (1, 2, 3):
            keep_links(tmp_path, rows)
            assert sync(tmp_path).changed
            assert mode(duckdb_path(tmp_path)) == published
    finally:
        os.umask(before)
    assert count(tmp_path) == 3


def test_a_user_whom_modes_stop_publishes_day_after_day_and_no_client_of_his_opens_it_for_writing(tmp_path) -> None:
    keep_links(tmp_path, 1)
    sync(tmp_path)  # what is imported at need is, before the folder of the interpreter is out of reach
    with as_nobody() as root:
        for rows in (1, 2, 3):
            keep_links(root, rows)
            sync(root)
            keep_links(root, rows + 10)
            assert not sync(root).rebuilt  # a copy that could not be written would be built anew each day
        with pytest.raises(duckdb.IOException, match="Permission denied"):
            duckdb.connect(str(duckdb_path(root)))
        assert count(root) == 13


# --- logs -------------------------------------------------------------------------------------------------------------


def publish_again(settings: Settings) -> None:
    sync(settings.root)


def publish_a_day(settings: Settings) -> None:
    keep_links(settings.root, 5, DAY + dt.timedelta(days=1))
    sync(settings.root)
    (settings.root / "parquet" / LINKS / f"date={DAY + dt.timedelta(days=1)}" / f"{LINKS}.parquet").unlink()
    sync(settings.root)


def look_for_targets(settings: Settings) -> None:
    repository = build_defs().get_repository_def()
    with dg.instance_for_test() as instance:
        context = dg.build_sensor_context(
            instance=instance, repository_def=repository, resources={"backlinks_data": BacklinksData()}
        )
        repository.get_sensor_def("targets_sensor").evaluate_tick(context)


def ask_the_doctor(settings: Settings) -> None:
    assert settings.root.exists()
    (finding,) = [one for one in commands.command("doctor", "--json").summary["checks"] if one["check"] == "readers"]
    assert finding["state"] == "note"
    assert "backlinks.duckdb.wal was removed" in finding["says"]


WAYS = [publish_again, publish_a_day, look_for_targets, ask_the_doctor]


@pytest.mark.first
@pytest.mark.parametrize("ends", [Client.ends, Client.is_killed])
@pytest.mark.parametrize("frees", WAYS)
def test_a_client_that_saves_after_a_publication_shuts_nobody_out(settings, client, frees, ends) -> None:
    keep_links(settings.root, 10)
    sync(settings.root)
    one = client(settings.duckdb_file)
    keep_links(settings.root, 20)
    sync(settings.root)
    one.runs("CREATE VIEW mine AS SELECT 1")
    with pytest.raises(TablesError, match="WAL"):
        count(settings.root)
    frees(settings)
    assert count(settings.root) == 20
    ends(one)
    assert count(settings.root) == 20
    assert not client_logs(settings.duckdb_file)


@pytest.mark.first
@pytest.mark.parametrize("frees", WAYS)
def test_what_a_client_goes_on_to_save_is_never_taken_for_the_new_files(settings, client, frees) -> None:
    """The new file is a copy, with the identity of the old one: after a checkpoint DuckDB takes the client's log for its own."""
    keep_links(settings.root, 10)
    sync(settings.root)
    one = client(settings.duckdb_file)
    keep_links(settings.root, 20)
    sync(settings.root)
    for number in range(3):
        one.runs(f"INSERT INTO {LINKS} SELECT * FROM {LINKS}")
        assert client_logs(settings.duckdb_file)
        frees(settings)
        assert not client_logs(settings.duckdb_file)
        assert count(settings.root) == 20, number
        one.runs("CHECKPOINT")
    one.ends()
    assert count(settings.root) == 20


def test_what_a_client_saves_while_the_next_file_is_being_made_does_not_end_beside_it(
    settings, client, monkeypatch
) -> None:
    keep_links(settings.root, 10)
    sync(settings.root)
    one = client(settings.duckdb_file)
    update = duckdb_sync._update

    def slowly(*arguments: Any) -> Any:
        one.runs("CREATE VIEW mine AS SELECT 1")
        assert client_logs(settings.duckdb_file)
        return update(*arguments)

    monkeypatch.setattr(duckdb_sync, "_update", slowly)
    keep_links(settings.root, 20)
    assert sync(settings.root).changed
    assert not client_logs(settings.duckdb_file)
    assert count(settings.root) == 20


@pytest.mark.first
@pytest.mark.parametrize("frees", WAYS)
def test_what_a_killed_client_changed_in_the_published_file_is_not_shown(settings, client, frees) -> None:
    keep_links(settings.root, 10)
    sync(settings.root)
    one = client(settings.duckdb_file)
    one.runs(f"DELETE FROM {LINKS}")
    one.is_killed()
    assert count(settings.root) == 0  # the log is read with the file
    frees(settings)
    assert count(settings.root) == 10


def test_a_client_that_has_the_published_file_open_for_writing_is_named_and_gone_with_the_next_publication(
    settings, client
) -> None:
    keep_links(settings.root, 10)
    sync(settings.root)
    one = client(settings.duckdb_file)
    with pytest.raises(TablesError, match="lock"):
        count(settings.root)
    (finding,) = [c for c in commands.command("doctor", "--json").summary["checks"] if c["check"] == "readers"]
    assert finding["state"] == "note"
    assert "Close the program that has it open for writing" in finding["says"]
    sync(settings.root)
    assert count(settings.root) == 10
    one.runs(f"DELETE FROM {LINKS}")
    one.ends()
    assert not sync(settings.root).changed
    assert count(settings.root) == 10


@pytest.mark.parametrize("name", ["wal", "wal.checkpoint", "wal.recovery"])
def test_every_kind_of_log_is_removed_and_nothing_else(tmp_path: Path, name: str) -> None:
    file = tmp_path / "backlinks.duckdb"
    others = [
        tmp_path / other for other in ("backlinks.duckdb", "other.duckdb.wal", "backlinks.wal", "responses.sqlite-wal")
    ]
    for path in (*others, tmp_path / f"backlinks.duckdb.{name}"):
        path.touch()
    assert remove_client_logs(file) == [f"backlinks.duckdb.{name}"]
    assert sorted(tmp_path.iterdir()) == sorted(others)
    assert remove_client_logs(file) == []


# --- what the docs tell people to write -------------------------------------------------------------------------------

READ_ONLY = {
    r"duckdb\.connect\([^)]*backlinks\.duckdb[^)]*\)": "read_only=True",
    r"\bduckdb (?:-\w+ )*[\w/.]*backlinks\.duckdb": "-readonly",
    r"ATTACH [^`;]*backlinks\.duckdb[^`;]*": "READ_ONLY",
    r"jdbc:duckdb:[^`]*`[^|]*": "duckdb.read_only",
    r"create_engine\([^`]*backlinks\.duckdb[^`]*": '"read_only": True',
}


def test_every_way_to_open_the_file_that_is_written_anywhere_is_read_only() -> None:
    pages = [
        ROOT / "README.md",
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("examples/**/*.py"),
        *ROOT.glob("examples/*.ipynb"),
    ]
    found = []
    for page in pages:
        text = page.read_text(encoding="utf-8").replace('\\"', '"')
        for pattern, words in READ_ONLY.items():
            for match in re.finditer(pattern, text):
                found.append(pattern)
                assert words in match[0], f"{page.name}: {match[0]}"
    assert set(found) == set(READ_ONLY)
