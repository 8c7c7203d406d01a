"""Charts as numbers: everything stands where its value is, gaps stay gaps, foreign names stay text, nothing is colour only."""

import base64
import datetime as dt
import itertools
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from report_world import DAY, INDEX_MOVE, a_day, a_flag, a_history, a_page, days_before

from backlinks_assets.defs.metadata.page import publish_page
from backlinks_assets.report.charts import Chart, flags_chart, history_chart, shares_chart
from backlinks_assets.report.readings import History
from backlinks_assets.report.summary import read_day_report
from backlinks_assets.report.ui_summary import overview_svg
from backlinks_assets.settings import Settings
from backlinks_assets.targets.target import Target, WatchList

NAN = float("nan")
SVG = "{http://www.w3.org/2000/svg}"


def a_chart(
    values: list[float], low: list[float] | None = None, high: list[float] | None = None, draw=history_chart, **given
) -> Chart:
    blank = [NAN] * len(values)
    days = [days_before(back) for back in reversed(range(len(values)))]
    history = History(days, np.array(values), np.array(low or blank), np.array(high or blank))
    return draw(history, key="k", title="t", description="d", **given)


def value_at(chart: Chart, y: float) -> float:
    """Return the value of a height, by two of the numbers written beside the chart."""
    (y0, first), *_, (y1, last) = [(at, float(text.replace(",", "").replace("k", "e3"))) for at, text in chart.numbers]
    return first + (y - y0) * (last - first) / (y1 - y0)


