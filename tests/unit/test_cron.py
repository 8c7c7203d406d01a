"""Cron texts: what each means is what Dagster's scheduler does, what can't be used is refused with what is wrong."""

import datetime as dt
import itertools

import pytest
from dagster._utils.schedules import is_valid_cron_string, schedule_execution_time_iterator
from hypothesis import assume, given, settings, strategies as st

from backlinks_assets.cron import Cron
from backlinks_assets.env_values import SettingsError
from backlinks_assets.settings import DAILY, Settings

MOMENTS = st.integers(0, 9 * 365 * 24 * 60).map(
    lambda n: dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=n)
)
TEXTS = st.tuples(
    st.sampled_from(["0", "5", "*", "*/7", "3-20/4", "0,30", "59", "10/20", "00"]),
    st.sampled_from(["6", "*", "*/5", "0-3", "23", "1,2,3", "23,0"]),
    st.sampled_from(["*", "*", "1", "31", "*/2", "1-7", "30,31", "29", "*/1", "1-31", "12/3"]),
    st.sampled_from(["*", "*", "2", "jan", "FEB-apr", "4,6", "*/3", "1-12", "12/4"]),
    st.sampled_from(
        ["*", "*", "Mon", "1-5", "sat-sun", "7", "0-7", "fri-sun", "5-7", "*/2", "0", "sun-mon", "1/2", "6/5", "1-6/2"]
    ),
).map(" ".join)


@pytest.mark.medium
@settings(max_examples=150, deadline=None)
@given(TEXTS, MOMENTS)
def test_the_times_of_a_text_are_those_at_which_dagster_ticks(text: str, moment: dt.datetime) -> None:
    try:
        cron = Cron.parse(text)
    except ValueError:
        assume(False)
    assert is_valid_cron_string(cron.text)
    ours, after = [], moment
    for _ in range(3):
        after = cron.next_after(after)
        ours.append(after)
    assert cron.last_until(ours[-1]) == ours[-1]
    assert cron.last_until(ours[-1] - dt.timedelta(microseconds=1)) == ours[-2]
    dagsters = schedule_execution_time_iterator(moment.timestamp() + 1e-6, cron.text, "UTC")
    assert ours == list(itertools.islice(dagsters, 3))


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("0 6 * * *", "0 6 * * *"),
        ("  58\t23 * *  * ", "58 23 * * *"),
        ("@daily", "0 0 * * *"),
        ("@Midnight", "0 0 * * *"),
        ("30 4 * * MON-fri", "30 4 * * mon-fri"),
    ],
)
def test_a_text_is_read_as_it_is_usually_written(text: str, means: str) -> None:
    assert Settings.from_env({"BACKLINKS_SCHEDULE": text}).schedule.text == means


def test_without_the_variable_or_with_an_empty_one_it_is_six_oclock() -> None:
    assert Settings.from_env({}).schedule == Settings.from_env({"BACKLINKS_SCHEDULE": " "}).schedule == DAILY
    assert DAILY.next_after(dt.datetime(2026, 11, 24, 6, tzinfo=dt.UTC)) == dt.datetime(2026, 11, 25, 6, tzinfo=dt.UTC)


def test_the_last_time_of_today_is_none_before_it_has_come() -> None:
    midnight = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)
    assert DAILY.last_today(midnight + dt.timedelta(hours=6, seconds=-1)) is None
    for now in (midnight + dt.timedelta(hours=6), midnight + dt.timedelta(hours=23, minutes=59, microseconds=1)):
        assert DAILY.last_today(now) == midnight + dt.timedelta(hours=6)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("0 6 * *", "4 fields"),
        ("0 6 * * * *", "6 fields"),
        ("06:00", "1 fields"),
        ("@reboot", "1 fields"),
        ("0 24 * * *", "hour, '24', is not a number from 0 to 23"),
        ("60 6 * * *", "minute, '60'"),
        ("0 6 0 * *", "day of the month, '0'"),
        ("0 6 * 13 *", "month, '13'"),
        ("0 6 * * monday", "day of the week, 'monday'"),
        ("0 6 * * 8", "day of the week, '8'"),
        ("0 6 30 2 *", "none of its months has such a day"),
        ("0 6 31 apr,jun *", "none of its months has such a day"),
        ("*/0 6 * * *", "minute, '*/0', is not"),
        ("0 6,,7 * * *", "hour, '6,,7', is not"),
        ("0 22-2 * * *", "hour, '22-2', is not a number from 0 to 23, nor a list of them, a span upwards (`1-5`)"),
        ("0 6-6 * * *", "hour, '6-6', is not"),
        ("0 6 * jan-1 *", "month, 'jan-1', is not"),
        ("0 6 L * *", "day of the month, 'l', is not"),
        ("0 6 * * fri#1", "day of the week, 'fri#1', is not"),
        ("0 6 30 2 mon", "none of its months has such a day"),
        ("0 -1 * * *", "hour, '-1', is not"),
        ("0 ٦ * * *", "hour, '٦'"),
        ("0 6 */2 * mon", "write `*` for one of them"),
        ("0 6 * * 1/2", "day of the week, '1/2', is not a number from 0 to 7 or a name such as `sun`"),
        ("0 6 * 12/3 *", "month, '12/3', is not a number from 1 to 12 or a name such as `jan`"),
        ("5/10 6 * * *", "steps of `*` or of a span (`*/2`)"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused_with_what_is_wrong_and_how_to_write_it(text: str, wrong: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({"BACKLINKS_SCHEDULE": text})
    said = str(refused.value)
    assert said.startswith(f"BACKLINKS_SCHEDULE is {text!r}, which is not a usable cron: ")
    assert wrong in said
    assert said.endswith("`0 6 * * *` is 06:00 every day.")
