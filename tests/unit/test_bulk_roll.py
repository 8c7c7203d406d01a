"""A month's roll moves no level and makes no flag, over a population of every kind of loss."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from bulk_days import of_day, write_bulk

from backlinks_assets.collect.since_day import former_since_day, since_day
from backlinks_assets.detection.detect import detect
from backlinks_assets.tables.bulk_rows import ZERO_FROM, counted_since
from backlinks_assets.tables.history import detection_history

FIRST, DAYS, TARGETS = dt.date(2026, 8, 18), 50, 40
DAY = dt.timedelta(days=1)
RUNS = [FIRST + number * DAY for number in range(DAYS)]
SEPTEMBER, OCTOBER = dt.date(2026, 9, 1), dt.date(2026, 10, 1)
NO_RUN = SEPTEMBER + 4 * DAY
BEGAN = dt.date(2025, 9, 1)
NAMES = [f"t{number:02d}.example" for number in range(TARGETS)]


def population(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[dt.date]]:
    """Return the losses and the live links of each target and day since `BEGAN`, and the day on which each is first read."""
    since_began = (RUNS[-1] - BEGAN).days + 1
    rate = np.exp(random.uniform(-4, 4, TARGETS))[:, None]
    lost = random.poisson(rate, (TARGETS, since_began))
    lost[:8, 90:] = 0  # their losses leave the window when it moves on
    lost[8:12] = 0
    first_run = since_began - DAYS
    for target in range(0, TARGETS, 3):  # true losses, on a roll and off it
        lost[target, first_run + random.integers(20, DAYS)] += 60 + 20 * rate[target, 0]
    lost[1:TARGETS:9, (OCTOBER - BEGAN).days] += 300
    live = 4_000 + random.poisson(rate, lost.shape).cumsum(axis=1) - lost.cumsum(axis=1)
    begins = [FIRST + int(late) * DAY for late in random.choice([0, 0, 0, 9, 22, 30], TARGETS)]
    return lost, live, begins


@pytest.mark.medium
def test_a_months_roll_moves_no_level_and_makes_no_flag(tmp_path: Path) -> None:
    random = np.random.default_rng(20261128)
    lost, live, begins = population(random)

    def counted(target: int, since: dt.date, date: dt.date) -> int:
        return int(lost[target, max(0, (since - BEGAN).days) : (date - BEGAN).days + 1].sum())

    expected, joined = [], set()
    for date in RUNS:
        if date == NO_RUN:
            continue
        watched = [number for number in range(TARGETS) if begins[number] <= date]
        names = [NAMES[number] for number in watched]
        former = counted_since(tmp_path, date, names, former_since_day(date))
        assert not joined & {(name, since_day(date)) for name in former}  # a count of both days is enough
        calls = {since_day(date): watched, former_since_day(date): [t for t in watched if NAMES[t] in former]}
        is_roll = date in (SEPTEMBER, OCTOBER)
        unread = set(random.choice(watched, 1 if is_roll or random.random() < 0.3 else 0))
        has_many = [t for t in watched if counted(t, former_since_day(date), date - 3 * DAY) >= ZERO_FROM]
        zero = set(random.choice(has_many, 6 if is_roll else 0)) - unread
        counts = {
            since: {NAMES[t]: 0 if t in zero else counted(t, since, date) for t in of if t not in unread}
            for since, of in calls.items()
        }
        pages = {
            NAMES[t]: None
            if t in unread
            else {"backlinks": int(live[t, (date - BEGAN).days]), "backlinks_spam_score": 12}
            for t in watched
        }
        write_bulk(tmp_path, date, of_day(date, pages, counts))
        joined |= {(NAMES[t], since_day(date)) for t in watched if t not in unread | zero}
        levels = {t: counted(t, since_day(begins[t]), date) for t in watched if t not in unread}
        expected += [(date, NAMES[t], 0 if t in zero else n) for t, n in levels.items()]
    found = detection_history(tmp_path, RUNS[-1], DAYS)
    one_day = pd.DataFrame(expected, columns=["date", "target", "level"])
    one_day["date"] = pd.to_datetime(one_day["date"]).astype(found["date"].dtype)
    both = found.merge(one_day, how="outer", on=["date", "target"])
    assert both[both["lost_backlinks"].fillna(-1) != both["level"].fillna(-1)].empty
    assert (found.groupby("target")["request_key"].nunique() == 1).all()
    flags, without_roll = (
        detect(history).query("severity.notna() and date >= @SEPTEMBER")[["date", "target", "metric", "reason"]]
        for history in (found, both.assign(lost_backlinks=both["level"], request_key="one day"))
    )
    assert len(flags) > 5
    pd.testing.assert_frame_equal(flags, without_roll)
