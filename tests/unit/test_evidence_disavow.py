"""A disavow proposal, read by a reader as strict as Google's page of the format."""

import datetime as dt
import re
from typing import Any

import pytest

from backlinks_assets.evidence.disavow import DisavowError, proposal

DAY = dt.date(2026, 11, 24)
SEEN = dt.datetime(2026, 11, 20, 6, tzinfo=dt.UTC)


def a_row(domain: str, score: int | None = 80, **more: Any) -> dict[str, Any]:
    known = {"question": "new_spam", "first_seen": SEEN, "dofollow": True, "group_count": 1}
    return {**known, "domain_from": domain, "backlink_spam_score": score, **more}


def read_strictly(text: str) -> list[str]:
    """Return the domains and addresses that are disavowed; fail where Google would refuse the file or pass over a line."""
    assert len(text.encode("utf-8")) <= 2 * 1024 * 1024
    lines = text.split("\n")
    assert lines.pop() == ""
    assert len(lines) <= 100_000
    found = []
    for line in lines:
        assert line.isprintable(), line
        assert line == line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("domain:"):
            name = line.removeprefix("domain:")
            assert re.fullmatch(r"([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z0-9-]{2,63}", name), line
        else:
            assert re.fullmatch(r"https?://[^\s/]+/\S*", line), line
            assert len(line) <= 2048
        found.append(line)
    assert len(found) == len(set(found))
    return found


def made(*rows: dict[str, Any], score: int = 60, own: tuple[str, ...] = (), old: str = "") -> str:
    return proposal("shop.example", rows, own, score=score, day=DAY, old=old).text


def test_each_domain_is_a_sorted_line_with_its_worst_score_and_first_day_above_it() -> None:
    earlier = SEEN - dt.timedelta(days=2)
    text = made(
        a_row("www.spam.com", 70, group_count=3, dofollow=False),
        a_row("a.spam.com", 95, first_seen=earlier, dofollow=False),
        a_row("bad.co.uk", 61),
        a_row("mild.com", 59),
        a_row("unknown.com", None),
        a_row("lost.com", 99, question="lost_spam"),
    )
    assert read_strictly(text) == ["domain:bad.co.uk", "domain:spam.com"]
    lines = text.splitlines()
    assert lines[lines.index("domain:spam.com") - 1] == (
        "# spam score 95, first seen 2026-11-18, 4 links; nofollow only, which Google counts for little anyway"
    )
    assert lines[lines.index("domain:bad.co.uk") - 1] == "# spam score 61, first seen 2026-11-20, 1 link"
    assert lines[0].startswith("# PROPOSAL ONLY")
    assert "An upload replaces the former file" in text


@pytest.mark.parametrize(
    ("domain", "line"),
    [
        ("me.blogspot.com", "domain:me.blogspot.com"),  # a free host's subdomain is one person's
        ("a.me.github.io", "domain:me.github.io"),
        ("blogspot.com", None),
        ("github.io", None),
        ("facebook.com", None),
        ("m.facebook.com", None),
        ("en.wikipedia.org", None),
        ("shop.example", None),
        ("blog.other.example", None),
        ("xn--bcher-kva.de", "domain:xn--bcher-kva.de"),
        ("1.2.3.4", None),
        ("bad.com\ndomain:good.com", None),
        ("# bad.com", None),
        ("bücher\u202e.de", None),
        ("=cmd()", None),
        ("", None),
    ],
)
def test_never_a_platform_a_whole_free_host_or_a_target_and_nothing_that_is_no_name(
    domain: str, line: str | None
) -> None:
    found = read_strictly(made(a_row(domain), own=("https://other.example/page",)))
    assert found == ([line] if line else [])


def test_the_old_lines_come_first_as_they_are_and_nothing_is_named_twice() -> None:
    old = "\ufeff# mine, since 2020\r\ndomain:old.com\r\nhttp://page.com/bad\r\n"
    text = made(a_row("old.com"), a_row("sub.old.com"), a_row("new.com"), old=old)
    assert text.splitlines()[:3] == ["# mine, since 2020", "domain:old.com", "http://page.com/bad"]
    assert read_strictly(text) == ["domain:old.com", "http://page.com/bad", "domain:new.com"]
    again = made(a_row("new.com"), old=text)
    assert read_strictly(again) == read_strictly(text)


def test_what_google_would_not_take_is_not_written() -> None:
    old = "".join(f"domain:old{number}.com\n" for number in range(99_990))
    with pytest.raises(DisavowError, match="Raise --score"):
        made(*(a_row(f"new{number}.com") for number in range(10)), old=old)
    read_strictly(made(a_row("new.com"), old=old))
