"""Which questions a day's flags raise, in which order they are bought, what is asked, and what the answers say."""

import datetime as dt
from typing import Any

import pytest

from backlinks_assets.evidence.questions import (
    LOST_DOMAINS,
    LOST_SPAM,
    NEW_SPAM,
    Flagged,
    Question,
    in_order,
    question_of,
    questions,
    since_of,
    wanted,
)
from backlinks_assets.evidence.sentences import explained, sentence, share, shared_domains

DAY = dt.date(2026, 11, 24)
BEFORE = DAY - dt.timedelta(days=1)


def a_flag(metric: str = "lost_backlinks", direction: str = "up", **more: Any) -> Flagged:
    known: dict[str, Any] = {"target": "shop.example", "severity": "warning", "score": 9.0, "previous_date": BEFORE}
    return Flagged(**{**known, "metric": metric, "direction": direction, **more})


def a_row(domain: str, links: int = 1, **more: Any) -> dict[str, Any]:
    return {"domain_from": domain, "group_count": links, "dofollow": True, "page_from_status_code": 200, **more}


@pytest.mark.parametrize(
    ("flag", "asked"),
    [
        (a_flag(), (LOST_DOMAINS,)),
        (a_flag(kind="confirmed_loss"), (LOST_DOMAINS,)),
        (a_flag(direction="down"), ()),  # a stock that fell: nothing went
        (a_flag("target_down", "down", kind="down"), (LOST_DOMAINS,)),
        (a_flag("target_down", "up", kind="down"), ()),  # it is back
        (a_flag("spam_score"), (NEW_SPAM,)),
        (a_flag("spam_score", live=900, live_before=1000), (NEW_SPAM, LOST_DOMAINS)),
        (a_flag("spam_score", live=1000, live_before=900), (NEW_SPAM,)),
        (a_flag("spam_score", "down"), (LOST_SPAM,)),
        (a_flag(target="*", kind="index_move"), ()),
        (a_flag(target="*", kind="vendor_fault"), ()),
    ],
)
def test_each_flag_raises_its_questions(flag: Flagged, asked: tuple[str, ...]) -> None:
    assert questions(flag) == asked


def test_critical_flags_come_first_then_the_most_unusual_and_a_question_is_asked_once() -> None:
    flags = [
        a_flag(target="mild.example", score=4.0),
        a_flag(target="loud.example", score=-40.0),
        a_flag("spam_score", target="bad.example", severity="critical", score=7.0),
        a_flag("target_down", "down", target="gone.example", severity="critical", score=None),
        a_flag(target="gone.example", previous_date=BEFORE - dt.timedelta(days=5)),
        a_flag(target="*", kind="index_move", severity="critical"),
    ]
    found = in_order(DAY, flags)
    assert [(one.target, one.name) for one in found] == [
        ("gone.example", LOST_DOMAINS),
        ("bad.example", NEW_SPAM),
        ("loud.example", LOST_DOMAINS),
        ("mild.example", LOST_DOMAINS),
    ]
    assert [one.since for one in found[:2]] == [BEFORE - dt.timedelta(days=8), BEFORE - dt.timedelta(days=3)]
    assert wanted("off", flags) == []
    assert {flag.target for flag in wanted("critical", flags)} == {"bad.example", "gone.example"}
    assert len(wanted("all", flags)) == 5


@pytest.mark.parametrize("name", [LOST_DOMAINS, NEW_SPAM, LOST_SPAM])
def test_a_request_is_recognized_as_the_question_that_it_asks(name: str) -> None:
    question = Question(DAY, "shop.example", name, BEFORE)
    asked = question.parameters(50, {"include_subdomains": False, "backlinks_filters": ["dofollow", "=", True]})
    (status_type,) = question.endpoint.status_types
    assert (asked.limit, asked.include_subdomains, asked.mode) == (50, False, "one_per_domain")
    assert ["dofollow", "=", True] in (asked.filters or [])
    assert question_of(status_type, asked.model_dump(mode="json")) == name
    assert since_of(asked.model_dump()) == BEFORE
    assert "regex" not in asked.text
    assert "is_new" not in asked.text


