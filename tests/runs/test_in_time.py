"""The check that the day of the schedule's last tick was judged in time: it fails though nothing runs, whatever is backfilled."""

import datetime as dt
from collections.abc import Callable

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import InstigatorStatus
from looks import collect_run, publish_run
from test_makeup import state

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.cron import Cron
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs import in_time
from backlinks_assets.defs.checks import IN_TIME
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.sensors import add_missing_targets

pytestmark = pytest.mark.slow

TODAY = utc_now().date()
YESTERDAY = TODAY - dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
SIX = dt.datetime.combine(TODAY, dt.time(6), dt.UTC)
NAMES = ["a.example", "b.example"]


@pytest.fixture(autouse=True)
def targets(instance, write_targets) -> None:
    write_targets(*NAMES)
    add_missing_targets(instance, NAMES)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[dt.datetime], None]:
    return lambda now: monkeypatch.setattr(in_time, "utc_now", lambda: now)


class Daemon:
    """The sensor as the daemon uses it: what it reports is stored, and its cursor remembered."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.cursor = instance, None

    def tick(self) -> bool:
        """Let the sensor look; return whether it reported something."""
        repository = build_defs().get_repository_def()
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=repository,
            resources={"backlinks_data": BacklinksData()},
        ) as context:
            tick = repository.get_sensor_def("in_time_sensor").evaluate_tick(context)
        assert not tick.run_requests
        self.cursor = tick.cursor or self.cursor
        for event in tick.asset_events:
            self.instance.report_runless_asset_event(event)
        return bool(tick.asset_events)

    @property
    def shown(self) -> dg.AssetCheckEvaluation:
        """The check's last evaluation, as the UI shows it."""
        found = self.instance.event_log_storage.get_latest_asset_check_execution_by_key([IN_TIME])[IN_TIME]
        return found.event.dagster_event.asset_check_evaluation_data


@pytest.fixture
def daemon(instance) -> Daemon:
    return Daemon(instance)


def judge(instance: dg.DagsterInstance, day: dt.date) -> None:
    assert collect_run(instance, day, *NAMES).success
    assert publish_run(instance, day, day).success


def test_a_day_that_is_not_judged_fails_three_hours_after_its_tick_though_nothing_runs(instance, daemon, at) -> None:
    instance.add_instigator_state(state(since=SIX - 2 * HOUR))
    at(SIX + 3 * HOUR - dt.timedelta(seconds=1))
    daemon.tick()
    assert daemon.shown.passed
    assert "No tick was due" in daemon.shown.description
    at(SIX + 3 * HOUR)
    assert daemon.tick()
    assert (daemon.shown.passed, daemon.shown.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert daemon.shown.description.startswith(f"{TODAY} is not judged, three hours after the tick of 06:00 UTC.")
    assert instance.get_runs_count() == 0
    assert not daemon.tick()  # it is said once


def test_the_schedule_in_bulk_is_waited_for_too(instance, daemon, at) -> None:
    instance.add_instigator_state(state(name="daily_bulk_collect_schedule", since=SIX - 48 * HOUR))
    at(SIX + 4 * HOUR)
    daemon.tick()
    assert not daemon.shown.passed
    assert "ticks of daily_bulk_collect_schedule and the runs" in daemon.shown.description


@pytest.mark.ci
def test_a_backfill_of_an_old_day_does_not_turn_it_green_and_the_day_itself_does(instance, daemon, at) -> None:
    instance.add_instigator_state(state(since=SIX - 48 * HOUR))
    at(SIX + 4 * HOUR)
    judge(instance, YESTERDAY)
    daemon.tick()
    assert not daemon.shown.passed
    judge(instance, TODAY)
    assert not daemon.shown.passed  # no run evaluates it
    daemon.tick()
    assert daemon.shown.passed


@pytest.mark.ci
def test_before_the_hours_are_over_the_tick_before_counts(instance, daemon, at) -> None:
    instance.add_instigator_state(state(since=SIX - 48 * HOUR))
    at(SIX + HOUR)
    daemon.tick()
    assert daemon.shown.description.startswith(f"{YESTERDAY} is not judged")
    judge(instance, YESTERDAY)
    daemon.tick()
    assert daemon.shown.passed


@pytest.mark.first
@pytest.mark.parametrize(("cron", "passed"), [("0 20 * * *", True), ("30 5 * * *", False)])
def test_it_keeps_to_the_schedule_that_is_set(instance, daemon, at, monkeypatch, cron: str, passed: bool) -> None:
    monkeypatch.setenv("BACKLINKS_SCHEDULE", cron)
    instance.add_instigator_state(state(since=SIX - 48 * HOUR))
    judge(instance, YESTERDAY)
    at(SIX + 3 * HOUR - dt.timedelta(minutes=30))
    daemon.tick()
    assert daemon.shown.passed is passed


def test_nothing_is_expected_of_a_schedule_that_is_off_or_of_no_target(instance, daemon, at, write_targets) -> None:
    at(SIX + 4 * HOUR)
    daemon.tick()
    assert (daemon.shown.passed, daemon.shown.description) == (
        True,
        "daily_collect_schedule and daily_bulk_collect_schedule are off: no day is expected.",
    )
    instance.add_instigator_state(state(switched=InstigatorStatus.RUNNING, since=SIX - 48 * HOUR))
    write_targets("a.example,2020-01-01", header="target,retired")
    daemon.tick()
    assert (daemon.shown.passed, daemon.shown.description) == (True, f"No target was watched on {TODAY}.")


def test_a_targets_file_that_cannot_be_read_is_no_excuse(instance, daemon, at, write_targets) -> None:
    instance.add_instigator_state(state(since=SIX - 48 * HOUR))
    write_targets("a.example", header="site")
    at(SIX + 4 * HOUR)
    daemon.tick()
    assert not daemon.shown.passed


def test_a_person_can_evaluate_it_in_the_ui(instance, at) -> None:
    instance.add_instigator_state(state(since=SIX - 48 * HOUR))
    at(SIX + 4 * HOUR)
    job = build_defs().get_repository_def().get_implicit_global_asset_job_def()
    result = job.get_subset(asset_selection=set(), asset_check_selection={IN_TIME}).execute_in_process(
        instance=instance
    )
    (evaluation,) = result.get_asset_check_evaluations()
    assert (evaluation.check_name, evaluation.passed) == ("judged_in_time", False)


@pytest.mark.parametrize(
    ("cron", "hours"), [("0 6 * * *", 27), ("0 6,18 * * *", 27), ("0 6 * * mon-fri", 75), ("*/5 * 1 * *", 31 * 24 + 3)]
)
def test_the_page_is_fresh_for_the_longest_interval_of_the_schedule_and_three_hours(monkeypatch, cron, hours) -> None:
    monkeypatch.setenv("BACKLINKS_SCHEDULE", cron)
    node = build_defs().get_repository_def().asset_graph.get(dg.AssetKey("flags_report"))
    assert node.freshness_policy == dg.FreshnessPolicy.time_window(hours * HOUR)
    assert Cron.parse(cron).longest_interval() == (hours - 3) * HOUR
