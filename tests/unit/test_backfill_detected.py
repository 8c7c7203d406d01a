"""Back-filled days in detection: they say what is usual for a new target, and are themselves neither flagged nor returned."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.testing import assert_frame_equal

from backlinks_assets.detection.detect import detect
from backlinks_assets.detection.matrices import as_matrices, stacked
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.tables.backfilled import with_backfill
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES

FIRST = dt.date(2026, 9, 1)
BEFORE, OWN = 60, 20
TARGETS = [f"site{number:02d}.example" for number in range(30)]
HIT = {TARGETS[number]: number % 12 + 1 for number in range(0, 30, 2)}
"""Targets that lose a hub, each on another of its first days."""


def worlds() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return own readings, and what was lost on each of the days before: targets of all sizes that lose unevenly."""
    chance = np.random.default_rng(7)
    readings, lost = [], []
    for number, target in enumerate(TARGETS):
        links = int(10 ** (2.5 + number / 12))
        daily = chance.poisson(links * 0.001, BEFORE + OWN) + (chance.random(BEFORE + OWN) < 0.15) * int(links * 0.01)
        hub = int(links * 0.2)
        gone = daily.astype(float)
        if target in HIT:
            gone[BEFORE + HIT[target]] += hub
        live = links * 1.1 - np.cumsum(gone) + np.cumsum(np.full(BEFORE + OWN, daily.mean()))
        level = int(links * 0.4) + np.cumsum(gone)
        for day in range(BEFORE + OWN):
            date = FIRST + dt.timedelta(days=day - BEFORE)
            if day < BEFORE:
                lost.append({"date": date, "target": target, "lost_on_day": int(gone[day]), "live": round(live[day])})
                continue
            noise = 1 + 0.002 * chance.standard_normal()
            readings.append(
                {
                    "date": pd.Timestamp(date),
                    "target": target,
                    "spam_score": 5.0,
                    "lost_backlinks": round(level[day] * noise),
                    "live_backlinks": float(round(live[day])),
                    "request_key": "k",
                }
            )
    return pd.DataFrame(readings).sort_values(["date", "target"], ignore_index=True), pd.DataFrame(lost)


