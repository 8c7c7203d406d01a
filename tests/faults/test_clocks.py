"""Clocks: a wall clock that is set in mid-run, midnight, leap days, machines in other time zones.

Days are UTC. The limits run on the boot's own clock, which nobody can set (`test_account_instants.py`); what is tested
here is what the wall clock could spoil: which day a call belongs to, and when a run may call at all.
"""

import datetime as dt
import sqlite3
import threading
import time
from collections.abc import Callable

import commands
import duckdb
import pytest
from simulated_api import PRICE_USD

from backlinks_assets.collect.factory import open_collector, open_store
from backlinks_assets.collect.outcome import CollectRequest, Outcome
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.defs.partitions import days
from backlinks_assets.pipeline import publish_answers
from backlinks_assets.settings import Settings
from backlinks_assets.tables.duckdb_sync import sync

pytestmark = pytest.mark.slow

NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def collect(day: dt.date, count: int, now: Callable[[], dt.datetime]) -> list[Outcome]:
    asks = [CollectRequest(day, f"shop{number:03d}.example", RequestParameters()) for number in range(count)]
    with open_collector(Settings.from_env(), now=now) as collector:
        return list(collector.collect(asks))


class WallClock:
    """A clock that goes on from an instant, and is set anew once it is to be, as it is asked at each look."""

    def __init__(self, start: dt.datetime, is_to_be_set: Callable[[int], bool], step: dt.timedelta) -> None:
        self._start, self._is_to_be_set, self._step = start, is_to_be_set, step
        self._began = time.monotonic()
        self._looks = 0
        self._lock = threading.Lock()

    def __call__(self) -> dt.datetime:
        with self._lock:
            self._looks += 1
            stepped = self._step if self._is_to_be_set(self._looks) else dt.timedelta()
        return self._start + dt.timedelta(seconds=time.monotonic() - self._began) + stepped


@pytest.mark.first
@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_clock_set_by_an_hour_in_mid_run_delays_and_loses_nothing(api, step: dt.timedelta) -> None:
    server = api(latency_s=0.05)
    began = time.monotonic()
    outcomes = collect(NOON.date(), 60, WallClock(NOON, lambda _: len(server.calls) > 60, step))
    assert [outcome.error for outcome in outcomes] == [None] * 60
    assert len(server.calls) == 120
    assert server.peak_at_once <= 30
    assert time.monotonic() - began < 600  # an hour was not waited for
    with open_store(Settings.from_env()) as store:
        assert store.day_costs(NOON.date()).cost_usd == pytest.approx(120 * PRICE_USD)


@pytest.mark.parametrize("step", [2 * HOUR, -HOUR], ids=["forward", "back"])
def test_a_clock_set_over_midnight_books_each_call_on_the_day_it_started(api, step: dt.timedelta) -> None:
    midnight = dt.datetime(2026, 11, 25, tzinfo=dt.UTC)
    start = midnight - 0.5 * HOUR if step > dt.timedelta() else midnight + 0.5 * HOUR
    server = api(latency_s=0.05)
    outcomes = collect(start.date(), 60, WallClock(start, lambda _: len(server.calls) > 60, step))
    done = [outcome for outcome in outcomes if outcome.error is None]
    assert 0 < len(done) < 60
    words = "is over" if step > dt.timedelta() else "has not begun"
    assert all(words in (outcome.error or "") for outcome in outcomes if outcome not in done)
    assert {(call.tag or "").partition("|")[0] for call in server.calls} == {str(start.date())}
    with sqlite3.connect(Settings.from_env().store_file) as store:
        booked = store.execute("SELECT DISTINCT booked_on, date FROM api_calls").fetchall()
        (kept,) = store.execute("SELECT count(*) FROM responses").fetchone()
    store.close()
    assert booked == [(str(start.date()), str(start.date()))]
    assert kept == len(server.calls)  # also what ended after midnight is the day's on which it started


@pytest.mark.parametrize("looks", range(12))
def test_midnight_between_any_two_looks_at_the_clock_books_each_call_on_the_day_it_started(api, looks: int) -> None:
    start = dt.datetime(2026, 11, 24, 23, 30, tzinfo=dt.UTC)
    server = api()
    collect(start.date(), 1, WallClock(start, lambda looked: looked > looks, HOUR))
    with sqlite3.connect(Settings.from_env().store_file) as store:
        calls = store.execute("SELECT booked_on, date, started_at FROM api_calls").fetchall()
    store.close()
    assert len(calls) == len(server.calls)
    assert all(date == str(start.date()) and booked_on == started[:10] for booked_on, date, started in calls)


def test_a_call_that_ends_after_midnight_belongs_to_the_day_it_started_on(api) -> None:
    server = api(latency_s=0.5)
    begun = threading.Event()

    def now() -> dt.datetime:  # midnight passes while the calls are at the server
        if not begun.is_set() and len(server.calls) == 4:
            begun.set()
        return dt.datetime(2026, 11, 25, 0, 0, 1, tzinfo=dt.UTC) if begun.is_set() else NOON

    outcomes = collect(NOON.date(), 2, now)
    assert [outcome.error for outcome in outcomes] == [None, None]
    with open_store(Settings.from_env()) as store:
        assert store.day_costs(NOON.date()).calls == 4
        assert {answer.date for answer in store.answers(NOON.date())} == {NOON.date()}
        assert len(list(store.answers(NOON.date()))) == 4


def test_a_leap_day_is_a_day_like_any(api) -> None:
    api()
    leap = dt.date(2028, 2, 29)
    outcomes = collect(leap, 2, lambda: dt.datetime(2028, 2, 29, 23, 30, tzinfo=dt.UTC))
    assert [outcome.error for outcome in outcomes] == [None, None]
    settings = Settings.from_env()
    with open_store(settings) as store:
        publish_answers(settings, store, leap)
    sync(settings.root)
    with duckdb.connect(str(settings.duckdb_file), read_only=True) as tables:
        assert tables.execute("SELECT DISTINCT date FROM backlinks_summary").fetchall() == [(leap,)]
    keys = days.get_partition_keys(current_time=dt.datetime(2028, 3, 1, 12, tzinfo=dt.UTC))
    assert keys[-3:] == ["2028-02-28", "2028-02-29", "2028-03-01"]


@pytest.mark.ci
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "<-12>12"], ids=["+14", "-12"])
def test_on_a_machine_of_another_time_zone_the_day_is_utcs(api, write_targets, monkeypatch, zone: str) -> None:
    server = api()
    write_targets("shop.example")
    monkeypatch.setenv("TZ", zone)
    before = commands.today()
    ended = commands.command("run", "--json")
    if commands.today() != before:
        pytest.skip("midnight passed in mid-test")
    assert (ended.status, ended.err) == (0, "")
    assert ended.summary["date"] == str(before)
    assert {(call.tag or "").partition("|")[0] for call in server.calls} == {str(before)}
    monkeypatch.delenv("TZ")
    with duckdb.connect(str(Settings.from_env().duckdb_file), read_only=True) as tables:
        tables.execute("SET TimeZone = 'UTC'")
        query = "SELECT date, max(captured_at)::VARCHAR FROM backlinks_summary GROUP BY 1"
        ((day, captured),) = tables.execute(query).fetchall()
    assert day == before
    assert captured.startswith(str(before))
