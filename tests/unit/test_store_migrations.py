"""An older store is brought up to this version whole or not at all, and no row of it is lost on the way."""

import datetime as dt
import multiprocessing
import os
import resource
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import commands
import pytest
import sqlalchemy as sa
from store_files import (
    DAYS,
    GROWN,
    VERSION_0,
    beside,
    bring_up,
    columns,
    contents,
    grown,
    put_version_0,
    rows,
    to_3,
)

from backlinks_assets.account.leases import FileLease
from backlinks_assets.collect.factory import open_store
from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.dataforseo.endpoints.summary import NAME as SUMMARY, RequestParameters
from backlinks_assets.settings import Settings
from backlinks_assets.store import ledger, migrations
from backlinks_assets.store.answers import Key
from backlinks_assets.store.budget import Budget
from backlinks_assets.store.database import Database, StoreError, metadata
from backlinks_assets.store.migrations import open_tables
from backlinks_assets.store.responses import ResponseStore

NOW = dt.datetime(2026, 11, 26, 7, tzinfo=dt.UTC)


@pytest.fixture
def file(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return put_version_0(clean_environment, monkeypatch)


# --- an older file ----------------------------------------------------------------------------------------------------


def test_a_store_of_the_first_version_opens_with_all_that_it_held(file: Path) -> None:
    before = rows(VERSION_0)
    with open_store(Settings.from_env()) as store:
        assert store.dates() == DAYS
        assert [len(list(store.answers(day))) for day in DAYS] == [8, 8, 10]
        assert store.day_costs(DAYS[2]).charged_without_answer == 2
        key = Key(DAYS[2], "late.example", "live", RequestParameters().key)
        assert store.claim([key], NOW) is not None, "the one who had claimed it is dead"
        store.release(key)
    of_the_summary = {
        name: sorted([(*row, SUMMARY) for row in before[name]], key=repr)
        for name in ("responses", "api_calls", "daily_spend")
    }
    assert rows(file) == before | of_the_summary | {
        "claims": [],
        "evidence": [],
        "set_aside": [],
        "verdicts": [],
        "incident_verdicts": [],
    }
    assert contents(file)[0] == 2
    assert beside(file) == ["responses.sqlite"]


@pytest.mark.parametrize("first", [[metadata]], ids=["answers"])
def test_whoever_opens_it_first_migrates_all_of_it(file: Path, first: list[sa.MetaData], next_version: None) -> None:
    bring_up(file, *[grown(one) for one in first])
    assert contents(file)[0] == 3
    assert "endpoint" in columns(file, "responses")
    assert "channel" in columns(file, "daily_spend")


@pytest.mark.ci
@pytest.mark.slow
def test_the_command_goes_on_with_a_store_of_the_first_version(file: Path, api, write_targets) -> None:
    server = api()
    write_targets("shop000.example", "shop001.example")
    ended = commands.command("run", "--json")
    assert (ended.status, ended.err) == (0, "")
    assert (ended.summary["collected"], ended.summary["calls"]) == (2, 4)
    assert server.spent_usd == pytest.approx(ended.summary["cost_usd"])
    before, after = rows(VERSION_0), rows(file)
    assert len(after["responses"]) == len(before["responses"]) + 4
    assert {(*row, SUMMARY) for row in before["responses"]} <= set(after["responses"])
    assert not list(file.parent.glob("responses-version-*"))


# --- a next version, made up -----------------------------------------------------------------------------------------


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, to_3))


def values(rows: list[tuple[object, ...]]) -> list[list[object]]:
    """Return what rows hold, in whatever order their columns are."""
    return sorted((sorted(row, key=repr) for row in rows), key=repr)


@pytest.mark.parametrize("made_by", ["version 0", "version 2"])
def test_a_rebuilt_table_and_a_new_column_keep_every_row(file: Path, made_by: str, monkeypatch) -> None:
    if made_by == "version 2":
        bring_up(file)
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, to_3))
    before = rows(file)
    bring_up(file, *GROWN)
    after = rows(file)
    assert contents(file)[0] == 3
    added: dict[str, tuple[object, ...]] = {"daily_spend": ("",)}
    if made_by == "version 0":
        added |= {"api_calls": (SUMMARY,), "daily_spend": (SUMMARY, "")}
    of_both = (SUMMARY, "everywhere") if made_by == "version 0" else ("everywhere",)
    added |= dict.fromkeys(("responses", "claims"), of_both)
    for name in before:
        assert values(after[name]) == values([(*row, *added.get(name, ())) for row in before[name]]), name
    assert beside(file) == ["responses.sqlite"]


