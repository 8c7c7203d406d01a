"""What the vendor did to all targets at once: faults, refreshes at any cadence, and a target that is down."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from backlinks_assets.detection.detect import detect
from backlinks_assets.detection.matrices import as_matrices, stacked
from backlinks_assets.detection.metrics import LOG
from backlinks_assets.detection.series import Series
from backlinks_assets.detection.vendor_faults import Verdict

FIRST = dt.date(2026, 1, 5)
COLUMNS = ["spam_score", "lost_backlinks", "live_backlinks"]


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def watched(targets: int = 30, days: int = 60, seed: int = 5, churn: float = 0.004) -> pd.DataFrame:
    random, frames = np.random.default_rng(seed), []
    for number in range(targets):
        size = 10 ** random.uniform(2, 4)
        frame = pd.DataFrame({"date": [day(k) for k in range(days)], "target": f"t{number:02d}.example"})
        frame["spam_score"] = np.round(20 + 0.4 * random.standard_normal(days))
        frame["lost_backlinks"] = np.round(size * np.exp(np.cumsum(churn * np.abs(random.standard_normal(days)))))
        frame["live_backlinks"] = np.round(3 * size * np.exp(churn * random.standard_normal(days)))
        frame["lost_date"] = 0.0
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def change(history: pd.DataFrame, first: int, last: int, target: str | None = None, **factors: float) -> pd.DataFrame:
    rows = (history["date"] >= day(first)) & (history["date"] <= day(last))
    if target:
        rows &= history["target"] == target
    for name, factor in factors.items():
        history.loc[rows, name] = (history.loc[rows, name] * factor).round()
    return history


def flags(history: pd.DataFrame, **arguments: object) -> pd.DataFrame:
    found = detect(history, **arguments)
    return found[found["severity"].notna()].reset_index(drop=True)


@pytest.mark.medium
def test_most_targets_near_zero_is_one_message_and_no_flag() -> None:
    history = change(watched(), 40, 42, live_backlinks=0.02, lost_backlinks=1.5)
    found = flags(history)
    assert list(zip(found["date"], found["target"], found["kind"], strict=True)) == [(day(40), "*", "vendor_fault")]
    assert found["reason"][0].startswith("The vendor's fault, not your links: 30 of 30 targets read near zero.")
    whole = detect(history)
    assert day(41) not in set(whole["date"])  # these readings are none
    back = whole[(whole["date"] == day(43)) & (whole["target"] == "t03.example")]
    assert list(back["previous_date"].unique()) == [day(39)]


def test_a_target_that_falls_after_the_fault_is_flagged_and_the_rest_is_not() -> None:
    history = change(watched(), 40, 42, live_backlinks=0.02)
    history = change(history, 45, 59, "t03.example", live_backlinks=0.3, lost_backlinks=8.0)
    found = flags(history)
    assert list(found["target"]) == ["*", "t03.example"]


def test_a_person_says_that_the_readings_are_right() -> None:
    history = change(watched(), 40, 59, live_backlinks=0.02, lost_backlinks=4.0)
    assert list(flags(history)["kind"]) == ["vendor_fault"]
    found = flags(history, verdicts=[Verdict(day(40), day(59), counts=True)])
    assert "vendor_fault" not in set(found["kind"])
    assert set(found[found["date"] == day(40)]["target"]) >= {f"t{number:02d}.example" for number in range(30)}


@pytest.mark.medium
def test_a_person_excludes_a_span_and_takes_it_back() -> None:
    history = change(watched(), 40, 42, "t03.example", live_backlinks=0.3, lost_backlinks=5.0)
    assert "t03.example" in set(flags(history)["target"])
    out = Verdict(day(40), day(42), counts=False, target="t03.example")
    assert flags(history, verdicts=[out]).empty
    assert (
        flags(history, verdicts=[Verdict(day(40), day(42), counts=False, metric="spam_score")])["target"].tolist() != []
    )
    back = Verdict(day(40), day(42), counts=True)
    pd.testing.assert_frame_equal(flags(history, verdicts=[out, back]), flags(history))


def test_numbers_that_stand_still_for_days_where_they_never_do_are_told() -> None:
    history = watched()
    for number in range(30):
        rows = history["target"] == f"t{number:02d}.example"
        at = history.index[rows & (history["date"] >= day(40)) & (history["date"] <= day(45))]
        history.loc[at, COLUMNS] = history.loc[
            history.index[rows & (history["date"] == day(39))][0], COLUMNS
        ].to_numpy()
    found = flags(history)
    assert list(zip(found["date"], found["kind"], strict=True)) == [(day(42), "vendor_fault")]
    assert "have not changed in any number for 3 readings" in found["reason"][0]


def test_a_population_that_seldom_changes_is_no_fault() -> None:
    assert flags(watched(churn=0.0)).empty


def test_a_real_prune_that_leaves_targets_their_links_is_no_fault() -> None:
    history = change(watched(), 40, 59, live_backlinks=0.8)
    history.loc[history["date"] >= day(40), "lost_backlinks"] += (history["live_backlinks"] * 0.25).round()
    assert "vendor_fault" not in set(flags(history)["kind"])


@pytest.mark.medium
@pytest.mark.parametrize("cadence", [range(7), (0, 3), (1, 4), (0,), (5,)], ids=["daily", "MT", "TF", "M", "S"])
@pytest.mark.parametrize("gap", [0, 10])
def test_a_refresh_is_named_at_any_cadence_and_after_an_outage_and_floods_nobody(cadence, gap: int) -> None:
    history = watched(targets=60, days=180)
    random = np.random.default_rng(2)
    for number in range(60):
        factor = float(np.exp(0.3 + 0.05 * random.standard_normal()))
        history = change(history, 120, 179, f"t{number:02d}.example", lost_backlinks=factor)
    history = history[[date.weekday() in cadence for date in history["date"]]]
    history = history[(history["date"] < day(120 - gap)) | (history["date"] >= day(120))]
    found = flags(history)
    first = min(date for date in history["date"] if date >= day(120))
    assert list(found[found["target"] == "*"]["date"]) == [first]
    assert len(found[found["target"] != "*"]) <= 3


def test_an_outage_alone_floods_nobody() -> None:
    history = watched(targets=60, days=100)
    history = history[(history["date"] < day(60)) | (history["date"] >= day(72))]
    assert flags(history).empty


def test_a_target_that_is_down_is_told_once_and_its_return_too() -> None:
    history = watched()
    history = change(history, 40, 45, "t03.example", live_backlinks=0.0)
    seen = int(history[(history["target"] == "t03.example") & (history["date"] == day(39))]["live_backlinks"].iloc[0])
    found = flags(history)
    down = found[found["metric"] == "target_down"].reset_index(drop=True)
    assert list(zip(down["date"], down["kind"], down["severity"], down["direction"], strict=True)) == [
        (day(40), "down", "critical", "down"),
        (day(46), "down", "warning", "up"),
    ]
    assert (down["value"][0], down["previous"][0], down["previous_date"][0]) == (0, seen, day(39))
    assert down["reason"][0] == f"The target is down: no live link is left; the last {seen:,} were seen on 2026-02-13."
    assert down["reason"][1].startswith("The target is back: ")


def test_a_target_that_the_vendor_calls_lost_is_down_also_from_its_first_reading() -> None:
    history = watched()
    history.loc[(history["target"] == "t03.example") & (history["date"] >= day(40)), "lost_date"] = 1.0
    history.loc[history["target"] == "t04.example", ["live_backlinks", "lost_date"]] = [0.0, 1.0]
    history.loc[history["target"] == "t05.example", "live_backlinks"] = 0.0  # never had any: not down
    found = flags(history)
    down = found[found["metric"] == "target_down"]
    assert list(zip(down["target"], down["date"], strict=True)) == [("t04.example", day(0)), ("t03.example", day(40))]
    assert flags(history, thresholds={"t03.example": {"mute_flags": True}})["target"].tolist() == ["t04.example"]


def test_faults_and_verdicts_are_the_same_for_targets_in_parts() -> None:
    history = change(watched(), 40, 42, live_backlinks=0.02)
    history = change(history, 50, 52, "t07.example", lost_backlinks=6.0)
    verdicts = [Verdict(day(50), day(51), counts=False, target="t07.example")]
    days = sorted(history["date"].unique())
    whole = detect(history, since=day(30), verdicts=verdicts)
    names = sorted(history["target"].unique())

    parts = [as_matrices(history[history["target"].isin(part)], days) for part in (names[:7], names[7:20], names[20:])]
    found = detect(stacked(parts), since=day(30), verdicts=verdicts)
    pd.testing.assert_frame_equal(whole, found, check_dtype=False)


@pytest.mark.parametrize(
    ("days", "intervals"),
    [(range(8), 1), ([0, 1, 2, 3, 7], 4), (range(0, 56, 7), 1), ([0, 7, 14, 21, 42], 3), ([0, 3, 7, 10, 14], 1)],
    ids=["daily", "an outage", "weekly", "two weeks missed", "Monday and Thursday"],
)
def test_time_between_readings_is_counted_in_usual_intervals(days: list[int], intervals: float) -> None:
    at = np.array(list(days))
    series = Series(np.ones((1, len(at))), at, LOG, looks_back=14)
    series.last[:] = len(at) - 2
    assert series.gap(np.array([0]), len(at) - 1)[0] == pytest.approx(intervals, abs=0.4)


def test_a_day_that_is_not_among_those_of_the_history_is_left_out() -> None:
    history = watched()
    days = [day(number) for number in range(60) if number != 40]
    pd.testing.assert_frame_equal(detect(history, days=days), detect(history[history["date"] != day(40)]))
