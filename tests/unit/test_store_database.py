"""Threads that write at the same time share a commit: durable for each when it goes on, and nobody's error is another's."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from backlinks_assets.statements import sqlite_of
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


@pytest.fixture
def commits(database: Database) -> list[str]:
    """The commits that SQLite itself is told to make from now on."""
    found: list[str] = []

    def listen(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_trace_callback(lambda statement: found.append(statement) if statement == "COMMIT" else None)

    database.close()
    sa.event.listen(database.engine, "connect", listen)
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


def at_once(database: Database, first: Callable[[], None], *others: Callable[[], object]) -> list[Future[object]]:
    """Begin a write, let all others queue for their turn, then end it by `first`; return what became of each."""
    begun = threading.Event()

    def lead() -> None:
        with database.write() as tx:
            tx.execute(notes.insert(), {"note": "first"})
            begun.set()
            while database._queued < len(others):
                pass
            first()

    with ThreadPoolExecutor(len(others) + 1) as pool:
        leading = pool.submit(lead)
        begun.wait()
        return [leading, *map(pool.submit, others)]


def test_those_who_wait_are_committed_together_and_each_goes_on_when_it_is_on_disk(database, commits) -> None:
    names = [f"note {number}" for number in range(THREADS)]
    others = [lambda name=name: write(database, name) for name in names]
    first, *futures = at_once(database, lambda: None, *others)
    assert first.exception() is None
    for name, future in zip(names, futures, strict=True):
        assert name in future.result()
    assert kept(database) == {"first", *names}
    assert len(commits) == 1


def test_an_error_undoes_its_own_write_only(database, commits) -> None:
    def fail() -> None:
        with database.write() as tx:
            tx.execute(notes.insert(), {"note": "undone"})
            raise KeyError

    def divide() -> None:
        raise ZeroDivisionError

    first, failing, good = at_once(database, divide, fail, lambda: write(database, "good"))
    assert isinstance(first.exception(), ZeroDivisionError)
    assert isinstance(failing.exception(), KeyError)
    assert good.exception() is None
    assert kept(database) == {"good"}
    write(database, "later")
    assert kept(database) == {"good", "later"}


def test_a_commit_that_fails_is_told_to_all_who_wrote(database) -> None:
    with database.write() as tx:
        tx.exec_driver_sql("CREATE TABLE child (note VARCHAR REFERENCES notes (note) DEFERRABLE INITIALLY DEFERRED)")

    def orphan() -> None:
        with database.write() as tx:
            tx.exec_driver_sql("INSERT INTO child VALUES ('nobody')")  # found out at the commit

    sa.event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
    database.close()
    for future in at_once(database, lambda: None, orphan, lambda: write(database, "good")):
        with pytest.raises(StoreError, match="FOREIGN KEY"):
            future.result()
    assert kept(database) == set()
    assert write(database, "later") == {"later"}


def test_where_sqlite_has_undone_all_everyone_who_wrote_is_told(database) -> None:
    def full() -> None:
        with database.write() as tx:
            tx.exec_driver_sql("ROLLBACK")  # what SQLite does by itself on a full disk
            raise sqlite3.OperationalError("database or disk is full")

    for future in at_once(database, lambda: None, full):
        with pytest.raises(StoreError, match="No space is left"):
            future.result()
    assert kept(database) == set()
    assert write(database, "later") == {"later"}


def test_those_who_wait_while_sqlite_undoes_all_write_in_a_transaction_of_their_own(database) -> None:
    def full() -> None:
        sqlite_of(database._connection).execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    names = [f"note {number}" for number in range(THREADS)]
    first, *futures = at_once(database, full, *[lambda name=name: write(database, name) for name in names])
    assert isinstance(first.exception(), StoreError)
    for name, future in zip(names, futures, strict=True):
        assert name in future.result()
    assert kept(database) == set(names)


def test_one_who_was_interrupted_in_the_queue_leaves_nobody_waiting(database) -> None:
    with database.write() as tx:
        tx.execute(notes.insert(), {"note": "first"})
        database._queued += 1  # as one who waits when this ends, and is gone then
        threading.Timer(0.3, setattr, [database, "_queued", 0]).start()
    assert kept(database) == {"first"}


def test_a_store_that_is_closed_under_its_writers_leaves_nobody_waiting_and_loses_nothing(database) -> None:
    database._queued += 1  # as one whose turn would come next, so that nobody commits yet
    names = {f"note {number}" for number in range(3)}
    with ThreadPoolExecutor(3) as pool:
        writing = [pool.submit(write, database, name) for name in names]
        database.close()
        for future in writing:
            assert future.exception(timeout=20) is None
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
