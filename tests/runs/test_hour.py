"""The hour of the daily run: any will do. What began on a day may go on with it for an hour after midnight (UTC)."""

import datetime as dt
import sqlite3
from collections.abc import Callable
from functools import partial

import dagster as dg
import pytest
from job_runs import schedule_tick

from backlinks_assets.cli import run as run_call
from backlinks_assets.cli.doctor import account
from backlinks_assets.collect.caller import is_open
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_collector, open_store
from backlinks_assets.collect.outcome import CollectRequest, Outcome
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.definitions import build_defs, defs
from backlinks_assets.defs import resources, schedules
from backlinks_assets.defs.partitions import range_tags
from backlinks_assets.defs.runs import requested_at
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.env_values import SettingsError
from backlinks_assets.settings import Settings
from backlinks_assets.store.answers import Key
from backlinks_assets.store.budget import Budget, BudgetError
from backlinks_assets.store.ledger import Call

DAY = dt.date(2026, 11, 24)
TODAY = utc_now().date()
MINUTE = dt.timedelta(minutes=1)
SECOND = dt.timedelta(seconds=1)


def midnight_after(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(days=1)


MIDNIGHT = midnight_after(DAY)


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def booked() -> list[tuple[str, str]]:
    """Return (UTC day booked on, partition's day) of each call."""
    file = Settings.from_env().store_file
    if not file.exists():
        return []
    with sqlite3.connect(file) as store:
        rows: list[tuple[str, str]] = store.execute("SELECT booked_on, date FROM api_calls").fetchall()
    store.close()
    return sorted(rows)


# --- a collector ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("began", "now", "open_"),
    [
        (MIDNIGHT - MINUTE, MIDNIGHT - SECOND, True),
        (MIDNIGHT - MINUTE, MIDNIGHT, True),
        (MIDNIGHT - 24 * 60 * MINUTE, MIDNIGHT + 59 * MINUTE, True),
        (MIDNIGHT - SECOND, MIDNIGHT + 60 * MINUTE - SECOND, True),
        (MIDNIGHT - SECOND, MIDNIGHT + 60 * MINUTE, False),
        (MIDNIGHT, MIDNIGHT + MINUTE, False),  # begun after midnight: another day's run
        (MIDNIGHT - 25 * 60 * MINUTE, MIDNIGHT + MINUTE, False),  # begun before the day
        (MIDNIGHT - SECOND, MIDNIGHT - 24 * 60 * MINUTE - SECOND, False),  # the clock was set back a day
        (MIDNIGHT - SECOND, MIDNIGHT + 24 * 60 * MINUTE + SECOND, False),
    ],
)
def test_a_day_is_open_on_it_and_for_an_hour_to_what_began_on_it(began, now, open_: bool) -> None:
    assert is_open(DAY, began, now) is open_


def collect(began: dt.datetime | None, now: Callable[[], dt.datetime], count: int = 3) -> list[Outcome]:
    asks = [CollectRequest(DAY, f"shop{number}.example", RequestParameters()) for number in range(count)]
    with open_collector(Settings.from_env(), began=began, now=now) as collector:
        return list(collector.collect(asks))


def test_a_run_that_midnight_passes_goes_on_with_its_day_and_books_each_call_on_its_own(api) -> None:
    server = api(latency_s=0.02)
    looks = iter([MIDNIGHT - MINUTE] * 60)
    outcomes = collect(None, lambda: next(looks, MIDNIGHT + 30 * MINUTE), 20)
    assert [outcome.error for outcome in outcomes] == [None] * 20
    assert {(call.tag or "").partition("|")[0] for call in server.calls} == {str(DAY)}
    assert len(server.calls) == 40
    assert {day for _, day in booked()} == {str(DAY)}
    assert {on for on, _ in booked()} == {str(DAY), str(MIDNIGHT.date())}
    with open_store(Settings.from_env()) as store:
        assert store.day_costs(DAY).answers == 40


