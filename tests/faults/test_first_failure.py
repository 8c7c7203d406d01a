"""Where one failure follows another, the first is told; the second is told beside it or noted, and never instead of it."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import commands
import faults
import filelock
import pyarrow as pa
import pytest
from faults import Fault

from backlinks_assets import pipeline as pipeline_module
from backlinks_assets.cli.console import describe
from backlinks_assets.cli.execution import RunFailedError, opened
from backlinks_assets.paths import parquet_path
from backlinks_assets.settings import Settings
from backlinks_assets.tables import duckdb_sync
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.duckdb_sync import syncing
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]

DAY = dt.date(2026, 3, 14)


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def damage(root: Path) -> str:
    costs = {"date": DAY, "calls": 3, "answers": 2, "cost_usd": 0.25, "charged_without_answer": 0, "simulated": True}
    file = write_day(root, "api_costs", DAY, pa.Table.from_pylist([costs], schema=TABLES["api_costs"].arrow))
    file.write_bytes(file.read_bytes()[:30])
    return str(file)


def stand_in_the_way(root: Path) -> str:
    (root / "backlinks.duckdb").mkdir(parents=True)
    (root / "backlinks.duckdb" / "file").touch()
    return "backlinks.duckdb"


@pytest.mark.parametrize("breaks", [damage, stand_in_the_way])
@pytest.mark.parametrize("first", [ValueError("a bug in the judging"), OSError("no room for a table")], ids=repr)
def test_what_failed_in_a_block_is_told_though_publishing_fails_after_it(
    tmp_path: Path, breaks: Callable[[Path], str], first: Exception
) -> None:
    named = breaks(tmp_path)
    error = type(first)(*first.args)
    with pytest.raises(type(first)) as caught, syncing(tmp_path):
        raise error
    assert caught.value is error
    (note,) = error.__notes__
    assert note.startswith("Publishing failed too: ")
    assert named in note


def test_so_it_is_where_another_process_publishes_for_too_long(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(duckdb_sync, "LOCK_TIMEOUT_S", 0.1)
    error = ValueError("a bug in the judging")
    with filelock.FileLock(tmp_path / ".publish.lock"), pytest.raises(ValueError, match="a bug") as caught:
        with syncing(tmp_path):
            raise error
    assert caught.value.__notes__[0].startswith("Publishing failed too: Another process has been publishing")


def test_a_publication_that_fails_alone_is_the_first_failure(tmp_path: Path) -> None:
    named = damage(tmp_path)
    with pytest.raises(TablesError) as caught, syncing(tmp_path):
        pass
    assert named in str(caught.value)


def test_an_expected_error_is_told_with_its_notes_and_a_bug_stays_one() -> None:
    error = TablesError("Could not write x: disk full.")
    error.add_note("Publishing failed too: Could not write y: disk full.")
    assert describe(error) == (
        "Could not write x: disk full.\nPublishing failed too: Could not write y: disk full.",
        1,
    )
    bug = ZeroDivisionError()
    bug.add_note("Publishing failed too.")
    assert describe(bug) == (None, 1)


@pytest.mark.ci
def test_a_runs_message_begins_with_the_failure_of_the_judging(api, write_targets, monkeypatch) -> None:
    api()
    write_targets("a.example")
    assert commands.command("run").status == 0
    settings, today = Settings.from_env(), commands.today()
    file = parquet_path(settings.root, "api_costs", DAY)
    damage(settings.root)

    def fails(*_: Any, **__: Any) -> None:
        raise ValueError("a bug in the judging")

    monkeypatch.setattr(pipeline_module, "detect", fails)
    with opened(settings) as pipeline, pytest.raises(RunFailedError) as caught:
        pipeline.publish(today, today)
    said = str(caught.value)
    assert said.startswith("ValueError: a bug in the judging")
    assert str(file) in said


@pytest.mark.ci
def test_a_stopped_day_whose_tables_cannot_be_built_tells_both_the_stop_first(api, write_targets) -> None:
    server = api()
    write_targets("a.example")
    assert commands.command("run").status == 0
    server.stop()
    api(Fault(faults.code(40200, "Payment Required."), target="b.example"))
    write_targets("a.example", "b.example")
    tables = Settings.from_env().root / "parquet"
    tables.rename(tables.with_name("moved"))
    tables.write_text("a file where a folder should be")
    ended = commands.command("run")
    assert ended.status == 1
    said = " ".join(ended.err.split())
    assert "Payment Required" in said
    assert said.rindex("Payment Required") < said.rindex("A file is where a folder should be")


@pytest.mark.ci
def test_failed_targets_are_named_whatever_goes_wrong_after_them(api, write_targets) -> None:
    api(Fault(faults.code(40501, "Invalid Field: 'target'."), target="b.example"))
    write_targets("a.example", "b.example")
    root = Settings.from_env().root
    root.mkdir(parents=True, exist_ok=True)
    ended = commands.command("run", patches={"cli.run.read_flags": _no_flags})
    assert ended.status == 1
    said = " ".join(ended.err.split())
    assert "1 of 2 targets have no answers for the day" in said
    assert said.index("b.example: ") < said.index("the file of flags is gone")


def _no_flags(*_: object) -> None:
    raise TablesError("the file of flags is gone")
