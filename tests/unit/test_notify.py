"""Announcements, delivered to real servers on loopback: once each, one message a day, retried when they fail."""

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from notify_places import Webhook, mail_server, webhook

from backlinks_assets.notify.announce import Announced, announce, opened
from backlinks_assets.notify.message import Message, render
from backlinks_assets.notify.outbox import SECOND_MESSAGE_AFTER
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES

DAY = dt.date(2026, 11, 24)
MORNING = dt.datetime(2026, 11, 24, 6, 30, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
LATER = SECOND_MESSAGE_AFTER + MINUTE

Look = Callable[..., Announced]


def flag(
    target: str, metric: str = "lost_backlinks", severity: str = "warning", **columns: object
) -> dict[str, object]:
    reason = f"Lost backlinks rose by 900 to 1,000 against 100 ({target})."
    return {"target": target, "metric": metric, "severity": severity, "score": 9.0, "reason": reason, **columns}


def write_flags(*rows: dict[str, object], day: dt.date = DAY) -> None:
    """Write a day's flags as publishing does, into the folder of simulated answers."""
    schema = TABLES["backlinks_flags"].arrow
    table = pa.Table.from_pylist([{"date": day, "simulated": True, **row} for row in rows], schema=schema)
    write_day(Settings.from_env().root, "backlinks_flags", day, table)


@pytest.fixture(autouse=True)
def targets(write_targets: Callable[..., Path]) -> None:
    write_targets("a.example", "b.example")


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as server:
        yield server


@pytest.fixture
def look() -> Look:
    """Look once, as one tick does: the settings read and the memory opened anew, as after a restart."""

    def once(urls: str, now: dt.datetime = MORNING, busy: tuple[dt.date, ...] = ()) -> Announced:
        settings = Settings.from_env({**os.environ, "BACKLINKS_NOTIFY_URLS": urls})
        with opened(settings) as memory:
            return announce(settings, memory, busy, now)

    return once


def test_a_days_flags_are_one_message_with_the_worst_ten_and_go_out_once(hook: Webhook, look: Look) -> None:
    rows = [flag(f"shop{number:02d}.example", score=float(number)) for number in range(13)]
    write_flags(*rows, flag("worst.example", severity="critical"))
    done = look(hook.url())
    assert (done.delivered, done.troubles) == (1, [])
    assert look(hook.url(), MORNING + LATER).messages == []
    (post,) = hook.posts
    assert post["title"] == "Simulated backlinks, 24 November 2026: 14 flags, 1 critical"
    lines = post["message"].splitlines()
    flags = [line for line in lines if line.startswith("- ")]
    assert flags[0] == "- critical worst.example: Lost backlinks rose by 900 to 1,000 against 100 (worst.example)."
    assert flags[1].startswith("- warning shop12.example: ")
    assert flags[10] == "- and 4 more"
    assert len(flags) == 11
    assert "All flags of the day: backlinks flags --date 2026-11-24" in lines
    assert lines[-1] == "Simulated numbers: no real target is meant."


def test_the_message_leads_to_the_report_and_tells_coverage_and_spend(hook: Webhook, look: Look) -> None:
    schema = TABLES["backlinks_summary"].arrow
    row = {"date": DAY, "target": "a.example", "has_data": True, "request_key": "k", "attempts": 1}
    rows = [{**dict.fromkeys(schema.names), **row, "status_type": status} for status in ("live", "lost")]
    root = Settings.from_env().root
    write_day(root, "backlinks_summary", DAY, pa.Table.from_pylist(rows, schema=schema))
    costs = {"date": DAY, "calls": 3, "answers": 2, "cost_usd": 0.25, "charged_without_answer": 0, "simulated": True}
    write_day(root, "api_costs", DAY, pa.Table.from_pylist([costs], schema=TABLES["api_costs"].arrow))
    write_day(root, "backlinks_changes", DAY, TABLES["backlinks_changes"].arrow.empty_table())
    write_flags(flag("a.example"))
    page = root / "reports" / "flags-2026-11-24.html"
    page.parent.mkdir(parents=True)
    page.write_text("<title>24 November</title>")
    look(hook.url())
    body = hook.posts[0]["message"]
    assert f"Report: {page}" in body
    assert "1 of 2 collected; $0.25 spent on 3 calls." in body


BACKSLASH = "\\"
WHERE = "https://intranet.example/seo_team/reports"


@pytest.mark.parametrize(
    ("style", "link"),
    [
        ("text", f"Report: {WHERE}/flags-2026-11-24.html"),
        (
            "markdown",
            f"Report: [{WHERE.replace('_', BACKSLASH + '_')}/flags-2026-11-24.html]({WHERE}/flags-2026-11-24.html)",
        ),
        ("html", f'Report: <a href="{WHERE}/flags-2026-11-24.html">{WHERE}/flags-2026-11-24.html</a>'),
    ],
)
def test_where_the_reports_are_served_the_message_links_to_the_page(
    hook: Webhook, look: Look, monkeypatch: pytest.MonkeyPatch, style: str, link: str
) -> None:
    monkeypatch.setenv("BACKLINKS_REPORTS_URL", f"{WHERE}/")
    write_flags(flag("a.example"))
    page = Settings.from_env().root / "reports" / "flags-2026-11-24.html"
    page.parent.mkdir(parents=True)
    page.write_text("<title>24 November</title>")
    look(f"{hook.url()}?format={style}")
    assert link in hook.posts[0]["message"]
    assert str(page.parent) not in hook.posts[0]["message"]


def test_flags_that_come_later_make_a_second_message_of_only_what_is_new(hook: Webhook, look: Look) -> None:
    write_flags(flag("a.example"), flag("b.example"))
    look(hook.url())
    write_flags(flag("a.example"), flag("b.example"), flag("c.example"))
    assert look(hook.url(), MORNING + MINUTE).messages == []  # too soon: what else comes is told together
    write_flags(flag("a.example"), flag("b.example"), flag("c.example"), flag("d.example"))
    look(hook.url(), MORNING + LATER)
    _, second = hook.posts
    assert second["title"].endswith("2 flags")
    assert "Message 2 of the day: only what is new since 24 Nov 06:30 UTC." in second["message"]
    assert "c.example" in second["message"]
    assert "a.example" not in second["message"]


def test_a_bad_day_makes_a_few_messages_and_not_one_a_minute(hook: Webhook, look: Look) -> None:
    for hour in range(17):
        write_flags(*[flag(f"shop{number}.example") for number in range(hour + 1)])
        look(hook.url(), MORNING + dt.timedelta(hours=hour))
    assert len(hook.posts) <= 7
    look(hook.url(), MORNING + dt.timedelta(hours=36))
    said = "".join(post["message"] for post in hook.posts)
    assert [said.count(f"- warning shop{number}.example:") for number in range(17)] == [1] * 17


def test_a_warning_that_turns_critical_is_new_and_a_critical_one_that_calms_is_not(hook: Webhook, look: Look) -> None:
    write_flags(flag("a.example"), flag("b.example", severity="critical"))
    look(hook.url())
    write_flags(flag("a.example", severity="critical"), flag("b.example"))
    look(hook.url(), MORNING + LATER)
    assert [post["title"].rpartition(": ")[2] for post in hook.posts] == ["2 flags, 1 critical", "1 flag, 1 critical"]
    assert "b.example" not in hook.posts[1]["message"]


def test_an_index_move_is_told_above_the_flags(hook: Webhook, look: Look) -> None:
    write_flags(flag("a.example"), flag("*", "spam_score", score=None, reason="The vendor's index moved: by 8 points."))
    look(hook.url())
    (post,) = hook.posts
    assert post["title"].endswith("index move; 1 flag")
    assert post["message"].index("by 8 points") < post["message"].index("a.example")


def test_a_receiver_that_fails_twice_gets_the_message_once_and_each_failure_is_told(look: Look) -> None:
    with webhook(500, 503) as hook:
        write_flags(flag("a.example"))
        (trouble,) = look(hook.url()).troubles
        assert "1 announcement could not be sent to number 1 of BACKLINKS_NOTIFY_URLS (json)" in trouble
        assert "HTTP 500. 1 attempt so far; the next is at 06:31:00 UTC." in trouble
        again = look(hook.url(), MORNING + MINUTE / 2)  # not due yet: told, not tried
        assert (hook.attempts, again.troubles) == (1, [trouble])
        (trouble,) = look(hook.url(), MORNING + MINUTE).troubles
        assert "HTTP 503. 2 attempts so far; the next is at 06:33:00 UTC." in trouble
        assert look(hook.url(), MORNING + 3 * MINUTE).troubles == []
        assert look(hook.url(), MORNING + LATER).delivered == 0
        assert (hook.attempts, len(hook.posts)) == (3, 1)


def test_one_place_that_is_down_keeps_no_other_waiting(hook: Webhook, look: Look) -> None:
    with webhook() as gone:
        down = gone.url()
    write_flags(flag("a.example"))
    for number in range(4):
        done = look(f"{down} {hook.url()}", MORNING + number * MINUTE)
        assert "could not be reached" in done.troubles[0]
    assert len(hook.posts) == 1


def test_a_message_that_nobody_takes_for_three_days_is_given_up_and_told(look: Look) -> None:
    with webhook() as gone:
        down = gone.url()
    write_flags(flag("a.example"))
    look(down)
    done = look(down, MORNING + dt.timedelta(days=3, minutes=1))
    assert "was given up after 3 days" in done.troubles[0]
    assert look(down, MORNING + dt.timedelta(days=3, minutes=2)).troubles == []


@pytest.mark.slow
def test_daemons_that_race_send_once(hook: Webhook) -> None:
    write_flags(*[flag(f"shop{number}.example") for number in range(5)])
    code = (
        "import datetime as dt, sys, time\n"
        "from backlinks_assets.notify.announce import announce, opened\n"
        "from backlinks_assets.settings import Settings\n"
        "import apprise\n"
        "settings = Settings.from_env()\n"
        "sys.stdout.write('ready'); sys.stdout.flush(); sys.stdin.readline()\n"
        "with opened(settings) as memory:\n"
        f"    for _ in range(5): announce(settings, memory, (), dt.datetime.fromisoformat({MORNING.isoformat()!r}))\n"
    )
    daemons = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code],
            env={**os.environ, "BACKLINKS_NOTIFY_URLS": f"{hook.url('one')} {hook.url('two')}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for daemon in daemons:
        assert daemon.stdout.read(5) == b"ready"
    for daemon in daemons:
        daemon.stdin.write(b"\n")
        daemon.stdin.close()
    assert [daemon.wait(60) for daemon in daemons] == [0, 0]
    for daemon in daemons:
        daemon.stdout.close()
    assert sorted(post["path"] for post in hook.posts) == ["/one", "/two"]


def test_what_a_killed_daemon_was_sending_is_sent_by_the_next_one_when_the_claim_has_lapsed(
    hook: Webhook, look: Look
) -> None:
    with webhook(500) as failing:
        write_flags(flag("a.example"))
        url = failing.url()
        look(url)
        settings = Settings.from_env({**os.environ, "BACKLINKS_NOTIFY_URLS": url})
        with opened(settings) as memory:
            from backlinks_assets.notify.channels import places_of

            (place,), _ = places_of(settings.notify_urls, memory.place_salt())
            assert memory.claim([place.key], MORNING + MINUTE) is not None  # and then it is killed
        look(url, MORNING + 2 * MINUTE)
        assert failing.posts == []
        look(url, MORNING + 12 * MINUTE)
        assert len(failing.posts) == 1


def test_days_before_announcing_began_are_history_and_days_without_a_daemon_are_told_later(
    hook: Webhook, look: Look
) -> None:
    for back in range(1, 30):
        write_flags(flag("old.example"), day=DAY - dt.timedelta(days=back))
    assert look(hook.url()).messages == []
    for ahead in (1, 2):
        write_flags(flag("new.example"), day=DAY + dt.timedelta(days=ahead))
    look(hook.url(), MORNING + dt.timedelta(days=3))
    assert [title.split(", ")[1].split(":")[0] for title in hook.titles] == ["25 November 2026", "26 November 2026"]


def test_a_day_that_is_being_worked_on_is_told_when_it_is_done(hook: Webhook, look: Look) -> None:
    write_flags(flag("a.example"))
    assert look(hook.url(), busy=(DAY,)).messages == []
    assert len(look(hook.url()).messages) == 1


def test_with_no_place_to_send_to_nothing_counts_as_told(hook: Webhook, look: Look) -> None:
    write_flags(flag("a.example"))
    assert look("").messages == []
    assert len(look(hook.url()).messages) == 1


SECRETS = ["hunter2-pass", "t0ken-in-path", "t0ken-in-query"]


def test_no_secret_of_a_url_is_told_printed_or_kept(
    look: Look, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], clean_environment: Path
) -> None:
    with webhook() as gone:
        down = gone.url("t0ken-in-path?+X-Key=t0ken-in-query", "me:hunter2-pass")
    write_flags(flag("a.example"))
    bad = (
        "slack://t0ken-in-path tgram://t0ken-in-path/ nosuch://me:hunter2-pass@t0ken-in-query mailto://me:hunter2-pass"
    )
    done = look(f"{down} {bad}")
    assert len(done.troubles) == 5
    assert "Number 2 of BACKLINKS_NOTIFY_URLS" in done.troubles[0]
    said = "".join([*done.troubles, caplog.text, *capfd.readouterr()])
    kept = b"".join(path.read_bytes() for path in clean_environment.rglob("*") if path.is_file())
    for secret in SECRETS:
        assert secret not in said
        assert secret.encode() not in kept


