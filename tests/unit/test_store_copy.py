"""From one machine to many: the embedded store is copied, counted and compared, and nothing is lost on the way."""

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

import collecting
import faults
import psycopg
import pytest
from collecting import asks_of, run
from faults import Fault
from store_files import put_version_0

from backlinks_assets.account.leases import FileLease
from backlinks_assets.cli.console import UsageError
from backlinks_assets.cli.store_copy import copy_to
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store
from backlinks_assets.collect.outcome import CollectRequest
from backlinks_assets.settings import Settings
from backlinks_assets.store import copying
from backlinks_assets.store.database import StoreError, metadata
from backlinks_assets.store.incident_verdicts import IncidentVerdict
from backlinks_assets.store.verdicts import StoredVerdict

TODAY = utc_now().date()
DAYS = [TODAY - dt.timedelta(days=1), TODAY]
TABLES = ("responses", "api_calls", "evidence", "daily_spend", "verdicts", "incident_verdicts")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting.be_quick(monkeypatch)


@pytest.fixture
def collected(api, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An embedded store of two days with answers, charged refusals, calls that were charged for nothing, and verdicts."""
    api(
        Fault(faults.code(40501), target="refused.example", charged=True),
        Fault(faults.wrong_target(), target="odd.example"),
    )
    for day in DAYS:
        noon = dt.datetime.combine(day, dt.time(12), dt.UTC)
        named = asks_of("shop.example", "refused.example", "odd.example")
        run([CollectRequest(day, ask.target, ask.parameters) for ask in named], now=lambda noon=noon: noon)
    with open_store(Settings.from_env()) as store:
        for who in ("Ada", "Ben"):
            store.add_verdict(StoredVerdict(DAYS[0], DAYS[1], False, who, utc_now(), note="half was missing"))
        about = "abcdefgh", "resolve", "expected", None, "a migration", "shop.example", "spam_score", "up", DAYS[0]
        store.add_incident_verdicts([IncidentVerdict(utc_now(), "Ada", *about)])
    return Settings.from_env()


def shared(url: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the shared database, values as SQLite has them."""
    with psycopg.connect(url) as connection:
        found = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}
    as_text = {table: [tuple(map(collecting.as_sqlite_has_it, row)) for row in rows] for table, rows in found.items()}
    return {table: sorted(rows, key=repr) for table, rows in as_text.items()}


def embedded(settings: Settings) -> dict[str, list[tuple[object, ...]]]:
    """The same of the file, columns in the order of a new database."""
    found = {}
    with closing(sqlite3.connect(settings.store_file)) as sql:
        for table in TABLES:
            columns = ", ".join(f'"{column.name}"' for column in metadata.tables[table].columns)
            found[table] = sorted(sql.execute(f"SELECT {columns} FROM {table}"), key=repr)
    return found


def test_all_of_it_is_copied_as_it_is_and_a_machine_goes_on_with_it(
    collected, postgres_url, monkeypatch, capsys
) -> None:
    before = embedded(collected)
    assert all(before.values())
    assert copy_to(postgres_url) == 0
    said = capsys.readouterr().out
    assert {tuple(line.split("\t")) for line in said.splitlines() if "\t" in line} == {
        (table, *[str(len(before[table]))] * 3) for table in TABLES if table != "daily_spend"
    }
    assert "set BACKLINKS_DATABASE_URL" in said
    assert shared(postgres_url) == before == embedded(collected)
    monkeypatch.setenv("BACKLINKS_DATABASE_URL", postgres_url)
    outcomes, stopped = run(asks_of("shop.example", "refused.example", "new.example"))
    assert stopped is None
    assert {target: outcome.calls for target, outcome in outcomes.items()} == {
        "shop.example": 0, "refused.example": 0, "new.example": 2,
    }  # fmt: skip
    with open_store(Settings.from_env()) as store:
        store.add_verdict(StoredVerdict(DAYS[0], DAYS[0], True, "Cy", utc_now()))
        assert [verdict.by for verdict in store.verdicts()] == ["Ada", "Ben", "Cy"]


