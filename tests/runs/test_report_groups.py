"""The day's page by groups: sections, labels, and a filter that needs no script, in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import chromium, needs_chromium
from markdown_it import MarkdownIt
from report_world import DAY, HOSTILE, INDEX_MOVE, a_day, a_flag, a_history, a_page

from backlinks_assets.report.summary import read_day_report
from backlinks_assets.report.ui_summary import markdown
from backlinks_assets.targets.target import Target

LINES = [
    Target("a.example", group="Acme", owner="ann@x.example", tags=("shop", "de"), note="Moves in December."),
    Target("b.example", group="Bolt"),
    Target("a2.example", group="Acme"),
    Target("quiet.example", group="Zen"),
    Target("none.example"),
]
NAMES = [one.target for one in LINES]


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """Flags of two groups and of none, worst first: b, a, none, a2; the vendor's index moved too."""
    a_history(tmp_path, NAMES, days=5)
    flags = [
        a_flag("b.example", severity="critical"),
        a_flag("a.example", severity="critical", score=9.0),
        a_flag("none.example", score=8.0),
        a_flag("a2.example", score=7.0),
    ]
    a_day(tmp_path, [INDEX_MOVE, *flags], unflagged=[a_flag("quiet.example", severity=None, score=3.0)])
    return tmp_path


@pytest.fixture
def page(day: Path) -> Iterator[Any]:
    with chromium() as browser:
        opened = browser.new_page(viewport={"width": 360, "height": 800}, java_script_enabled=False)
        opened.goto(a_page(day, lines=LINES).as_uri())
        yield opened


@needs_chromium
@pytest.mark.slow
def test_groups_are_sections_and_the_filter_leaves_one_of_them_without_any_script(page: Any) -> None:
    assert page.locator("section.part > h3 bdi").all_inner_texts() == ["Bolt", "Acme", "No group"]
    assert page.locator("section.part h4 bdi").all_inner_texts() == [
        "b.example", "a.example", "a2.example", "none.example",
    ]  # fmt: skip
    assert page.locator("article h3 bdi").all_inner_texts() == ["All targets"]
    page.get_by_role("radio", name="All groups").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("radio", name="Acme 2 flags, 1 critical").is_checked()
    assert page.locator("article:visible bdi").all_inner_texts()[0] == "All targets"
    assert page.locator("article:visible h4 bdi").all_inner_texts() == ["a.example", "a2.example"]
    assert page.locator(".contents li:visible").count() == 3
    assert not page.locator("#other").is_visible()  # no large move of this group
    page.get_by_role("radio", name="All groups").check()
    assert page.locator("article:visible").count() == 5
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_card_names_the_owner_the_tags_and_the_note(day: Path) -> None:
    html = a_page(day, lines=LINES).read_text(encoding="utf-8")
    assert "Owner: <bdi>ann@x.example</bdi>" in html
    assert '<span class="tag"><bdi>shop</bdi></span>' in html
    assert "Note: <bdi>Moves in December.</bdi>" in html


def test_a_page_without_groups_has_no_filter_and_its_flags_are_in_one_list(day: Path) -> None:
    html = a_page(day, lines=[Target(name) for name in NAMES]).read_text(encoding="utf-8")
    assert 'class="filter"' not in html
    assert 'class="part"' not in html
    assert html.count("<article") == 5


def test_a_hostile_group_owner_tag_or_note_is_text_on_the_page_and_in_dagsters_markdown(tmp_path: Path) -> None:
    names = [f"shop{number}.example" for number in range(len(HOSTILE))]
    a_history(tmp_path, names, days=3)
    a_day(tmp_path, map(a_flag, names))
    lines = [
        Target(name, group=text, owner=text, tags=(text,), note=text) for name, text in zip(names, HOSTILE, strict=True)
    ]
    html = a_page(tmp_path, lines=lines).read_text(encoding="utf-8")
    for mark in ("<img", "<script", "<iframe", "\u202e"):
        assert mark not in html
    assert html.count('type="radio"') == 1 + len(HOSTILE)
    report = read_day_report(tmp_path, DAY, simulated=False, labels={one.target: one for one in lines})
    said = markdown(report)
    assert said.count("| severity | group | target |") == 1
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(said)
    for mark in ("<img", "<script", "<iframe", "<a ", "<strong>", "\u202e"):
        assert mark not in rendered
    assert rendered.count("<tr>") == 1 + len(HOSTILE)
    assert rendered.count("<td>") == 6 * len(HOSTILE)
