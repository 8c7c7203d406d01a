"""A small world of tables for the report's tests, and what the report reads from it."""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backlinks_assets.formatting import dollars, number, percent, signed
from backlinks_assets.paths import parquet_path
from backlinks_assets.report.breakdowns import Breakdowns, Row
from backlinks_assets.report.cards import cards
from backlinks_assets.report.day_sentence import day_sentence
from backlinks_assets.report.index import write_index
from backlinks_assets.report.page import write_report
from backlinks_assets.report.readings import Histories
from backlinks_assets.report.summary import read_day_report
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES

DAY = dt.date(2026, 11, 24)
NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)


def days_before(count: int) -> dt.date:
    return DAY - dt.timedelta(days=count)


def write_rows(root: Path, table: str, date: dt.date, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as a table's day; columns that are not given are NULL, `simulated` is false."""
    schema = TABLES[table].arrow
    full = [dict.fromkeys(schema.names) | {"date": date, "simulated": False} | dict(row) for row in rows]
    write_day(root, table, date, pa.Table.from_pylist(full, schema=schema))


def answers(target: str, spam: int | None, lost: int | None, *, known: bool = True) -> list[dict[str, Any]]:
    same = {"target": target, "has_data": known, "request_key": "k"}
    return [
        {**same, "status_type": "live", "backlinks_spam_score": spam, "backlinks": 10_000},
        {**same, "status_type": "lost", "backlinks": lost},
    ]


def a_flag(target: str = "shop.example", **changes: Any) -> dict[str, Any]:
    return {
        "target": target,
        "metric": "lost_backlinks",
        "value": 1500.0,
        "previous": 1003.0,
        "previous_date": days_before(1),
        "baseline": 1000.0,
        "usual_low": 970.0,
        "usual_high": 1030.0,
        "change": 500.0,
        "score": 20.0,
        "direction": "up",
        "kind": "step",
        "severity": "warning",
        "reason": f"Lost backlinks of {target} rose by 500 to 1,500 against 1,000.",
    } | changes


def a_history(root: Path, targets: Iterable[str], days: int = 60, gap: range = range(0)) -> None:
    """Write `days` days of answers and changes up to DAY; on the days of `gap`, counted back, nothing is written."""
    targets = list(targets)
    for back in range(days):
        if back in gap:
            continue
        date, lost = days_before(back), 1000 + (back * 7) % 11
        write_rows(
            root, "backlinks_summary", date, [r for t in targets for r in answers(t, 20, 1500 if back == 0 else lost)]
        )
        rows = [
            a_flag(t, value=float(lost), change=lost - 1000.0, score=(lost - 1000) / 5, severity=None, kind=None)
            for t in targets
        ]
        if back:
            write_rows(root, "backlinks_changes", date, rows)


def a_day(root: Path, flags: Iterable[Mapping[str, Any]], *, unflagged: Iterable[Mapping[str, Any]] = ()) -> None:
    """Write DAY's changes, flags and costs."""
    flags = list(flags)
    write_rows(root, "backlinks_changes", DAY, [*flags, *unflagged])
    write_rows(root, "backlinks_flags", DAY, flags)
    write_rows(
        root, "api_costs", DAY, [{"calls": 62, "answers": 62, "cost_usd": 1.490232, "charged_without_answer": 0}]
    )


def links(target: str, counts: Mapping[str, int], dimension: str = "referring_links_tld") -> list[dict[str, Any]]:
    return [
        {"target": target, "status_type": "live", "dimension": dimension, "key": key, "links": count}
        for key, count in counts.items()
    ]


def a_page(root: Path, date: dt.date = DAY, *, simulated: bool = False, expected: Collection[str] = ()) -> Path:
    """Write a day's page and the list of days; return the page."""
    path = write_report(root, read_day_report(root, date, simulated=simulated, expected_targets=expected))
    write_index(root)
    return path


INDEX_MOVE = a_flag(
    "*", value=11.0, previous=None, previous_date=None, baseline=None, change=-11.2, score=None, kind="index_move",
    reason="The vendor's index moved.",
)  # fmt: skip


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


def test_an_index_moves_chart_shows_the_share_of_targets_that_moved(tmp_path: Path) -> None:
    targets = [f"t{i}.example" for i in range(10)]
    a_history(tmp_path, targets)
    moved = [a_flag(t, value=900.0, previous=1003.0, severity=None) for t in targets[:4]]
    still = [a_flag(t, value=1003.0, previous=1003.0, severity=None) for t in targets[4:]]
    a_day(tmp_path, [INDEX_MOVE], unflagged=[*moved, *still])
    report = read_day_report(tmp_path, DAY, simulated=False)
    assert Histories(tmp_path, DAY, report.flags).of(report.flags[0]).values[-1] == pytest.approx(40)


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
