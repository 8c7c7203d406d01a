"""The cursor: small whatever happens, and filled at first from what earlier versions kept in the response store."""

import datetime as dt
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from notify_places import DAY, LATER, MINUTE, MORNING, OLD_TABLES, Looks, Webhook, flag, webhook, write_flags
from store_files import VERSION_0, rows

from backlinks_assets.collect.factory import watched_targets
from backlinks_assets.notify import old_tables
from backlinks_assets.notify.alerts import Alert, Kind, bad_line_alerts
from backlinks_assets.notify.channels import channels_of
from backlinks_assets.notify.cursor import Cursor, CursorError
from backlinks_assets.settings import Settings
from backlinks_assets.store.database import StoreError

SALT = "00112233445566778899aabbccddeeff"


@pytest.fixture(autouse=True)
def targets(write_targets: Callable[..., Path]) -> None:
    write_targets("a.example", "b.example")


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as server:
        yield server


# --- its size --------------------------------------------------------------------------------------------------------


@pytest.mark.medium
@pytest.mark.parametrize(
    ("failing", "most_bytes"), [(False, 36_500), (True, 57_000)], ids=["sent", "one channel fails"]
)
def test_a_week_of_a_thousand_flags_a_day_is_a_few_tens_of_kilobytes(failing: bool, most_bytes: int) -> None:
    cursor = Cursor(salt=SALT, started=DAY)
    cursor.set_channels(["one", "two", "three"])
    for number in range(20):
        now = MORNING + dt.timedelta(days=number)
        alerts = [Alert(Kind.FLAG, (f"flag|shop{one}.example|spam_score",), "Up.") for one in range(1000)]
        cursor.forget_before(now.date() - dt.timedelta(days=6))
        cursor.announce(now.date(), alerts, now)
        for name, state in cursor.channels.items():
            if failing and name == "one":
                state.failed("it answered with HTTP 500", now)
            else:
                state.arrived(now.date(), alerts, now)
        cursor = Cursor.read(cursor.written())
    assert len(cursor.announced) == 7
    assert 35_000 < len(cursor.written()) < most_bytes


def test_a_cursor_that_someone_changed_is_refused_with_what_to_do() -> None:
    for text in ("{", '{"salt": 1}', '{"started": "2026-11-24"}'):
        with pytest.raises(CursorError, match="Reset it in the UI"):
            Cursor.read(text)


# --- what earlier versions kept --------------------------------------------------------------------------------------

FIRST_AT, SECOND_AT = MORNING - 40 * MINUTE, MORNING - 20 * MINUTE


def key_of(url: str) -> str:
    ((channel,), _) = channels_of([url], bytes.fromhex(SALT))
    return channel.key


def put_tables(*deliveries: tuple[int, str, str, int]) -> Path:
    """Write tables in which a.example was announced at first and b.example in a second message, to these channels."""
    file = Settings.from_env().store_file
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file)) as sql:
        sql.executescript(OLD_TABLES)
        notes = [("salt", SALT), ("started_on", "2026-11-20"), ("bad_lines_told", "")]
        sql.executemany("INSERT INTO announcement_notes VALUES (?, ?)", notes)
        for number, (at, target) in enumerate([(FIRST_AT, "a.example"), (SECOND_AT, "b.example")], start=1):
            sql.execute("INSERT INTO announced_messages VALUES (?, ?, ?, '{}')", (number, str(DAY), at.isoformat()))
            told = (str(DAY), f"flag|{target}|lost_backlinks", number)
            sql.execute("INSERT INTO announced_news VALUES (?, ?, ?)", told)
        for number, url, state, attempts in deliveries:
            row = (number, key_of(url), state, attempts, MORNING.isoformat(), "it answered with HTTP 500")
            sql.execute("INSERT INTO announcement_deliveries VALUES (?, ?, ?, ?, ?, NULL, ?)", row)
        sql.commit()
    return file


def test_what_was_told_stays_told_and_what_waited_for_a_channel_waits(hook: Webhook) -> None:
    one, two = hook.url("one"), hook.url("two")
    put_tables((1, one, "sent", 1), (1, two, "sent", 1), (2, one, "sent", 1), (2, two, "waiting", 3))
    write_flags(flag("a.example"), flag("b.example"))
    look = Looks()
    look(f"{one} {two}", MORNING - MINUTE)
    assert "3 attempts so far; the next is at 06:30:00 UTC" in Cursor.read(look.cursor).problems[0]
    look(f"{one} {two}")
    write_flags(flag("a.example"), flag("b.example"), flag("c.example"))
    look(f"{one} {two}", MORNING + 3 * LATER)
    said = [(post["path"], post["message"].count("\n- "), "b.example" in post["message"]) for post in hook.posts]
    assert said == [("/two", 1, True), ("/one", 1, False), ("/two", 1, False)]
    assert "Message 3 of the day" in hook.posts[1]["message"]


def test_a_channel_that_was_added_later_gets_what_waits_for_a_removed_one_and_nothing_else(hook: Webhook) -> None:
    gone, added = hook.url("gone"), hook.url("added")
    put_tables((1, gone, "waiting", 3), (2, gone, "waiting", 0), (2, added, "sent", 1))
    write_flags(flag("a.example"), flag("b.example"))
    Looks()(added)
    assert [("a.example" in post["message"], "b.example" in post["message"]) for post in hook.posts] == [(True, False)]


def test_bad_lines_that_were_told_long_ago_are_not_told_again(hook: Webhook, write_targets) -> None:
    write_targets("a.example", "exa mple.com")
    file = put_tables((1, hook.url(), "sent", 1), (2, hook.url(), "sent", 1))
    key = bad_line_alerts(watched_targets(Settings.from_env()).bad_lines)[0].keys[0]
    with closing(sqlite3.connect(file)) as sql:
        sql.execute("UPDATE announcement_notes SET value = ? WHERE name = 'bad_lines_told'", (key,))
        sql.execute("INSERT INTO announced_news VALUES ('2026-11-02', ?, 1)", (key,))
        sql.commit()
    look = Looks()
    look(hook.url(), MORNING + 2 * LATER)
    assert hook.posts == []
    write_targets("a.example", "exa mple.com", "other one.com")
    look(hook.url(), MORNING + 2 * LATER)
    assert len(hook.posts) == 1


def test_the_first_versions_store_makes_a_cursor_and_keeps_its_answers_when_the_tables_go() -> None:
    settings = Settings.from_env()
    settings.store_file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(VERSION_0, settings.store_file)
    before = rows(settings.store_file)
    cursor = old_tables.first_cursor(settings, MORNING + dt.timedelta(days=3))
    for day, key, _ in before["announced_news"]:
        assert cursor.is_announced(dt.date.fromisoformat(str(day)), str(key))
    assert set(cursor.channels) == {row[1] for row in before["announcement_deliveries"]}
    assert [state.waiting for state in cursor.channels.values()] == [{}]
    assert cursor.has_old_tables
    assert rows(settings.store_file) == before
    old_tables.drop(settings)
    after = rows(settings.store_file)
    assert after == {name: found for name, found in before.items() if not name.startswith("announce")}
    assert "responses" in after


def test_tables_that_cannot_be_read_begin_no_cursor(hook: Webhook) -> None:
    put_tables().write_bytes(b"no database at all " * 999)
    with pytest.raises(StoreError, match=r"could not be read \(file is not a database\)"):
        Looks()(hook.url())
    assert hook.posts == []