def test_a_url_that_is_none_of_apprises_stops_no_other(hook: Webhook, look: Look) -> None:
    write_flags(flag("a.example"))
    done = look(f"nosuch://x.example {hook.url()}")
    assert len(hook.posts) == 1
    assert "docs/announcements.md" in done.troubles[0]


def test_a_corrected_url_gets_what_waited_and_a_changed_password_nothing_again(look: Look) -> None:
    with webhook(401) as hook:
        write_flags(flag("a.example"))
        assert "HTTP 401" in look(hook.url(login="me:wrong")).troubles[0]
        assert look(hook.url(login="me:right"), MORNING + MINUTE).troubles == []
        assert len(hook.posts) == 1
        assert look(hook.url(login="me:other"), MORNING + 2 * MINUTE).delivered == 0
        assert len(hook.posts) == 1


def test_a_place_that_is_added_gets_the_next_message_and_no_old_one(hook: Webhook, look: Look) -> None:
    write_flags(flag("a.example"))
    look(hook.url("one"))
    look(f"{hook.url('one')} {hook.url('two')}", MORNING + MINUTE)
    assert [post["path"] for post in hook.posts] == ["/one"]


HOSTILE = "https://shop.example/<script>alert(1)</script>?a=*b*&c=_d_[x](http://evil.example)`q`|\u202e"


