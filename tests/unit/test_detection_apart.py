"""Readings that stay out of baselines are judged all the same, and nothing else changes by them."""

import datetime as dt

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from backlinks_assets.detection.detect import detect
from backlinks_assets.detection.vendor_faults import Verdict

FIRST = dt.date(2026, 1, 1)
NAME, DAYS, MIGRATION = "shop03.example", 60, range(40, 46)


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def history(until: int = DAYS) -> pd.DataFrame:
    rows = []
    for number in range(until):
        for shop in range(12):
            name = f"shop{shop:02d}.example"
            moved = name == NAME and number in MIGRATION
            noise = (number * 7 + shop * 3) % 5
            rows.append((day(number), name, 10 + noise % 2, (1500 if moved else 300) + noise, 2000 + noise))
    return pd.DataFrame(rows, columns=["date", "target", "spam_score", "lost_backlinks", "live_backlinks"])


def apart(last: int) -> list[Verdict]:
    return [Verdict(day(MIGRATION[0]), day(last), False, NAME, "lost_backlinks")]


def of(found: pd.DataFrame) -> pd.DataFrame:
    return found[(found["target"] == NAME) & (found["metric"] == "lost_backlinks")].set_index("date")


@pytest.mark.medium
def test_detection_without_spans_is_as_before() -> None:
    assert_frame_equal(detect(history()), detect(history(), apart=()))
    elsewhere = [Verdict(day(40), day(45), False, "none.example", "lost_backlinks")]
    assert_frame_equal(detect(history()), detect(history(), apart=elsewhere))


@pytest.mark.medium
def test_a_reading_of_the_span_is_flagged_as_ever_and_in_no_baseline() -> None:
    before, after = of(detect(history())), of(detect(history(), apart=apart(MIGRATION[-1])))
    flagged = day(MIGRATION[0])
    assert before.loc[flagged].equals(after.loc[flagged])
    assert after.loc[flagged, "severity"] is not None
    assert set(after.index) == set(before.index)  # judged all the same
    back = day(MIGRATION[-1] + 1)
    assert before.loc[back, "baseline"] > 1000  # the migration's own level had become the usual one
    later = after.loc[back : day(DAYS - 1)]
    assert later["baseline"].between(299, 305).all()
    quiet = of(detect(history().assign(lost_backlinks=lambda rows: rows["lost_backlinks"].clip(upper=304))))
    width = (later["usual_high"] - later["usual_low"]) / (quiet["usual_high"] - quiet["usual_low"])
    assert (width.dropna().iloc[1:] < 1.2).all()  # wider on the first day only, as after a gap


def test_it_is_reversible_and_touches_no_other_target_or_metric() -> None:
    plain, spanned = detect(history()), detect(history(), apart=apart(MIGRATION[-1]))
    others = [frame[~((frame["target"] == NAME) & (frame["metric"] == "lost_backlinks"))] for frame in (plain, spanned)]
    assert_frame_equal(*others)
    assert_frame_equal(detect(history()), plain)


def test_a_level_that_stays_after_the_span_is_not_flagged_again_and_becomes_usual() -> None:
    stays = history()
    is_high = (stays["target"] == NAME) & (stays["date"] >= day(MIGRATION[0]))
    stays.loc[is_high, "lost_backlinks"] = 1500 + stays.loc[is_high, "lost_backlinks"] % 5
    found = of(detect(stays, apart=apart(MIGRATION[0] + 1)))
    assert list(found.index[found["severity"].notna()]) == [day(MIGRATION[0])]
    assert found.loc[day(DAYS - 1), "baseline"] > 1400
