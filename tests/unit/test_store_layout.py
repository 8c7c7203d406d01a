"""A store in which an answer would not find its place is refused when it is opened, before anything is paid for."""

import datetime as dt
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import commands
import pytest
from store_files import DAYS, GROWN, beside, bring_up, contents, put_version_0

from backlinks_assets.collect.factory import open_store
from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.settings import Settings
from backlinks_assets.store import ledger
from backlinks_assets.store.answers import Key
from backlinks_assets.store.budget import Budget
from backlinks_assets.store.database import StoreError

NOW = dt.datetime(2026, 11, 27, 7, tzinfo=dt.UTC)


@pytest.fixture
def file(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return put_version_0(clean_environment, monkeypatch)


@pytest.fixture
def newer(file: Path) -> Path:
    bring_up(file)
    with closing(sqlite3.connect(file)) as sql:
        sql.execute("PRAGMA user_version = 7")
    return file


@pytest.mark.slow
def test_a_newer_file_is_refused_with_a_sentence_before_any_call_and_left_alone(newer, api, write_targets) -> None:
    server = api()
    write_targets("shop.example")
    before, bytes_before = beside(newer), newer.read_bytes()
    for arguments in (["run"], ["doctor"]):
        ended = commands.command(*arguments)
        said = ended.err + ended.out
        assert ended.status == 1
        assert "has version 7" in " ".join(said.split())
        assert "knows versions up to 2" in " ".join(said.split())
        assert "Upgrade the program" in " ".join(said.split())
        assert "Traceback" not in said
    assert [call for call in server.calls if call.target] == []
    assert newer.read_bytes() == bytes_before
    assert set(beside(newer)) - set(before) <= {"pace"}


def test_a_newer_version_that_is_only_in_the_write_ahead_log_is_refused_too(file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA wal_autocheckpoint = 0")
        other.execute("PRAGMA user_version = 3")
        with pytest.raises(StoreError, match="has version 3"):
            bring_up(file)
        with pytest.raises(StoreError, match="has version 3"), open_store(Settings.from_env()):
            pass


@pytest.mark.parametrize("version", [0, 2, 75])
def test_another_programs_database_is_refused_and_not_a_byte_of_it_is_changed(tmp_path: Path, version: int) -> None:
    file = tmp_path / "responses.sqlite"
    with closing(sqlite3.connect(file)) as sql:
        sql.execute("CREATE TABLE moz_places (url TEXT)")
        sql.execute(f"PRAGMA user_version = {version}")
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"another program's database \(it holds moz_places\)"):
        bring_up(file)
    assert file.read_bytes() == before
    assert beside(file) == ["responses.sqlite"]


def _rebuilt(old: str, new: str) -> Callable[[sqlite3.Connection], None]:
    """Make the table of answers anew with something else in its declaration."""

    def change(sql: sqlite3.Connection) -> None:
        (declared,) = sql.execute("SELECT sql FROM sqlite_master WHERE name = 'responses'").fetchone()
        assert old in declared
        sql.execute("DROP TABLE responses")
        sql.execute(declared.replace(old, new))

    return change


def _statement(text: str) -> Callable[[sqlite3.Connection], None]:
    return lambda sql: sql.execute(text).close()


def _view(sql: sqlite3.Connection) -> None:
    sql.execute("ALTER TABLE responses RENAME TO kept")
    sql.execute("CREATE VIEW responses AS SELECT * FROM kept")


KEY = ", PRIMARY KEY (date, target, status_type, request_key, endpoint)"
MISFITS = {
    "a column is missing": _statement("ALTER TABLE responses DROP COLUMN attempts"),
    "a column of the ledger is missing": _statement("ALTER TABLE api_calls DROP COLUMN message"),
    "a column is renamed": _statement("ALTER TABLE claims RENAME COLUMN owner TO holder"),
    "a column more is required": _rebuilt("attempts INTEGER NOT NULL", "attempts INTEGER NOT NULL, more TEXT NOT NULL"),
    "the key is missing": _rebuilt(KEY, ""),
    "the key is another": _rebuilt(KEY, KEY.replace(", endpoint", "")),
    "a unique index": _statement("CREATE UNIQUE INDEX one ON responses (date, target, status_type)"),
    "a trigger refuses": _statement(
        "CREATE TRIGGER no BEFORE INSERT ON responses BEGIN SELECT RAISE(ABORT, 'no more answers'); END"
    ),
    "a trigger ignores": _statement("CREATE TRIGGER no BEFORE INSERT ON responses BEGIN SELECT RAISE(IGNORE); END"),
    "a trigger changes": _statement(
        "CREATE TRIGGER no AFTER INSERT ON responses BEGIN UPDATE responses SET body = '' WHERE target = NEW.target; END"
    ),
    "a constraint": _rebuilt("attempts INTEGER NOT NULL", "attempts INTEGER NOT NULL CHECK (attempts > 1000)"),
    "another type": _rebuilt("attempts INTEGER NOT NULL", "attempts BLOB NOT NULL CHECK (typeof(attempts) = 'blob')"),
    "a view": _view,
}


@pytest.mark.parametrize("change", MISFITS.values(), ids=MISFITS)
def test_tables_that_could_not_keep_an_answer_are_found_at_opening(file: Path, change) -> None:
    bring_up(file)
    with closing(sqlite3.connect(file)) as sql:
        change(sql)
        sql.commit()
    before = contents(file)
    with pytest.raises(StoreError, match=r"does not fit this program: .*\. An answer could be paid for"):
        with open_store(Settings.from_env()):
            pass
    assert contents(file) == before
    assert beside(file) == ["responses.sqlite"]


@pytest.mark.parametrize("change", MISFITS.values(), ids=MISFITS)
def test_such_tables_of_an_older_file_are_refused_or_mended_on_the_way(file: Path, change) -> None:
    """Where a table is made anew, what someone else has added to it is gone; a copy lies beside it meanwhile."""
    with closing(sqlite3.connect(file)) as sql:
        try:
            change(sql)
        except AssertionError:  # is declared otherwise there
            pytest.skip("the first version declares this table in other words")
        sql.commit()
    before = contents(file)
    try:
        with open_store(Settings.from_env()) as store:
            key = Key(dt.date(2026, 11, 27), "new.example", "live", "key")
            store.claim([key], NOW)
            store.start_call(ledger.Call("call", key.date, key.target, "live", "me", 1, NOW), Budget(None, 0.02))
            store.store_answer(key, "call", Answer(b"{}", 20000, cost_usd=0.02), RequestParameters(), 1, NOW)
            assert store.answer(key) is not None
    except StoreError:
        assert contents(file) == before
    assert beside(file) == ["responses.sqlite"]


def test_a_column_or_table_of_someones_own_is_no_hindrance(file: Path) -> None:
    with closing(sqlite3.connect(file)) as sql:
        sql.execute("ALTER TABLE responses ADD COLUMN remark TEXT")
        sql.execute("CREATE TABLE mine (x)")
        sql.execute("ANALYZE")
    with open_store(Settings.from_env()) as store:
        assert store.dates() == DAYS


def test_a_program_that_needs_more_columns_than_any_step_makes_calls_nobody(file: Path, api, monkeypatch) -> None:
    bring_up(file)
    with pytest.raises(StoreError, match="it has no column region"):
        bring_up(file, *GROWN)
    assert contents(file)[0] == 2
