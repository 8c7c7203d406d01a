"""A data folder that can't be used is told of with its cause before anything is made there or asked for.

File systems without locks are made by replacing the kernel's call, since none can be mounted everywhere.
"""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, contextmanager
from pathlib import Path

import commands
import pytest

from backlinks_assets.account.limiter import AccountLimiter, LimiterError
from backlinks_assets.collect.factory import open_store
from backlinks_assets.folder import FolderError, next_step_of_sqlite, try_folder
from backlinks_assets.settings import Settings
from backlinks_assets.store.database import StoreError
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.targets.edit import add_target
from backlinks_assets.targets.target import TargetsError

NO_LOCKS = [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS]
CAUSE = "has no locks"


class Lockless:
    """In the place of the module `fcntl`: a file system without locks, for one module of a process."""

    LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN = fcntl.LOCK_EX, fcntl.LOCK_NB, fcntl.LOCK_SH, fcntl.LOCK_UN

    @staticmethod
    def flock(_file: object, _how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def without_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(_file: object, _how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.fixture
def untouched(tmp_path: Path) -> Path:
    return tmp_path / "some/where/data"


@pytest.mark.parametrize("number", NO_LOCKS, ids=errno.errorcode.get)
def test_a_file_system_without_locks_is_named_as_the_cause_and_nothing_is_left(monkeypatch, untouched, number) -> None:
    without_locks(monkeypatch, number)
    with pytest.raises(FolderError, match=CAUSE) as refused:
        try_folder(untouched)
    assert "space" not in str(refused.value)
    assert not untouched.parent.parent.exists()


def test_locks_that_keep_nobody_out_are_no_locks(monkeypatch, untouched) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda _file, _how: None)
    with pytest.raises(FolderError, match="excludes no one"):
        try_folder(untouched)


def use_limits(settings: Settings) -> None:
    with AccountLimiter(settings.limits_dir).permit():
        pass


def use_store(settings: Settings) -> None:
    with open_store(settings):
        pass


def use_tables(settings: Settings) -> None:
    from backlinks_assets.tables.duckdb_sync import sync

    sync(settings.root)


def use_targets(settings: Settings) -> None:
    add_target(settings.targets_file, "shop.example")


def use_instance(settings: Settings) -> None:
    from backlinks_assets.dagster_instance.home import open_instance

    with open_instance(settings):
        pass


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (use_limits, LimiterError),
        (use_store, StoreError),
        (use_tables, TablesError),
        (use_targets, TargetsError),
        (use_instance, FolderError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def test_whatever_takes_a_lock_names_the_missing_locks(
    monkeypatch, settings, number: int, use: Callable[[Settings], None], error: type[Exception]
) -> None:
    without_locks(monkeypatch, number)
    with pytest.raises(error, match=CAUSE) as refused:
        use(settings)
    assert "space" not in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("call", ["run", "demo", "doctor"])
def test_without_locks_no_command_calls_or_keeps_anything(api, write_targets, call: str) -> None:
    server = api()
    file = write_targets("shop.example")
    ended = commands.command(call, patches={"folder.fcntl": Lockless})
    assert ended.status == 1
    assert CAUSE in ended.err + ended.out
    assert "Traceback" not in ended.err
    assert server.spent_usd == 0
    if call != "doctor":  # it looks at all things, whatever it finds
        assert [path for path in file.parent.rglob("*") if path.is_file()] == [file]


def a_file(path: Path) -> None:
    path.write_text("not a folder")


def a_link_to_nowhere(path: Path) -> None:
    path.symlink_to(path.parent / "gone")


def a_link_in_a_circle(path: Path) -> None:
    path.symlink_to(path)


def a_link_to_a_file(path: Path) -> None:
    path.with_name("file").touch()
    path.symlink_to("file")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (a_file, "is not a folder"),
        (a_link_to_nowhere, "is a link to"),
        (a_link_in_a_circle, "is a link to"),
        (a_link_to_a_file, "is not a folder"),
    ],
)
@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_what_stands_in_the_place_of_the_folder_is_named(tmp_path: Path, made, words: str, below: str) -> None:
    made(tmp_path / "data")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FolderError, match=words) as refused:
        try_folder(tmp_path / "data" / below)
    assert str(tmp_path / "data") in str(refused.value)
    assert "BACKLINKS_DATA_DIR" in str(refused.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
def test_a_file_in_the_place_of_the_data_folder_ends_a_run_with_a_sentence(api, write_targets, monkeypatch) -> None:
    server = api()
    monkeypatch.setenv("BACKLINKS_TARGETS_FILE", str(write_targets("shop.example")))
    a_file(Path("kept"))
    monkeypatch.setenv("BACKLINKS_DATA_DIR", "kept")
    ended = commands.command("run")
    assert ended.status == 1
    assert "is not a folder" in ended.err
    assert "Traceback" not in ended.err
    assert server.calls == []


@pytest.mark.parametrize(
    "said", ["locking protocol", "database or disk is full", "disk I/O error", "readonly database"]
)
def test_what_sqlite_says_of_a_file_system_is_told_with_the_next_step(tmp_path, monkeypatch, said: str) -> None:
    @contextmanager
    def refusing(*_: object, **__: object):
        raise sqlite3.OperationalError(said)

    monkeypatch.setattr(sqlite3, "connect", lambda *_, **__: closing(refusing().__enter__()))
    with pytest.raises(FolderError, match=said) as refused:
        try_folder(tmp_path)
    assert next_step_of_sqlite(said) in str(refused.value)
    assert (CAUSE in str(refused.value)) == (said == "locking protocol")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_be_used_is_made_and_left_empty(untouched: Path) -> None:
    try_folder(untouched)
    assert list(untouched.iterdir()) == []
