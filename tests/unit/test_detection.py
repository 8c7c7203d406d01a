"""The judgement on made histories: what is flagged, what is not, and what each sentence says."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from made_histories import DAYS, FIRST, change, made

from backlinks_assets.detection.detect import detect
from backlinks_assets.detection.settings import THRESHOLD_COLUMNS, DetectionSettings, target_thresholds


def flags(history: pd.DataFrame, **arguments: object) -> pd.DataFrame:
    found = detect(history, **arguments)
    return found[found["severity"].notna()].reset_index(drop=True)


def test_quiet_histories_have_a_row_a_reading_and_no_flag() -> None:
    history = made()
    found = detect(history)
    assert len(found) == 2 * len(history)
    assert found["severity"].notna().sum() == 0
    assert list(found["metric"].unique()) == ["lost_backlinks", "spam_score"]


def test_a_spam_attack_is_flagged_once_on_its_day_with_its_words() -> None:
    (flag,) = flags(change(made(), 40, 5, spam_score=lambda score: score + 18)).itertuples()
    assert (flag.target, flag.metric, flag.date) == ("site005.example", "spam_score", FIRST + dt.timedelta(days=40))
    assert (flag.kind, flag.direction, flag.severity) == ("step", "up", "critical")
    assert flag.value == flag.baseline + flag.change
    for words in ("rose by", "points", "the median of the last 7 readings", "usual swing"):
        assert words in flag.reason
    assert flag.previous_date == FIRST + dt.timedelta(days=39)


def test_a_hub_that_is_lost_is_told_with_the_live_links_that_went_with_it() -> None:
    history = change(made(), 40, 7, lost_backlinks=lambda lost: lost * 1.4, live_backlinks=lambda live: live * 0.85)
    (flag,) = flags(history).itertuples()
    assert (flag.target, flag.metric, flag.direction) == ("site007.example", "lost_backlinks", "up")
    assert "live backlinks went" in flag.reason


def test_links_that_leave_live_and_join_lost_are_a_loss_where_lost_alone_is_not_unusual() -> None:
    day, target = 45, 3
    history = made()
    rows = history["target"] == f"site{target:03d}.example"
    live = history.loc[rows, "live_backlinks"].iloc[day]
    wobble = np.where(np.arange(DAYS) % 6 == 0, 0.25 * live, 0.0)  # batches that the vendor prunes from the stock
    history.loc[rows, "lost_backlinks"] = 2 * live + wobble
    alone = flags(history.copy())
    assert alone[alone["date"] == FIRST + dt.timedelta(days=day)].empty
    lost = change(
        history, day, target, lost_backlinks=lambda x: x + 0.2 * live, live_backlinks=lambda x: x - 0.2 * live
    )
    (flag,) = flags(lost)[lambda found: found["date"] == FIRST + dt.timedelta(days=day)].itertuples()
    assert flag.kind == "confirmed_loss"
    assert "live backlinks went with them" in flag.reason


@pytest.mark.medium
def test_an_index_move_is_one_message_and_the_target_that_moved_more_keeps_its_flag() -> None:
    history = made(60)
    for target in range(60):
        shift = 1.05 + 0.002 * (target % 10)
        history = change(history, 30, target, lost_backlinks=lambda lost, shift=shift: np.round(lost * shift))
    history = change(history, 30, 11, lost_backlinks=lambda lost: lost * 1.6)
    found = flags(history)
    assert list(found["target"]) == ["*", "site011.example"]
    move = found.iloc[0]
    assert (move["kind"], move["metric"], move["value"] > 50) == ("index_move", "lost_backlinks", True)
    assert "only moved along are not flagged" in move["reason"]
    assert "index move of 2026-10-01" in found.iloc[1]["reason"]


def test_todays_value_is_not_in_its_own_baseline() -> None:
    history = change(made(), DAYS - 1, 2, spam_score=lambda score: score + 30)
    before = detect(history[history["date"] < FIRST + dt.timedelta(days=DAYS - 1)])
    last = detect(history)
    row = last[(last["target"] == "site002.example") & (last["metric"] == "spam_score")].iloc[-1]
    values = before[(before["target"] == "site002.example") & (before["metric"] == "spam_score")]["value"]
    assert row["baseline"] == pytest.approx(values.iloc[-7:].median())


def test_the_usual_range_ends_where_the_score_would_be_what_a_step_needs() -> None:
    history = change(made(), DAYS - 1, 2, spam_score=lambda score: score + 30)
    young = 1 + 5 / (DAYS - 1)
    for metric, needed, level in (("spam_score", 4.5, lambda x: x), ("lost_backlinks", 5.5, lambda x: np.log(x + 10))):
        found = detect(history, since=FIRST + dt.timedelta(days=DAYS - 1))
        today = found[(found["metric"] == metric) & (found["usual_low"] > 0)]
        assert len(today) == 30
        low, high, value = (level(today[name]) for name in ("usual_low", "usual_high", "value"))
        score = young * needed * (2 * value - low - high) / (high - low)
        assert score.to_numpy() == pytest.approx(today["score"].to_numpy(), abs=1e-6)
    (flag,) = flags(history).itertuples()
    assert flag.usual_low < flag.baseline < flag.usual_high < flag.value


def test_the_usual_range_follows_a_targets_own_threshold_and_the_index() -> None:
    history = made()
    for target in range(30):
        history = change(history, 40, target, lost_backlinks=lambda lost, t=target: np.round(lost * (1.5 + t / 1000)))
    day = FIRST + dt.timedelta(days=40)
    found = detect(history, since=day, thresholds={"site003.example": {"usual_swings": 50.0}})
    today = found[(found["date"] == day) & (found["metric"] == "lost_backlinks")].set_index("target").drop("*")
    assert today["value"].between(today["usual_low"], today["usual_high"]).all()  # the move is in the range
    width = np.log(today["usual_high"] + 10) - np.log(today["usual_low"] + 10)
    assert width["site003.example"] > 4 * width.drop("site003.example").max()


@pytest.mark.parametrize("cut", [10, 25, 41, 42])
def test_it_never_looks_ahead(cut: int) -> None:
    history = change(made(), 40, 5, spam_score=lambda score: score + 18)
    day = FIRST + dt.timedelta(days=cut)
    whole = detect(history)
    pd.testing.assert_frame_equal(
        whole[whole["date"] <= day].reset_index(drop=True), detect(history[history["date"] <= day]), check_dtype=False
    )


def test_since_returns_the_same_rows_as_the_whole_replay() -> None:
    history = change(made(), 40, 5, spam_score=lambda score: score + 18)
    day = FIRST + dt.timedelta(days=38)
    whole = detect(history)
    some = detect(history, since=day)
    pd.testing.assert_frame_equal(
        whole[whole["date"] >= day].reset_index(drop=True)[["date", "target", "metric", "value", "kind", "reason"]],
        some[["date", "target", "metric", "value", "kind", "reason"]],
        check_dtype=False,
    )


def test_null_is_no_reading_and_never_zero() -> None:
    history = made()
    history.loc[
        history["date"] == FIRST + dt.timedelta(days=20), ["spam_score", "lost_backlinks", "live_backlinks"]
    ] = np.nan
    found = detect(history)
    assert (found["date"] != FIRST + dt.timedelta(days=20)).all()
    assert found["severity"].notna().sum() == 0


@pytest.mark.medium
def test_a_target_two_days_old_is_not_judged_and_a_young_one_with_caution() -> None:
    for age, flagged in ((2, 0), (4, 0), (20, 1)):
        history = made()
        young = history["target"] == "site004.example"
        history = history[~young | (history["date"] >= FIRST + dt.timedelta(days=40 - age))]
        history = change(history, 40, 4, spam_score=lambda score: score + 8)
        assert len(flags(history)) == flagged, age


@pytest.mark.medium
def test_other_request_parameters_start_the_history_anew() -> None:
    history = change(made(), 30, 6, lost_backlinks=lambda lost: lost * 3, spam_score=lambda score: score + 20)
    assert len(flags(history)) == 2
    rows = (history["target"] == "site006.example") & (history["date"] >= FIRST + dt.timedelta(days=30))
    history["request_key"] = np.where(rows, "new", "old")
    assert flags(history).empty
    first = detect(history)[lambda found: found["target"] == "site006.example"]
    restarted = first[first["date"] == FIRST + dt.timedelta(days=30)]
    assert restarted["baseline"].isna().all()


def test_what_only_repeats_an_open_flag_is_not_a_new_one() -> None:
    history = change(made(), 40, 5, spam_score=lambda score: score + 12)
    history = change(history, 42, 5, spam_score=lambda score: score + 6)
    assert len(flags(history)) == 1
    louder = change(history, 42, 5, spam_score=lambda score: score + 30)
    assert len(flags(louder)) == 2


def test_gaps_are_told() -> None:
    history = change(made(), 40, 5, spam_score=lambda score: score + 18)
    gap = (history["target"] == "site005.example") & history["date"].between(
        FIRST + dt.timedelta(days=37), FIRST + dt.timedelta(days=39)
    )
    (flag,) = flags(history[~gap]).itertuples()
    assert "after 3 days without a reading" in flag.reason


@pytest.mark.medium
def test_a_target_may_have_thresholds_of_its_own_and_may_be_muted() -> None:
    history = change(made(), 40, 5, spam_score=lambda score: score + 18)
    assert flags(history, thresholds={"site005.example": {"spam_points": 25.0}}).empty
    assert flags(history, thresholds={"site005.example": {"mute_flags": True}}).empty
    assert len(flags(history, thresholds={"site006.example": {"mute_flags": True}})) == 1


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"spam_points": "many"}, "spam_points"),
        ({"spam_points": "0"}, "1 to 100"),
        ({"lost_percent": "-1"}, "lost_percent"),
        ({"mute_flags": "perhaps"}, "mute_flags"),
    ],
    ids=lambda value: str(value),
)
def test_bad_thresholds_are_refused_by_name(values: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        target_thresholds(values)


def test_empty_cells_are_the_default_and_unknown_names_are_refused() -> None:
    assert target_thresholds(dict.fromkeys(THRESHOLD_COLUMNS, "")) == {}
    with pytest.raises(ValueError, match="spam_pints"):
        detect(made(3, 5), thresholds={"site000.example": {"spam_pints": 3.0}})
    with pytest.raises(ValueError, match="spam_points"):
        DetectionSettings(spam_points=0)


def test_an_empty_history_gives_an_empty_table_with_its_columns() -> None:
    found = detect(made(2, 3).iloc[:0])
    assert len(found) == 0
    assert {"date", "target", "metric", "severity", "reason"} <= set(found.columns)


def test_a_history_without_a_needed_column_or_with_a_bad_date_is_refused() -> None:
    with pytest.raises(ValueError, match="spam_score"):
        detect(made(2, 3).drop(columns="spam_score"))
    with pytest.raises(ValueError, match="YYYY-MM-DD"):
        detect(made(2, 3).assign(date="soon"))


def test_the_docs_name_every_setting_and_threshold() -> None:
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "detection.md").read_text(encoding="utf-8")
    for name in [*DetectionSettings.model_fields, *THRESHOLD_COLUMNS]:
        assert f"`{name}`" in page, name
