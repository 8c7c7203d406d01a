"""The pages as files: self-contained, the same bytes twice, right on odd days, small on busy ones, harmless."""

import datetime as dt
import re
import xml.etree.ElementTree as ET
from collections.abc import Collection
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
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

from backlinks_assets.formatting import markdown_name, markdown_text
from backlinks_assets.paths import parquet_path
from backlinks_assets.report import page as page_module
from backlinks_assets.report.cards import anchor
from backlinks_assets.report.day_sentence import day_sentence
from backlinks_assets.report.index import write_index
from backlinks_assets.report.summary import read_day_report
from backlinks_assets.report.ui_summary import markdown, overview_svg


class Parsed(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a day of three flags; its pages are written again by each test."""
    root = tmp_path_factory.mktemp("busy")
    a_history(root, ["shop.example", "blog.example"], gap=range(20, 24))
    a_day(root, [INDEX_MOVE, a_flag(severity="critical"), a_flag("blog.example")])
    write_rows(root, "referring_links", days_before(1), links("shop.example", {"com": 5000}))
    write_rows(root, "referring_links", DAY, links("shop.example", {"com": 4000, "": 3}))
    return root


def written(root: Path, expected: Collection[str] = ()) -> str:
    return a_page(root, expected=expected).read_text(encoding="utf-8")


def index_of(root: Path) -> str:
    return (root / "reports" / "index.html").read_text(encoding="utf-8")


def picture_of(root: Path, date: dt.date = DAY) -> str:
    return overview_svg(root, read_day_report(root, date, simulated=False))


def markdown_of(root: Path) -> str:
    return markdown(read_day_report(root, DAY, simulated=False))


def text_of(html: str) -> str:
    """Return a page's text with each element's apart from the next."""
    return " ".join(Parsed(html.replace("<", " <")).text.split())


@pytest.mark.medium
def test_the_same_tables_give_the_same_bytes(busy: Path) -> None:
    first = [path.read_bytes() for path in a_page(busy).parent.glob("*.html")]
    again = [path.read_bytes() for path in a_page(busy).parent.glob("*.html")]
    assert first == again
    assert len(first) == 2
    assert picture_of(busy) == picture_of(busy)


def test_a_page_needs_nothing_but_itself(busy: Path) -> None:
    for html in (written(busy), index_of(busy)):
        parsed = Parsed(html)
        for tag, attributes in parsed.tags:
            assert tag not in {"script", "img", "link", "iframe", "object", "base"}
            for name in ("src", "href", "xlink:href", "data", "srcset"):
                assert re.fullmatch(
                    r"#[\w-]+|index\.html|flags-[\d-]+\.html|(targets|groups)/[\w.~%-]+\.html",
                    attributes.get(name) or "#x",
                )
        assert "url(" not in html


def test_every_id_is_unique_and_every_reference_leads_somewhere(busy: Path) -> None:
    tags = Parsed(written(busy)).tags
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    wanted = {a["href"].removeprefix("#") for _, a in tags if (a.get("href") or "").startswith("#")}  # type: ignore[union-attr]
    wanted |= {name for _, a in tags for name in (a.get("aria-labelledby") or "").split()}
    assert wanted <= set(ids)
    assert anchor("shop.example", "lost_backlinks") in ids


def test_each_flag_has_its_reason_chart_and_readings(busy: Path) -> None:
    html = written(busy)
    assert html.count("<article") == html.count('role="img"') == html.count("<desc") == html.count("<details>") == 3
    assert "Lost backlinks of shop.example rose by 500 to 1,500 against 1,000." in text_of(html)
    assert "Live links that moved since 23 Nov" in text_of(html)
    assert max(len(chart) for chart in re.findall(r"<svg.*?</svg>", html, re.DOTALL)) < 6_000


@pytest.mark.parametrize("simulated", [True, False])
def test_simulated_numbers_say_so(tmp_path: Path, simulated: bool) -> None:
    write_rows(tmp_path, "api_costs", DAY, [{"calls": 2, "cost_usd": 0.05, "simulated": simulated}])
    page = a_page(tmp_path, simulated=simulated).read_text(encoding="utf-8")
    for html in (page, index_of(tmp_path)):
        assert ("Simulated numbers." in html) is simulated


def test_missing_targets_are_named_with_their_reason(busy: Path) -> None:
    text = text_of(written(busy, expected=["shop.example", "gone.example"]))
    assert "1 target without answers." in text
    assert "the run's log says why. gone.example" in text


def test_a_quiet_day_reads_well(tmp_path: Path) -> None:
    a_history(tmp_path, ["shop.example"], days=5)
    a_day(tmp_path, [], unflagged=[a_flag(severity=None, kind=None, score=3.0)])
    text = text_of(written(tmp_path))
    assert "Nothing moved sharply among 1 target; 1 of 1 collected; $1.49 spent on 62 calls." in text
    assert "No target moved sharply" in text
    assert "Largest moves that were not flagged" in text


def test_the_first_day_says_that_nothing_can_be_compared_yet(tmp_path: Path) -> None:
    a_history(tmp_path, ["shop.example"], days=1)
    a_day(tmp_path, [], unflagged=[a_flag(severity=None, previous=None, baseline=None, change=None, score=None)])
    text = text_of(written(tmp_path))
    assert "The first day, with nothing before it to compare with" in text
    assert "From the fourth reading on" in text


def test_a_day_without_answers_names_what_failed(tmp_path: Path) -> None:
    report = read_day_report(tmp_path, DAY, simulated=False, expected_targets=["shop.example"])
    assert day_sentence(report) == "24 November 2026: no answer was collected; 0 of 1 collected."
    text = text_of(written(tmp_path, expected=["shop.example"]))
    assert "no answer of this day is stored" in text
    assert "the run's log says why. shop.example" in text


def test_a_day_not_judged_yet_says_what_to_do(tmp_path: Path) -> None:
    write_rows(tmp_path, "backlinks_summary", DAY, answers("shop.example", 1, 2))
    assert "build backlinks_changes of this day" in text_of(written(tmp_path))


@pytest.mark.ci
@pytest.mark.slow
def test_three_hundred_flags_stay_below_one_megabyte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"a-rather-long-name-of-a-target-{i:03}.example" for i in range(300)]
    a_history(tmp_path, names[:50])
    a_day(tmp_path, [a_flag(name, score=500.0 - i, reason="R" * 400) for i, name in enumerate(names)])
    monkeypatch.setattr(page_module, "MAX_ROWS", 200)
    html = written(tmp_path)
    assert len(html.encode()) < 1_000_000
    assert html.count("<article") == 50
    assert all(f'id="{anchor(name, "lost_backlinks")}"' in html for name in names[:250])
    assert "And 50 more flags" in text_of(html)


def test_foreign_text_stays_text_in_the_page(tmp_path: Path) -> None:
    a_hostile_day(tmp_path)
    html = written(tmp_path, expected=["<b onclick=alert(1)>no</b>\ud800"])
    parsed = Parsed(html)
    assert not {"script", "img", "iframe", "b"} & {tag for tag, _ in parsed.tags}
    assert not [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]
    for name in HOSTILE:
        assert name.replace("\u202e", "\\u202e") in parsed.text
    assert "\u202e" not in html
    picture = picture_of(tmp_path)
    drawn = list(ET.fromstring(picture).iter())
    tags = {element.tag.removeprefix("{http://www.w3.org/2000/svg}") for element in drawn}
    assert tags == {"svg", "style", "rect", "text", "title", "desc", "path"}
    assert "\u202e" not in picture
    titles = [element.text for element in drawn if element.tag.endswith("title")]
    assert titles == sorted(name.replace("\u202e", "\\u202e") for name in HOSTILE)[:6]


def test_foreign_text_stays_text_in_markdown(tmp_path: Path) -> None:
    a_hostile_day(tmp_path)
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown_of(tmp_path))
    parsed = Parsed(rendered)
    assert {tag for tag, _ in parsed.tags} == {"p", "table", "thead", "tbody", "tr", "th", "td", "code"}
    assert [tag for tag, _ in parsed.tags].count("td") == 5 * len(HOSTILE)
    for name in HOSTILE:
        assert name.replace("\u202e", "\\u202e") in parsed.text


@pytest.mark.parametrize("name", ["a`b", "a|b", "a\\|b", "", "  ", "https://example.com/a_b_c", "<b>"])
def test_a_name_in_markdown_is_one_cell(name: str) -> None:
    table = f"| a | b |\n| --- | --- |\n| {markdown_name(name)} | {markdown_text(name)} |"
    parsed = Parsed(MarkdownIt("commonmark").enable("table").render(table))
    assert [tag for tag, _ in parsed.tags].count("td") == 2
    assert "".join(parsed.text.split()) == "ab" + "".join(name.split()) * 2


def test_the_index_lists_every_day_the_latest_first(tmp_path: Path) -> None:
    assert "No day is evaluated yet" in write_index(tmp_path).read_text(encoding="utf-8")
    assert "<table" not in index_of(tmp_path)
    a_history(tmp_path, ["shop.example"], days=4)
    a_day(tmp_path, [a_flag(severity="critical"), a_flag(metric="spam_score"), a_flag("blog.example"), INDEX_MOVE])
    write_rows(tmp_path, "backlinks_summary", DAY, [*answers("shop.example", 1, 1), answers("half.example", 1, 1)[0]])
    write_rows(tmp_path, "backlinks_flags", days_before(1), [])
    for back in (3, 0, 2, 1):
        a_page(tmp_path, days_before(back))
    html = index_of(tmp_path)
    listed = [a["href"] for tag, a in Parsed(html).tags if tag == "a" and (a["href"] or "").startswith("flags-")]
    assert listed[1:] == [f"flags-{days_before(back)}.html" for back in range(4)]
    assert "Tue 24 2 1 1 1 $1.49 Mon 23 0 0 0 1 – Sun 22 – – – 1 –" in text_of(html)


def test_a_table_that_cannot_be_read_is_named_and_the_list_of_days_stays(tmp_path: Path) -> None:
    a_day(tmp_path, [])
    a_page(tmp_path)
    before = index_of(tmp_path)
    damaged = parquet_path(tmp_path, "api_costs", DAY)
    damaged.write_bytes(b"torn")
    with pytest.raises(OSError, match=re.escape(f"{damaged} could not be read")):
        write_index(tmp_path)
    assert index_of(tmp_path) == before


def test_the_index_lists_a_page_without_tables_without_numbers(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "flags-2026-11-01.html").write_text("a page")
    (tmp_path / "reports" / "flags-2026-13-01.html").write_text("no day")
    (tmp_path / "reports" / "notes.txt").write_text("not a page")
    a_page(tmp_path)
    text = text_of(index_of(tmp_path))
    assert "Sun 1 – – – – –" in text
    assert "2 days, 1 November 2026 to 24 November 2026" in text


def days_linked(root: Path, back: int) -> dict[str, str]:
    """Return where a page's links to other days lead, and that each of them is there."""
    html = (root / "reports" / f"flags-{days_before(back)}.html").read_text(encoding="utf-8")
    links = {str(a["rel"]): str(a["href"]) for tag, a in Parsed(html).tags if tag == "a" and "rel" in a}
    assert all((root / "reports" / name).exists() for name in links.values())
    return links


def test_each_page_leads_to_the_nearest_earlier_and_later_day_in_whatever_order_they_were_written(
    tmp_path: Path,
) -> None:
    for back in (9, 0, 3, 2, 3):
        a_page(tmp_path, days_before(back))
    page = {back: f"flags-{days_before(back)}.html" for back in (9, 3, 2, 0)}
    assert days_linked(tmp_path, 9) == {"next": page[3]}
    assert days_linked(tmp_path, 3) == {"prev": page[9], "next": page[2]}
    assert days_linked(tmp_path, 2) == {"prev": page[3], "next": page[0]}
    assert days_linked(tmp_path, 0) == {"prev": page[2]}
    assert "Earlier day: 15 Nov" in text_of((tmp_path / "reports" / page[3]).read_text(encoding="utf-8"))


@pytest.mark.medium
def test_a_later_day_changes_nothing_of_an_earlier_page_but_its_link(tmp_path: Path) -> None:
    a_hostile_day(tmp_path)
    path = a_page(tmp_path)
    before = path.read_text(encoding="utf-8")
    a_page(tmp_path, DAY + dt.timedelta(days=2))
    link = '<a rel="next" href="flags-2026-11-26.html"><span class="unseen">Later day: </span>26 Nov</a>'
    after = path.read_text(encoding="utf-8")
    assert after.count(link) == 1
    assert "".join(after.replace(link, "").split()) == "".join(before.split())
    assert a_page(tmp_path).read_text(encoding="utf-8") == after


def test_a_file_that_is_not_a_page_of_this_project_is_linked_to_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    foreign = tmp_path / "reports" / f"flags-{days_before(1)}.html"
    foreign.write_bytes(b"\xff<!-- days -->")
    a_page(tmp_path)
    assert foreign.read_bytes() == b"\xff<!-- days -->"
    assert days_linked(tmp_path, 0) == {"prev": foreign.name}


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = a_page(tmp_path)
    before = path.read_bytes()
    (tmp_path / "parquet" / "backlinks_flags" / f"date={DAY}").mkdir(parents=True)
    (tmp_path / "parquet" / "backlinks_flags" / f"date={DAY}" / "backlinks_flags.parquet").write_bytes(b"torn")
    with pytest.raises(OSError, match="Build backlinks_flags of"):
        a_page(tmp_path)
    assert path.read_bytes() == before


def test_the_picture_says_so_on_a_day_without_flags(tmp_path: Path) -> None:
    texts = ET.fromstring(picture_of(tmp_path, dt.date(2026, 1, 1))).itertext()
    assert "No flag on 2026-01-01." in [text.strip() for text in texts]
    assert "Nothing moved" not in markdown_of(tmp_path)
