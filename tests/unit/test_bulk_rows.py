"""The table of targets watched in bulk: levels that go on over the months, and items that are no reading."""

import datetime as dt
from pathlib import Path

import pytest
from bulk_days import of_day, write_bulk

from backlinks_assets.tables.bulk_rows import counted_since
from backlinks_assets.tables.history import detection_history, targets_in_bulk, targets_with_answers

OCT, NOV = dt.date(2025, 12, 1), dt.date(2026, 1, 1)
D1, D2, D3, D4 = (dt.date(2026, 10, 30), dt.date(2026, 10, 31), dt.date(2026, 11, 2), dt.date(2026, 11, 3))
DAY = dt.timedelta(days=1)
LIVE = {"backlinks": 500, "backlinks_spam_score": 12, "referring_main_domains": 40, "lost_date": None}


def row(root: Path, date: dt.date, lost, live=LIVE) -> dict:
    (found,) = write_bulk(root, date, of_day(date, {"a.com": live}, {since: {"a.com": n} for since, n in lost.items()}))
    return found


def test_the_level_goes_on_over_the_months_roll(tmp_path: Path) -> None:
    days = [(D1, {OCT: 100}), (D2, {OCT: 103}), (D3, {OCT: 110, NOV: 60}), (D4, {NOV: 61})]
    rows = [row(tmp_path, day, lost) for day, lost in days]
    assert [one["lost_level"] for one in rows] == [100, 103, 110, 111]
    assert [one["lost_backlinks"] for one in rows] == [100, 103, 60, 61]
    assert [one["lost_since"] for one in rows] == [OCT, OCT, NOV, NOV]
    assert {one["level_start"] for one in rows} == {D1}
    history = detection_history(tmp_path, D4, 10)
    assert history["lost_backlinks"].tolist() == [100, 103, 110, 111]
    assert history["spam_score"].tolist() == [12] * 4
    assert history["live_backlinks"].tolist() == [500] * 4
    assert len(set(history["request_key"])) == 1


def test_without_the_joint_the_level_and_the_history_start_anew(tmp_path: Path) -> None:
    row(tmp_path, D2, {OCT: 103})
    found = row(tmp_path, D3, {NOV: 60})
    assert (found["lost_level"], found["level_start"]) == (60, D3)
    assert detection_history(tmp_path, D3, 10)["request_key"].nunique() == 2


def test_the_level_carries_over_a_day_without_a_reading(tmp_path: Path) -> None:
    row(tmp_path, D1, {OCT: 100})
    gap = row(tmp_path, D2, {OCT: None})
    assert (gap["lost_level"], gap["lost_backlinks"], gap["is_missing"]) == (None, None, True)
    assert row(tmp_path, D3, {OCT: 104, NOV: 50})["lost_level"] == 104


def test_a_day_built_again_has_the_same_rows(tmp_path: Path) -> None:
    row(tmp_path, D1, {OCT: 100})
    again = [row(tmp_path, D2, {OCT: 105}) for _ in range(2)]
    assert again[0] == again[1]


@pytest.mark.parametrize(("live", "lost", "has_data"), [(None, None, True), (LIVE, 0, True)])
def test_a_missing_item_is_no_reading_and_zero_is_one(tmp_path: Path, live, lost, has_data: bool) -> None:
    found = row(tmp_path, D1, {OCT: lost}, live)
    assert (found["backlinks"], found["lost_level"], found["has_data"]) == (
        (live or {}).get("backlinks"),
        lost,
        has_data,
    )


def test_a_share_of_a_calls_cost_is_each_targets(tmp_path: Path) -> None:
    names = {"a.com": LIVE, "b.com": LIVE}
    rows = write_bulk(tmp_path, D1, of_day(D1, names, {OCT: dict.fromkeys(names, 1)}))
    assert [one["cost_usd"] for one in rows] == pytest.approx([0.09, 0.09])


def test_a_day_on_which_many_are_missing_is_a_gap_for_all_in_bulk(tmp_path: Path) -> None:
    names = [f"s{number:02d}.com" for number in range(40)]
    for day, missing in ((D1, 0), (D2, 3), (D3, 2)):
        live = {name: LIVE if number >= missing else None for number, name in enumerate(names)}
        write_bulk(tmp_path, day, of_day(day, live, {OCT: dict.fromkeys(names, 5), NOV: dict.fromkeys(names, 1)}))
    history = detection_history(tmp_path, D3, 10)
    assert history.groupby(history["date"].dt.date).size().to_dict() == {D1: 40, D3: 40}
    assert targets_in_bulk(tmp_path, D2) == targets_with_answers(tmp_path, D3, 10) == names


def test_targets_that_are_down_have_no_score_and_do_not_end_the_evaluation_of_the_others(tmp_path: Path) -> None:
    names = [f"s{number:02d}.com" for number in range(40)]
    down = {"backlinks": 0, "backlinks_spam_score": None, "referring_main_domains": 0, "lost_date": "2026-10-29"}
    for day in (D1, D2):
        live = {name: LIVE if number >= 20 or day == D1 else down for number, name in enumerate(names)}
        rows = write_bulk(tmp_path, day, of_day(day, live, {OCT: dict.fromkeys(names, 5)}))
        assert not any(one["is_missing"] for one in rows)
    assert detection_history(tmp_path, D2, 10).groupby("date").size().tolist() == [40, 40]


def test_a_zero_day_is_zero_that_day_and_the_level_goes_on_after_it(tmp_path: Path) -> None:
    row(tmp_path, D1, {OCT: 100})
    row(tmp_path, D2, {OCT: 103, NOV: 50})
    zero = row(tmp_path, D3, {OCT: 0, NOV: 0})
    after = row(tmp_path, D4, {NOV: 51})
    assert [one["lost_level"] for one in (zero, after)] == [0, 104]
    assert {one["level_start"] for one in (zero, after)} == {D1}


def test_a_target_that_never_lost_a_link_has_a_level_of_zero_that_goes_on(tmp_path: Path) -> None:
    rows = [row(tmp_path, day, {OCT: lost, NOV: lost}) for day, lost in ((D1, 0), (D2, 0), (D3, 0), (D4, 2))]
    assert [one["lost_level"] for one in rows] == [0, 0, 0, 2]
    assert {one["level_start"] for one in rows} == {D1}


def test_a_month_whose_new_day_has_no_losses_since_goes_on_too(tmp_path: Path) -> None:
    days = [(D2, {OCT: 12}), (D3, {OCT: 12, NOV: 0}), (D4, {NOV: 0}), (D4 + DAY, {NOV: 2})]
    rows = [row(tmp_path, day, lost) for day, lost in days]
    assert [one["lost_level"] for one in rows] == [12, 12, 12, 14]
    assert {one["level_start"] for one in rows} == {D2}
    assert counted_since(tmp_path, D4, ["a.com"], OCT) == set()


@pytest.mark.parametrize("no_count", [0, None])
def test_a_months_first_run_without_a_count_leaves_the_joint_to_the_next(tmp_path: Path, no_count: int | None) -> None:
    row(tmp_path, D2, {OCT: 103})
    row(tmp_path, D3, {OCT: no_count, NOV: no_count})
    assert counted_since(tmp_path, D4, ["a.com", "b.com"], OCT) == {"a.com"}
    after = row(tmp_path, D4, {OCT: 104, NOV: 51})
    assert (after["lost_level"], after["level_start"]) == (104, D2)
    assert counted_since(tmp_path, D4 + DAY, ["a.com"], OCT) == set()
