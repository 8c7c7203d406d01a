"""Bad lines of the targets file are announced once for as long as they stay the same, to a real server on loopback."""

import datetime as dt
from collections.abc import Callable, Iterator

import pytest
from notify_places import MINUTE, MORNING, Looks, Webhook, webhook

DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)

Look = Callable[..., list[str]]


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as server:
        yield server


@pytest.fixture
def look(hook: Webhook) -> Look:
    """Look as one tick does, and return what was sent: the titles with their texts."""
    looks = Looks()

    def once(now: dt.datetime, urls: str | None = None) -> list[str]:
        before = len(hook.posts)
        looks(hook.url() if urls is None else urls, now)
        return [f"{post['title']}\n{post['message']}" for post in hook.posts[before:]]

    return once


def test_bad_lines_are_told_once_by_name_and_reason_and_not_again_while_they_stay(look: Look, write_targets) -> None:
    write_targets("a.example,", "exa mple.com,", "b.example,02/01/2026", header="target,retired")
    [told] = look(MORNING)
    assert told.splitlines()[0].endswith("bad lines in the targets file")
    assert "Lines of the targets file that can't be used (2)" in told
    assert "exa mple.com: line 3: 'exa mple.com' has a space" in told
    assert "b.example: line 4: '02/01/2026' can't be the day it is retired from" in told
    later = [MORNING + MINUTE, MORNING + HOUR, MORNING + DAY, MORNING + DAY + HOUR, MORNING + 5 * DAY]
    assert [look(now) for now in later] == [[]] * len(later)


def test_bad_lines_that_move_are_the_same_and_others_are_told_anew(look: Look, write_targets) -> None:
    write_targets("a.example", "exa mple.com")
    assert len(look(MORNING)) == 1
    write_targets("# ours", "a.example", "c.example", "exa mple.com")
    assert look(MORNING + HOUR) == []
    write_targets("a.example", "exa mple.com", "other one.com")
    [told] = look(MORNING + 2 * HOUR)
    assert "other one.com" in told
    write_targets("a.example", "other one.com")  # one was mended: what is left is another set
    assert len(look(MORNING + 5 * HOUR)) == 1
    assert look(MORNING + 6 * HOUR) == []


def test_a_mistake_that_was_mended_is_told_when_it_comes_again(look: Look, write_targets) -> None:
    write_targets("a.example", "exa mple.com")
    assert len(look(MORNING)) == 1
    assert look(MORNING + MINUTE) == []
    write_targets("a.example", "example.example")
    assert look(MORNING + HOUR) == []
    write_targets("a.example", "exa mple.com")
    assert len(look(MORNING + 3 * DAY)) == 1


def test_a_look_at_midnight_tells_nothing_twice(look: Look, write_targets) -> None:
    write_targets("a.example", "exa mple.com")
    evening = MORNING.replace(hour=23, minute=59)
    assert len(look(evening)) == 1
    assert look(evening + MINUTE) == []
    assert look(evening + DAY) == []


def test_what_was_told_to_nobody_is_told_when_there_is_a_channel(look: Look, write_targets) -> None:
    write_targets("a.example", "exa mple.com")
    assert look(MORNING, urls="") == []
    assert look(MORNING + MINUTE, urls="") == []
    assert len(look(MORNING + 2 * MINUTE)) == 1


def test_a_file_that_is_unusable_as_a_whole_is_told_as_that(look: Look, write_targets) -> None:
    write_targets("exa mple.com", "b com")
    [told] = look(MORNING)
    assert "collecting stopped" in told
    assert "bad lines" not in told


def test_many_bad_lines_are_ten_and_a_count(look: Look, write_targets) -> None:
    write_targets("a.example", *[f"bad name {number}.com" for number in range(25)])
    [told] = look(MORNING)
    assert "(25)" in told
    assert "and 15 more" in told


def test_a_channel_that_was_down_over_midnight_gets_them_the_next_day(write_targets) -> None:
    write_targets("a.example", "exa mple.com")
    looks = Looks()
    with webhook(500) as hook:
        for now in (MORNING, MORNING + DAY, MORNING + DAY + MINUTE):
            looks(hook.url(), now)
        assert [title.split(", ", 1)[1] for title in hook.titles] == ["24 November 2026: bad lines in the targets file"]
