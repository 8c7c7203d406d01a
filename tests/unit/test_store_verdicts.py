"""What people say of days is kept in the store, also in one of an older version, in the order in which it was said."""

import datetime as dt
from pathlib import Path

import pytest
from store_files import DAYS, contents, put_version_0, rows

from backlinks_assets.collect.factory import open_store
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import digests, verdicts_in
from backlinks_assets.store.verdicts import StoredVerdict

NOW = dt.datetime(2026, 11, 26, 7, tzinfo=dt.UTC)


@pytest.fixture
def file(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return put_version_0(clean_environment, monkeypatch)


def test_a_store_of_an_older_version_takes_what_people_say_of_days(file: Path) -> None:
    assert verdicts_in(file) == ()  # whoever only looks finds no table and makes none
    assert contents(file)[0] == 0
    out = StoredVerdict(DAYS[0], DAYS[1], False, "Ada", NOW, "shop000.example", "spam_score", "half was missing")
    back = StoredVerdict(DAYS[0], DAYS[0], True, "Ben", NOW)
    with open_store(Settings.from_env()) as store:
        before = digests(file, DAYS)
        store.add_verdict(out)
        store.add_verdict(back)
    with open_store(Settings.from_env()) as store:
        assert store.verdicts() == verdicts_in(file) == (out._replace(id=1), back._replace(id=2))
    assert [row[3:5] for row in rows(file)["verdicts"]] == [("days", 0), ("days", 1)]
    assert digests(file, DAYS) == before  # the tables of answers are not made again


def test_where_there_is_no_store_nothing_was_said_and_none_is_made(settings: Settings) -> None:
    assert verdicts_in(settings.store_file) == ()
    assert not settings.store_file.exists()