def places(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", path)]


@pytest.mark.parametrize(
    "values",
    [[20.0, 22.0, 43.0], [900.0, 0.0, 5000.0, 1.0], [12_000.0, 91_194.0], [7.0, 7.0, 7.0, 20.0]],
    ids=["points", "to nearly nothing", "thousands", "flat"],
)
def test_each_reading_stands_at_its_value_by_the_numbers_beside_it(values: list[float]) -> None:
    chart = a_chart(values)
    drawn = places(chart.line)
    assert [round(value_at(chart, y) / max(values), 2) for _, y in drawn] == pytest.approx(
        [value / max(values) for value in values], abs=0.02
    )
    assert chart.flagged == drawn[-1]
    assert len({x for x, _ in drawn}) == len(values)


@given(
    st.lists(st.one_of(st.just(NAN), st.floats(0, 1e12)), min_size=1, max_size=80),
    st.sampled_from([history_chart, shares_chart]),
    st.sampled_from([130, 196]),
)
def test_whatever_the_readings_everything_stands_inside_and_some_numbers_are_written(values, draw, height) -> None:
    low, high = [value * 0.9 for value in values], [value * 1.1 + 1 for value in values]
    chart = a_chart(values, low, high, draw=draw, height=height)
    for path in (chart.band, chart.line, *chart.bars.values()):
        assert all(0 <= x <= chart.width and 0 <= y <= height for x, y in places(path))
    assert 1 <= len(chart.numbers) <= 7
    assert len({text for _, text in chart.numbers}) == len(chart.numbers)
    assert not any("-" in text for _, text in chart.numbers)
    assert (chart.value is None) == (values[-1] != values[-1])
    if chart.value:
        assert 0 < chart.value[0] < chart.width
        assert 8 < chart.value[1] < height - 12


@pytest.mark.parametrize(
    ("values", "lines", "dots"),
    [
        ([1.0, 2.0, NAN, NAN, 3.0, 4.0], 2, 0),
        ([NAN, 2.0, NAN, 3.0, 4.0], 1, 1),
        ([5.0, NAN, 6.0], 0, 2),
        ([NAN, NAN], 0, 0),
        ([1.0, 2.0, 3.0], 1, 0),
    ],
)
def test_the_line_breaks_where_there_is_no_reading_and_one_alone_is_a_dot(values, lines: int, dots: int) -> None:
    chart = a_chart(values)
    assert (chart.line.count("M"), len(chart.dots)) == (lines, dots)


@pytest.mark.parametrize(
    ("low", "high", "areas"),
    [
        ([1.0, 1.0, 1.0], [3.0, 3.0, 3.0], 1),
        ([1.0, 1.0, 10.0], [3.0, 3.0, 12.0], 2),
        ([10.0, 1.0, 1.0], [12.0, 3.0, 3.0], 2),
        ([1.0, NAN, 1.0], [3.0, NAN, 3.0], 2),
        ([NAN, NAN, 1.0], [NAN, NAN, 3.0], 1),
        ([1.0, 3.0, 5.0], [3.0, 5.0, 7.0], 1),
        ([NAN, NAN, NAN], [NAN, NAN, NAN], 0),
    ],
    ids=["level", "up", "down", "gap", "last day only", "touching", "none"],
)
def test_the_range_begins_anew_where_two_days_have_nothing_in_common(low, high, areas: int) -> None:
    band = a_chart([2.0, 2.0, 11.0], low, high).band
    assert band.count("M") == band.count("z") == areas
    for area in filter(None, band.split("M")):
        assert max(x for x, _ in places(area)) - min(x for x, _ in places(area)) > 50  # a day's range is seen, too


def test_a_range_far_wider_than_the_readings_leaves_the_line_its_height() -> None:
    chart = a_chart([20.0, 22.0, 43.0], [0.0, 0.0, 0.0], [1e6, 1e9, 1e6])
    heights = [y for _, y in places(chart.line)]
    assert max(heights) - min(heights) > 0.3 * (chart.height - 46)
    assert [round(value_at(chart, y)) for y in heights] == [20, 22, 43]


def test_a_day_without_a_flag_has_no_column_and_the_others_reach_their_count() -> None:
    days = [DAY + dt.timedelta(days=at) for at in range(5)]
    chart = flags_chart(days, np.array([0.0, 2, 0, 0, 10]), np.array([0.0, 0, 3, 0, 20]), title="t", description="d")
    assert [chart.bars[name].count("M") for name in ("critical", "warning")] == [2, 2]
    tops = [float(top) for top in re.findall(r"V([\d.]+)", chart.bars["critical"] + chart.bars["warning"])]
    assert [round(value_at(chart, y)) for y in tops] == [2, 10, 3, 30]


def shapes(svg: ET.Element, kind: str) -> set[str | None]:
    return {path.get("d") for path in svg.iter(f"{SVG}path") if path.get("class") == kind}


@pytest.mark.medium
def test_severities_differ_in_shape_not_only_in_colour(tmp_path: Path) -> None:
    a_history(tmp_path, names := ["shop.example", "blog.example"])
    marks = []
    for severity in ("critical", "warning"):
        a_day(tmp_path, [a_flag(name, severity=severity) for name in names])
        marks.append(
            shapes(ET.fromstring(overview_svg(tmp_path, read_day_report(tmp_path, DAY, simulated=False))), "flagged")
        )
    assert [len(mark) for mark in marks] == [1, 1]
    assert marks[0] != marks[1]


@pytest.mark.medium
def test_whatever_the_name_pictures_are_well_formed_and_the_name_is_text(tmp_path: Path) -> None:
    names = ["a & b < c", "x\uffff.example", "x\ufffe", "]]>", "<!--", "x\x00\x08", "x\\ud800", "𝒳🎉"]
    a_history(tmp_path, names)
    a_day(tmp_path, [*(a_flag(name, reason="R") for name in names), INDEX_MOVE])
    picture = ET.fromstring(overview_svg(tmp_path, read_day_report(tmp_path, DAY, simulated=False)))
    page = a_page(tmp_path).read_text(encoding="utf-8")
    charts = [ET.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]
    assert len(charts) == len(names) + 1
    for one in (picture, *charts):
        assert {element.tag.removeprefix(SVG) for element in one.iter()} <= {
            "svg", "style", "rect", "text", "title", "desc", "path", "circle"
        }  # fmt: skip
    said = [["".join(title.itertext()) for title in chart.iter("title")] for chart in charts[1:]]
    assert [len(of_one) for of_one in said] == [1] * len(names)
    told = {of_one[0] for of_one in said}
    for name in filter(str.isprintable, names):
        assert f"Lost backlinks of {name}, 60 days to 24 November 2026" in told


@pytest.mark.medium
def test_a_chart_says_in_words_what_it_shows(tmp_path: Path) -> None:
    a_history(tmp_path, ["shop.example"])
    a_day(tmp_path, [a_flag(), INDEX_MOVE])
    page = a_page(tmp_path).read_text(encoding="utf-8")
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        chart = ET.fromstring(svg)
        named = [chart.find(f"*[@id='{key}']") for key in (chart.get("aria-labelledby") or "").split()]
        assert [one.tag for one in named if one is not None and one.text] == ["title", "desc"]
        days = [text.text for text in chart.iter("text") if re.fullmatch(r"\d+ [A-Z][a-z]{2}", text.text or "")]
        assert days[0] == "24 Nov"
        assert all(earlier != later for earlier, later in itertools.pairwise(days))


@pytest.mark.medium
def test_dagsters_page_gets_the_picture_as_an_svg_in_markdown(tmp_path: Path) -> None:
    settings = Settings.from_env({"BACKLINKS_DATA_DIR": str(tmp_path)}, demo=True)
    a_history(settings.root, ["shop.example"])
    a_day(settings.root, [a_flag(severity="critical")])
    picture = publish_page(settings, DAY, WatchList("targets.csv", [Target("shop.example")]))["picture"].value
    encoded = re.fullmatch(r"!\[[^]]+\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", picture)
    assert encoded
    texts = [text.strip() for text in ET.fromstring(base64.b64decode(encoded[1])).itertext()]
    assert {"shop.example", "critical · lost backlinks 1,000 → 1,500", "24 Nov", "1,500"} <= set(texts)
