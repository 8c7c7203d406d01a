"""The day from which losses are counted: the same all month, never too old for the API, and joined where the month turns."""

import datetime as dt

import pytest

from backlinks_assets.collect.since_day import former_since_day, need_former, since_day
from backlinks_assets.dataforseo.since import MAX_DAYS_BACK

EVERY_DAY = [dt.date(2026, 1, 1) + dt.timedelta(days=number) for number in range(1100)]


def test_last_months_day_can_still_be_requested_on_any_day() -> None:
    assert since_day(dt.date(2026, 11, 27)) == dt.date(2026, 1, 1)
    assert since_day(dt.date(2026, 10, 31)) == former_since_day(dt.date(2026, 11, 1)) == dt.date(2025, 12, 1)
    for day in EVERY_DAY:
        assert since_day(day) == since_day(day.replace(day=1))
        assert (day - since_day(day)).days <= 336
        assert (day - former_since_day(day)).days <= MAX_DAYS_BACK


@pytest.mark.parametrize(
    ("last_read", "needed"),
    [
        (dt.date(2026, 10, 31), True),
        (dt.date(2026, 10, 1), True),
        (dt.date(2026, 9, 30), False),  # its day is too old to be requested
        (dt.date(2026, 11, 2), False),  # this month's day was requested already
        (None, False),
    ],
)
def test_the_first_reading_of_a_month_needs_last_months_day(last_read: dt.date | None, needed: bool) -> None:
    def counted_since(day: dt.date) -> dict[str, list[dt.date]]:
        return {"a.com": [since_day(day)]} if day == last_read else {}

    assert need_former(dt.date(2026, 11, 3), ["a.com"], counted_since) == (["a.com"] if needed else [])
