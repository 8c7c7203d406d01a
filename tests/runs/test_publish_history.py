"""How far back a published day is judged: as far as is promised, whichever days are judged together."""

import datetime as dt
from typing import Any

import pytest
from summary_days import keep

from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.pipeline import publish_changes
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import read_days

DAY = dt.date(2026, 11, 24)
FURTHEST = 120
"""Days with readings back to the oldest that a day is judged by. The rules themselves look back 67, and to the last reading."""


def before(days: int) -> dt.date:
    return DAY - dt.timedelta(days=days)


def reading(target: str, spam_score: int = 10) -> list[tuple[str, str, dict[str, Any]]]:
    live = {"backlinks": 1000, "backlinks_spam_score": spam_score, "referring_main_domains": 50}
    return [(target, "live", live), (target, "lost", live | {"backlinks": 70})]


def judged(settings: Settings, *days: dt.date) -> list[dict[str, Any]]:
    list(publish_changes(settings, days, {}, DetectionSettings()))
    rows = read_days(settings.root, "backlinks_changes", DAY, DAY).to_pylist()
    return [row for row in rows if row["metric"] == "spam_score"]


@pytest.mark.first
@pytest.mark.medium
@pytest.mark.parametrize(
    ("back", "known"),
    [(1, True), (28, True), (67, True), (FURTHEST - 1, True), (FURTHEST, True), (FURTHEST + 1, False)],
)
def test_a_reading_is_compared_with_the_last_one_of_the_120_days_with_readings_before(
    settings: Settings, back: int, *, known: bool
) -> None:
    keep(settings.root, before(back), *reading("shop.example"))
    for between in range(1, back):
        keep(settings.root, before(between), *reading("other.example"))
    keep(settings.root, DAY, *reading("shop.example", spam_score=12))
    (row,) = [row for row in judged(settings, DAY) if row["target"] == "shop.example"]
    assert (row["previous"], row["previous_date"]) == ((10, before(back)) if known else (None, None))


def test_days_without_any_reading_are_not_among_them(settings: Settings) -> None:
    keep(settings.root, before(3 * FURTHEST), *reading("shop.example"))
    keep(settings.root, DAY, *reading("shop.example", spam_score=12))
    (row,) = judged(settings, DAY)
    assert (row["previous"], row["previous_date"]) == (10, before(3 * FURTHEST))


def test_of_days_that_are_judged_together_each_is_judged_as_far_back(settings: Settings) -> None:
    keep(settings.root, before(FURTHEST + 3), *reading("shop.example"))
    keep(settings.root, before(3), *reading("shop.example", spam_score=12))
    keep(settings.root, DAY, *reading("other.example"))
    judged(settings, before(3), DAY)
    first = read_days(settings.root, "backlinks_changes", before(3), before(3)).to_pylist()
    assert {row["previous_date"] for row in first} == {before(FURTHEST + 3)}


@pytest.mark.medium
def test_a_target_that_comes_back_after_months_is_judged_by_what_was_usual_then(settings: Settings) -> None:
    for back in range(110, 70, -1):
        keep(settings.root, before(back), *reading("shop.example", spam_score=10 + back % 2))
    keep(settings.root, DAY, *reading("shop.example", spam_score=60))
    (row,) = judged(settings, DAY)
    assert (row["severity"], row["previous_date"]) == ("critical", before(71))
    assert row["baseline"] == pytest.approx(10.5, abs=0.6)