READINGS, LOST = worlds()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with the table of what was lost before."""
    schema = TABLES["lost_history"].arrow
    blank = dict.fromkeys(schema.names)
    for date, rows in LOST.groupby("date"):
        found = [
            blank
            | {"date": date, "target": row.target, "lost_on_day": row.lost_on_day, "live_backlinks": row.live}
            | {"counted_on": FIRST}
            for row in rows.itertuples()
        ]
        write_day(tmp_path, "lost_history", date, pa.Table.from_pylist(found, schema=schema))
    return tmp_path


def first_days(found: pd.DataFrame) -> tuple[int, int]:
    """Return how many of the events of the first 14 days were flagged on their day, and how many flags were none."""
    flags = found[found["severity"].notna() & (found["metric"] == "lost_backlinks") & (found["target"] != "*")]
    days = {target: FIRST + dt.timedelta(days=day) for target, day in HIT.items()}
    hits = sum(days.get(row.target) == row.date for row in flags.itertuples())
    return hits, len(flags[flags["date"] < FIRST + dt.timedelta(days=14)]) - hits


def test_without_back_filled_days_a_history_is_the_same_object(tmp_path: Path) -> None:
    assert with_backfill(tmp_path, READINGS, FIRST) is READINGS


def test_levels_go_back_from_the_first_reading(root: Path) -> None:
    found = with_backfill(root, READINGS, FIRST - dt.timedelta(days=BEFORE))
    for target in TARGETS[:3]:
        mine = found[found["target"] == target].sort_values("date")
        assert mine["backfilled"].tolist() == [True] * BEFORE + [False] * OWN
        levels = mine["lost_backlinks"].to_numpy()
        assert levels[BEFORE - 1] == levels[BEFORE]  # what went on the first day itself is not known
        went = LOST[LOST["target"] == target]["lost_on_day"].to_numpy()
        assert np.diff(levels[:BEFORE]).tolist() == went[1:].tolist()
    later = with_backfill(root, READINGS, FIRST - dt.timedelta(days=7))
    assert later["backfilled"].sum() == 7 * len(TARGETS)


def test_of_what_is_not_known_no_level_is_made(root: Path) -> None:
    gap, hole = FIRST - dt.timedelta(days=20), FIRST - dt.timedelta(days=10)
    schema = TABLES["lost_history"].arrow
    blank = dict.fromkeys(schema.names) | {"target": TARGETS[0], "counted_on": FIRST}
    write_day(root, "lost_history", hole, pa.Table.from_pylist([blank | {"date": hole}], schema=schema))
    write_day(root, "lost_history", gap, schema.empty_table())
    found = with_backfill(root, READINGS, FIRST - dt.timedelta(days=BEFORE)).query("backfilled")
    mine = found[found["target"] == TARGETS[0]].set_index(found[found["target"] == TARGETS[0]]["date"].dt.date)
    assert min(mine.index) == FIRST - dt.timedelta(days=19)
    assert mine["lost_backlinks"].notna().sum() == 10  # the hole is itself the last day of which it is known
    assert mine["live_backlinks"].isna().sum() == 1


def test_a_cold_target_is_flagged_in_its_first_days_where_its_past_is_back_filled(root: Path) -> None:
    cold, cold_false = first_days(detect(READINGS))
    warm, warm_false = first_days(detect(with_backfill(root, READINGS, FIRST - dt.timedelta(days=BEFORE))))
    assert warm > cold
    assert warm >= 0.9 * len(HIT)
    assert warm_false <= cold_false


def test_back_filled_days_have_no_row_and_no_flag(root: Path) -> None:
    history = with_backfill(root, READINGS, FIRST - dt.timedelta(days=BEFORE))
    jump = history["backfilled"] & (history["target"] == TARGETS[5]) & (history["date"] < pd.Timestamp(2026, 8, 20))
    history.loc[jump, ["lost_backlinks", "live_backlinks"]] = [0.0, 10**6]  # a loss of nearly all before the first day
    found = detect(history)
    assert found["date"].min() == FIRST
    assert len(found) == len(detect(READINGS))


def test_the_limits_are_wider_until_there_are_14_own_readings(root: Path) -> None:
    history = with_backfill(root, READINGS, FIRST - dt.timedelta(days=BEFORE))
    plain, wide = (detect(history, DetectionSettings(backfill_caution=factor)) for factor in (1.0, 3.0))
    lost = plain["metric"] == "lost_backlinks"
    width = (wide["usual_high"] - wide["usual_low"])[lost] / (plain["usual_high"] - plain["usual_low"])[lost]
    early = plain["date"][lost] < FIRST + dt.timedelta(days=14)
    assert width[early].median() > 2
    assert width[~early].median() == 1
    assert_frame_equal(plain[~lost], wide[~lost])  # the spam score has no past


def test_a_target_with_a_past_changes_nothing_for_the_others(root: Path) -> None:
    one = with_backfill(root, READINGS, FIRST - dt.timedelta(days=BEFORE))
    one = one[~one["backfilled"] | (one["target"] == TARGETS[0])]
    found, cold = (detect(each).query("target != @TARGETS[0]").reset_index(drop=True) for each in (one, READINGS))
    assert_frame_equal(found, cold)


def test_matrices_made_in_parts_are_those_made_at_once(root: Path) -> None:
    history = with_backfill(root, READINGS, FIRST - dt.timedelta(days=BEFORE))
    some = history[~history["backfilled"] | (history["target"] < TARGETS[10])]
    days = sorted(set(history["date"].dt.date))
    parts = [some[some["target"] < TARGETS[15]], READINGS[READINGS["target"] >= TARGETS[15]]]
    together = stacked([as_matrices(part, days) for part in parts])
    assert_frame_equal(detect(together), detect(some, days=days))