def test_a_copy_that_was_interrupted_goes_on_and_a_repeated_one_adds_what_has_come_since(
    collected, postgres_url, monkeypatch, capsys
) -> None:
    whole, days = copying._copy_calls, []

    def cut(*arguments):
        days.append(arguments[2])
        if len(days) == 2:
            raise ConnectionAbortedError
        return whole(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(copying, "_copy_calls", cut)
        with pytest.raises(ConnectionAbortedError):
            copy_to(postgres_url)
    assert len({row[0] for row in shared(postgres_url)["responses"]}) == 1
    before = embedded(collected)
    assert copy_to(postgres_url) == 0
    assert shared(postgres_url) == before
    run(asks_of("later.example"))  # by a machine that has not heard of it
    capsys.readouterr()
    assert copy_to(postgres_url) == 0
    assert "responses\t" + "\t".join(map(str, (len(before["responses"]) + 2, len(before["responses"]) + 2, 2))) in (
        capsys.readouterr().out
    )
    assert shared(postgres_url) == embedded(collected)
    assert copy_to(postgres_url) == 0
    assert shared(postgres_url) == embedded(collected)


def test_what_the_machines_have_paid_meanwhile_stays_and_counts(collected, postgres_url, monkeypatch) -> None:
    assert copy_to(postgres_url) == 0
    with monkeypatch.context() as patch:
        patch.setenv("BACKLINKS_DATABASE_URL", postgres_url)
        run(asks_of("theirs.example"))
    run(asks_of("ours.example"))
    assert copy_to(postgres_url) == 0
    found = shared(postgres_url)
    assert len(found["responses"]) == len(embedded(collected)["responses"]) + 2
    (spent,) = [row[1] for row in found["daily_spend"] if row[0] == str(TODAY)]
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("SELECT sum(cost_microusd) FROM api_calls WHERE booked_on = %s", [TODAY]).fetchone()
    assert row == (spent,)


def test_other_answers_under_the_same_keys_stay_and_are_told(collected, postgres_url, capsys) -> None:
    copy_to(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE responses SET body = '\\x00' WHERE status_type = 'live'")
    assert copy_to(postgres_url) == 1
    assert "other answers under the same keys" in " ".join(capsys.readouterr().err.split())


def test_a_store_of_an_older_version_is_brought_up_and_copied(
    clean_environment: Path, postgres_url, monkeypatch
) -> None:
    put_version_0(clean_environment, monkeypatch)
    assert copy_to(postgres_url) == 0
    found = embedded(Settings.from_env())
    assert len(found["responses"]) == 26
    assert shared(postgres_url) == found


def test_while_a_run_is_at_work_nothing_is_copied(collected, postgres_url) -> None:
    lease = FileLease(collected.limits_dir / "owners")
    try:
        with pytest.raises(StoreError, match=r"is in use \(process \d+\).*Nothing was copied"):
            copy_to(postgres_url)
    finally:
        lease.close()
    assert not any(shared(postgres_url).values())


def test_a_database_with_answers_of_another_origin_is_refused(collected, postgres_url) -> None:
    copy_to(postgres_url)
    with sqlite3.connect(collected.store_file) as sql:
        sql.execute("UPDATE facts SET value = 'api.example' WHERE name = 'origin'")
    with pytest.raises(StoreError, match=r"holds answers from loopback, and .* from api.example"):
        copy_to(postgres_url)


@pytest.mark.parametrize("url", [None, "mysql://me:s3cret-passphrase@x/y", "postgresql://me:s3cret-passphrase@x"])
def test_a_target_that_is_none_is_told_and_its_password_is_not(collected, url: str | None) -> None:
    with pytest.raises(UsageError, match="--to") as said:
        copy_to(url)
    assert "s3cret" not in str(said.value)


def test_what_could_not_be_reached_is_told_and_its_password_is_not(collected) -> None:
    with pytest.raises(StoreError, match=r"The database y on 127\.0\.0\.1:1 could not be reached") as said:
        copy_to("postgresql://me:s3cret-passphrase@127.0.0.1:1/y")
    assert "s3cret" not in str(said.value)


def test_without_a_store_there_is_nothing_to_copy(api, postgres_url) -> None:
    api()
    with pytest.raises(UsageError, match="nothing to copy"):
        copy_to(postgres_url)
    assert not Settings.from_env().store_file.exists()