def test_what_is_still_in_the_write_ahead_log_is_migrated_and_copied_too(file: Path, next_version: None) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("PRAGMA wal_autocheckpoint = 0")
        other.execute("INSERT INTO facts VALUES ('late', 'in the log')")
        assert (file.parent / "responses.sqlite-wal").stat().st_size > 0
        copied = {}

        def look(tx: sa.Connection) -> None:
            copied.update(rows(file.with_name("responses-version-0.sqlite")))
            to_3(tx)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(migrations, "STEPS", (*migrations.STEPS[:2], look))
            bring_up(file, *GROWN)
        assert ("late", "in the log") in copied["facts"]
        assert ("late", "in the log") in rows(file)["facts"]


def test_a_running_program_of_the_version_before_keeps_what_it_has_paid_for(file: Path, next_version: None) -> None:
    day, parameters = NOW.date(), RequestParameters()
    key = Key(day, "new.example", "live", parameters.key)
    database = Database(file)
    with pytest.MonkeyPatch.context() as before:
        before.setattr(migrations, "STEPS", migrations.STEPS[:2])
        lease = FileLease(Settings.from_env().limits_dir / "owners")
        store = ResponseStore(database, lease, "loopback")
    store.claim([key], NOW)
    store.start_call(ledger.Call("call", day, key.target, "live", lease.name, 1, NOW), Budget(None, 0.02))
    bring_up(file, *GROWN)
    store.store_answer(key, "call", Answer(b"{}", 20000, cost_usd=0.02), parameters, 1, NOW)
    assert any(row[1] == "new.example" for row in rows(file)["responses"])
    with pytest.raises(StoreError):  # before its next call is made
        store.claim([Key(day, "next.example", "live", parameters.key)], NOW)
    lease.close()
    database.close()


# --- interrupted -----------------------------------------------------------------------------------------------------


def _hang(*_: object) -> None:
    Path("hanging").touch()
    time.sleep(600)


def _hang_in_the_step(tx: sa.Connection) -> None:
    to_3(tx)
    _hang()


def _open_and_hang(file: Path, where: str) -> None:
    if where == "in the step":
        migrations.STEPS = (*migrations.STEPS, _hang_in_the_step)
    else:
        migrations.STEPS = (*migrations.STEPS, to_3)
        setattr(migrations, where, _hang)
    bring_up(file, *GROWN)


def a_process(work: Callable[..., None], *arguments: object) -> multiprocessing.Process:
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    return process


@pytest.mark.ci
@pytest.mark.parametrize("where", ["_rows", "in the step", "_rehearse", "_verify"])
def test_a_kill_in_mid_migration_loses_nothing_and_the_next_opening_ends_it(
    file: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(file)
    process = a_process(_open_and_hang, file, where)
    commands.wait_for(Path("hanging").exists, 200)
    process.kill()
    process.join()
    committed = where == "_verify"
    assert contents(file)[0] == (3 if committed else 0)
    assert committed or contents(file) == before
    assert contents(file.with_name("responses-version-0.sqlite")) == before
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, to_3))
    bring_up(file, *GROWN)
    assert len(rows(file)["responses"]) == 26
    assert contents(file)[0] == 3
    assert beside(file) == ["responses.sqlite"]


def test_half_a_copy_that_a_kill_left_is_made_anew(file: Path) -> None:
    file.with_name("responses-version-0.sqlite.partial").write_bytes(b"half of a copy" * 1000)
    file.with_name("responses-version-0.sqlite").write_bytes(b"")
    bring_up(file)
    assert contents(file)[0] == 2
    assert beside(file) == ["responses.sqlite"]


def _slow_and_counted(tx: sa.Connection) -> None:
    with Path("migrated").open("a") as steps:
        steps.write(".")
    to_3(tx)
    time.sleep(0.3)