def test_after_the_hour_and_to_what_began_after_midnight_the_day_is_over(api) -> None:
    server = api()
    for began, now in [(MIDNIGHT - MINUTE, MIDNIGHT + 61 * MINUTE), (MIDNIGHT + SECOND, MIDNIGHT + MINUTE)]:
        outcomes = collect(began, lambda now=now: now)
        assert all("is over" in (outcome.error or "") for outcome in outcomes)
    assert server.calls == []


def test_a_call_after_midnight_is_charged_to_the_budget_of_its_own_day(settings) -> None:
    budget = Budget(0.05, 0.03)  # one call a day

    key = Key(DAY, "shop.example", "live", "as asked")

    def call(number: int, at: dt.datetime) -> Call:
        return Call(str(number), DAY, "shop.example", "live", "owner", 1, at)

    with open_store(settings) as store:
        store.start_call(call(1, MIDNIGHT - SECOND), budget)
        store.end_call("1", key, None, "no answer", MIDNIGHT, is_final=False)
        with pytest.raises(BudgetError, match=f"for {DAY} "):
            store.start_call(call(2, MIDNIGHT - SECOND), budget)
        store.start_call(call(3, MIDNIGHT), budget)
        store.end_call("3", key, None, "no answer", MIDNIGHT, is_final=False)
        with pytest.raises(BudgetError, match=f"for {MIDNIGHT.date()} "):
            store.start_call(call(4, MIDNIGHT + SECOND), budget)
    assert booked() == [(str(DAY), str(DAY)), (str(MIDNIGHT.date()), str(DAY))]


# --- runs of Dagster, and the command -----------------------------------------------------------------------------------


def at(monkeypatch: pytest.MonkeyPatch, now: dt.datetime) -> None:
    """Set the clock that collectors look at."""
    monkeypatch.setattr(resources, "open_collector", partial(open_collector, now=lambda: now))


def collect_run(instance: dg.DagsterInstance, day: dt.date, **tags: str) -> dg.ExecuteInProcessResult:
    add_missing_targets(instance, ["shop.example"])
    tags = {**range_tags(str(day), str(day), "shop.example", "shop.example"), **tags}
    job = build_defs().resolve_job_def("collect_job")
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


@pytest.mark.parametrize(("minutes", "asked"), [(10, True), (59, True), (60, False)])
def test_a_run_that_waited_in_the_queue_over_midnight_is_for_the_day_it_was_asked_for(
    instance, api, write_targets, monkeypatch, minutes: int, asked: bool
) -> None:
    server = api()
    write_targets("shop.example")
    at(monkeypatch, midnight_after(TODAY) + minutes * MINUTE)  # the run itself is made today
    assert collect_run(instance, TODAY).success is asked
    assert len(server.calls) == (2 if asked else 0)


SCHEDULED = ".dagster/scheduled_execution_time"


@pytest.mark.parametrize(
    ("tags", "asked"),
    [
        ({SCHEDULED: "23:58"}, True),
        ({SCHEDULED: "23:58", "dagster/parent_run_id": "x"}, False),  # repeated by a person after midnight
        ({}, False),
    ],
    ids=["late-tick", "repeated", "by-hand"],
)
def test_a_tick_before_midnight_that_a_late_daemon_makes_after_it_is_for_its_day(
    instance, api, write_targets, monkeypatch, tags: dict[str, str], asked: bool
) -> None:
    server = api()
    write_targets("shop.example")
    yesterday = TODAY - dt.timedelta(days=1)
    at(monkeypatch, midnight_after(yesterday) + 4 * MINUTE)
    tags = {**tags, **({SCHEDULED: (midnight_after(yesterday) - 2 * MINUTE).isoformat()} if SCHEDULED in tags else {})}
    assert collect_run(instance, yesterday, **tags).success is asked
    assert len(server.calls) == (2 if asked else 0)


def test_a_run_says_when_it_was_asked_for(instance, write_targets) -> None:
    write_targets("shop.example")  # the simulator
    before = utc_now()
    collect_run(instance, TODAY)
    (run,) = instance.get_runs()
    asked = requested_at(instance, run)
    assert asked is not None
    assert before - SECOND <= asked <= utc_now()


