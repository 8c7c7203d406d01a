"""What the report reads from a small world of tables."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from report_world import (
    DAY,
    FAULT,
    INDEX_MOVE,
    a_day,
    a_flag,
    a_history,
    a_page,
    a_turn,
    answers,
    days_before,
    links,
    write_rows,
)

from backlinks_assets.formatting import dollars, number, percent, signed
from backlinks_assets.paths import index_path, parquet_path
from backlinks_assets.report.breakdowns import Breakdowns, Row
from backlinks_assets.report.cards import cards, size
from backlinks_assets.report.day_sentence import day_sentence
from backlinks_assets.report.index import read_rows
from backlinks_assets.report.readings import Histories
from backlinks_assets.report.summary import read_day_report
from backlinks_assets.report.ui_summary import markdown, overview_svg


def test_index_moves_come_first_then_critical_then_the_most_unusual(tmp_path: Path) -> None:
    a_day(
        tmp_path,
        [
            a_flag("loud.example", score=50.0),
            a_flag("quiet.example", score=-7.0),
            a_flag("grave.example", score=8.0, severity="critical"),
            INDEX_MOVE,
        ],
    )
    report = read_day_report(tmp_path, DAY, simulated=False)
    assert [flag.target for flag in report.flags] == ["*", "grave.example", "loud.example", "quiet.example"]


def test_the_day_in_one_sentence(tmp_path: Path) -> None:
    a_history(tmp_path, ["shop.example", "blog.example"], days=2)
    today = [*answers("shop.example", 20, 1500), *answers("empty.example", None, None, known=False)]
    write_rows(tmp_path, "backlinks_summary", DAY, today)
    a_day(tmp_path, [a_flag(severity="critical"), a_flag(metric="spam_score"), INDEX_MOVE])
    report = read_day_report(
        tmp_path, DAY, simulated=False, expected_targets=["blog.example", "shop.example", "empty.example"]
    )
    assert day_sentence(report) == (
        "24 November 2026: 1 of 3 targets flagged, 1 critical; 1 index move; 2 of 3 collected, 1 unknown to the API; "
        "$1.49 spent on 62 calls."
    )


def test_a_target_is_missing_unless_both_its_answers_are_there(tmp_path: Path) -> None:
    rows = [*answers("whole.example", 1, 1), answers("half.example", 1, 1)[0]]
    write_rows(tmp_path, "backlinks_summary", DAY, rows)
    report = read_day_report(tmp_path, DAY, simulated=False, expected_targets=["whole.example", "gone.example"])
    reasons = dict(report.coverage.missing)
    assert list(reasons) == ["gone.example", "half.example"]
    assert "live" in reasons["half.example"]
    assert (report.coverage.answered, report.coverage.watched) == (1, 3)


@pytest.mark.medium
def test_gaps_stay_gaps_and_the_usual_range_is_detections_own(tmp_path: Path) -> None:
    a_history(tmp_path, ["shop.example"], gap=range(10, 13))
    a_day(tmp_path, [a_flag()])
    report = read_day_report(tmp_path, DAY, simulated=False)
    history = Histories(tmp_path, DAY, report.flags).of(report.flags[0])
    assert len(history.days) == 60
    assert history.days[-1] == DAY
    assert np.flatnonzero(np.isnan(history.values)).tolist() == [47, 48, 49]
    assert np.flatnonzero(history.low != 970).tolist() == np.flatnonzero(history.high != 1030).tolist() == [47, 48, 49]
    assert np.isnan(history.low[48])


def test_a_day_judged_before_there_was_a_usual_range_is_drawn_without_one(tmp_path: Path) -> None:
    a_history(tmp_path, ["shop.example"], days=9)
    a_day(tmp_path, [a_flag()])
    for table, back in (("backlinks_changes", 0), ("backlinks_changes", 3), ("backlinks_flags", 0)):
        path = parquet_path(tmp_path, table, days_before(back))
        pq.write_table(pq.read_table(path, partitioning=None).drop_columns(["usual_low", "usual_high"]), path)
    report = read_day_report(tmp_path, DAY, simulated=False)
    (card,) = cards(tmp_path, report, report.flags)
    usual = dict.fromkeys(range(9), "970 – 1,030") | {0: "–", 3: "–"}
    assert [range_ for _, _, range_ in card.readings] == list(usual.values())
    assert card.chart.flagged
    assert card.chart.band.count("M") == 2


@pytest.mark.medium
def test_an_index_moves_chart_shows_the_share_of_targets_that_moved(tmp_path: Path) -> None:
    targets = [f"t{i}.example" for i in range(10)]
    a_history(tmp_path, targets)
    moved = [a_flag(t, value=900.0, previous=1003.0, severity=None) for t in targets[:4]]
    still = [a_flag(t, value=1003.0, previous=1003.0, severity=None) for t in targets[4:]]
    a_day(tmp_path, [INDEX_MOVE], unflagged=[*moved, *still])
    report = read_day_report(tmp_path, DAY, simulated=False)
    assert Histories(tmp_path, DAY, report.flags).of(report.flags[0]).values[-1] == pytest.approx(40)


@pytest.mark.medium
def test_a_target_that_went_down_comes_first_with_its_live_links_drawn_and_when_they_were_last_seen(
    tmp_path: Path,
) -> None:
    a_history(tmp_path, ["gone.example", "back.example"])
    a_day(
        tmp_path,
        [a_flag("loud.example", severity="critical"), a_turn("back.example", back=True), a_turn("gone.example")],
    )
    report = read_day_report(tmp_path, DAY, simulated=False)
    gone, _, back = cards(tmp_path, report, report.flags)
    assert (gone.flag.subject, gone.flag.title, gone.move) == ("gone.example", "Target down", "10,000 → 0")
    assert (size(gone.flag), gone.series, gone.has_usual) == ("links last seen on 23 Nov", "Live backlinks", False)
    assert [value for _, value, _ in gone.readings] == ["10,000"] * 60
    assert not gone.chart.band
    assert (back.flag.mark, back.flag.title, size(back.flag)) == ("warning", "Target back", "links last seen on 19 Nov")
    assert "| target down | links last seen on 23 Nov |" in markdown(report)
    assert "critical · target down 10,000 → 0" in overview_svg(tmp_path, report)


@pytest.mark.medium
def test_the_vendors_fault_is_told_like_an_index_move_and_the_day_says_that_nothing_counts(tmp_path: Path) -> None:
    a_history(tmp_path, ["shop.example", "blog.example"])
    a_day(tmp_path, [FAULT])
    report = read_day_report(tmp_path, DAY, simulated=False)
    assert (report.index_moves, report.target_flags, len(report.faults)) == ([], [], 1)
    assert day_sentence(report).startswith("24 November 2026: the vendor's fault, not your links; 2 of 2 collected")
    (card,) = cards(tmp_path, report, report.flags)
    assert (card.flag.mark, card.flag.mark_name, card.flag.subject) == ("index", "Vendor's fault", "All targets")
    assert (card.flag.title, card.move, size(card.flag)) == ("All readings", "11 targets at once", "not counted")
    assert [value for _, value, _ in card.readings] == ["20,000"] * 60
    assert card.breakdown is None
    assert "| critical | all targets | all readings | not counted | The vendor's fault" in markdown(report)
    assert "vendor&#39;s fault · all readings" in overview_svg(tmp_path, report)


@pytest.mark.medium
def test_a_later_day_of_the_fault_says_that_no_reading_counts(tmp_path: Path) -> None:
    a_history(tmp_path, ["shop.example"])
    a_day(tmp_path, [])
    report = read_day_report(tmp_path, DAY, simulated=False)
    assert day_sentence(report).startswith("24 November 2026: no reading of this day counts; 1 of 1 collected")
    page = a_page(tmp_path).read_text()
    assert "No reading of this day counts: they are part of the vendor" in page
    assert "No target moved sharply" not in page


def test_the_list_of_days_names_a_fault_and_counts_it_as_no_index_move(tmp_path: Path) -> None:
    a_history(tmp_path, ["shop.example"], days=2)
    a_day(tmp_path, [FAULT])
    a_page(tmp_path)
    (row,) = read_rows(tmp_path)
    assert (row.index_moves, row.faults, row.flagged) == (0, 1, 0)
    assert ">vendor&#39;s fault</td>" in index_path(tmp_path).read_text()


def test_a_weekly_watch_has_its_index_moves_drawn_too(tmp_path: Path) -> None:
    targets = [f"t{i}.example" for i in range(10)]
    for back in range(56, 0, -7):
        write_rows(
            tmp_path, "backlinks_changes", days_before(back), [a_flag(t, value=1003.0, severity=None) for t in targets]
        )
    moved = [a_flag(t, value=1200.0, severity=None) for t in targets[:4]]
    a_day(
        tmp_path, [INDEX_MOVE | {"change": 20.0}], unflagged=[*moved, *(a_flag(t, value=1003.0) for t in targets[4:])]
    )
    report = read_day_report(tmp_path, DAY, simulated=False)
    shares = Histories(tmp_path, DAY, report.flags).of(report.flags[0]).values
    assert shares[-1] == pytest.approx(40)
    assert np.flatnonzero(np.isfinite(shares)).tolist() == [24, 31, 38, 45, 52, 59]


def test_the_largest_breakdown_moves_are_shown_with_keys_that_come_and_go(tmp_path: Path) -> None:
    a_history(tmp_path, ["shop.example"], days=3)
    a_day(tmp_path, [a_flag()])
    before = links("shop.example", {"com": 5000, "net": 80, "org": 70, "de": 60})
    now = links("shop.example", {"com": 4000, "net": 82, "org": 70, "xyz": 300})
    write_rows(tmp_path, "referring_links", days_before(1), before)
    write_rows(tmp_path, "referring_links", DAY, now)
    report = read_day_report(tmp_path, DAY, simulated=False)
    history = Histories(tmp_path, DAY, report.flags).of(report.flags[0])
    found = Breakdowns(tmp_path, DAY, ["shop.example"]).of(report.flags[0], history)
    assert found is not None
    assert found.since == days_before(1)
    assert found.rows == {"Top-level domain": [Row("com", 5000, 4000), Row("xyz", None, 300), Row("de", 60, None)]}


def test_a_slide_is_compared_to_the_day_it_began(tmp_path: Path) -> None:
    for back, spam in enumerate([32, 29, 26, 23, 20, 20, 20, 20]):
        write_rows(tmp_path, "backlinks_summary", days_before(back), answers("shop.example", spam, 5))
        write_rows(tmp_path, "referring_links", days_before(back), links("shop.example", {"com": spam}))
    a_day(tmp_path, [a_flag(metric="spam_score", value=32.0, baseline=20.0, change=12.0, kind="slide")])
    (article,) = cards(tmp_path, report := read_day_report(tmp_path, DAY, simulated=False), report.flags)
    assert article.breakdown is not None
    assert article.breakdown.since == days_before(4)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (number(1234567.0), "1,234,567"),
        (number(99.96), "100"),
        (number(12.34), "12.3"),
        (number(None), "–"),
        (signed(-3.0), "−3"),
        (signed(0.0), "±0"),
        (percent(50.0, 200.0), "+25 %"),
        (percent(5.0, 0.0), ""),
        (dollars(1.490232), "$1.49"),
        (dollars(0.0241), "$0.0241"),
        (dollars(0.0), "$0.00"),
    ],
)
def test_numbers_are_written_for_people(written: str, expected: str) -> None:
    assert written == expected
