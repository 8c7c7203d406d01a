"""What must hold of the judgement for any history: order, doubles, scale, other targets and later days do not matter."""

import datetime as dt
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from backlinks_assets.detection.detect import detect
from backlinks_assets.detection.matrices import as_matrices, stacked
from backlinks_assets.detection.settings import DetectionSettings

pytestmark = pytest.mark.slow

FIRST = dt.date(2026, 1, 1)
quick = settings(max_examples=12 if "CI" in os.environ else 8, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def histories(draw: st.DrawFn) -> pd.DataFrame:
    """Return some targets over some weeks, with jumps, gaps and NULLs at places that hypothesis chooses."""
    targets = draw(st.integers(1, 12))
    days = draw(st.integers(5, 45))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = []
    for number in range(targets):
        size = 10 ** random.uniform(1, 5)
        lost = size * np.exp(np.cumsum(0.01 * random.standard_normal(days)))
        live = 2 * size * np.exp(np.cumsum(0.01 * random.standard_normal(days)))
        spam = np.clip(20 + np.cumsum(random.standard_normal(days)), 0, 100)
        if draw(st.booleans()):
            jump = draw(st.integers(1, days - 1))
            lost[jump:] *= draw(st.sampled_from([0.3, 1.3, 2.0]))
            spam[jump:] = np.clip(spam[jump:] + draw(st.sampled_from([-12, 9, 25])), 0, 100)
        frame = pd.DataFrame(
            {
                "date": [FIRST + dt.timedelta(days=day) for day in range(days)],
                "target": f"t{number:02d}.example",
                "spam_score": spam.round(),
                "lost_backlinks": lost.round(),
                "live_backlinks": live.round(),
            }
        )
        frame.loc[random.random(days) < 0.05, ["spam_score", "lost_backlinks"]] = np.nan
        frames.append(frame[random.random(days) > 0.05])
    return pd.concat(frames, ignore_index=True)


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        left.reset_index(drop=True), right.reset_index(drop=True), check_dtype=False, check_index_type=False
    )


@quick
@given(histories(), st.integers(0, 2**32 - 1))
def test_the_order_of_rows_does_not_matter(history: pd.DataFrame, seed: int) -> None:
    same(detect(history), detect(history.sample(frac=1, random_state=seed)))


@quick
@given(histories(), st.integers(0, 2**32 - 1))
def test_doubles_do_not_matter(history: pd.DataFrame, seed: int) -> None:
    same(detect(history), detect(pd.concat([history, history.sample(frac=0.3, random_state=seed)])))


@quick
@given(histories(), st.integers(1, 44))
def test_later_days_leave_the_earlier_flags_as_they_were(history: pd.DataFrame, cut: int) -> None:
    day = FIRST + dt.timedelta(days=cut)
    whole = detect(history)
    same(whole[whole["date"] <= day], detect(history[history["date"] <= day]))


@pytest.mark.ci
@quick
@given(histories())
def test_seven_targets_or_less_do_not_know_of_each_other(history: pd.DataFrame) -> None:
    few = history[history["target"] <= "t06.example"]  # eight can move together, and that is the index's doing
    days = sorted(few["date"].unique())  # on which the watch was at work
    whole = detect(few, days=days)
    for target in few["target"].unique():
        same(whole[whole["target"] == target], detect(few[few["target"] == target], days=days))


@quick
@given(histories())
def test_a_target_that_stands_still_adds_no_flag_and_takes_none(history: pd.DataFrame) -> None:
    days = sorted(history["date"].unique())
    still = pd.DataFrame({"date": days, "target": "zz.example", "spam_score": 10.0, "lost_backlinks": 500.0})
    still["live_backlinks"] = 900.0
    before, after = detect(history), detect(pd.concat([history, still], ignore_index=True))
    assert after[(after["target"] == "zz.example")]["severity"].isna().all()
    if "*" not in set(before["target"]) | set(after["target"]):
        same(before, after[after["target"] != "zz.example"])


@pytest.mark.ci
@quick
@given(histories())
def test_ten_times_the_links_of_large_targets_give_the_same_kinds(history: pd.DataFrame) -> None:
    links = ["lost_backlinks", "live_backlinks"]
    large = history.assign(**{name: history[name] * 1e4 + 3e6 for name in links})
    scaled = large.assign(**{name: large[name] * 10 for name in links})
    left, right = detect(large), detect(scaled)
    assert list(left["kind"].fillna("")) == list(right["kind"].fillna(""))


@quick
@given(histories())
def test_every_flag_has_a_sentence_and_a_way(history: pd.DataFrame) -> None:
    flags = detect(history)[lambda found: found["severity"].notna()]
    assert set(flags["severity"]) <= {"warning", "critical"}
    assert flags["reason"].str.endswith(".").all()
    assert flags["direction"].isin(["up", "down"]).all()


def moving_together(random: np.random.Generator, targets: int = 24, days: int = 60) -> pd.DataFrame:
    """Return a history whose index moves, with gaps, and with targets that are asked otherwise from a day on."""
    day, target = (numbers.ravel() for numbers in np.meshgrid(np.arange(days), np.arange(targets), indexing="ij"))
    moved = 0.2 * (day >= 20) - 0.3 * (day >= 21) + 0.25 * (day >= 41)
    restless = np.where(target % 3, 0.01, 0.15)  # of these a loss is confirmed by live backlinks, unless they moved too
    noise = [restless * random.standard_normal(len(day)), 0.01 * random.standard_normal(len(day))]
    history = pd.DataFrame(
        {
            "date": [FIRST + dt.timedelta(days=int(number)) for number in day],
            "target": [f"t{number:02d}.example" for number in target],
            "spam_score": np.round(
                20 + 4 * (day >= 30) + random.normal(0, 0.3, len(day)) + 20 * (random.random(len(day)) < 0.01)
            ),
            "lost_backlinks": np.round(500 * (target + 1) * np.exp(moved + noise[0])),
            "live_backlinks": np.round(900 * (target + 1) * np.exp(-0.5 * moved + noise[1])),
            "request_key": np.where(day >= random.integers(10, 100, targets)[target], "k2", "k1"),
        }
    )
    history.loc[random.random(len(day)) < 0.05, ["lost_backlinks", "spam_score", "request_key"]] = None
    return history[random.random(len(day)) > 0.1]


@pytest.mark.parametrize("size", [1, 7, 23])
@pytest.mark.parametrize("index_rule", [True, False])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.ci) for seed in (1, 2))])
def test_targets_read_in_parts_are_judged_as_together(seed: int, size: int, index_rule: bool) -> None:
    history = moving_together(np.random.default_rng(seed))
    chosen, own = DetectionSettings(index_rule=index_rule), {"t02.example": {"spam_points": 2.0}}
    day = FIRST + dt.timedelta(days=15)
    days = sorted(history["date"].unique())
    whole = detect(history, chosen, own, since=day, days=days)
    moves = whole[whole["target"] == "*"]
    assert set(moves["metric"]) == ({"lost_backlinks", "spam_score"} if index_rule else set())
    names = sorted(history["target"].unique())
    parts = [names[start : start + size] for start in range(0, len(names), size)]
    read = [as_matrices(history[history["target"].isin(targets)], days) for targets in parts]
    same(whole, detect(stacked(read), chosen, own, day))
