"""The history that detection reads, out of real parquet files."""

import datetime as dt
import os
from pathlib import Path

import pandas as pd
import pytest
from summary_days import keep

from backlinks_assets.tables import history
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.history import detection_history, targets_with_answers

DAY = dt.date(2026, 3, 14)


LIVE = {"backlinks": 1000, "backlinks_spam_score": 8, "referring_main_domains": 50}
LOST = {"backlinks": 70, "backlinks_spam_score": 99, "referring_main_domains": 3}


@pytest.mark.parametrize(
    ("status_type", "field", "value", "column"),
    [
        ("live", "backlinks_spam_score", 101, "spam_score"),
        ("live", "backlinks_spam_score", -1, "spam_score"),
        ("live", "backlinks", -1, "live_backlinks"),
        ("live", "referring_main_domains", -1, "referring_main_domains"),
        ("lost", "backlinks", -1, "lost_backlinks"),
    ],
)
def test_a_value_out_of_its_range_is_a_missing_reading(tmp_path: Path, status_type, field, value, column) -> None:
    answers = {"live": dict(LIVE), "lost": dict(LOST)}
    answers[status_type][field] = value
    keep(tmp_path, DAY, *(("b.com", kind, answer) for kind, answer in answers.items()))
    readings = detection_history(tmp_path, DAY, 1).iloc[0]
    numbers = ["spam_score", "lost_backlinks", "live_backlinks", "referring_main_domains"]
    assert [name for name in numbers if pd.isna(readings[name])] == [column]


def test_live_and_lost_answers_meet_in_one_row(tmp_path: Path) -> None:
    keep(tmp_path, DAY, ("b.com", "live", LIVE), ("b.com", "lost", LOST), ("b.com", "all", LIVE))
    keep(tmp_path, DAY - dt.timedelta(days=1), ("b.com", "live", LIVE), ("a.com", "lost", LOST))
    rows = detection_history(tmp_path, DAY, 90)
    assert rows.to_dict("list") | {"date": [], "lost_backlinks": []} == {
        "date": [],
        "target": ["a.com", "b.com", "b.com"],
        "spam_score": pytest.approx([float("nan"), 8, 8], nan_ok=True),
        "lost_backlinks": [],
        "live_backlinks": pytest.approx([float("nan"), 1000, 1000], nan_ok=True),
        "referring_main_domains": pytest.approx([float("nan"), 50, 50], nan_ok=True),
        "lost_date": [0, 0, 0],
        "request_key": ["k1", "k1", "k1"],
    }
    assert list(rows["date"].dt.date) == [DAY - dt.timedelta(days=1)] * 2 + [DAY]
    assert list(rows["lost_backlinks"].fillna(-1)) == [70, -1, 70]


def test_of_the_vendors_date_of_a_loss_only_counts_whether_there_is_one(tmp_path: Path) -> None:
    keep(tmp_path, DAY, ("a.com", "live", LIVE | {"lost_date": "2026-01-09 04:31:07 +00:00"}), ("b.com", "live", LIVE))
    assert list(detection_history(tmp_path, DAY, 1)["lost_date"]) == [1, 0]


def test_an_empty_answer_is_a_row_of_unknowns_and_not_of_zeros(tmp_path: Path) -> None:
    keep(tmp_path, DAY, ("a.com", "live", None), ("a.com", "lost", None))
    rows = detection_history(tmp_path, DAY, 1)
    assert len(rows) == 1
    assert rows[["spam_score", "lost_backlinks", "live_backlinks"]].isna().all(axis=None)


def test_a_missing_answer_does_not_look_like_a_changed_request_and_a_change_does(tmp_path: Path) -> None:
    keep(tmp_path, DAY, ("a.com", "live", LIVE), ("a.com", "lost", LOST))
    keep(tmp_path, DAY + dt.timedelta(days=1), ("a.com", "lost", LOST))
    keep(tmp_path, DAY + dt.timedelta(days=2), ("a.com", "live", LIVE), ("a.com", "lost", LOST), key="k2")
    assert list(detection_history(tmp_path, DAY + dt.timedelta(days=2), 3)["request_key"]) == [
        "k1",
        "k1",
        "k2",
    ]


def test_live_and_lost_asked_differently_show_in_the_request_key(tmp_path: Path) -> None:
    path = keep(tmp_path, DAY, ("a.com", "live", LIVE), ("a.com", "lost", LOST))
    frame = pd.read_parquet(path, partitioning=None)
    frame.loc[frame["status_type"] == "lost", "request_key"] = "k2"
    frame.to_parquet(path)
    assert list(detection_history(tmp_path, DAY, 1)["request_key"]) == ["k1+k2"]


def test_only_the_days_asked_for_are_read(tmp_path: Path) -> None:
    for number in range(5):
        path = keep(tmp_path, DAY + dt.timedelta(days=number), ("a.com", "live", LIVE))
        if number in {0, 4}:
            os.truncate(path, 3)  # so that reading it would fail
    rows = detection_history(tmp_path, DAY + dt.timedelta(days=3), 3)
    assert list(rows["date"].dt.date) == [DAY + dt.timedelta(days=number) for number in (1, 2, 3)]


def test_no_history_is_an_empty_frame_of_the_same_columns(tmp_path: Path) -> None:
    empty = detection_history(tmp_path, DAY, 90)
    keep(tmp_path, DAY, ("a.com", "live", LIVE))
    some = detection_history(tmp_path, DAY, 90)
    assert len(empty) == 0
    assert list(empty.dtypes.items()) == list(some.dtypes.items())


def test_some_targets_are_a_part_of_the_whole(tmp_path: Path, monkeypatch) -> None:
    names = ["a.com", "b.com", "c.com", "it's.com", "z.com"]
    for number in range(3):
        day = DAY + dt.timedelta(days=number)
        keep(tmp_path, day, *((name, status, LIVE) for name in names[number:] for status in ("live", "lost")))
    until = DAY + dt.timedelta(days=2)
    whole = detection_history(tmp_path, until, 3)
    monkeypatch.setattr(history, "_DAYS_TOGETHER", 2)
    pd.testing.assert_frame_equal(detection_history(tmp_path, until, 3), whole)
    assert targets_with_answers(tmp_path, until, 3) == names
    assert targets_with_answers(tmp_path, until, 1) == names[2:]
    wanted = ["b.com", "it's.com", "never.com"]
    some = detection_history(tmp_path, until, 3, wanted)
    pd.testing.assert_frame_equal(some, whole[whole["target"].isin(wanted)].reset_index(drop=True))
    assert len(detection_history(tmp_path, until, 3, [])) == 0


def test_a_damaged_day_is_named(tmp_path: Path) -> None:
    path = keep(tmp_path, DAY, ("a.com", "live", LIVE))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(TablesError, match="Build backlinks_summary of 2026-03-14 again"):
        detection_history(tmp_path, DAY, 90)
    with pytest.raises(TablesError, match="Build backlinks_summary of 2026-03-14 again"):
        targets_with_answers(tmp_path, DAY, 90)
