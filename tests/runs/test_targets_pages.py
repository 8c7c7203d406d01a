"""The pages of all targets, groups and targets in a real browser, and by the asset on a real instance."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import commands
import dagster as dg
import pytest
from chromium import CONTRASTS, UNHANDY, chromium, needs_chromium
from looks import definitions, publish_run
from report_world import (
    DAY,
    HOSTILE,
    a_day,
    a_flag,
    a_history,
    a_page,
    a_turn,
    an_incident,
    days_before,
    links,
    write_rows,
)

from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.paths import portfolio_path, target_page_path
from backlinks_assets.report import targets_report
from backlinks_assets.report.left_out import LeftOut
from backlinks_assets.report.targets_report import write_targets_report
from backlinks_assets.settings import Settings
from backlinks_assets.targets.target import Target

LONG = f"https://{'long-' * 10}name.example/{'path/' * 20}{'x' * 90}"
BOLT = f"Bolt {'b' * 190}"


@pytest.fixture
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


def pages(root: Path, lines: list[Target], *, simulated: bool = True) -> list[Path]:
    """Write the pages; return that of all targets, then a group's and a target's."""
    labels = {one.target: one for one in lines}
    out = [LeftOut(days_before(9), days_before(8), lines[0].owner, lines[0].note)]
    write_targets_report(root, simulated=simulated, expected_targets=list(labels), labels=labels, left_out=out)
    groups = sorted((root / "reports" / "groups").glob("*.html"))
    return [portfolio_path(root), *groups[:1], target_page_path(root, lines[0].target)]


@pytest.fixture
def full(tmp_path: Path) -> list[Path]:
    """Targets of two groups and of none, one with a long name, one down, one without an answer."""
    lines = [
        Target("shop.example", group="Acme", owner="ann@agency.example", tags=("de",), note="Moves in December."),
        Target(LONG, group="Acme"),
        Target("down.example", group=BOLT, owner="x" * 100),
        Target("none.example"),
    ]
    names = [one.target for one in lines[:3]]
    a_history(tmp_path, names, gap=range(20, 34))
    a_day(tmp_path, [a_flag("shop.example", severity="critical"), a_flag(LONG), a_turn("down.example")])
    told = [
        an_incident("shop.example", severity="critical", note="long " * 200),
        an_incident(LONG, state="acknowledged", by="x" * 100, note="y" * 1000),
        an_incident("down.example", state="snoozed", by="Ann", snoozed_until=DAY),
    ]
    write_rows(tmp_path, "backlinks_incidents", DAY, told)
    for date, count in ((days_before(28), 50), (DAY, 12_345_678)):
        write_rows(
            tmp_path, "referring_links", date, [r for n in names for r in links(n, {"com": count, "k" * 80: 2 * count})]
        )
    return pages(tmp_path, lines)


@pytest.mark.ci
@needs_chromium
@pytest.mark.slow
def test_pages_are_read_at_every_width_in_light_and_dark(browser: Any, full: list[Path]) -> None:
    for width, scheme in ((360, "light"), (768, "dark"), (1440, "light")):
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        errors: list[str] = []
        page.on("console", lambda message, errors=errors: errors.append(message.text))
        for path in full:
            page.goto(path.as_uri())
            page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            assert [pair for pair in page.evaluate(CONTRASTS) if pair[0] < 4.5] == []
            levels = page.eval_on_selector_all("h1, h2, h3", "all => all.map(one => Number(one.tagName[1]))")
            assert levels[0] == 1
            assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
            assert page.locator("th:not([scope])").count() == 0
            assert width == 1440 or page.evaluate(UNHANDY) == []
            heights = page.eval_on_selector_all(
                ".chart text", "all => all.map(one => one.getBoundingClientRect().height)"
            )
            assert min(heights, default=12) >= 11, path
        assert errors == []  # the policy lets the page's own script run
        page.close()


@pytest.mark.ci
@needs_chromium
@pytest.mark.slow
def test_rows_are_sorted_and_filtered_by_the_keyboard_and_all_are_there_without_a_script(
    browser: Any, full: list[Path]
) -> None:
    page = browser.new_page()
    page.goto(full[0].as_uri())
    shown = page.locator(".all-targets tbody tr:visible th > a")

    def names() -> list[str]:
        return [name[:6] for name in shown.all_inner_texts()]

    assert names() == ["down.e", "shop.e", "https:", "none.e"]
    head = page.get_by_role("button", name="Target", exact=True)
    head.focus()
    page.keyboard.press("Enter")
    assert names() == ["down.e", "https:", "none.e", "shop.e"]
    assert page.locator("th[aria-sort=ascending]").inner_text() == "Target"
    page.get_by_role("button", name="Lost backlinks, change in 7 days").click()
    assert names()[-1] == "none.e"  # a number that is not known comes last
    page.get_by_role("searchbox", name="Find").fill("acme")
    assert sorted(names()) == ["https:", "shop.e"]
    page.get_by_role("combobox", name="State").select_option("Critical")
    assert names() == ["shop.e"]
    assert page.locator("output").inner_text() == "1 of 4 targets"
    page.get_by_role("button", name="Show all").click()
    page.get_by_role("combobox", name="Group").select_option(BOLT)
    assert names() == ["down.e"]
    page.close()
    plain = browser.new_page(java_script_enabled=False)
    plain.goto(full[0].as_uri())
    assert plain.locator(".all-targets tbody tr:visible").count() == 4
    assert not plain.locator("form").is_visible()
    plain.get_by_role("link", name="shop.example").click()
    plain.wait_for_url("**/targets/shop.example.html")
    plain.get_by_role("link", name="Group Acme").click()
    plain.wait_for_url("**/groups/Acme.html")
    plain.get_by_role("link", name="https://long").first.click()
    plain.wait_for_url("**/targets/*.html")  # the page of a group has a heading too
    assert plain.locator("h1").inner_text() == LONG
    plain.close()


@pytest.mark.ci
@needs_chromium
@pytest.mark.slow
def test_a_printed_page_is_no_wider_than_the_paper(browser: Any, full: list[Path]) -> None:
    for path, width in zip(full[1:], (690, 690), strict=True):
        page = browser.new_page(viewport={"width": width, "height": 980}, color_scheme="dark")
        page.emulate_media(media="print", color_scheme="dark")
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("nav").first.is_visible()
        assert not page.get_by_role("heading", name="Last readings").is_visible()  # nothing of it is printed
        page.close()


@pytest.mark.ci
@needs_chromium
@pytest.mark.slow
def test_foreign_text_makes_no_element_and_runs_nothing(browser: Any, tmp_path: Path) -> None:
    lines = [Target(text, group=text, owner=text, tags=(text,), note=text) for text in HOSTILE]
    a_history(tmp_path, HOSTILE, days=12)
    told = [an_incident(text, state="acknowledged", by=text, note=text) for text in HOSTILE]
    a_day(
        tmp_path, [a_flag(text, reason=text, incident=one["incident"]) for text, one in zip(HOSTILE, told, strict=True)]
    )
    write_rows(tmp_path, "backlinks_incidents", DAY, told)
    for date in (days_before(5), DAY):
        write_rows(
            tmp_path, "referring_links", date, [r for t in HOSTILE for r in links(t, dict.fromkeys(HOSTILE, 10))]
        )
    pages(tmp_path, lines)
    page = browser.new_page(bypass_csp=True)  # what is escaped needs no policy
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: dialogs.append(str(error)))
    a_page(tmp_path, lines=lines)
    found = [*tmp_path.glob("reports/*/*.html"), *tmp_path.glob("reports/flags-*.html")]
    assert len(found) == 2 + 2 * len(HOSTILE)
    for path in found:
        page.goto(path.as_uri())
        assert page.locator("img, iframe, b, strong strong, link, object").count() == 0
        assert page.locator("script").count() == (path.name == "index.html")
        assert "\u202e" not in page.content()
    for number in range(len(HOSTILE)):
        page.goto(portfolio_path(tmp_path).as_uri())
        page.get_by_role("combobox", name="Group").select_option(str(number))
        assert page.locator(".all-targets tbody tr:visible").count() == 1
        page.locator(".all-targets tbody tr:visible a").click()
        page.wait_for_url("**/targets/*.html")
        assert page.locator("h1").count() == 1
    assert dialogs == []
    page.close()


@pytest.mark.ci
@needs_chromium
@pytest.mark.slow
def test_a_page_of_no_target_says_so(browser: Any, tmp_path: Path) -> None:
    a_day(tmp_path, [])
    assert write_targets_report(tmp_path, simulated=False) is not None
    page = browser.new_page()
    page.goto(portfolio_path(tmp_path).as_uri())
    assert page.get_by_text("No target is watched").is_visible()
    assert page.locator("table, form, script").count() == 0
    page.close()


@needs_chromium
@pytest.mark.ci
@pytest.mark.timeout(600)
def test_ten_thousand_targets_are_found_in_seconds(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets_report, "_to_write", lambda *_: [])  # their own pages would take two minutes
    lines = [Target(f"target-{number:05}.example", group=f"Client {number % 40}") for number in range(10_000)]
    a_history(tmp_path, [one.target for one in lines], days=3)
    a_day(tmp_path, [])
    write_targets_report(
        tmp_path, simulated=False, expected_targets=[one.target for one in lines],
        labels={one.target: one for one in lines},
    )  # fmt: skip
    page = browser.new_page()
    page.goto(portfolio_path(tmp_path).as_uri())
    page.locator("input[type=search]").fill("09999")  # not by roles, which Playwright works out for each cell
    assert page.locator("output").inner_text() == "1 of 10,000 targets"
    page.locator("button[type=reset]").click()
    page.locator("output", has_text="10,000 of").wait_for()  # the script counts once the form is reset
    page.locator('thead button[aria-label="Lost backlinks now"]').click()
    assert page.locator("output").inner_text() == "10,000 of 10,000 targets"
    page.close()


@pytest.mark.ci
@pytest.mark.slow
def test_the_job_that_publishes_a_day_writes_the_pages(
    api: Callable[..., Any], write_targets: Callable[..., Path]
) -> None:
    api()
    write_targets("shop.example,Acme", "blog.example,", header="target,group")
    assert commands.command("run").status == 0
    settings = Settings.from_env()
    assert {path.name for path in settings.root.glob("reports/*/*.html")} == {
        "index.html", "shop.example.html", "blog.example.html", "Acme.html",
    }  # fmt: skip
    with open_instance(settings) as instance:
        result = publish_run(instance, commands.today(), commands.today())
        assert result.success
        (event,) = result.get_asset_materialization_events()[-1:]
    assert event.asset_key == dg.AssetKey("targets_report")
    assert event.partition is None
    said = {name: value.value for name, value in event.materialization.metadata.items()}
    assert (said["targets"], said["target_pages_written"], said["group_pages_written"]) == (2, 0, 1)
    assert definitions().get_repository_def().asset_graph.get(event.asset_key).kinds == {"html"}
