"""What a message about a day says, as real servers on loopback get it: its flags, its day, in each style."""

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from notify_places import DAY, LATER, MORNING, Looks, Webhook, flag, mail_server, webhook, write_flags

from backlinks_assets.notify.templates import render
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES


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


def test_a_days_flags_are_one_message_with_the_worst_ten_and_go_out_once(hook: Webhook, look: Looks) -> None:
    rows = [flag(f"shop{number:02d}.example", score=float(number)) for number in range(13)]
    write_flags(*rows, flag("worst.example", severity="critical"))
    done = look(hook.url())
    assert (len(done.sent), done.problems) == (1, [])
    assert look(hook.url(), MORNING + LATER).sent == []
    (post,) = hook.posts
    assert post["title"] == "Simulated backlinks, 24 November 2026: 14 flags, 1 critical"
    lines = post["message"].splitlines()
    flags = [line for line in lines if line.startswith("- ")]
    assert flags[0] == "- worst.example: Lost backlinks rose by 900 to 1,000 against 100 (worst.example)."
    assert flags[1].startswith("- shop12.example: ")
    assert flags[11] == "- and 3 more"  # of the warnings, of which ten are shown
    assert len(flags) == 12
    assert "All flags of the day: backlinks flags --date 2026-11-24" in lines
    assert lines[-1] == "Simulated numbers: no real target is meant."


def test_the_message_leads_to_the_report_and_tells_coverage_and_spend(hook: Webhook, look: Looks) -> None:
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


def test_the_vendors_fault_is_one_alert_and_a_target_down_is_a_flag(hook: Webhook, look: Looks) -> None:
    fault = "The vendor's fault, not your links: 1,900 of 2,000 targets read near zero."
    write_flags(flag("*", score=None, severity="critical", kind="index_move", reason="The vendor's index moved."))
    look(hook.url())
    write_flags(
        flag("*", score=None, severity="critical", kind="vendor_fault", reason=fault),
        flag("a.example", "target_down", "critical", score=None, kind="down", reason="The target is down."),
    )
    look(hook.url(), MORNING + LATER)
    assert hook.titles[1] == "Simulated backlinks, 24 November 2026: vendor's fault; 1 flag, 1 critical"
    assert f"The vendor's fault\n- {fault}\n" in hook.posts[1]["message"]
    assert "- a.example: The target is down." in hook.posts[1]["message"]


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
    hook: Webhook, look: Looks, monkeypatch: pytest.MonkeyPatch, style: str, link: str
) -> None:
    monkeypatch.setenv("BACKLINKS_REPORTS_URL", f"{WHERE}/")
    write_flags(flag("a.example"))
    page = Settings.from_env().root / "reports" / "flags-2026-11-24.html"
    page.parent.mkdir(parents=True)
    page.write_text("<title>24 November</title>")
    look(f"{hook.url()}?format={style}")
    assert link in hook.posts[0]["message"]
    assert str(page.parent) not in hook.posts[0]["message"]


def test_a_warning_that_turns_critical_is_new_and_a_critical_one_that_calms_is_not(hook: Webhook, look: Looks) -> None:
    write_flags(flag("a.example"), flag("b.example", severity="critical"))
    look(hook.url())
    write_flags(flag("a.example", severity="critical"), flag("b.example"))
    look(hook.url(), MORNING + LATER)
    assert [post["title"].rpartition(": ")[2] for post in hook.posts] == ["2 flags, 1 critical", "1 flag, 1 critical"]
    assert "b.example" not in hook.posts[1]["message"]


def test_an_index_move_is_told_above_the_flags(hook: Webhook, look: Looks) -> None:
    write_flags(flag("a.example"), flag("*", "spam_score", score=None, reason="The vendor's index moved: by 8 points."))
    look(hook.url())
    (post,) = hook.posts
    assert post["title"].endswith("index move; 1 flag")
    assert post["message"].index("by 8 points") < post["message"].index("a.example")


