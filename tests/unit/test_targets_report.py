"""The pages of all targets, groups and single targets: what stands in them, and which are written anew."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_world import DAY, FAULT, a_day, a_flag, a_history, a_turn, answers, days_before, write_rows

from backlinks_assets.defs.metadata.targets_pages import left_out
from backlinks_assets.paths import (
    MAX_NAME_CHARACTERS,
    group_page_name,
    group_page_path,
    target_page_name,
    target_page_path,
)
from backlinks_assets.report import targets_report
from backlinks_assets.report.left_out import LeftOut, faults
from backlinks_assets.report.portfolio import Portfolio, Row, spark
from backlinks_assets.report.target_charts import long_chart
from backlinks_assets.report.target_state import TargetFlag, read_target_flags, state_of
from backlinks_assets.report.targets_report import Written, write_targets_report
from backlinks_assets.store.verdicts import StoredVerdict
from backlinks_assets.targets.target import Target

LINES = [
    Target("a.example", group="Acme", owner="ann@x.example", note="Moves in December."),
    Target("a2.example", group="Acme"),
    Target("b.example", group="Bolt"),
    Target("c.example"),
]
NAMES = [line.target for line in LINES]


def written(root: Path, lines: list[Target] = LINES, **options: Any) -> Written:
    labels = {one.target: one for one in lines}
    found = write_targets_report(root, simulated=False, expected_targets=list(labels), labels=labels, **options)
    assert found is not None
    return found


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """Sixty days; on the last one a is flagged, b is down, and c has no answer."""
    a_history(tmp_path, NAMES)
    write_rows(tmp_path, "backlinks_summary", DAY, [row for name in NAMES[:3] for row in answers(name, 26, 1500)])
    a_day(tmp_path, [a_flag("a.example", severity="critical"), a_turn("b.example")])
    return tmp_path


def rows(portfolio: Portfolio) -> dict[str, Row]:
    return {row.target: row for row in portfolio.rows}


@pytest.mark.medium
def test_a_row_has_the_numbers_now_and_their_changes_in_a_week_and_four(world: Path) -> None:
    portfolio = written(world).portfolio
    spam, lost, live, domains = rows(portfolio)["a.example"].numbers
    assert (spam.now, spam.changes) == ("26", [("+6", "worse"), ("+6", "worse")])
    before = [1000 + (back * 7) % 11 for back in (7, 28)]
    assert (lost.now, [text for text, _ in lost.changes]) == ("1,500", [f"+{1500 - value}" for value in before])
    assert {kind for _, kind in lost.changes} == {"worse"}
    assert (live.now, live.changes) == ("10,000", [("±0", ""), ("±0", "")])
    assert (domains.now, domains.changes) == ("–", [("–", ""), ("–", "")])


@pytest.mark.medium
def test_rows_are_by_state_the_worst_first_and_a_missing_answer_is_one(world: Path) -> None:
    portfolio = written(world).portfolio
    assert [(row.target, row.state.key) for row in portfolio.rows] == [
        ("b.example", "down"),
        ("a.example", "critical"),
        ("c.example", "missing"),
        ("a2.example", "quiet"),
    ]
    assert rows(portfolio)["c.example"].numbers[1].now == "1,007"  # its last reading


@pytest.mark.medium
def test_a_groups_numbers_are_sums_and_the_average_of_the_spam_score(world: Path) -> None:
    groups = written(world).portfolio.groups
    assert [(group.name, group.targets) for group in groups] == [("Acme", 2), ("Bolt", 1), ("", 1)]
    spam, lost, live, domains = groups[0].numbers
    assert (spam.now, spam.changes[0]) == ("26", ("+6", "worse"))
    assert (lost.now, live.now, domains.now) == ("3,000", "20,000", "–")


def test_without_a_judged_day_nothing_is_written(tmp_path: Path) -> None:
    assert write_targets_report(tmp_path, simulated=False) is None
    assert not (tmp_path / "reports").exists()


@pytest.mark.medium
def test_only_changed_targets_get_a_new_page(world: Path) -> None:
    assert written(world).targets == len(NAMES)
    assert written(world).targets == 0
    noted = [Target("c.example", note="New."), *LINES[:3]]
    before = target_page_path(world, "a.example").stat().st_mtime_ns
    assert written(world, noted).targets == 1
    html = target_page_path(world, "c.example").read_text(encoding="utf-8")
    assert "New." in html
    assert html.count("<svg") == 3  # of series that were never read there is no chart
    assert html.count(" days</th>") == 2  # of a year ago nothing is known
    assert target_page_path(world, "a.example").stat().st_mtime_ns == before
    spans = [LeftOut(DAY, DAY, "Ada", target="b.example")]
    assert written(world, noted, left_out=spans).targets == 1


@pytest.mark.ci
@pytest.mark.medium
def test_of_unchanged_pages_the_oldest_are_written_some_each_day(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(world)
    monkeypatch.setattr(targets_report, "REFRESHED", 1)
    tomorrow = DAY + dt.timedelta(days=1)
    write_rows(world, "backlinks_summary", tomorrow, [row for name in NAMES for row in answers(name, 26, 1500)])
    for table in ("backlinks_changes", "backlinks_flags"):
        write_rows(world, table, tomorrow, [])
    assert written(world).targets == 2  # c has an answer again, and one of the others is refreshed
    assert [written(world).targets for _ in range(3)] == [1, 1, 0]


@pytest.mark.medium
def test_the_same_tables_give_the_same_bytes(world: Path) -> None:
    written(world)
    before = {path: path.read_bytes() for path in world.glob("reports/*/*.html")}
    for path in before:
        path.unlink()
    written(world)
    assert {path: path.read_bytes() for path in world.glob("reports/*/*.html")} == before


@pytest.mark.medium
def test_a_page_with_the_same_content_is_not_touched(world: Path) -> None:
    written(world)
    before = {path: path.stat().st_mtime_ns for path in world.glob("reports/*/*.html")}
    written(world)
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.medium
def test_a_clients_page_names_no_other_clients_target_and_no_spend(world: Path) -> None:
    written(world)
    html = group_page_path(world, "Acme").read_text(encoding="utf-8")
    assert "a.example" in html
    assert "a2.example" in html
    for name in ("b.example", "c.example", "Bolt", "$", "ann@x.example"):
        assert name not in html


@pytest.mark.medium
def test_a_target_flagged_once_and_watched_no_more_has_a_page(world: Path) -> None:
    write_rows(world, "backlinks_flags", days_before(3), [a_flag("gone.example")])
    assert written(world).targets == len(NAMES) + 1
    assert "Watched no more" in target_page_path(world, "gone.example").read_text(encoding="utf-8")


def flag(back: int, severity: str = "warning", **changes: Any) -> TargetFlag:
    known = {"date": days_before(back), "target": "t", "metric": "spam_score", "value": 40.0, "severity": severity}
    return TargetFlag(**known | {"kind": "step", "direction": "up", "reason": ""} | changes)


@pytest.mark.parametrize(
    ("flags", "state"),
    [
        ([flag(0), flag(6, "critical")], "critical"),
        ([flag(6)], "warning"),
        ([flag(7)], "quiet"),
        ([flag(0), flag(40, "critical", kind="down", direction="down")], "down"),
        ([flag(8, kind="down"), flag(9, "critical", kind="down", direction="down")], "quiet"),
    ],
    ids=["the worst of a week", "six days ago", "a week ago", "down until it is back", "back"],
)
def test_a_state_follows_from_the_last_weeks_flags(flags: list[TargetFlag], state: str) -> None:
    assert state_of(flags, DAY, answered=True, known=True).key == state


def test_a_target_without_flags_may_be_unknown_or_without_an_answer() -> None:
    assert state_of([], DAY, answered=False, known=False).key == "missing"
    assert state_of([], DAY, answered=True, known=False).key == "unknown"


def test_the_vendors_fault_lasts_until_there_are_readings_again(tmp_path: Path) -> None:
    for back in range(5):
        write_rows(tmp_path, "backlinks_changes", days_before(back), [] if back in (2, 3) else [a_flag()])
        write_rows(tmp_path, "backlinks_flags", days_before(back), [FAULT] if back == 3 else [])
    vendors = read_target_flags(tmp_path, days_before(9), DAY)["*"]
    assert [(one.first, one.last) for one in faults(tmp_path, vendors, DAY)] == [(days_before(3), days_before(2))]


def test_what_people_took_out_and_back_in_is_left_out_in_part() -> None:
    def said(first: int, last: int, *, counts: bool, target: str | None = None) -> StoredVerdict:
        at = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
        return StoredVerdict(days_before(first), days_before(last), counts, "Ada", at, target)

    found = list(left_out([said(9, 5, counts=False), said(7, 7, counts=True), said(3, 3, counts=False, target="a")]))
    spans = [(one.first, one.last, one.target) for one in found]
    assert spans == [
        (days_before(9), days_before(8), None),
        (days_before(6), days_before(5), None),
        (days_before(3), days_before(3), "a"),
    ]


def test_a_long_chart_has_its_flags_and_joins_readings_of_a_week() -> None:
    values = np.full(365, np.nan)
    values[::7] = 20.0
    flags = [flag(0, "critical"), flag(400)]
    chart = long_chart(days_before(364), values, key="k", name="Spam score", target="t", flags=flags,
                       outs=[(days_before(10), days_before(9)), (days_before(900), days_before(800))])  # fmt: skip
    assert chart.line.count("M") == 1
    assert [mark[2] for mark in chart.marks] == ["critical"]
    assert len(chart.outs) == 1
    assert len(chart.days) <= 8
    assert "53 readings, from 20 on 25 November 2025" in chart.description
    empty = long_chart(DAY, np.full(3, np.nan), key="k", name="Spam score", target="t")
    assert (empty.line, empty.marks, empty.description) == ("", [], "No reading is stored.")


def test_a_page_draws_from_the_second_reading_on(tmp_path: Path) -> None:
    begins = "A chart begins with the second reading."
    for days, drawn in ((1, False), (2, True)):
        a_history(tmp_path / str(days), NAMES[:1], days)
        a_day(tmp_path / str(days), [])
        written(tmp_path / str(days), LINES[:1])
        page = target_page_path(tmp_path / str(days), NAMES[0]).read_text(encoding="utf-8")
        assert (begins in page, "<figure" in page, "In the charts" in page) == (not drawn, drawn, drawn)
        assert "1,500" in page


def test_a_spark_needs_two_readings() -> None:
    assert spark(np.array([np.nan, 5.0, np.nan])) == ""
    assert spark(np.array([1.0, 5.0])).startswith("M1 ")


def test_names_of_files_are_percent_encoded_short_and_different() -> None:
    names = ["a.example", "https://x.example/A", "https://x.example/a", "../up", "..", ".hidden", "a b", "\u202e", "%2e",
             "x" * 400, "x" * 401]  # fmt: skip
    for name_of in (target_page_name, group_page_name):
        files = {name_of(name) for name in names}
        assert len(files) == len(names)
        assert max(map(len, files)) <= MAX_NAME_CHARACTERS + 24
        assert not any(file.startswith(".") or "/" in file for file in files)
    assert len({target_page_name(name).casefold() for name in names}) == len(names)
    assert target_page_name("a.example") == "a.example.html"
    assert group_page_name("Acme") == "Acme.html"
