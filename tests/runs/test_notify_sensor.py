"""The announcing sensor on a real Dagster instance: failed runs, stopped accounts, low balances, failed ticks."""

import datetime as dt
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import faults
import pytest
from dagster._core.utils import make_new_run_id
from faults import Fault, FaultPlan
from notify_places import Webhook, webhook
from simulated_api import SimulatedApi

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs import announce
from backlinks_assets.defs.metadata import collecting
from backlinks_assets.defs.partitions import day_range_tags, range_tags
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.paths import page_path
from backlinks_assets.settings import Settings

TARGETS = ["a.example", "b.example", "c.example"]

Tick = Callable[[], str]


@functools.cache
def definitions() -> dg.Definitions:
    return build_defs()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with webhook() as server:
        monkeypatch.setenv("BACKLINKS_NOTIFY_URLS", server.url(login="me:s3cret-hook"))
        yield server


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> dict[str, dt.datetime]:
    """The sensor's time, turned by the test."""
    time = {"now": utc_now()}
    monkeypatch.setattr(announce, "utc_now", lambda: time["now"])
    return time


@pytest.fixture
def tick(instance: dg.DagsterInstance) -> Tick:
    """Evaluate the sensor once as the daemon does; return what the tick says."""
    repository = definitions().get_repository_def()
    sensor = repository.get_sensor_def("announce_sensor")

    held: dict[str, str | None] = {"cursor": None}

    def once() -> str:
        context = dg.build_sensor_context(
            instance=instance,
            cursor=held["cursor"],
            repository_def=repository,
            resources={"backlinks_data": BacklinksData()},
        )
        data = sensor.evaluate_tick(context)
        held["cursor"] = data.cursor
        return data.skip_message or ""

    return once


def day_of(clock: dict[str, dt.datetime]) -> dt.date:
    return clock["now"].date()


def collect(instance: dg.DagsterInstance, day: dt.date) -> bool:
    add_missing_targets(instance, TARGETS)
    tags = range_tags(str(day), str(day), TARGETS[0], TARGETS[-1])
    job = definitions().resolve_job_def("collect_job")
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False).success


def publish(instance: dg.DagsterInstance, day: dt.date) -> bool:
    tags = day_range_tags(str(day), str(day))
    job = definitions().resolve_job_def("publish_job")
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False).success


def wait(clock: dict[str, dt.datetime], minutes: float) -> None:
    clock["now"] += dt.timedelta(minutes=minutes)


def test_without_urls_a_tick_says_so_and_makes_nothing(tick: Tick, clean_environment: Path) -> None:
    assert tick() == "BACKLINKS_NOTIFY_URLS is not set and there is no channels.toml: nothing is announced."
    assert not clean_environment.exists()


def test_it_is_on_by_itself_since_it_sends_nothing_until_urls_are_set() -> None:
    assert announce.announce_sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_an_incomplete_day_is_told_once_with_its_targets_and_reasons_and_a_mended_one_no_more(
    instance, hook, tick, clock, api, write_targets
) -> None:
    server = api(Fault(faults.code(40501, "Invalid Field: 'target'."), target="b.example"))
    write_targets(*TARGETS)
    assert "Nothing new" in tick()
    day = day_of(clock)
    assert not collect(instance, day)
    assert "Nothing new" in tick()  # its tables are still to come, and belong into the same message
    assert publish(instance, day)
    wait(clock, 1)
    assert "1 message sent" in tick()
    wait(clock, 60)
    tick()
    (post,) = hook.posts
    assert post["title"].endswith(": targets without answers")
    assert f"1 of 3 targets has no answers for {day}." in post["message"]
    assert "Invalid Field: 'target'" in post["message"]
    assert ": b.example." in post["message"]
    assert "2 of 3 collected" in post["message"]
    assert f"Report: {page_path(Settings.from_env().root, day)}" in post["message"]

    assert not collect(instance, day)  # a second failure of the same kind is no news
    wait(clock, 60)
    tick()
    server.faults = FaultPlan(())
    assert collect(instance, day)
    wait(clock, 60)
    tick()
    assert len(hook.posts) == 1


def test_a_failed_run_that_was_mended_before_anyone_looked_is_not_told(
    instance, hook, tick, clock, api, write_targets
) -> None:
    server = api(Fault(faults.code(40501, "Invalid Field: 'target'."), target="b.example"))
    write_targets(*TARGETS)
    day = day_of(clock)
    assert not collect(instance, day)
    server.faults = FaultPlan(())
    assert collect(instance, day)
    wait(clock, 60)
    tick()
    assert hook.posts == []


def test_an_account_level_stop_is_told_with_what_to_do(instance, hook, tick, clock, api, write_targets) -> None:
    api(Fault(faults.code(40200, "Payment Required.")))
    write_targets(*TARGETS)
    tick()
    day = day_of(clock)
    assert not collect(instance, day)
    wait(clock, 10)  # tables may follow within five minutes of the run's end, which is by the real clock
    tick()
    (post,) = hook.posts
    assert "collecting stopped" in post["title"]
    assert "Top it up in the vendor's dashboard." in post["message"]
    assert "asked for" not in post["message"]  # that is for who reads the run
    assert f"3 of 3 targets have no answers for {day}." in post["message"]


