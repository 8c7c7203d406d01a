"""What must hold of the judgement for any history: order, doubles, scale, other targets and later days do not matter."""

import datetime as dt

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings, strategies as st

from backlinks_assets.detection.detect import detect

FIRST = dt.date(2026, 1, 1)
quick = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


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


@quick
@given(histories())
def test_seven_targets_or_less_do_not_know_of_each_other(history: pd.DataFrame) -> None:
    few = history[history["target"] <= "t06.example"]  # eight can move together, and that is the index's doing
    whole = detect(few)
    for target in few["target"].unique():
        same(whole[whole["target"] == target], detect(few[few["target"] == target]))


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
