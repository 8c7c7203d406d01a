"""A full disk, a folder that can't be written, a store that is locked or damaged: nothing is paid that can't be kept.

Each ends with a sentence and status 1, and the next run goes on once the cause is gone.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import commands
import pytest
import sqlalchemy as sa
from simulated_api import PRICE_USD

from backlinks_assets.collect.factory import open_store
from backlinks_assets.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def names(count: int) -> list[str]:
    return [f"shop{number:03d}.example" for number in range(count)]


def kept() -> int:
    with open_store(Settings.from_env()) as store:
        return len(store.stored_keys([commands.today()]))


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data folder on a file system of its own, of 100 MiB in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", disk]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    monkeypatch.setenv("BACKLINKS_DATA_DIR", str(disk / "data"))
    (disk / "data").mkdir()
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.ci
def test_on_a_disk_with_too_little_room_no_call_is_made_and_room_lets_it_go_on(api, small_disk: Path) -> None:
    server = api()
    (small_disk / "data/targets.csv").write_text("\n".join(["target", *names(3)]) + "\n")
    (small_disk / "others-files").write_bytes(bytes(45 << 20))
    ended = commands.command("run", "--json")
    assert ended.status == 1
    assert "MiB are free" in ended.err
    assert "Free some space and run again" in ended.err
    assert "Traceback" not in ended.err
    assert server.calls == []
    (small_disk / "others-files").unlink()
    assert commands.command("run").status == 0
    assert server.spent_usd == pytest.approx(6 * PRICE_USD)


def test_a_disk_that_is_wholly_full_is_told_before_any_call(api, small_disk: Path) -> None:
    server = api()
    (small_disk / "data/targets.csv").write_text("\n".join(["target", *names(3)]) + "\n")
    try:
        with (small_disk / "others-files").open("wb") as file:
            while True:
                file.write(bytes(1 << 20))
    except OSError:
        pass
    ended = commands.command("run")
    assert ended.status == 1
    assert "Traceback" not in ended.err
    assert "space" in ended.err.lower() or "room" in ended.err.lower()
    assert server.calls == []
    (small_disk / "others-files").unlink()
    assert commands.command("run").status == 0


@pytest.mark.ci
def test_a_store_that_fills_up_in_mid_run_stops_with_what_it_has(api, write_targets) -> None:
    """The same without a mount: the store is told to grow no further (`PRAGMA max_page_count`)."""
    server = api(latency_s=0.1)
    write_targets(*names(100))
    ended = commands.command("run", "--json", patches={"store.database._configure": _small})
    assert ended.status == 1
    assert "No space is left" in ended.err
    assert "Traceback" not in ended.err
    answered = len(server.calls)
    assert 30 <= answered < 200
    assert answered - 30 <= kept() < answered  # what was in flight is all that can be lost
    assert commands.command("run").status == 0
    assert kept() == 200


def _small(connection: sqlite3.Connection, record: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA max_page_count=50")


@pytest.mark.parametrize("folder", ["/proc/backlinks", "/dev/null/backlinks"])
def test_a_folder_that_cannot_be_made_is_told_before_any_call(api, write_targets, monkeypatch, folder: str) -> None:
    server = api()
    monkeypatch.setenv("BACKLINKS_TARGETS_FILE", str(write_targets("shop.example")))
    monkeypatch.setenv("BACKLINKS_DATA_DIR", folder)
    ended = commands.command("run")
    assert ended.status == 1
    assert "BACKLINKS_DATA_DIR" in ended.err
    assert "Traceback" not in ended.err
    assert server.calls == []


@pytest.mark.ci
def test_a_read_only_folder_is_told_before_any_call_and_once_writable_it_goes_on(api, write_targets) -> None:
    server = api()
    file = write_targets("shop.example")
    folder = file.parent
    undo = _read_only(folder)
    try:
        ended = commands.command("run")
    finally:
        undo()
    assert ended.status == 1
    assert "BACKLINKS_DATA_DIR" in ended.err
    assert "Traceback" not in ended.err
    assert server.calls == []
    assert commands.command("run").status == 0


def _read_only(folder: Path):
    """Make a folder read-only: by its rights, or for root, whom rights don't stop, by a mount."""
    if os.geteuid() != 0:
        folder.chmod(0o500)
        return lambda: folder.chmod(0o700)
    for options in (["--bind", folder, folder], ["-o", "remount,bind,ro", folder]):
        if (
            shutil.which("mount") is None
            or subprocess.run(["mount", *options], capture_output=True, check=False).returncode
        ):
            pytest.skip("as root, without the right to mount, no folder is read-only")
    return lambda: subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.ci
