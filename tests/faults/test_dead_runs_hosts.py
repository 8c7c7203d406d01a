"""Dead runs on an instance that several hosts use: each judges its own, and what a dead host leaves holds nobody up for long.

A host here is a data folder: locks are files of it.
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import commands
import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.busy_days import days_at_work
from backlinks_assets.defs.dead_runs import BEGINS_ELSEWHERE_WITHIN, BEGINS_WITHIN, dead_runs, end_dead_runs
from backlinks_assets.defs.partitions import range_tags
from backlinks_assets.defs.runs import MAX_RUNTIME_S
from backlinks_assets.settings import Settings

pytestmark = pytest.mark.slow

STATUS = dg.DagsterRunStatus
NAMES = [f"shop{number:02d}.example" for number in range(20)]
LATER = dt.timedelta(days=2)


@pytest.fixture(autouse=True)
def shared(api, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_INSTANCE_URL", postgres_url)
    api()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, str]]:
    """Make a host of a name and be it; return its variables."""

    def be(name: str) -> dict[str, str]:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "targets.csv").write_text("target\n" + "\n".join(NAMES) + "\n")
        monkeypatch.setenv("BACKLINKS_DATA_DIR", str(folder))
        return {"BACKLINKS_DATA_DIR": str(folder)}

    return be


@contextmanager
def instance() -> Iterator[dg.DagsterInstance]:
    with open_instance(Settings.from_env()) as opened:
        yield opened


def dead(after: dt.timedelta = LATER) -> list[str]:
    with instance() as opened:
        return [run.run_id for run in dead_runs(opened, utc_now() + after)]


@pytest.mark.ci
def test_a_run_is_judged_by_the_host_that_executes_it_and_by_no_other(host, api) -> None:
    server = api()
    server.let_answer(0)  # so that the run is not over before it is killed
    host("one")
    run = commands.start("run")
    commands.wait_for(lambda: len(server.calls) > 0)
    assert dead() == []
    host("two")
    assert dead() == []
    run.kill()
    assert dead() == []
    server.let_answer()
    host("two")
    assert commands.command("run", "--json").status == 0  # a takeover: what the other host was at holds up nobody
    with instance() as opened:
        (left,) = opened.get_runs(dg.RunsFilter(statuses=[STATUS.STARTED]))
        assert days_at_work(opened, utc_now()) == {commands.today()}
    host("one")
    assert dead(dt.timedelta(0)) == [left.run_id]
    with instance() as opened:
        assert [run.run_id for run in end_dead_runs(opened)] == [left.run_id]
        assert days_at_work(opened, utc_now()) == set()


@pytest.mark.ci
def test_a_run_of_a_host_that_died_is_ended_by_its_time(host, api, monkeypatch) -> None:
    server = api()
    server.let_answer(0)
    host("one")
    run = commands.start("run", patches={"cli.execution.ENDED_IN_TIME": {"dagster/max_runtime": "1"}})
    commands.wait_for(lambda: len(server.calls) > 0)
    run.kill()
    host("two")
    with instance() as opened, WorkspaceProcessContext(opened, EmptyWorkspaceTarget()) as process:
        (left,) = opened.get_runs(dg.RunsFilter(statuses=[STATUS.STARTED]))

        commands.wait_for(
            lambda: (
                list(execute_run_monitoring_iteration(process, logging.getLogger("dagster.daemon")))
                and opened.get_run_by_id(left.run_id).status is STATUS.FAILURE
            )
        )
        assert days_at_work(opened, utc_now()) == set()


def test_every_run_of_a_day_has_such_a_time() -> None:
    assert 3600 <= MAX_RUNTIME_S <= 6 * 3600


def test_a_run_that_another_host_may_be_about_to_begin_is_left_to_it(host) -> None:
    host("one")
    tags = range_tags("2026-11-24", "2026-11-24", NAMES[0], NAMES[-1])
    with instance() as opened:
        run = create_run_for_test(opened, job_name="collect_job", tags=tags, status=STATUS.NOT_STARTED)
        opened.report_dagster_event(
            dg.DagsterEvent(event_type_value="PIPELINE_STARTING", job_name="collect_job"), run_id=run.run_id
        )
        assert opened.get_run_by_id(run.run_id).status is STATUS.STARTING
        assert dead_runs(opened, utc_now() + LATER) == []  # its launcher lives
    assert dead(2 * BEGINS_WITHIN) == []
    assert dead(BEGINS_ELSEWHERE_WITHIN + dt.timedelta(minutes=1)) == [run.run_id]
    host("two")
    assert dead() == []


def test_a_run_that_repeats_another_hosts_is_not_taken_for_that_hosts(host) -> None:
    host("one")
    with instance() as opened:
        run = create_run_for_test(opened, job_name="collect_job", tags={"backlinks/host": "elsewhere/1", "team": "seo"})
        assert opened.get_run_by_id(run.run_id).tags == {"team": "seo"} | {
            key: value for key, value in run.tags.items() if key.startswith((".dagster", "dagster"))
        }


def test_the_name_of_a_host_lasts_and_is_its_data_folders(host) -> None:
    host("one")
    with instance() as first, instance() as again:
        name = first.run_storage.host
        assert name == again.run_storage.host
    host("two")
    with instance() as other:
        assert other.run_storage.host != name


@pytest.mark.ci
def test_two_hosts_that_run_at_once_add_each_target_once_and_see_each_others_cursors(host) -> None:
    at_once = [commands.start("run", "--json", environment=host(name)) for name in ("one", "two")]
    assert [(ended.status, ended.err) for ended in (process.end() for process in at_once)] == [(0, "")] * 2
    with instance() as opened:
        assert sorted(opened.get_dynamic_partitions("targets")) == NAMES
        assert len({run.tags["backlinks/host"] for run in opened.get_runs()}) == 2
        opened.run_storage.set_cursor_values({"a sensor": "as far as this"})
    host("one")
    with instance() as opened:
        assert opened.run_storage.get_cursor_values({"a sensor"}) == {"a sensor": "as far as this"}