@pytest.mark.ci
@pytest.mark.slow
def test_the_command_called_before_midnight_is_for_that_day(api, write_targets, monkeypatch, capsys) -> None:
    server = api()
    write_targets("shop.example")
    monkeypatch.setattr(run_call, "utc_now", lambda: midnight_after(TODAY) - SECOND)
    at(monkeypatch, midnight_after(TODAY) + MINUTE)
    assert run_call.run_day(None, as_json=True, yes=True) == 0
    assert {(call.tag or "").partition("|")[0] for call in server.calls} == {str(TODAY)}
    assert booked() == [(str(TODAY + dt.timedelta(days=1)), str(TODAY))] * 2
    assert f'"date": "{TODAY}"' in capsys.readouterr().out


# --- the schedule -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["58 23 * * *", "@daily", "30 4 * * mon-fri"])
def test_the_schedule_ticks_when_the_environment_says(instance, monkeypatch, text: str) -> None:
    monkeypatch.setenv("BACKLINKS_SCHEDULE", text)
    schedule = build_defs().get_repository_def().get_schedule_def("daily_collect_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == (text.replace("@daily", "0 0 * * *"), "UTC")
    assert schedule.cron_schedule in (schedule.description or "")
    assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED


@pytest.mark.parametrize("text", ["0 6 30 2 *", "06:00", "every day"])
def test_a_schedule_that_cannot_be_used_leaves_the_ui_and_each_tick_says_so(
    instance, write_targets, monkeypatch, text: str
) -> None:
    write_targets("shop.example")
    monkeypatch.setenv("BACKLINKS_SCHEDULE", text)
    definitions = build_defs()
    dg.Definitions.validate_loadable(definitions)
    schedule = definitions.get_repository_def().get_schedule_def("daily_collect_schedule")
    assert f"BACKLINKS_SCHEDULE is {text!r}" in (schedule.description or "")
    with pytest.raises(Exception, match="daily_collect_schedule") as failed:
        schedule_tick(instance, dt.datetime.combine(TODAY, dt.time(6), dt.UTC))
    assert isinstance(failed.value.__cause__, SettingsError)


@pytest.mark.parametrize(("minutes", "asks"), [(4, True), (59, True), (61, False), (3 * 24 * 60, False)])
def test_a_tick_that_comes_late_asks_for_its_day_while_that_is_open(
    instance, write_targets, monkeypatch, minutes: int, asks: bool
) -> None:
    write_targets("shop.example")
    monkeypatch.setattr(schedules, "utc_now", lambda: midnight_after(DAY) + minutes * MINUTE)
    made = schedule_tick(instance, MIDNIGHT - 2 * MINUTE)
    assert len(made.run_requests or []) == int(asks)
    assert asks or f"{DAY} is over" in (made.skip_message or "")


def test_doctor_says_when_the_next_tick_is_due(monkeypatch) -> None:
    monkeypatch.setattr(account, "utc_now", lambda: midnight_after(DAY) - MINUTE)
    monkeypatch.setenv("BACKLINKS_SCHEDULE", "30 4 * * *")
    found = account.schedule(Settings.from_env())
    assert (found.mark, found.says.split(", while")[0]) == ("fine", "`30 4 * * *` (UTC), next at 2026-11-25 04:30")


# --- merged into a host -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "executor", [dg.multiprocess_executor, dg.in_process_executor, dg.multi_or_in_process_executor]
)
def test_the_definitions_can_be_merged_with_a_host_of_any_executor_and_the_jobs_keep_theirs(instance, executor) -> None:
    merged = dg.Definitions.merge(build_defs(), dg.Definitions(executor=executor))
    dg.Definitions.validate_loadable(merged)
    for job in ("collect_job", "publish_job", "old_runs_job"):
        assert merged.resolve_job_def(job).executor_def is dg.in_process_executor, job


def test_what_the_projects_own_location_materializes_outside_of_a_job_runs_in_one_process(instance) -> None:
    assert defs.resolve_implicit_global_asset_job_def().executor_def is dg.in_process_executor