def test_a_locked_store_is_waited_for_then_told_and_nothing_is_called(api, write_targets) -> None:
    server = api()
    write_targets("shop.example")
    with open_store(Settings.from_env()):
        pass
    other = sqlite3.connect(Settings.from_env().store_file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    ended = commands.command("run", patches={"store.database.BUSY_TIMEOUT_S": 1, "store.migrations.BUSY_TIMEOUT_S": 1})
    assert ended.status == 1
    assert "locked by another program" in ended.err
    assert "Traceback" not in ended.err
    assert server.calls == []
    other.execute("ROLLBACK")
    other.close()
    assert commands.command("run").status == 0


@pytest.mark.ci
def test_a_store_locked_for_a_moment_is_only_waited_for(api, write_targets) -> None:
    api(latency_s=0.05)
    write_targets(*names(10))
    with open_store(Settings.from_env()):
        pass
    other = sqlite3.connect(Settings.from_env().store_file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    run = commands.start("run")
    commands.wait_for(Settings.from_env().dagster_dir.exists)
    other.execute("COMMIT")
    other.close()
    assert run.end().status == 0


@pytest.mark.parametrize("damage", ["torn-pages", pytest.param("no-database", marks=pytest.mark.ci)])
def test_a_damaged_store_is_told_left_alone_and_a_backup_lets_it_go_on(api, write_targets, damage: str) -> None:
    server = api()
    write_targets(*names(20))
    assert commands.command("run").status == 0
    file = Settings.from_env().store_file
    with sqlite3.connect(file) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    whole = file.read_bytes()
    file.write_bytes(b"no database" * 9999 if damage == "no-database" else whole[:4096] + bytes(len(whole) - 4096))
    damaged = file.read_bytes()
    calls = len(server.calls)
    ended = commands.command("run")
    assert ended.status == 1
    assert "damaged" in ended.err
    assert "Put back a backup" in ended.err
    assert "Traceback" not in ended.err
    assert len(server.calls) == calls
    assert file.read_bytes() == damaged
    for beside in ("-wal", "-shm"):
        file.with_name(file.name + beside).unlink(missing_ok=True)
    file.write_bytes(whole)
    assert commands.command("run", "--json").summary["reused"] == 20


def test_a_folder_of_limits_that_cannot_be_written_is_told_before_any_call(api, write_targets) -> None:
    server = api()
    write_targets("shop.example")
    limits = Settings.from_env().limits_dir
    limits.mkdir(parents=True)
    (limits / "pace").mkdir()
    ended = commands.command("run")
    assert ended.status == 1
    assert str(limits) in ended.err
    assert "Traceback" not in ended.err
    assert server.calls == []


@pytest.mark.ci
def test_a_tables_folder_that_cannot_be_written_loses_no_answer(api, write_targets) -> None:
    server = api()
    write_targets(*names(3))
    root = Settings.from_env().root
    (root / "parquet").write_text("a file where a folder should be")
    ended = commands.command("run")
    assert ended.status == 1
    assert "parquet" in ended.err
    assert "Traceback" not in ended.err
    assert kept() == 6
    (root / "parquet").unlink()
    assert commands.command("run").status == 0
    assert server.spent_usd == pytest.approx(6 * PRICE_USD)


def test_a_statement_error_undoes_its_transaction(settings) -> None:
    from backlinks_assets.store.database import Database, StoreError
    from backlinks_assets.store.migrations import open_tables

    database = Database(settings.store_file)
    table = sa.Table("t", sa.MetaData(), sa.Column("x", sa.Integer, primary_key=True))
    open_tables(database, table.metadata)

    def twice() -> None:
        with database.write() as tx:
            tx.execute(table.insert().values(x=1))
            tx.execute(table.insert().values(x=1))

    with pytest.raises(StoreError):
        twice()
    with database.read() as tx:
        assert tx.execute(sa.select(table)).all() == []
    database.close()
