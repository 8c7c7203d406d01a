"""When a day that is behind its answers waits, for how long, and what the sensor says of it meanwhile."""

import datetime as dt
import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from looks import Automation, collect_run, definitions, publish_run

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.defs import automation, busy_days
from backlinks_assets.defs.partitions import day_range_tags, range_tags
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.due_days import due
from backlinks_assets.settings import Settings
from backlinks_assets.store.responses import ResponseStore
from backlinks_assets.tables.atomic import TablesError

TODAY = utc_now().date()
YESTERDAY = TODAY - dt.timedelta(days=1)
NAMES = ["shop1.example", "shop2.example", "shop3.example"]
EVERY = dt.timedelta(seconds=20)
NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
DAYS = [dt.date(2026, 11, day) for day in range(18, 25)]


@pytest.fixture
def instance(instance: dg.DagsterInstance, write_targets: Callable[..., Path]) -> dg.DagsterInstance:
    write_targets(*NAMES)
    add_missing_targets(instance, NAMES)
    return instance


@pytest.fixture
def auto(instance: dg.DagsterInstance) -> Automation:
    return Automation(instance)


class Clock:
    """The automation's clock, set on by hand."""

    def __init__(self) -> None:
        self.now = dt.datetime.combine(TODAY, dt.time(0, 1), dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(automation, "utc_now", clock)
    return clock


# --- a day that can't be built --------------------------------------------------------------------------------------


def test_a_day_that_cannot_be_built_is_tried_ever_more_rarely() -> None:
    held, asked, now, asked_at = {DAYS[6]: "its answers"}, {}, NOON, []
    while now < NOON + dt.timedelta(hours=6):
        wanted, asked = due(held, [DAYS[6]], [], asked, now)
        asked_at += [now] * len(wanted)
        now += EVERY
    minutes = [round((later - earlier).total_seconds() / 60) for earlier, later in itertools.pairwise(asked_at)]
    assert minutes == [0, 1, 4, 16, 60, 60, 60, 60, 60]


def test_the_sensor_says_how_often_a_day_was_tried_and_when_it_is_again(
    instance, auto: Automation, clock: Clock
) -> None:
    collect_run(instance, TODAY, *NAMES)
    assert auto.look() == auto.look() == [(TODAY, TODAY)]  # and the runs fail, before they have written anything
    assert auto.look() == []
    assert (auto.said or "").startswith(
        f"{TODAY} is still not built after 2 tries and is tried again at 00:02 UTC, or once"
    )
    collect_run(instance, TODAY, *NAMES)  # nothing new
    assert auto.look() == []


def test_new_answers_have_a_day_tried_again_at_once(instance, auto: Automation, clock: Clock) -> None:
    collect_run(instance, TODAY, *NAMES[:2])
    while auto.look():
        pass
    collect_run(instance, TODAY, *NAMES)
    assert auto.look() == [(TODAY, TODAY)]


@pytest.mark.ci
def test_a_day_that_cannot_be_built_holds_up_no_other(instance, auto: Automation, clock: Clock, monkeypatch) -> None:
    real = ResponseStore.answers

    def unreadable(store: ResponseStore, date: dt.date, *of: str):
        if date == YESTERDAY:
            raise TablesError("It could not be read.")
        return real(store, date, *of)

    monkeypatch.setattr(ResponseStore, "answers", unreadable)
    for day in (YESTERDAY, TODAY):
        collect_run(instance, day, *NAMES)
    asked = []
    for _ in range(30):
        asked += auto.look_and_build()
        clock.now += EVERY
    assert asked[:2] == [(YESTERDAY, TODAY), (TODAY, TODAY)]  # together, then each by itself
    assert set(asked[2:]) == {(YESTERDAY, YESTERDAY)}
    assert len(asked) == 5  # of ten minutes: after 0, 0, 1 and 4
    monkeypatch.setattr(ResponseStore, "answers", real)
    clock.now += dt.timedelta(hours=1)
    assert auto.look_and_build() == [(YESTERDAY, YESTERDAY)]
    assert auto.look_and_build() == [(TODAY, TODAY)]  # judged by what is known of yesterday now
    assert auto.look() == []


def test_no_day_is_asked_for_with_one_that_waits() -> None:
    held = {day: f"answers of {day}" for day in DAYS}
    first, asked = due(held, [DAYS[1], DAYS[4]], [], {}, NOON)
    assert first == DAYS[1:]
    assert asked.keys() == {DAYS[1], DAYS[4]}  # the others were level: they are not said to have been tried
    again, asked = due(held, [DAYS[1], DAYS[4]], [], asked, NOON + EVERY)
    assert again == [DAYS[4]]
    again, asked = due(held, [DAYS[1]], [], asked, NOON + EVERY)
    assert again == [DAYS[1]]
    assert due(held, [DAYS[1]], [], asked, NOON + EVERY)[0] == []
    held[DAYS[6]] = "others"  # of a later day: they don't help it
    assert due(held, [DAYS[1], DAYS[6]], [], asked, NOON + EVERY)[0] == [DAYS[6]]
    held[DAYS[0]] = "others"  # of a day before: it may
    assert due(held, [DAYS[1]], [], asked, NOON + EVERY)[0] == DAYS[1:]


def test_a_day_that_is_busy_waits_and_the_days_around_it_do_not() -> None:
    held = {day: f"answers of {day}" for day in DAYS}
    wanted, asked = due(held, DAYS, [DAYS[3]], {}, NOON)
    assert wanted == [*DAYS[:3], *DAYS[4:]]
    assert asked[DAYS[3]].times == 0
    assert due(held, [DAYS[3]], [], asked, NOON)[0] == DAYS[3:]


# --- a day that is at work ------------------------------------------------------------------------------------------


def a_run(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus, tags: dict[str, str], job: str = "publish_job"
) -> str:
    """Put a run that nobody is at work on into the instance and return its id."""
    return instance.create_run_for_job(definitions().resolve_job_def(job), status=status, tags=tags).run_id


def test_a_day_waits_for_a_run_that_is_at_work_on_it_unless_it_is_long_dead(
    instance, auto: Automation, clock: Clock
) -> None:
    collect_run(instance, TODAY, *NAMES)
    a_run(instance, dg.DagsterRunStatus.STARTED, {"dagster/partition": str(TODAY)})
    clock.now = utc_now()
    assert auto.look() == []
    assert (
        auto.said
        == f"{TODAY} has new answers or verdicts and is built as soon as the run that is at work on it has ended."
    )
    clock.now += busy_days.WAITED_FOR + EVERY
    assert (TODAY, TODAY) in auto.look()


@pytest.mark.parametrize(
    ("job", "tags"),
    [
        ("collect_job", range_tags(str(YESTERDAY), str(TODAY), NAMES[0], NAMES[2])),
        ("collect_job", {"dagster/partition": f"{TODAY}|{NAMES[1]}"}),
        ("publish_job", day_range_tags(str(YESTERDAY), str(TODAY))),
        ("publish_job", {"dagster/partition": str(TODAY)}),
    ],
)
def test_whatever_run_has_not_ended_is_at_work_on_its_days(instance, job: str, tags: dict[str, str]) -> None:
    ended = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
    for status in ended:
        a_run(instance, status, tags, job)
    assert busy_days.days_at_work(instance, utc_now()) == set()
    assert ended == busy_days.ENDED  # all others hold up, the queued among them, which only a daemon can make
    for status in set(dg.DagsterRunStatus) - ended - {dg.DagsterRunStatus.QUEUED}:
        run_id = a_run(instance, status, tags, job)
        assert TODAY in busy_days.days_at_work(instance, utc_now()), status
        instance.delete_run(run_id)
    assert busy_days.days_at_work(instance, utc_now()) == set()


def test_a_run_of_another_code_location_holds_up_nothing(instance) -> None:
    @dg.op
    def work() -> None: ...

    @dg.job
    def other_job() -> None:
        work()

    started = dg.DagsterRunStatus.STARTED
    instance.create_run_for_job(other_job, status=started, tags={"dagster/partition": str(TODAY)})
    assert busy_days.days_at_work(instance, utc_now()) == set()


@pytest.mark.parametrize(
    "tags", [{}, {"dagster/partition": "west"}, {"dagster/partition": "2026-99-99"}, day_range_tags("west", str(TODAY))]
)
def test_a_run_that_names_no_day_is_about_none(tags: dict[str, str]) -> None:
    assert busy_days.days_of_run(dg.DagsterRun(job_name="publish_job", tags=tags)) == []


def test_a_runs_days_are_read_from_its_range_before_its_first_key() -> None:
    tags = range_tags("2026-11-20", "2026-11-24", NAMES[0], NAMES[2]) | {"dagster/partition": f"2026-11-20|{NAMES[0]}"}
    days = busy_days.days_of_run(dg.DagsterRun(job_name="collect_job", tags=tags))
    assert days == [dt.date(2026, 11, day) for day in range(20, 25)]


# --- what is asked for, and what a look costs -----------------------------------------------------------------------


@pytest.mark.ci
def test_one_day_is_asked_for_as_a_partition_and_several_as_a_range_with_their_name(instance, auto: Automation) -> None:
    collect_run(instance, TODAY, *NAMES)
    auto.look()
    (request,) = auto.requests
    assert (request.partition_key, request.tags["run"]) == (str(TODAY), "Publish new answers")
    publish_run(instance, TODAY, TODAY)
    collect_run(instance, YESTERDAY, *NAMES)
    auto.look()
    (request,) = auto.requests
    assert {**request.tags} == {
        "run": "Publish new answers",
        **day_range_tags(str(YESTERDAY), str(TODAY)),
    } | {key: value for key, value in request.tags.items() if key.startswith("dagster/sensor")}


def test_a_cursor_of_dagsters_own_automation_is_passed_over(instance, auto: Automation) -> None:
    collect_run(instance, TODAY, *NAMES)
    for cursor in ("eNqrVkrOz0nVLUmtKFGyUjI0MgYAN0IFTA==", '{"__class__": "AssetDaemonCursor"}', "[]", "7"):
        auto.cursor = cursor
        assert auto.look() == [(TODAY, TODAY)], cursor


LOOK = """
import sys
import dagster as dg
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.resources import BacklinksData
repository = build_defs().get_repository_def()
with dg.DagsterInstance.ephemeral() as instance:
    context = dg.build_sensor_context(instance=instance, repository_def=repository, resources={"backlinks_data": BacklinksData()})
    tick = repository.get_sensor_def("publish_automation_sensor").evaluate_tick(context)
assert tick.skip_message.startswith("The last seven days"), tick.skip_message
print(sorted({"pandas", "duckdb"} & set(sys.modules)))
"""


@pytest.mark.ci
def test_a_look_imports_neither_pandas_nor_duckdb(instance) -> None:
    collect_run(instance, TODAY, *NAMES)
    publish_run(instance, TODAY, TODAY)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", LOOK], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


@pytest.mark.ci
def test_a_store_that_nobody_wrote_to_is_not_read_again(instance, auto: Automation, monkeypatch) -> None:
    from backlinks_assets.store import digests

    collect_run(instance, TODAY, *NAMES)
    auto.look_and_build()
    auto.look()
    with monkeypatch.context() as patch:
        patch.setattr(digests, "open_database", None)  # to open it would fail
        patch.setattr("backlinks_assets.tables.parquet.pq", None)
        assert auto.look() == []
    assert Settings.from_env().store_file.exists()
    collect_run(instance, TODAY, *NAMES)
    assert auto.look() == []