def _open_slowly(file: Path) -> None:
    migrations.STEPS = (*migrations.STEPS, _slow_and_counted)
    Path(f"ready-{os.getpid()}").touch()
    while not Path("go").exists():
        time.sleep(0.002)
    bring_up(file, *GROWN)


@pytest.mark.ci
@pytest.mark.slow
def test_of_two_that_open_an_old_file_at_once_one_migrates_and_the_other_goes_on(file: Path) -> None:
    openers = [a_process(_open_slowly, file) for _ in range(2)]
    commands.wait_for(lambda: len(list(Path().glob("ready-*"))) == 2, 150)
    Path("go").touch()
    for opener in openers:
        opener.join(120)
    assert [opener.exitcode for opener in openers] == [0, 0]
    assert Path("migrated").read_text() == "."
    assert contents(file)[0] == 3
    assert beside(file) == ["responses.sqlite"]


# --- undone ----------------------------------------------------------------------------------------------------------


def _drop_rows(tx: sa.Connection) -> None:
    tx.exec_driver_sql("DELETE FROM responses WHERE target = 'shop001.example'")


def _drop_table(tx: sa.Connection) -> None:
    tx.exec_driver_sql("DROP TABLE api_calls")


def _double(tx: sa.Connection) -> None:
    tx.exec_driver_sql("INSERT INTO facts SELECT name || ' again', value FROM facts")


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (_drop_rows, "responses from 26 to 20"),
        (_drop_table, "api_calls from 30 to 0"),
        (_double, "facts from 1 to 2"),
    ],
    ids=["rows", "a table", "more rows"],
)
def test_a_step_that_does_not_keep_the_rows_is_undone(file: Path, monkeypatch, step, said: str) -> None:
    before = contents(file)
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, step))
    with pytest.raises(StoreError, match=said):
        bring_up(file)
    assert contents(file) == before
    assert beside(file) == ["responses.sqlite"]


# --- the disk --------------------------------------------------------------------------------------------------------


def test_no_room_for_the_copy_leaves_the_old_file_as_it_was(file: Path) -> None:
    before = contents(file)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size // 2, hard))
    try:
        with pytest.raises(StoreError, match=r"run again"):
            bring_up(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(file) == before
    assert beside(file) == ["responses.sqlite"]
    bring_up(file)
    assert contents(file)[0] == 2


def test_no_room_for_the_rebuilt_tables_leaves_the_old_file_as_it_was(file: Path, next_version: None) -> None:
    before = contents(file)
    database = Database(file)
    pages = file.stat().st_size // 4096
    sa.event.listen(database.engine, "connect", lambda sql, _: sql.execute(f"PRAGMA max_page_count = {pages + 2}"))
    with pytest.raises(StoreError, match=r"No space is left .* free some and run again"):
        open_tables(database, *GROWN)
    database.close()
    assert contents(file) == before
    assert beside(file) == ["responses.sqlite"]
    bring_up(file, *GROWN)
    assert contents(file)[0] == 3


def test_a_copy_that_the_folder_does_not_take_is_told_in_a_sentence(file: Path) -> None:
    before = contents(file)
    blocked = file.with_name("responses-version-0.sqlite")
    blocked.mkdir()
    with pytest.raises(StoreError, match=r"could not be copied .*Check that the folder can be written and run again"):
        bring_up(file)
    blocked.rmdir()
    assert contents(file) == before


def test_a_migrated_file_that_reads_back_damaged_says_where_the_copy_is(file: Path) -> None:
    before = contents(file)
    copy = shutil.copy(file, file.with_name("responses-version-0.sqlite"))
    bring_up(file, metadata)  # the copy of an opening that was killed is gone then
    assert not copy.exists()
    shutil.copy(VERSION_0, copy)
    with file.open("r+b") as damaged:
        damaged.seek(file.stat().st_size - 3 * 4096)
        damaged.write(os.urandom(4096))
    with pytest.raises(StoreError, match=r"was damaged when it was migrated .* responses-version-0\.sqlite beside it"):
        bring_up(file, metadata)
    assert contents(copy) == before
