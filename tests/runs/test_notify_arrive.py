"""What could not be sent is seen: by Dagster's own daemon, as a failed tick of the sensor that only looks, and by `doctor`."""

import datetime as dt
import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from notify_places import OLD_TABLES, PATIENTLY, Webhook, webhook
from store_files import rows

from backlinks_assets.cli.doctor.machine import announcements
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.announce import saved_cursor
from backlinks_assets.settings import Settings

pytestmark = pytest.mark.slow

SENDS, LOOKS = "announce_sensor", "announcements_arrive_sensor"
Ticks = Callable[[int], dict[str, InstigatorTick]]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with open_instance(Settings.from_env()) as instance:
        yield instance


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    with webhook(503) as server:
        monkeypatch.setenv("BACKLINKS_NOTIFY_URLS", server.url(f"t0ken{PATIENTLY}", login="me:s3cret-hook"))
        yield server


@pytest.fixture
def ticks(hook: Webhook, instance: dg.DagsterInstance) -> Iterator[Ticks]:
    """Let Dagster's sensor daemon look once, so many minutes from now; return the last tick of each sensor."""
    from dagster._core.test_utils import create_test_daemon_workspace_context, freeze_time
    from dagster._core.workspace.load_target import ModuleTarget
    from dagster._daemon.sensor import execute_sensor_iteration

    target = ModuleTarget("backlinks_assets.definitions", None, str(Path.cwd()), "backlinks_assets")
    with create_test_daemon_workspace_context(target, instance) as workspace:

        def once(minutes: int) -> dict[str, InstigatorTick]:
            with freeze_time(utc_now() + dt.timedelta(minutes=minutes)):
                list(execute_sensor_iteration(workspace, logging.getLogger("test"), None, None))
            return {name: last_tick(instance, workspace, name) for name in (SENDS, LOOKS)}

        yield once
    workspace._grpc_server_registry.wait_for_processes()


def last_tick(instance: dg.DagsterInstance, workspace: WorkspaceProcessContext, name: str) -> InstigatorTick:
    location = workspace.create_request_context().get_code_location("backlinks_assets")
    sensor = location.get_repository("__repository__").get_sensor(name)
    (tick,) = instance.get_ticks(sensor.get_remote_origin_id(), sensor.selector_id, limit=1)
    return tick


def put_off(instance: dg.DagsterInstance, minutes: int) -> None:
    """Move the next attempt, a minute after the last: the sensors run in a process whose clock can't be moved."""
    (state,) = [one for one in instance.all_instigator_state() if one.name == SENDS]
    cursor = saved_cursor(instance)
    for channel in cursor.channels.values():
        channel.next_at += dt.timedelta(minutes=minutes)
    instance.update_instigator_state(state.with_data(state.instigator_data._replace(cursor=cursor.written())))


@pytest.mark.ci
def test_what_could_not_be_sent_is_a_failed_tick_until_it_arrives(
    write_targets, hook: Webhook, instance: dg.DagsterInstance, ticks: Ticks
) -> None:
    write_targets("shop.example", "not a domain")
    ticks(0)
    put_off(instance, 60)  # however slow the machine is
    seen = ticks(1)
    assert seen[SENDS].status is TickStatus.SKIPPED
    assert "HTTP 503. 1 attempt so far; the next is at" in str(seen[SENDS].skip_reason)
    assert seen[LOOKS].status is TickStatus.FAILURE
    told = str(seen[LOOKS].error)
    assert "could not be sent to number 1 of BACKLINKS_NOTIFY_URLS (json)" in told
    found = announcements(Settings.from_env())
    assert (found.note, found.status) == (True, 0)
    assert "HTTP 503. 1 attempt so far" in found.says
    said = f"{seen} {told} {found} {saved_cursor(instance).written()}"
    assert "s3cret-hook" not in said
    assert "t0ken" not in said
    put_off(instance, -65)
    ticks(2)
    seen = ticks(3)
    assert len(hook.posts) == 1
    assert (seen[SENDS].status, seen[LOOKS].status) == (TickStatus.SKIPPED, TickStatus.SKIPPED)
    found = announcements(Settings.from_env())
    assert (found.note, "HTTP 503" in found.says) == (False, False)


@pytest.mark.ci
def test_the_tables_of_an_earlier_version_go_when_the_cursor_is_saved(
    write_targets, hook: Webhook, instance: dg.DagsterInstance, ticks: Ticks
) -> None:
    write_targets("shop.example")
    file = Settings.from_env().store_file
    with open_store(Settings.from_env()), closing(sqlite3.connect(file)) as sql:
        sql.executescript(OLD_TABLES)
        sql.execute("INSERT INTO announcement_notes VALUES ('started_on', '2026-11-20')")
        sql.commit()
    ticks(0)
    assert saved_cursor(instance).started == dt.date(2026, 11, 20)
    assert len(set(rows(file)) & {"announced_messages", "announced_news", "announced_runs"}) == 3
    ticks(1)
    assert [name for name in rows(file) if name.startswith("announce")] == []
    assert "responses" in rows(file)
    ticks(2)
    assert not saved_cursor(instance).has_old_tables
