"""Half of the live links gone is never silent, whatever the target, the cadence and the index did."""

import datetime as dt
import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from backlinks_assets.detection.detect import detect
from backlinks_assets.detection.settings import DetectionSettings

FIRST = dt.date(2026, 1, 5)  # a Monday
CADENCES = {"daily": range(7), "twice a week": (0, 3), "weekly": (0,)}
many = settings(max_examples=60 if "CI" in os.environ else 15, deadline=None, suppress_health_check=list(HealthCheck))


def population(random: np.random.Generator, targets: int, days: int, cadence: str) -> pd.DataFrame:
    """Return targets of 30 to 30,000 live links with churn, gaps, and moves of the index that take up to a third of all."""
    dates = [FIRST + dt.timedelta(days=day) for day in range(days)]
    moves = {int(day): random.uniform(0.02, 0.3) for day in random.choice(days, random.integers(0, 4))}
    frames = []
    for number in range(targets):
        live = [float(round(10 ** random.uniform(1.5, 4.5)))]
        lost = [float(round(live[0] * random.uniform(0, 2)))]
        churn = random.uniform(0, 0.02)
        for day in range(1, days):
            gone = float(random.poisson(churn * live[-1]))
            if day in moves and random.random() < 0.7:
                gone += round(live[-1] * moves[day] * random.uniform(0.3, 1.3))
            gone = min(gone, live[-1] * 0.45)
            live.append(live[-1] - round(gone) + float(random.poisson(churn * live[0])))
            lost.append(lost[-1] + round(gone))
        frame = pd.DataFrame({"date": dates, "target": f"t{number:03d}.example", "spam_score": 20.0})
        frame["lost_backlinks"], frame["live_backlinks"] = lost, live
        frame = frame[[date.weekday() in CADENCES[cadence] for date in dates]]
        frames.append(frame[random.random(len(frame)) > 0.1])
    return pd.concat(frames, ignore_index=True)


def halved(history: pd.DataFrame, random: np.random.Generator) -> tuple[pd.DataFrame, str, dt.date] | None:
    """Take half of its live links or more from one target, for good, at a reading with three or more before."""
    target = str(random.choice(history["target"].unique()))
    at = history.index[history["target"] == target]
    live = history.loc[at, "live_backlinks"].to_numpy()
    can = [k for k in range(4, len(at)) if live[k - 1] >= 40]
    if not can:
        return None
    k = int(random.choice(can))
    gone = np.ceil(max(20.0, live[k - 1] * random.uniform(0.5, 1.0)))
    gone = min(gone, live[k - 1])
    history = history.copy()
    history.loc[at[k:], "live_backlinks"] = np.maximum(live[k - 1] - gone, 0.0)
    history.loc[at[k:], "lost_backlinks"] = history.loc[at[k - 1], "lost_backlinks"] + gone
    return history, target, history.loc[at[k], "date"]


@pytest.mark.medium
@many
@given(
    seed=st.integers(0, 2**32 - 1),
    targets=st.integers(1, 40),
    days=st.integers(20, 90),
    cadence=st.sampled_from(sorted(CADENCES)),
    index_rule=st.booleans(),
)
def test_half_of_the_live_links_gone_is_flagged_at_that_reading(
    seed: int, targets: int, days: int, cadence: str, index_rule: bool
) -> None:
    random = np.random.default_rng(seed)
    made = halved(population(random, targets, days, cadence), random)
    if made is None:
        return
    history, target, day = made
    found = detect(history, DetectionSettings(index_rule=index_rule))
    of_day = found[(found["date"] == day) & (found["target"] == target) & (found["metric"] == "lost_backlinks")]
    assert of_day["severity"].isin(["warning", "critical"]).all()
    assert len(of_day) == 1


def steady(targets: int = 12, days: int = 40) -> pd.DataFrame:
    dates = [FIRST + dt.timedelta(days=day) for day in range(days)]
    rows = [
        {
            "date": date,
            "target": f"t{number:02d}.example",
            "spam_score": 20,
            "lost_backlinks": 300,
            "live_backlinks": 500,
        }
        for number in range(targets)
        for date in dates
    ]
    return pd.DataFrame(rows)


def lose(history: pd.DataFrame, day: int, until: int, gone: int, target: str = "t00.example") -> pd.DataFrame:
    dates = history["date"]
    rows = (history["target"] == target) & (dates >= FIRST + dt.timedelta(days=day))
    rows &= dates < FIRST + dt.timedelta(days=until)
    history.loc[rows, "live_backlinks"] -= gone
    history.loc[rows, "lost_backlinks"] += gone
    return history


def flags(history: pd.DataFrame, **arguments: object) -> pd.DataFrame:
    found = detect(history, **arguments)
    return found[found["severity"].notna()].reset_index(drop=True)


def test_the_smallest_case_and_the_index_move_beside_it() -> None:
    random, rows = np.random.default_rng(1), []
    shares = [0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4]
    for number in range(40):
        lost, live = 300.0, 500.0
        for day in range(40):
            gone = random.poisson(0.5)
            lost, live = lost + gone, live - gone + random.poisson(0.5)
            if day == 30 and number < 10:
                lost, live = lost + live * shares[number], live - live * shares[number]
            if day == 30 and number == 10:
                lost, live = lost + live, 0
            date = FIRST + dt.timedelta(days=day)
            rows.append((date, f"t{number:02d}.example", 20, round(lost), round(live)))
    columns = ["date", "target", "spam_score", "lost_backlinks", "live_backlinks"]
    found = flags(pd.DataFrame(rows, columns=columns))
    assert list(found["target"]) == ["*", "t10.example"]
    assert list(found["kind"]) == ["index_move", "confirmed_loss"]
    assert found["severity"][1] == "critical"
    assert "live backlinks went with them from" in found["reason"][1]


def test_a_hub_that_comes_and_goes_is_a_warning_that_says_so() -> None:
    history = lose(lose(steady(), 12, 15, 400), 30, 40, 400)
    found = flags(history)
    first, again = (found[found["date"] == FIRST + dt.timedelta(days=day)].iloc[0] for day in (12, 30))
    assert first["severity"] == "critical"
    assert again["severity"] == "warning"
    assert "as many were gone on 2026-01-19 and came back" in again["reason"]


@pytest.mark.parametrize(
    "own", [{"mute_flags": True}, {"lost_links_min": 450.0}, {"live_percent": 90.0}, {"lost_percent": 200.0}]
)
def test_a_targets_own_thresholds_come_before_it(own: dict[str, float | bool]) -> None:
    history = lose(steady(), 30, 40, 400)
    found = flags(history, thresholds={"t00.example": own})
    assert list(found["kind"]) in ([], ["step"])
    assert list(flags(history)["target"]) == ["t00.example"]


@pytest.mark.parametrize("missing", ["lost_backlinks", "live_backlinks"])
def test_what_was_read_on_a_day_without_the_other_answer_counts(missing: str) -> None:
    history = lose(steady(), 30, 40, 400)
    at = (history["target"] == "t00.example") & (history["date"] == FIRST + dt.timedelta(days=30))
    history.loc[at, missing] = np.nan
    found = flags(history)
    assert FIRST + dt.timedelta(days=31) in set(found["date"])
    assert set(found["target"]) == {"t00.example"}


def test_two_halvings_within_the_cooldown_are_two_flags() -> None:
    history = lose(lose(steady(), 30, 40, 260), 32, 40, 130)
    assert list(flags(history)["date"]) == [FIRST + dt.timedelta(days=day) for day in (30, 32)]