def test_a_sentence_names_the_largest_domains_why_they_went_and_how_many_were_nofollow() -> None:
    rows = [
        a_row("c.com", 52),
        a_row("blog.a.com", 210, page_from_status_code=404, dofollow=False),
        a_row("b.com", 150, url_to_status_code=410, page_from_status_code=None),
    ]
    assert sentence(LOST_DOMAINS, rows, 3) == (
        "412 links of 3 domains went: blog.a.com 210 (page gone), b.com 150 (your page answers 410), c.com 52 (link taken "
        "out); 1 of them was nofollow."
    )
    assert sentence(LOST_DOMAINS, rows, 40).startswith(
        "Links from 40 domains went; the 3 strongest domains had 412 of these links: blog.a.com 210 (page gone), b.com 150 "
    )
    assert sentence(LOST_DOMAINS, rows[:1], 40).startswith(
        "Links from 40 domains went; the strongest domain had 52 of these links: c.com 52"
    )
    spam = [a_row("bad\u202e.com", 2, backlink_spam_score=88), a_row("x" * 500, backlink_spam_score=None)]
    said = sentence(NEW_SPAM, spam, None)
    assert said.startswith(
        "3 links of 2 domains with a spam score of 31 or more came: bad\\u202e.com 2 (score 88), xxx"
    )
    assert len(said) < 250
    assert sentence(NEW_SPAM, spam, 718).startswith(
        "Links with a spam score of 31 or more came from 718 domains; the 2 worst domains sent 3 of these links: bad\\u202e.com 2"
    )
    assert sentence(LOST_DOMAINS, [], 0, BEFORE) == "No lost link was found since 23 November 2026."


def test_the_share_explained_is_of_the_change_since_the_reading_before() -> None:
    lost = a_flag(value=1500, previous=1000)
    rows = [a_row("a.com", 300), a_row("b.com", 115)]
    assert share(lost, LOST_DOMAINS, rows) == pytest.approx(0.83)
    since = BEFORE - dt.timedelta(days=3)
    assert explained(lost, LOST_DOMAINS, rows, DAY, since).startswith("83 % of the change since 23 November 2026 is")
    assert "since 27 October" in explained(lost, LOST_DOMAINS, rows, DAY, DAY - dt.timedelta(days=28))
    spam = a_flag("spam_score", value=30, previous=20, live=1000)
    assert share(spam, NEW_SPAM, [a_row("a.com", 100, backlink_spam_score=90)]) == pytest.approx(0.7)
    assert share(spam, NEW_SPAM, [a_row("a.com", 100)]) == pytest.approx(0.0)  # without a score nothing is known of it
    assert share(a_flag("spam_score", value=30, previous=20), NEW_SPAM, []) is None


def test_domains_that_several_targets_lost_or_got_are_found_once() -> None:
    rows = [
        {"target": target, "question": question, "domain_from": domain}
        for target, question, domain in [
            ("a.example", LOST_DOMAINS, "hub.com"),
            ("b.example", LOST_DOMAINS, "hub.com"),
            ("b.example", LOST_SPAM, "hub.com"),
            ("c.example", NEW_SPAM, "hub.com"),
            ("a.example", NEW_SPAM, "farm.com"),
            ("b.example", NEW_SPAM, "farm.com"),
            ("c.example", NEW_SPAM, "farm.com"),
            ("c.example", NEW_SPAM, None),
        ]
    ]
    assert [(one.domain, one.is_lost, one.targets) for one in shared_domains(rows)] == [
        ("farm.com", False, ("a.example", "b.example", "c.example")),
        ("hub.com", True, ("a.example", "b.example")),
    ]