HTML_AS_TEXT = "&lt;script&gt;"


@pytest.mark.parametrize("style", ["text", "markdown", "html"])
def test_names_and_reasons_are_text_in_every_style(hook: Webhook, look: Look, style: str) -> None:
    write_flags(flag(HOSTILE))
    look(f"{hook.url()}?format={style}")
    body = hook.posts[0]["message"]
    assert "\u202e" not in body
    if style == "html":
        assert HTML_AS_TEXT in body
        assert "<script" not in body
        assert "<b>warning</b> https://shop.example/" in body
    elif style == "markdown":
        assert HTML_AS_TEXT in body or r"\<script" in body or "`" in body
        assert r"\[x\](http" in body  # no link comes of it
        assert "- **warning** " in body
        assert r"\*b\*" in body
    else:
        assert "- warning https://shop.example/<script>alert(1)</script>?a=*b*" in body


@pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning", "ignore:Session.login_data:DeprecationWarning")
def test_mail_comes_as_html_and_as_text_with_the_day_in_its_subject(look: Look) -> None:
    write_flags(flag("bücher.example"), flag("<b>.example", severity="critical"))
    with mail_server() as (inbox, port):
        url = f"mailto://me:right@127.0.0.1:{port}?mode=insecure&from=seo@x.example&to=a@x.example,b@x.example"
        assert look(url).delivered == 1
        assert look(url, MORNING + LATER).delivered == 0
        wrong = url.replace("right", "wrong-pass")
        write_flags(flag("c.example"))
        (trouble,) = look(wrong, MORNING + 2 * LATER).troubles
    assert [mail["To"] for mail in inbox.mails] == ["a@x.example", "b@x.example"]
    mail = inbox.mails[0]
    assert mail["Subject"] == "Simulated backlinks, 24 November 2026: 2 flags, 1 critical"
    assert "• <b>critical</b> &lt;b&gt;.example: Lost" in mail.get_body(["html"]).get_content()
    assert "• warning bücher.example: Lost backlinks rose" in mail.get_body(["plain"]).get_content()
    assert inbox.logins[0] == (b"me", b"right")
    assert "(mailto)" in trouble
    assert "wrong-pass" not in trouble


@pytest.mark.parametrize("style", ["text", "markdown", "html"])
@pytest.mark.parametrize("most", [160, 600, 2000, 4000])
def test_a_message_fits_its_service_and_says_how_much_it_leaves_out(style: str, most: int, look: Look) -> None:
    write_flags(*[flag(f"shop{number}.example", reason="Lost backlinks rose. " * 15) for number in range(40)])
    with webhook() as gone:
        (message,) = look(gone.url()).messages
    body = render(message, style, most)
    assert len(body) <= most
    if style == "text":
        assert {160: "(40)", 600: "39 more", 2000: "35 more", 4000: "30 more"}[most] in body
    assert render(message, style, 50) == ""  # the title has the counts
    assert Message.from_json(json.loads(json.dumps(message.as_json()))) == message
    kept_before = {name: value for name, value in message.as_json().items() if name != "report"}
    assert Message.from_json(json.loads(json.dumps(kept_before))).report == ""
