"""What the doctor calls fine was tried: each thing that can't be used is found by using it."""

import datetime as dt
import os
import sys
import time
from pathlib import Path

import commands
import pytest

from backlinks_assets.cli.doctor.finding import tried
from backlinks_assets.cli.doctor.instance import instance, runs
from backlinks_assets.cli.doctor.machine import anchor, announcements, folder, tables
from backlinks_assets.paths import parquet_path
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES

pytestmark = pytest.mark.slow

UNUSABLE_PLACES = [
    "https://hooks.zapier.com/hooks/catch/1/s3cret",
    "http://n8n.internal:5678/webhook/s3cret",
    "slack://s3cret",
    "mailto://s3cret",
    "discord://s3cret",
    "nosuchservice://s3cret/path",
]


def placed(*urls: str) -> Settings:
    return Settings.from_env({**os.environ, "BACKLINKS_NOTIFY_URLS": " ".join(urls)})


@pytest.mark.parametrize("url", UNUSABLE_PLACES, ids=lambda url: url.partition(":")[0])
def test_a_place_that_apprise_cannot_use_is_found_and_not_shown(url: str, capfd) -> None:
    found = announcements(placed("json://hook.example/t0ken", url))
    assert found.status == 2
    assert "Number 2 of BACKLINKS_NOTIFY_URLS" in found.says
    assert "s3cret" not in found.says + "".join(capfd.readouterr())
    assert ("jsons://" in found.says) == url.startswith("http")


def test_places_that_can_be_used_are_named_by_number_and_kind(capfd) -> None:
    found = announcements(
        placed("jsons://hook.example/s3cret", "mailto://me:s3cret@mail.example", "tgram://1:s3cret/2")
    )
    assert found.status in {0, 2}
    found = announcements(placed("jsons://hook.example/s3cret", "mailto://me:s3cret@mail.example"))
    assert (found.status, found.note) == (0, False)
    assert "number 1 of BACKLINKS_NOTIFY_URLS (jsons), number 2 of BACKLINKS_NOTIFY_URLS (mailto)" in found.says
    assert "s3cret" not in found.says + "".join(capfd.readouterr())


@pytest.mark.ci
def test_a_run_names_the_place_too_and_goes_on(api, write_targets, monkeypatch) -> None:
    api()
    write_targets("shop.example")
    monkeypatch.setenv("BACKLINKS_NOTIFY_URLS", "https://hook.example/s3cret")
    ended = commands.command("run")
    assert ended.status == 0
    assert "Number 1 of BACKLINKS_NOTIFY_URLS is not a valid URL for apprise" in ended.err
    assert "s3cret" not in ended.err + ended.out


def test_a_file_of_limits_that_cannot_be_opened_for_writing_is_named(settings) -> None:
    settings.limits_dir.mkdir(parents=True)
    assert folder(settings).status == 0
    (settings.limits_dir / "slot-0003").symlink_to(sys.executable)  # at work, so that root can't write it either
    found = tried(folder, settings)
    assert found.status == 1
    assert "slot-0003 can't be written" in found.says


def test_nothing_is_left_of_the_trial(settings) -> None:
    assert folder(settings).status == 0
    assert [path for path in settings.root.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"no parquet at all " * 99], ids=["empty", "cut", "other"])
def test_a_table_that_cannot_be_read_is_named(settings, damage: bytes) -> None:
    assert tables(settings).says == "none are built yet"
    name = next(iter(TABLES))
    for day in (dt.date(2026, 11, 23), dt.date(2026, 11, 24)):
        write_day(settings.root, name, day, TABLES[name].arrow.empty_table())
    assert tables(settings).says == "1 table can be read, up to 2026-11-24"
    parquet_path(settings.root, name, dt.date(2026, 11, 24)).write_bytes(damage)
    found = tables(settings)
    assert found.status == 1
    assert f"{name}.parquet could not be read" in found.says
    assert "2026-11-24" in found.says


def test_the_instance_is_asked_and_one_that_cannot_answer_is_told(settings) -> None:
    from backlinks_assets.dagster_instance.home import open_instance

    assert instance(settings).status == 0
    assert not settings.dagster_dir.exists()
    with open_instance(settings):
        pass
    assert ": 0 runs" in instance(settings).says
    (settings.dagster_dir / "history/runs.db").write_bytes(b"no database" * 999)
    found = tried(instance, settings)
    assert found.status == 1
    assert "Dagster's records" in found.says
    assert tried(runs, settings) == found


@pytest.mark.parametrize(
    ("ago_s", "on", "note", "words"),
    [
        (None, False, False, "0 runs"),
        (None, True, True, "was last heard of never"),
        (5.0, True, False, "the daemon is at work"),
        (7200.0, True, True, "was last heard of 2.0 h ago"),
        (7200.0, False, False, "0 runs"),
    ],
    ids=["nothing-on", "never-started", "at-work", "silent", "silent-and-nothing-on"],
)
def test_a_daemon_that_is_silent_while_schedules_are_on_is_told(
    settings, ago_s, on: bool, note: bool, words: str
) -> None:
    from dagster._daemon.types import DaemonHeartbeat

    from backlinks_assets.dagster_instance.home import open_instance

    with open_instance(settings) as opened:
        if on:
            opened.add_instigator_state(_switched_on())
        if ago_s is not None:
            opened.add_daemon_heartbeat(DaemonHeartbeat(time.time() - ago_s, "SCHEDULER", "one", []))
    found = instance(settings)
    assert (found.status, found.note) == (0, note)
    assert words in found.says


def _switched_on():
    from dagster._core.definitions.run_request import InstigatorType
    from dagster._core.remote_origin import (
        ManagedGrpcPythonEnvCodeLocationOrigin,
        RemoteInstigatorOrigin,
        RemoteRepositoryOrigin,
    )
    from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    location = ManagedGrpcPythonEnvCodeLocationOrigin(
        LoadableTargetOrigin(module_name="backlinks_assets.definitions"), "backlinks_assets"
    )
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), "daily_collect_schedule")
    data = ScheduleInstigatorData("0 6 * * *", time.time())
    return InstigatorState(origin, InstigatorType.SCHEDULE, InstigatorStatus.RUNNING, data)


def test_each_thing_that_is_wrong_is_told_and_none_hides_another(api, write_targets, monkeypatch) -> None:
    api()
    write_targets("not a target")
    (Settings.from_env().root / "account").write_text("a file where a folder should be")
    monkeypatch.setenv("BACKLINKS_NOTIFY_URLS", "https://hook.example/s3cret")
    ended = commands.command("doctor", "--json")
    assert ended.status == 2
    states = {check["check"]: check["state"] for check in ended.summary["checks"]}
    assert {name for name, state in states.items() if state == "to do"} >= {
        "folder",
        "store",
        "targets",
        "announcements",
    }
    assert states["account"] in {"fine", "note"}


def test_the_anchor_is_the_current_folder_without_dagster_home(settings) -> None:
    assert f"{Path.cwd()} (the current folder), which has no .env" in anchor(settings).says
