"""Threads that write at the same time share a commit: durable for each when it goes on, and nobody's error is another's."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from commands import wait_for

from backlinks_assets.store import database as module
from backlinks_assets.store.database import Database, StoreError
from backlinks_assets.store.migrations import open_tables

metadata = sa.MetaData()
notes = sa.Table("notes", metadata, sa.Column("note", sa.String, primary_key=True))
THREADS = 12


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "store.sqlite")
    open_tables(database, metadata)
    yield database
    database.close()


class Commits(list[sa.Connection]):
    """The commits that are made from now on. Each waits for further writers until `has_gathered`, not for some time.

    `written` are the writers that have come to the commit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written: list[object] = []
        self.has_gathered: Callable[[], bool] = lambda: True
        self.gathers = threading.Event()

    def gather(self, _seconds: float) -> None:
        self.gathers.set()
        wait_for(lambda: self.has_gathered())


@pytest.fixture
def commits(database: Database, monkeypatch: pytest.MonkeyPatch) -> Commits:
    found, commit = Commits(), Database._commit

    def counted(self: Database, batch: module._Batch) -> None:
        found.written.append(batch)
        commit(self, batch)

    monkeypatch.setattr(Database, "_commit", counted)
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=found.gather))
    sa.event.listen(database.engine, "commit", found.append)
    return found


def kept(database: Database) -> set[str]:
    """What another connection finds in the file."""
    with sqlite3.connect(database.file) as connection:
        return {note for (note,) in connection.execute("SELECT note FROM notes")}


def write(database: Database, note: str) -> set[str]:
    """Write a note and return what the file holds as soon as the writer may go on."""
    with database.write() as tx:
        tx.execute(notes.insert(), {"note": note})
    return kept(database)


def at_once(
    database: Database, commits: Commits, first: Callable[[sa.Connection], None], *others: Callable[[], object]
) -> list[Future[object]]:
    """Begin a write, let all others begin theirs, then end it by `first`; return what became of each.

    No commit is made before all have written.
    """
    begun, all_written = threading.Event(), len(commits.written) + len(others) + 1
    commits.has_gathered = lambda: len(commits.written) >= all_written

    def lead() -> None:
        with database.write() as tx:
            tx.execute(notes.insert(), {"note": "first"})
            begun.set()
            first(tx)

    with ThreadPoolExecutor(len(others) + 1) as pool:
        leading = pool.submit(lead)
        begun.wait()
        return [leading, *map(pool.submit, others)]


def nothing_more(_tx: sa.Connection) -> None:
    """The first write ends well."""


def test_writes_at_the_same_time_are_committed_together_and_each_goes_on_when_it_is_on_disk(database, commits) -> None:
    names = [f"note {number}" for number in range(THREADS)]
    others = [lambda name=name: write(database, name) for name in names]
    first, *futures = at_once(database, commits, nothing_more, *others)
    assert first.exception() is None
    for name, future in zip(names, futures, strict=True):
        assert name in future.result()
    assert kept(database) == {"first", *names}
    assert len(commits) == 1


def test_on_a_slow_disk_thirty_threads_wait_for_few_commits(database: Database) -> None:
    made: list[float] = []

    def slow(_connection: sa.Connection) -> None:
        made.append(time.monotonic())
        time.sleep(0.05)

    sa.event.listen(database.engine, "commit", slow)
    with ThreadPoolExecutor(30) as pool:
        list(pool.map(lambda number: write(database, f"note {number}"), range(120)))
    assert len(kept(database)) == 120
    assert len(made) < 90  # some 30, but who comes in time is up to the machine; each alone would be 120


@pytest.mark.medium
def test_an_error_undoes_its_own_write_only(database, commits) -> None:
    def fail() -> None:
        with database.write() as tx:
            tx.execute(notes.insert(), {"note": "undone"})
            raise KeyError

    def divide(_tx: sa.Connection) -> None:
        raise ZeroDivisionError

    first, failing, good = at_once(database, commits, divide, fail, lambda: write(database, "good"))
    assert isinstance(first.exception(), ZeroDivisionError)
    assert isinstance(failing.exception(), KeyError)
    assert good.exception() is None
    assert kept(database) == {"good"}
    assert len(commits) == 1
    write(database, "later")
    assert kept(database) == {"good", "later"}


