"""Whether bulk agrees with the targets that are read in full too: by numbers, day by day, and as a check after three bad days."""

import datetime as dt
from pathlib import Path

import pytest
from report_world import write_rows

from backlinks_assets.defs.checks import answers_results
from backlinks_assets.tables.control_sample import control_sample_agrees

pytestmark = pytest.mark.medium

DAY = dt.date(2026, 11, 24)
Numbers = tuple[int | None, int | None, int | None]
"""Live links, spam score, lost links: a stock in full, a level in bulk."""
SAME: Numbers = (10_000, 20, 500)


def write(root: Path, back: int, both: dict[str, tuple[Numbers, Numbers]], only_bulk: tuple[str, ...] = ()) -> None:
    """Write a day's tables: of each target the numbers in full and in bulk."""
    date = DAY - dt.timedelta(days=back)
    full, bulk = [], []
    for target, (of_full, of_bulk) in sorted(both.items()):
        same = {"target": target, "has_data": True, "request_key": "k"}
        full.append({**same, "status_type": "live", "backlinks": of_full[0], "backlinks_spam_score": of_full[1]})
        full.append({**same, "status_type": "lost", "backlinks": of_full[2]})
        links, spam, lost = of_bulk
        row = {"target": target, "backlinks": links, "backlinks_spam_score": spam, "lost_level": lost}
        bulk.append({**row, "has_data": True, "is_missing": False})
    bulk += [{"target": name, "backlinks": 1, "has_data": True, "is_missing": False} for name in only_bulk]
    write_rows(root, "backlinks_summary", date, full)
    write_rows(root, "backlinks_bulk", date, sorted(bulk, key=lambda row: str(row["target"])))


def test_where_both_ways_have_the_same_numbers_the_check_says_how_many(tmp_path: Path) -> None:
    both = {
        "a.example": (SAME, (10_150, 21, 90)),
        "b.example": ((3, 0, 0), (4, 1, 0)),
        "c.example": (SAME, (None, 20, None)),
    }
    write(tmp_path, 0, both, ("d.example",))
    found = control_sample_agrees(tmp_path, DAY)
    assert (found.holds, found.count, found.rows) == (True, 0, [])
    assert found.sentence == (
        "3 of 3 targets read both in bulk and in full on 2026-11-24 agree (live links 2 of 2, spam score 3 of 3); bad days of "
        "the last 1 that were compared: 0."
    )


@pytest.mark.parametrize(
    ("of_bulk", "apart"),
    [
        ((10_205, 20, 500), "live links"),
        ((10_000, 22, 500), "spam score"),
        ((9_000, 18, 500), "live links, spam score"),
    ],
)
def test_a_number_that_is_apart_is_named_with_both_values(tmp_path: Path, of_bulk: Numbers, apart: str) -> None:
    write(tmp_path, 0, {"a.example": (SAME, of_bulk), "b.example": (SAME, SAME)})
    found = control_sample_agrees(tmp_path, DAY)
    (row,) = found.rows
    assert (found.count, row["target"], row["apart"]) == (1, "a.example", apart)
    assert (row["links, in full"], row["links, in bulk"]) == ("10,000", f"{of_bulk[0]:,}")
    assert found.holds  # one bad day


@pytest.mark.parametrize(
    ("now", "apart"),
    [
        (((10_000, 20, 600), (10_000, 20, 1_100)), ""),  # both rose
        (((10_000, 20, 600), (10_000, 20, 1_000)), "change of lost links"),  # bulk stood still
        (((10_000, 20, 400), (10_000, 20, 1_100)), "change of lost links"),  # a stock that fell
        (((10_000, 20, 505), (10_000, 20, 999)), ""),  # neither moved by more than its floor
        (((10_000, 22, 500), (10_000, 21, 1_000)), ""),
        (((10_000, 22, 500), (10_000, 20, 1_000)), "spam score, change of the spam score"),
    ],
)
def test_the_change_since_the_target_was_read_both_ways_has_the_same_sign(
    tmp_path: Path, now: tuple[Numbers, Numbers], apart: str
) -> None:
    write(tmp_path, 4, {"a.example": (SAME, (10_000, 20, 1_000))})
    write(tmp_path, 2, {"b.example": (SAME, SAME)})  # others each day
    write(tmp_path, 0, {"a.example": now})
    found = control_sample_agrees(tmp_path, DAY)
    assert [row["apart"] for row in found.rows] == ([apart] if apart else [])


def test_three_bad_days_of_seven_are_a_warning_and_two_are_not(tmp_path: Path) -> None:
    bad, good = {"a.example": (SAME, (9_000, 20, 500))}, {"a.example": (SAME, SAME)}
    for back, of_day in ((9, bad), (8, bad), (7, good), (6, good), (5, good), (4, bad), (2, bad), (1, good)):
        write(tmp_path, back, of_day)
    write(tmp_path, 0, good)
    assert control_sample_agrees(tmp_path, DAY).holds  # of the last seven two are bad
    write(tmp_path, 0, bad)
    found = control_sample_agrees(tmp_path, DAY)
    assert not found.holds
    assert "bad days of the last 7 that were compared: 3." in found.sentence
    *_, result = answers_results(tmp_path, DAY, ["a.example"])
    assert (result.asset_key.to_user_string(), result.check_name) == ("backlinks_bulk", "control_sample_agrees")
    assert (result.passed, result.severity.value) == (False, "WARN")
    assert set(result.metadata) == {"count", "worst"}


def test_of_many_targets_a_tenth_may_be_apart(tmp_path: Path) -> None:
    for off in (1, 2):
        both = {f"shop{n:02d}.example": (SAME, (9_000, 20, 500) if n < off else SAME) for n in range(10)}
        for back in range(3):
            write(tmp_path, back, both)
        assert control_sample_agrees(tmp_path, DAY).holds is (off == 1)


def test_without_a_sample_the_check_passes_and_says_so(tmp_path: Path) -> None:
    assert control_sample_agrees(tmp_path, DAY).sentence == "No target was read both in bulk and in full on 2026-11-24."
    write(tmp_path, 0, {}, ("a.example", "b.example"))
    assert control_sample_agrees(tmp_path, DAY).holds
