"""Each channel has each alert once: retried when sending fails, grouped in time, and no URL of a channel is seen anywhere."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from apprise.plugins.custom_json import NotifyJSON
from notify_places import DAY, LATER, MINUTE, MORNING, Looks, Webhook, flag, webhook, write_flags


@pytest.fixture(autouse=True)
def targets(write_targets: Callable[..., Path]) -> None:
    write_targets("a.example", "b.example")


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as server:
        yield server


@pytest.fixture
def look() -> Looks:
    return Looks()


SECRETS = ["hunter2-pass", "t0ken-in-path", "t0ken-in-query"]


def down() -> str:
    with webhook() as gone:
        return gone.url()


def test_a_receiver_that_fails_twice_gets_the_message_once_and_each_failure_is_told(look: Looks) -> None:
    with webhook(500, 503) as hook:
        write_flags(flag("a.example"))
        (problem,) = look(hook.url()).problems
        assert "could not be sent to number 1 of BACKLINKS_NOTIFY_URLS (json)" in problem
        assert "HTTP 500. 1 attempt so far; the next is at 06:31:00 UTC." in problem
        again = look(hook.url(), MORNING + MINUTE / 2)  # not due yet: told, not tried
        assert (hook.attempts, again.problems) == (1, [problem])
        (problem,) = look(hook.url(), MORNING + MINUTE).problems
        assert "HTTP 503. 2 attempts so far; the next is at 06:33:00 UTC." in problem
        assert look(hook.url(), MORNING + 3 * MINUTE).problems == []
        assert look(hook.url(), MORNING + LATER).sent == []
        assert (hook.attempts, len(hook.posts)) == (3, 1)


def test_one_channel_that_is_down_keeps_no_other_waiting(hook: Webhook, look: Looks) -> None:
    gone = down()
    write_flags(flag("a.example"))
    for number in range(4):
        done = look(f"{gone} {hook.url()}", MORNING + number * MINUTE)
        assert "could not be reached" in done.problems[0]
    assert len(hook.posts) == 1


def test_a_message_that_nobody_takes_for_three_days_is_given_up_and_told(look: Looks) -> None:
    gone = down()
    write_flags(flag("a.example"))
    look(gone)
    done = look(gone, MORNING + dt.timedelta(days=3, minutes=1))
    assert "What waited 3 days for number 1 of BACKLINKS_NOTIFY_URLS (json) was given up" in done.problems[0]
    assert look(gone, MORNING + dt.timedelta(days=3, minutes=2)).problems == []


def test_with_no_channel_nothing_counts_as_announced(hook: Webhook, look: Looks) -> None:
    write_flags(flag("a.example"))
    assert look("").sent == []
    assert len(look(hook.url()).sent) == 1


def test_no_secret_of_a_url_is_told_printed_or_kept(
    look: Looks, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], clean_environment: Path
) -> None:
    with webhook() as gone:
        url = gone.url("t0ken-in-path?+X-Key=t0ken-in-query", "me:hunter2-pass")
    write_flags(flag("a.example"))
    bad = (
        "slack://t0ken-in-path tgram://t0ken-in-path/ nosuch://me:hunter2-pass@t0ken-in-query mailto://me:hunter2-pass"
    )
    done = look(f"{url} {bad}")
    assert len(done.problems) == 5
    assert "Number 2 of BACKLINKS_NOTIFY_URLS" in done.problems[0]
    said = "".join([*done.problems, caplog.text, *capfd.readouterr()])
    kept = look.cursor.encode() + b"".join(path.read_bytes() for path in clean_environment.rglob("*") if path.is_file())
    for secret in SECRETS:
        assert secret not in said
        assert secret.encode() not in kept


def test_a_url_that_is_none_of_apprises_stops_no_other(hook: Webhook, look: Looks) -> None:
    write_flags(flag("a.example"))
    done = look(f"nosuch://x.example {hook.url()}")
    assert len(hook.posts) == 1
    assert "docs/announcements.md" in done.problems[0]


def test_a_corrected_url_gets_what_waited_and_a_changed_password_nothing_again(look: Looks) -> None:
    with webhook(401) as hook:
        write_flags(flag("a.example"))
        assert "HTTP 401" in look(hook.url(login="me:wrong")).problems[0]
        assert look(hook.url(login="me:right"), MORNING + MINUTE).problems == []
        assert len(hook.posts) == 1
        assert look(hook.url(login="me:other"), MORNING + 2 * MINUTE).sent == []
        assert len(hook.posts) == 1


def test_a_channel_that_is_added_gets_the_next_message_and_no_old_one(hook: Webhook, look: Looks) -> None:
    write_flags(flag("a.example"))
    look(hook.url("one"))
    look(f"{hook.url('one')} {hook.url('two')}", MORNING + MINUTE)
    assert [post["path"] for post in hook.posts] == ["/one"]


@pytest.mark.medium
def test_a_bad_day_makes_a_few_messages_and_not_one_a_minute(hook: Webhook, look: Looks) -> None:
    for hour in range(17):
        write_flags(*[flag(f"shop{number}.example") for number in range(hour + 1)])
        look(hook.url(), MORNING + dt.timedelta(hours=hour))
    assert len(hook.posts) <= 7
    look(hook.url(), MORNING + dt.timedelta(hours=36))
    said = "".join(post["message"] for post in hook.posts)
    assert [said.count(f"- shop{number}.example:") for number in range(17)] == [1] * 17


def test_flags_that_come_later_make_a_second_message_of_only_what_is_new(hook: Webhook, look: Looks) -> None:
    write_flags(flag("a.example"), flag("b.example"))
    look(hook.url())
    write_flags(flag("a.example"), flag("b.example"), flag("c.example"))
    assert look(hook.url(), MORNING + MINUTE).sent == []  # too soon: what else comes is told together
    write_flags(flag("a.example"), flag("b.example"), flag("c.example"), flag("d.example"))
    look(hook.url(), MORNING + LATER)
    _, second = hook.posts
    assert second["title"].endswith("2 flags")
    assert "Message 2 of the day: only what is new since 24 Nov 06:30 UTC." in second["message"]
    assert "c.example" in second["message"]
    assert "a.example" not in second["message"]


def test_a_channel_that_was_down_gets_in_one_message_what_the_other_had_in_two(hook: Webhook, look: Looks) -> None:
    with webhook(*[500] * 3) as slow:
        write_flags(flag("a.example"))
        look(f"{hook.url()} {slow.url()}")
        write_flags(flag("a.example"), flag("b.example"))
        for minute in (1, 3, 16, 17):
            look(f"{hook.url()} {slow.url()}", MORNING + minute * MINUTE)
        assert [title.rpartition(": ")[2] for title in hook.titles] == ["1 flag", "1 flag"]
        assert [title.rpartition(": ")[2] for title in slow.titles] == ["2 flags"]
        assert "Message 2" not in slow.posts[0]["message"]


def test_a_message_that_a_service_refuses_keeps_no_other_day_waiting(look: Looks) -> None:
    with webhook(400, 200, 400) as hook:
        look(hook.url(), MORNING - dt.timedelta(days=1))
        write_flags(flag("old.example"), day=DAY - dt.timedelta(days=1))
        write_flags(flag("new.example"))
        assert "HTTP 400. 1 attempt so far" in look(hook.url()).problems[0]
        assert [title.split(", ")[1].split(":")[0] for title in hook.titles] == ["24 November 2026"]
        assert "could not be sent" in look(hook.url(), MORNING + MINUTE).problems[0]


def test_what_waits_for_a_removed_channel_goes_to_who_has_not_had_it_and_to_nobody_else(look: Looks) -> None:
    with webhook(404) as wrong, webhook() as had, webhook() as right:
        write_flags(flag("a.example"))
        look(f"{wrong.url()} {had.url()}")
        look(f"{wrong.url()} {had.url()} {right.url()}", MORNING + MINUTE / 2)
        assert right.posts == []
        look(f"{had.url()} {right.url()}", MORNING + 3 * MINUTE)
        look(f"{had.url()} {right.url()}", MORNING + LATER)
        assert (len(wrong.posts), len(had.posts), len(right.posts)) == (0, 1, 1)


def test_a_critical_flag_that_calms_before_it_could_be_sent_is_sent_as_what_it_is(look: Looks) -> None:
    with webhook(500) as hook:
        write_flags(flag("a.example", severity="critical"))
        look(hook.url())
        write_flags(flag("a.example"))
        look(hook.url(), MORNING + MINUTE)
        assert [title.rpartition(": ")[2] for title in hook.titles] == ["1 flag"]


def test_what_is_gone_when_it_could_be_sent_is_not_sent_and_no_problem_any_more(look: Looks) -> None:
    with webhook(500) as hook:
        write_flags(flag("a.example"))
        look(hook.url())
        write_flags()
        assert look(hook.url(), MORNING + MINUTE).problems == []
        assert hook.posts == []


def test_a_fault_in_a_service_loses_nothing_of_what_was_sent(
    hook: Webhook, look: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = NotifyJSON.notify

    def notify(self: NotifyJSON, *what: object, **more: object) -> object:
        if "broken" in self.url():
            raise ZeroDivisionError(self.url())
        return real(self, *what, **more)

    monkeypatch.setattr(NotifyJSON, "notify", notify)
    write_flags(flag("a.example"))
    (problem,) = look(f"{hook.url()} {hook.url('broken')}").problems
    assert "number 2" in problem
    assert "/broken" not in problem
    look(f"{hook.url()} {hook.url('broken')}", MORNING + LATER)
    assert len(hook.posts) == 1


def test_only_a_kill_between_sending_and_saving_makes_a_message_come_twice(hook: Webhook, look: Looks) -> None:
    write_flags(flag("a.example"))
    look("", MORNING - MINUTE)
    before = look.cursor
    look(hook.url())
    look.cursor = before  # it was not saved
    look(hook.url(), MORNING + MINUTE)
    look(hook.url(), MORNING + LATER)
    assert len(hook.posts) == 2


def test_a_stop_waits_no_longer_than_fifteen_minutes(hook: Webhook, look: Looks, write_targets) -> None:
    for hour in range(4):
        write_flags(*[flag(f"shop{number}.example") for number in range(hour + 1)])
        look(hook.url(), MORNING + dt.timedelta(hours=hour))
    assert len(hook.posts) == 4
    write_flags(*[flag(f"shop{number}.example") for number in range(5)])
    assert look(hook.url(), MORNING + dt.timedelta(hours=3, minutes=16)).sent == []
    write_targets("not a domain")
    look(hook.url(), MORNING + dt.timedelta(hours=3, minutes=17))
    assert hook.titles[-1].endswith("collecting stopped; 1 flag")


def test_channels_that_work_are_served_before_one_that_fails(look: Looks) -> None:
    with webhook(503) as hook:
        urls = f"{hook.url('fails')} {hook.url('works')}"
        write_flags(flag("a.example"))
        look(urls)
        write_flags(flag("a.example"), flag("b.example"))
        look(urls, MORNING + LATER)
        assert [post["path"] for post in hook.posts] == ["/works", "/works", "/fails"]