@pytest.mark.medium
def test_a_commit_that_fails_is_told_to_all_who_wrote(database, commits) -> None:
    with database.write() as tx:
        tx.exec_driver_sql("CREATE TABLE child (note VARCHAR REFERENCES notes (note) DEFERRABLE INITIALLY DEFERRED)")

    def orphan() -> None:
        with database.write() as tx:
            tx.exec_driver_sql("INSERT INTO child VALUES ('nobody')")  # found out at the commit

    sa.event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
    database.close()
    for future in at_once(database, commits, nothing_more, orphan, lambda: write(database, "good")):
        with pytest.raises(StoreError, match="FOREIGN KEY"):
            future.result()
    assert kept(database) == set()
    assert write(database, "later") == {"later"}


def full(tx: sa.Connection) -> None:
    """What SQLite does by itself on a full disk."""
    tx.exec_driver_sql("ROLLBACK")
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.medium
def test_where_sqlite_has_undone_all_everyone_who_wrote_is_told(database, commits) -> None:
    def fill() -> None:
        with database.write() as tx:
            full(tx)

    for future in at_once(database, commits, nothing_more, fill):
        with pytest.raises(StoreError, match="No space is left"):
            future.result()
    assert kept(database) == set()
    assert write(database, "later") == {"later"}


@pytest.mark.medium
def test_those_who_wait_while_sqlite_undoes_all_write_in_a_transaction_of_their_own(database, commits) -> None:
    names = [f"note {number}" for number in range(THREADS)]
    others = [lambda name=name: write(database, name) for name in names]
    first, *futures = at_once(database, commits, full, *others)
    assert isinstance(first.exception(), StoreError)
    for name, future in zip(names, futures, strict=True):
        assert name in future.result()
    assert kept(database) == set(names)


@pytest.mark.parametrize("ended_by", ["the next writer", "closing"])
def test_one_who_is_interrupted_before_the_commit_leaves_nobody_waiting(
    database, monkeypatch: pytest.MonkeyPatch, ended_by: str
) -> None:
    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(database, "first")
    if ended_by == "closing":
        database.close()
        assert kept(database) == {"first"}
    else:
        assert write(database, "next") == {"first", "next"}


def test_a_store_that_is_closed_under_its_writers_leaves_nobody_waiting_and_loses_nothing(database, commits) -> None:
    names, is_closed = {f"note {number}" for number in range(3)}, threading.Event()
    commits.has_gathered = is_closed.is_set
    with ThreadPoolExecutor(3) as pool:
        writing = [pool.submit(write, database, name) for name in names]
        assert commits.gathers.wait(60)
        database.close()
        is_closed.set()
        for future in writing:
            assert future.exception(timeout=60) is None
    assert kept(database) == names


@pytest.mark.parametrize(
    "whose", [Database.write, Database.alone], ids=["one-thread's-write", "a-change-of-the-tables"]
)
def test_undoing_a_large_part_of_a_transaction_needs_no_place_for_temporary_files(
    database: Database, whose: Callable[[Database], AbstractContextManager[sa.Connection]]
) -> None:
    many = [{"note": f"{number:05} {'n' * 500}"} for number in range(1000)]
    with database.write() as tx:
        tx.execute(notes.insert(), many)
    with whose(database) as tx:
        tx.exec_driver_sql("SAVEPOINT part")
        tx.exec_driver_sql("UPDATE notes SET note = note || '!'")  # ten times what SQLite keeps in memory by itself
        assert temporary_files() == []
        tx.exec_driver_sql("ROLLBACK TO part")
        assert tx.execute(sa.select(notes.c.note)).scalars().all() == [row["note"] for row in many]


def temporary_files() -> list[str]:
    """Return SQLite's own temporary files that this process has open."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(str(link.readlink()))
    return [name for name in found if "etilqs" in name]
