"""The pages in a real browser: nothing foreign runs, nothing is fetched, all is read at 360 px, in light and in dark."""

import base64
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import CONTRASTS, UNHANDY, chromium, needs_chromium
from report_world import (
    DAY,
    HOSTILE,
    INDEX_MOVE,
    a_day,
    a_flag,
    a_history,
    a_hostile_day,
    a_page,
    answers,
    days_before,
    links,
    write_rows,
)

from backlinks_assets.report.summary import read_day_report
from backlinks_assets.report.ui_summary import overview_svg

pytestmark = [
    needs_chromium,
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day with everything on it, and long names."""
    root = tmp_path_factory.mktemp("busy")
    names = [
        "shop.example",
        f"https://{'long-' * 10}name.example/{'path/' * 20}{'x' * 90}",
        "blog.example",
        "d.example",
        "e.example",
    ]
    a_history(root, names, gap=range(20, 24))
    a_day(root, [INDEX_MOVE, *(a_flag(n, severity="critical" if n == "shop.example" else "warning") for n in names)],
          unflagged=[a_flag("f.example", severity=None, score=3.0)])  # fmt: skip
    for date, count in ((days_before(1), 50), (DAY, 12_345_678)):
        write_rows(
            root, "referring_links", date, [r for n in names for r in links(n, {"com": count, "k" * 80: 2 * count})]
        )
    a_page(root, days_before(1), simulated=True)
    return a_page(root, simulated=True, expected=[*names, "y" * 200 + ".example"])


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def opened(browser: Any, path: Path, scheme: str = "light", width: int = 1200, **options: Any) -> Any:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme, **options)
    page.goto(path.as_uri())
    return page


@pytest.mark.first
@pytest.mark.parametrize("width", [360, 800, 1200])
def test_no_page_scrolls_sideways(browser: Any, busy: Path, width: int) -> None:
    for path in (busy, busy.with_name("index.html")):
        page = opened(browser, path, width=width)
        page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()


def test_all_text_has_a_contrast_of_4_5_to_1(browser: Any, busy: Path, scheme: str) -> None:
    for path in (busy, busy.with_name("index.html")):
        page = opened(browser, path, scheme)
        page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
        found = page.evaluate(CONTRASTS)
        assert len(found) > 20
        assert [pair for pair in found if pair[0] < 4.5] == []
        page.close()


def test_chart_text_is_read_on_a_telephone(browser: Any, busy: Path) -> None:
    for path in (busy, busy.with_name("index.html")):
        page = opened(browser, path, width=360)
        heights = page.eval_on_selector_all(".chart text", "all => all.map(one => one.getBoundingClientRect().height)")
        assert min(heights) >= 9
        assert page.evaluate(UNHANDY) == []
        page.close()


def test_foreign_text_makes_no_element_and_runs_nothing(browser: Any, tmp_path: Path) -> None:
    a_hostile_day(tmp_path)
    path = a_page(tmp_path, expected=[HOSTILE[1] + ".example"])
    # With the page's own policy out of the way: what is escaped needs none.
    page = browser.new_page(bypass_csp=True)
    dialogs: list[str] = []
    asked: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_load_state("networkidle")
    assert dialogs == []
    assert asked == [path.as_uri()]
    assert page.locator("script, img, iframe, b, strong strong").count() == 0
    names = page.locator("article h3 bdi").all_inner_texts()
    assert sorted(names) == sorted(name.replace("\u202e", "\\u202e") for name in HOSTILE)
    page.close()


def test_the_keyboard_finds_the_flags_and_every_reading(browser: Any, busy: Path) -> None:
    page = opened(browser, busy)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    page.locator("#flags:focus").wait_for(state="attached")
    summary = page.locator("summary").first
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("details").first.get_attribute("open") is not None
    page.close()


def test_the_keyboard_leads_from_day_to_day(browser: Any, busy: Path) -> None:
    page = opened(browser, busy, width=360)
    for _ in range(4):  # past the skip link, the list of days and the page of all targets
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Earlier day: 23 Nov"
    page.keyboard.press("Enter")
    page.wait_for_url("**/flags-2026-11-23.html")
    page.get_by_role("link", name="Later day: 24 Nov").click()
    page.wait_for_url("**/flags-2026-11-24.html")
    page.close()


def test_a_screen_reader_has_landmarks_headings_in_order_and_words_for_every_chart(browser: Any, busy: Path) -> None:
    page = opened(browser, busy)
    assert [page.get_by_role(role).count() for role in ("banner", "main", "contentinfo", "navigation")] == [1, 1, 1, 2]
    levels = page.eval_on_selector_all("h1, h2, h3, h4", "all => all.map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    charts = page.locator("svg[role=img]")
    assert charts.count() == page.get_by_role("img", name="60 days to 24 November 2026").count() == 6
    assert page.get_by_text("Critical", exact=False).count() > 0
    page.close()


def test_print_is_ink_on_white_also_from_a_dark_screen(browser: Any, busy: Path) -> None:
    page = opened(browser, busy, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('figure')).breakInside") == "avoid"
    assert not page.locator("details").first.is_visible()
    assert [pair for pair in page.evaluate(CONTRASTS) if pair[0] < 4.5] == []
    page.close()


OVERLAPS = """() => [...document.querySelectorAll('svg[role=img]')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].map(one => [one.textContent, one.getBoundingClientRect()]);
  return boxes.flatMap(([text, a], i) => boxes.slice(i + 1).filter(([_, b]) =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top + 3 < b.bottom - 3 && b.top + 3 < a.bottom - 3)
    .map(([other]) => [text, other]));
})"""
"""Pairs of a chart's texts that lie on each other; a box is some pixels higher than its letters."""


def ways_to_move(root: Path) -> None:
    """Write a day with a flag that rose, one that fell, one that fell to nothing, one with a long number, an index move."""
    ends = {"up.example": 1500, "down.example": 998, "gone.example": 0, "huge.example": 123_456_789}
    a_history(root, ends)
    write_rows(root, "backlinks_summary", DAY, [row for name, lost in ends.items() for row in answers(name, 20, lost)])
    a_day(root, [INDEX_MOVE, *map(a_flag, ends)])


@pytest.mark.ci
def test_no_two_texts_of_a_chart_lie_on_each_other(browser: Any, tmp_path: Path) -> None:
    ways_to_move(tmp_path)
    html = a_page(tmp_path)
    picture = tmp_path / "picture.svg"
    picture.write_text(overview_svg(tmp_path, read_day_report(tmp_path, DAY, simulated=False)), encoding="utf-8")
    for path in (html, html.with_name("index.html"), picture):
        page = opened(browser, path)
        assert page.evaluate("document.querySelectorAll('svg[role=img] text').length") > 5
        for width in (360, 480, 599, 768, 1440):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate(OVERLAPS) == [], width
        page.close()


def test_the_picture_for_dagsters_page_is_drawn_as_an_image(browser: Any, tmp_path: Path) -> None:
    a_hostile_day(tmp_path)
    picture = base64.b64encode(
        overview_svg(tmp_path, read_day_report(tmp_path, DAY, simulated=False)).encode()
    ).decode()
    page = browser.new_page()
    page.set_content(f'<img src="data:image/svg+xml;base64,{picture}">')
    image = page.locator("img")
    assert image.evaluate("one => one.decode().then(() => [one.naturalWidth, one.naturalHeight])") == [400, 6 * 198]
    page.close()