def test_days_before_announcing_began_are_history_and_days_without_a_daemon_are_told_later(
    hook: Webhook, look: Looks
) -> None:
    for back in range(1, 30):
        write_flags(flag("old.example"), day=DAY - dt.timedelta(days=back))
    assert look(hook.url()).sent == []
    for ahead in (1, 2):
        write_flags(flag("new.example"), day=DAY + dt.timedelta(days=ahead))
    look(hook.url(), MORNING + dt.timedelta(days=3))
    assert [title.split(", ")[1].split(":")[0] for title in hook.titles] == ["25 November 2026", "26 November 2026"]


def test_a_day_that_is_being_worked_on_is_told_when_it_is_done(hook: Webhook, look: Looks) -> None:
    write_flags(flag("a.example"))
    assert look(hook.url(), busy=(DAY,)).sent == []
    assert len(look(hook.url()).sent) == 1


HOSTILE = "https://shop.example/<script>alert(1)</script>?a=*b*&c=_d_[x](http://evil.example)`q`|\u202e"


HTML_AS_TEXT = "&lt;script&gt;"


@pytest.mark.parametrize("style", ["text", "markdown", "html"])
def test_names_and_reasons_are_text_in_every_style(hook: Webhook, look: Looks, style: str) -> None:
    write_flags(flag(HOSTILE))
    look(f"{hook.url()}?format={style}")
    body = hook.posts[0]["message"]
    assert "\u202e" not in body
    if style == "html":
        assert HTML_AS_TEXT in body
        assert "<script" not in body
        assert "<b>Warnings</b>" in body
        assert "• https://shop.example/" in body
    elif style == "markdown":
        assert HTML_AS_TEXT in body or r"\<script" in body or "`" in body
        assert r"\[x\](http" in body  # no link comes of it
        assert "**Warnings**\n\n- " in body
        assert r"\*b\*" in body
    else:
        assert "- https://shop.example/<script>alert(1)</script>?a=*b*" in body


@pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning", "ignore:Session.login_data:DeprecationWarning")
def test_mail_comes_as_html_and_as_text_with_the_day_in_its_subject(look: Looks) -> None:
    write_flags(flag("bücher.example"), flag("<b>.example", severity="critical"))
    with mail_server() as (inbox, port):
        url = f"mailto://me:right@127.0.0.1:{port}?mode=insecure&from=seo@x.example&to=a@x.example,b@x.example"
        assert len(look(url).sent) == 1
        assert look(url, MORNING + LATER).sent == []
        wrong = url.replace("right", "wrong-pass")
        write_flags(flag("c.example"))
        (problem,) = look(wrong, MORNING + 2 * LATER).problems
    assert [mail["To"] for mail in inbox.mails] == ["a@x.example", "b@x.example"]
    mail = inbox.mails[0]
    assert mail["Subject"] == "Simulated backlinks, 24 November 2026: 2 flags, 1 critical"
    assert "• &lt;b&gt;.example: Lost" in mail.get_body(["html"]).get_content()
    assert "• bücher.example: Lost backlinks rose" in mail.get_body(["plain"]).get_content()
    assert inbox.logins[0] == (b"me", b"right")
    assert "(mailto)" in problem
    assert "wrong-pass" not in problem


@pytest.mark.parametrize("style", ["text", "markdown", "html"])
@pytest.mark.parametrize("most", [160, 600, 2000, 4000])
def test_a_message_fits_its_service_and_says_how_much_it_leaves_out(style: str, most: int, look: Looks) -> None:
    write_flags(*[flag(f"shop{number}.example", reason="Lost backlinks rose. " * 15) for number in range(40)])
    with webhook() as hook:
        (message,) = look(hook.url()).sent
    body = render(message, style, most)
    assert len(body) <= most
    if style == "text":
        assert {160: "(40)", 600: "39 more", 2000: "35 more", 4000: "30 more"}[most] in body
    assert render(message, style, 50) == ""  # the title has the counts
