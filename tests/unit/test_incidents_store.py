"""What people say of incidents is kept in either store, once, in the order in which it was said."""

import datetime as dt
import threading
from pathlib import Path

import pytest
from store_files import DAYS, contents, put_version_0

from backlinks_assets.collect.factory import open_store
from backlinks_assets.current_incidents import OvertakenError, say_if_last
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import digests, incident_verdicts_in
from backlinks_assets.store.incident_verdicts import IncidentVerdict

NOON = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)


def said(by: str, minute: int = 0, note: str | None = None) -> IncidentVerdict:
    at = NOON + dt.timedelta(minutes=minute)
    about = "shop.example", "spam_score", "up", DAYS[0]
    return IncidentVerdict(at, by, "abcdefgh", "snooze", None, NOON.date() + dt.timedelta(days=9), note, *about)


@pytest.mark.usefixtures("each_store")
def test_verdicts_are_kept_once_and_in_the_order_in_which_they_were_said() -> None:
    settings = Settings.from_env()
    assert incident_verdicts_in(settings.store) == ()
    late, early = said("Ben", 5, "'; DROP TABLE incident_verdicts; --"), said("Ann", 1, "=HYPERLINK(1) 🦊")
    with open_store(settings) as store:
        assert store.add_incident_verdicts([late]) == 1
        assert store.add_incident_verdicts([late, early, early]) == 1  # an import that is repeated
        assert store.incident_verdicts() == incident_verdicts_in(settings.store) == (early, late)


@pytest.mark.usefixtures("each_store")
def test_two_people_at_once_are_both_heard() -> None:
    settings = Settings.from_env()
    with open_store(settings):
        pass

    def say(by: str) -> None:
        with open_store(settings) as store:
            for minute in range(5):
                store.add_incident_verdicts([said(by, minute), said("both", minute)])

    people = [threading.Thread(target=say, args=(name,)) for name in ("Ann", "Ben")]
    for one in people:
        one.start()
    for one in people:
        one.join()
    found = incident_verdicts_in(settings.store)
    assert sorted((one.by, one.said_at.minute) for one in found) == [
        (name, minute) for name in ("Ann", "Ben", "both") for minute in range(5)
    ]
    assert [one.said_at for one in found] == sorted(one.said_at for one in found)


@pytest.mark.usefixtures("each_store")
def test_of_two_people_who_saw_the_same_one_is_heard_and_the_other_told_who() -> None:
    settings = Settings.from_env()
    with open_store(settings):
        pass
    told: list[IncidentVerdict] = []

    def say(by: str) -> None:
        try:
            say_if_last(settings, lambda at: said(by)._replace(said_at=at), None)
        except OvertakenError as error:
            told.append(error.last)

    people = [threading.Thread(target=say, args=(name,)) for name in ("Ann", "Ben", "Lea")]
    for one in people:
        one.start()
    for one in people:
        one.join()
    (first,) = incident_verdicts_in(settings.store)
    assert told == [first, first]
    say_if_last(settings, lambda at: first._replace(said_at=at), None)  # a button that is pressed twice
    say_if_last(settings, lambda at: first._replace(said_at=at, by="Max"), first)
    assert [one.by for one in incident_verdicts_in(settings.store)] == [first.by, "Max"]


def test_a_store_of_an_older_version_takes_them(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put_version_0(clean_environment, monkeypatch)
    assert incident_verdicts_in(file) == ()  # whoever only looks finds no table and makes none
    assert contents(file)[0] == 0
    with open_store(Settings.from_env()) as store:
        before = digests(file, DAYS)
        assert store.add_incident_verdicts([said("Ann")]) == 1
    assert incident_verdicts_in(file) == (said("Ann"),)
    assert digests(file, DAYS) == before  # the tables of answers are not made again
