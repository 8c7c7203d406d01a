"""Watches that read once a week: their index moves are named early, and their weeks are not taken for days."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from backlinks_assets.detection.detect import detect

FIRST = dt.date(2026, 1, 5)


def weekly(targets: int = 60, weeks: int = 20, swing: float = 0.03, every: int = 7) -> pd.DataFrame:
    """Targets whose numbers change by a few percent from one reading to the next."""
    random = np.random.default_rng(3)
    levels = np.exp(random.uniform(6, 10, (targets, 1)) + swing * random.standard_normal((targets, weeks)))
    return pd.DataFrame(
        {
            "date": np.tile([FIRST + dt.timedelta(days=every * week) for week in range(weeks)], targets),
            "target": np.repeat([f"t{number:02d}.example" for number in range(targets)], weeks),
            "spam_score": 20.0,
            "lost_backlinks": levels.ravel().round(),
            "live_backlinks": np.repeat(np.exp(random.uniform(6, 10, targets)).round(), weeks),
        }
    )


def flags(history: pd.DataFrame) -> pd.DataFrame:
    found = detect(history)
    return found[found["severity"].notna()].reset_index(drop=True)


@pytest.mark.parametrize("reading", [3, 4, 10])
def test_an_index_move_is_named_from_the_fourth_reading_on(reading: int) -> None:
    history = weekly()
    day = FIRST + dt.timedelta(days=7 * reading)
    history.loc[history["date"] >= day, "lost_backlinks"] *= 1.5
    found = flags(history)
    assert list(found[found["target"] == "*"]["date"]) == [day]
    assert len(found[found["date"] == day]) == 1


def test_what_votes_by_chance_in_a_short_history_is_no_index_move() -> None:
    assert "*" not in set(flags(weekly(targets=400, weeks=8))["target"])


@pytest.mark.parametrize(("every", "is_a_loss"), [(1, True), (7, False)], ids=["within days", "over two months"])
def test_what_goes_a_little_at_each_reading_is_a_loss_only_within_a_week(every: int, is_a_loss: bool) -> None:
    history = weekly(targets=1, weeks=40, swing=0.0005, every=every)
    history["lost_backlinks"] += 20_000
    history["live_backlinks"] = 10_000.0
    gone = np.clip(np.arange(40) - 25, 0, 7) * 120.0  # 1.2 % of the live links at a time
    history["lost_backlinks"] += gone
    history["live_backlinks"] -= gone
    assert ("confirmed_loss" in set(flags(history)["kind"])) == is_a_loss
