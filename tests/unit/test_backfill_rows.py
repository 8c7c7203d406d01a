"""From windows of lost links to days: differences, live links, what can't be used, and what a day costs."""

import datetime as dt
from typing import Any

import bulk_days
import pytest
from hypothesis import given, strategies as st

from backlinks_assets.backfill.rows import refusal, rows_of, windows_of
from backlinks_assets.dataforseo.endpoints.bulk_new_lost_backlinks import NAME
from backlinks_assets.simulator.world.answers import result_of
from backlinks_assets.simulator.world.bulk import new_and_lost

TODAY = dt.date(2026, 11, 24)
SHOP = "shop.example"
Window = tuple[int | None, int | None]


def back(days: int) -> dt.date:
    return TODAY - dt.timedelta(days=days)


def counted(windows: dict[dt.date, Window], on: dt.date = TODAY, target: str = SHOP, others: int = 0) -> Any:
    """Return what is read of stored windows (new, lost) of one target, each bought with others."""
    targets = [target, *(f"other{number}.example" for number in range(others))]
    answers = [
        bulk_days.answer(
            on,
            NAME,
            {"targets": targets, "date_from": str(since)},
            [{"target": target, "new_backlinks": new, "lost_backlinks": lost}],
        )
        for since, (new, lost) in windows.items()
    ]
    return windows_of(answers)[target]


def days(rows: list[dict[str, Any]], column: str) -> dict[dt.date, Any]:
    return {row["date"]: row[column] for row in rows}


def test_a_days_losses_are_the_difference_of_two_windows() -> None:
    found = counted({back(3): (9, 31), back(2): (5, 11), back(1): (5, 10), TODAY: (1, 4)})
    rows = rows_of(SHOP, found, TODAY, {TODAY: 1000})
    assert days(rows, "lost_on_day") == {back(3): 20, back(2): 1, back(1): 6}
    assert days(rows, "new_on_day") == {back(3): 4, back(2): 0, back(1): 4}
    # At a day's end, from what came and went since the next one.
    assert days(rows, "live_backlinks") == {back(3): 1006, back(2): 1005, back(1): 1003}
    assert set(days(rows, "counted_on").values()) == {TODAY}


def test_no_row_is_of_the_first_reading_or_later() -> None:
    found = counted({back(n): (0, n) for n in range(6)})
    assert sorted(days(rows_of(SHOP, found, back(2), {}), "lost_on_day")) == [back(5), back(4), back(3)]


def test_what_the_vendor_did_not_say_is_null_and_never_0() -> None:
    found = counted({back(3): (9, 31), back(2): (None, 11), back(1): (5, None), TODAY: (6, 4)})
    rows = rows_of(SHOP, found, TODAY, {TODAY: 1000})
    assert days(rows, "lost_on_day") == {back(3): 20, back(2): None, back(1): None}
    assert days(rows, "new_on_day") == {
        back(3): None,
        back(2): None,
        back(1): None,
    }  # 5 of the longer window, 6 of the other
    assert days(rows, "live_backlinks") == {back(3): None, back(2): None, back(1): 998}
    assert set(days(rows_of(SHOP, found, TODAY, {}), "live_backlinks").values()) == {None}


def test_windows_that_do_not_nest_are_refused_with_both_numbers() -> None:
    assert refusal(counted({back(2): (0, 30), back(1): (0, 30), TODAY: (0, 0)})) is None
    why = refusal(counted({back(2): (0, 25), back(1): (0, 1300), TODAY: (0, 0)}))
    assert why == (
        f"the windows counted on {TODAY} do not nest: 1,300 links lost since {back(1)}, but only 25 since {back(2)}"
    )
    assert refusal(counted({back(2): (0, 25), back(1): (0, None), TODAY: (0, 26)})) is not None


def test_windows_of_two_days_of_counting_are_never_subtracted() -> None:
    first = counted({back(6): (0, 50), back(5): (0, 30)}, back(3))
    second = counted({back(5): (0, 33), back(4): (0, 21)}, TODAY)
    rows = rows_of(SHOP, first | second, back(3), {})
    assert days(rows, "lost_on_day") == {back(6): 20, back(5): 12}
    assert days(rows, "counted_on") == {back(6): back(3), back(5): TODAY}


def test_the_rows_of_a_target_cost_its_share_of_the_calls() -> None:
    rows = rows_of(SHOP, counted({back(n): (0, n) for n in range(4)}, others=3), TODAY, {})
    assert sum(days(rows, "cost_usd").values()) == pytest.approx(4 * 0.06 / 4)


def test_a_target_without_an_item_has_no_row() -> None:
    answer = bulk_days.answer(TODAY, NAME, {"targets": [SHOP, "empty.example"], "date_from": str(back(1))}, [])
    assert rows_of(SHOP, windows_of([answer])[SHOP], TODAY, {}) == []


@given(st.integers(0, 400), st.integers(3, 40))
def test_the_simulators_days_are_those_of_its_links(number: int, many: int) -> None:
    target, day = f"plain{number}.example", TODAY.toordinal()
    windows = {back(n): new_and_lost(target, day - n, day) for n in range(many)}
    found = counted(windows, target=target)
    assert refusal(found) is None
    (now,) = result_of(target, {"backlinks_status_type": "live"}, TODAY) or [{}]
    rows = rows_of(target, found, TODAY, {TODAY: now["backlinks"]})
    assert len(rows) == many - 1
    oldest = windows[back(many - 1)]
    assert sum(row["lost_on_day"] for row in rows) + windows[TODAY][1] == oldest[1]