def test_a_stop_is_known_by_its_field_and_not_by_the_words_of_the_error(
    instance, hook, tick, clock, api, write_targets, monkeypatch
) -> None:
    api(
        Fault(faults.code(40501, "Invalid Field: 'target'."), target="b.example"),
        Fault(faults.code(40200, "Payment Required."), target="c.example"),
    )
    write_targets(*TARGETS)
    tick()

    def in_other_words(failed, asked, stopped):
        told = failure([outcome for outcome in failed if outcome.target == "b.example"], asked, stopped)
        return dg.Failure("Something went wrong.", metadata=told.metadata, allow_retries=False)

    failure = collecting.failure
    monkeypatch.setattr(collecting, "failure", in_other_words)
    assert not collect(instance, day_of(clock))
    wait(clock, 10)
    tick()
    (post,) = hook.posts
    assert "collecting stopped" in post["title"]
    assert "Top it up in the vendor's dashboard." in post["message"]
    assert "Something went wrong" not in post["message"]


def test_tables_that_could_not_be_built_are_told(instance, hook, tick, clock, api, write_targets) -> None:
    api()
    write_targets(*TARGETS)
    tick()
    assert not publish(instance, day_of(clock))
    wait(clock, 1)
    tick()
    (post,) = hook.posts
    assert post["title"].endswith("tables not built")
    assert "No answer is stored" in post["message"]


def test_a_day_waits_for_its_runs_but_not_for_one_that_died_hours_ago(
    instance, hook, tick, clock, api, write_targets
) -> None:
    api(Fault(faults.code(40501, "Invalid Field: 'target'."), target="b.example"))
    write_targets(*TARGETS)
    tick()
    day = day_of(clock)
    assert not collect(instance, day)
    tags = range_tags(str(day), str(day), TARGETS[0], TARGETS[-1])
    status = dg.DagsterRunStatus.STARTED
    instance.add_run(dg.DagsterRun(job_name="collect_job", run_id=make_new_run_id(), status=status, tags=tags))
    wait(clock, 60)
    tick()
    assert hook.posts == []
    wait(clock, 6 * 60)
    tick()
    assert len(hook.posts) == 1


@pytest.mark.first
@pytest.mark.parametrize(
    ("job", "tags"),
    [
        ("publish_job", lambda day: day_range_tags(str(day), str(day + dt.timedelta(days=1)))),
        ("collect_job", lambda day: range_tags(str(day), str(day + dt.timedelta(days=1)), TARGETS[0], TARGETS[-1])),
        ("publish_job", lambda day: day_range_tags(str(day - dt.timedelta(days=1)), str(day))),
    ],
    ids=["built-with-the-day-after", "asked-for-with-the-day-after", "built-with-the-day-before"],
)
def test_each_day_of_a_run_over_several_waits_for_it(
    instance, hook, tick, clock, api, write_targets, job: str, tags: Callable[[dt.date], dict[str, str]]
) -> None:
    api(Fault(faults.code(40501, "Invalid Field: 'target'."), target="b.example"))
    write_targets(*TARGETS)
    tick()
    day = day_of(clock)
    assert not collect(instance, day)
    status, run_id = dg.DagsterRunStatus.STARTED, make_new_run_id()
    run = instance.add_run(dg.DagsterRun(job_name=job, run_id=run_id, status=status, tags=tags(day)))
    wait(clock, 60)
    tick()
    assert hook.posts == []
    instance.report_run_canceled(run)
    wait(clock, 10)
    tick()
    assert len(hook.posts) == 1


def test_a_day_that_ended_without_answers_is_told_where_there_were_some_every_day(
    instance, hook, tick, clock, write_targets
) -> None:
    write_targets(*TARGETS)  # no credentials: the simulator, which may be asked about any day
    add_missing_targets(instance, TARGETS)
    today = day_of(clock)
    clock["now"] = dt.datetime.combine(today, dt.time(12), dt.UTC)
    tick()
    first = today - dt.timedelta(days=1)
    job = definitions().resolve_job_def("collect_job")
    assert job.execute_in_process(
        instance=instance, tags=range_tags(str(first), str(today), TARGETS[0], TARGETS[-1])
    ).success
    wait(clock, 24 * 60)
    tick()
    assert hook.posts == []  # the day after is not over yet
    for _ in range(3):
        wait(clock, 24 * 60)
        tick()
    lost = [post for post in hook.posts if "Nothing was collected" in post["message"]]
    assert len(lost) == 1
    assert f"Nothing was collected on {today + dt.timedelta(days=1)}" in lost[0]["message"]


def test_a_low_balance_is_told_once_a_day_and_looked_at_once_an_hour(
    instance, hook, tick, clock, api, write_targets
) -> None:
    server = api(balance_usd=0.4)  # three targets cost $0.144 a day
    write_targets(*TARGETS)
    clock["now"] = dt.datetime.combine(day_of(clock), dt.time(1), dt.UTC)
    before = looks(server)
    for _ in range(10):
        tick()
        wait(clock, 10)
    assert looks(server) - before == 2
    (post,) = hook.posts
    assert post["title"].endswith("low balance")
    assert (
        "$0.40 are left, which is below $0.43. A day of 3 targets costs about $0.14, so it lasts 2.8 days."
        in (post["message"])
    )


def looks(server: SimulatedApi) -> int:
    return sum("user_data" in call.path for call in server.calls)


def test_the_threshold_of_a_low_balance_may_be_set(hook, tick, clock, api, write_targets, monkeypatch) -> None:
    api(balance_usd=0.4)
    write_targets(*TARGETS)
    monkeypatch.setenv("BACKLINKS_LOW_BALANCE_USD", "0.3")
    assert "Nothing new" in tick()


def test_no_account_is_looked_at_for_simulated_numbers(hook, tick, clock, write_targets) -> None:
    write_targets(*TARGETS)
    assert "Nothing new" in tick()


def test_a_targets_file_that_cannot_be_used_is_told_since_no_run_would(hook, tick, clock, write_targets) -> None:
    write_targets("# ours", "not a domain")
    tick()
    (post,) = hook.posts
    assert "collecting stopped" in post["title"]
    assert "line 3" in post["message"].lower()
