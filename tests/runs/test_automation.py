"""Recent days are built by themselves from what is kept, whatever came when: real runs, and the sensor's looks between them."""

import datetime as dt
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest
from looks import Automation, collect_run, publish_run

from backlinks_assets import pipeline
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_collector, open_store
from backlinks_assets.defs import automation
from backlinks_assets.defs.metadata import page
from backlinks_assets.defs.resources import BacklinksApi
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.due_days import evaluated_from
from backlinks_assets.paths import parquet_path
from backlinks_assets.report.index import read_rows
from backlinks_assets.settings import Settings
from backlinks_assets.store.bulk import BulkStore
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.parquet import made_from, read_days
from backlinks_assets.targets.target import Target

TODAY = utc_now().date()
YESTERDAY = TODAY - dt.timedelta(days=1)
NAMES = ["shop1.example", "shop2.example", "shop3.example"]
TABLES = ("backlinks_summary", "referring_links", "api_costs", "backlinks_changes", "backlinks_flags")


def in_tables(day: dt.date) -> set[str]:
    """Return the targets whose answers of a day are in its tables and judged and on its page."""
    root = Settings.from_env().root
    summary = set(read_days(root, "backlinks_summary", day, day)["target"].to_pylist())
    assert set(read_days(root, "backlinks_changes", day, day)["target"].to_pylist()) == summary
    pages = {row.date: row.collected for row in read_rows(root)} if summary else {}
    assert pages.get(day, 0) == len(summary)
    return summary


@pytest.fixture
def instance(instance: dg.DagsterInstance, write_targets: Callable[..., Path]) -> dg.DagsterInstance:
    """An instance whose targets are known; without credentials the simulator answers, for days that are over too."""
    write_targets(*NAMES)
    add_missing_targets(instance, NAMES)
    return instance


@pytest.fixture
def auto(instance: dg.DagsterInstance) -> Automation:
    return Automation(instance)


def days_ago(days: int) -> dt.date:
    return TODAY - dt.timedelta(days=days)


# --- answers land whenever they like --------------------------------------------------------------------------------


def while_read(monkeypatch: pytest.MonkeyPatch, land: Callable[[], None]) -> None:
    """Between the digest and the answers: they are in the tables, and the digest says less."""
    monkeypatch.setattr(BulkStore, "answers", before(BulkStore.answers, land))


def once_read(monkeypatch: pytest.MonkeyPatch, land: Callable[[], None]) -> None:
    monkeypatch.setattr(pipeline, "costs_table", before(pipeline.costs_table, land))


def while_judged(monkeypatch: pytest.MonkeyPatch, land: Callable[[], None]) -> None:
    monkeypatch.setattr(pipeline, "publish_changes", before(pipeline.publish_changes, land))


def while_the_page_is_written(monkeypatch: pytest.MonkeyPatch, land: Callable[[], None]) -> None:
    monkeypatch.setattr(page, "publish_page", before(page.publish_page, land))


def before(real: Callable[..., Any], land: Callable[[], None]) -> Callable[..., Any]:
    def wrapped(*given: Any, **named: Any) -> Any:
        land()
        return real(*given, **named)

    return wrapped


@pytest.mark.first
@pytest.mark.parametrize(
    ("when", "day"),
    [
        (while_read, TODAY),
        (while_the_page_is_written, YESTERDAY),
        pytest.param(once_read, YESTERDAY, marks=pytest.mark.ci),
        pytest.param(while_judged, TODAY, marks=pytest.mark.ci),
    ],
)
def test_answers_that_land_while_a_day_is_built_are_in_its_tables_two_looks_later(
    instance, auto: Automation, monkeypatch: pytest.MonkeyPatch, when, day: dt.date
) -> None:
    collect_run(instance, day, *NAMES[:2])
    landed: list[bool] = []

    def land() -> None:
        if not landed:
            landed.append(True)
            assert collect_run(instance, day, NAMES[2]).success
            assert auto.look() == []  # the day is being built
            assert "as soon as the run that is at work on it has ended" in (auto.said or "")

    with monkeypatch.context() as patch:
        when(patch, land)
        assert publish_run(instance, day, day).success
    assert landed
    assert auto.look_and_build() == [(day, day)]
    assert in_tables(day) == set(NAMES)
    assert auto.look() == []


@pytest.mark.parametrize(("back", "built"), [(6, True), (7, False), pytest.param(1, True, marks=pytest.mark.ci)])
def test_each_of_the_last_seven_days_is_built_and_older_ones_are_left_to_a_person(
    instance, auto: Automation, back: int, *, built: bool
) -> None:
    day = days_ago(back)
    collect_run(instance, day, *NAMES)
    assert auto.look_and_build() == ([(day, day)] if built else [])
    assert in_tables(day) == (set(NAMES) if built else set())
    assert auto.look() == []


@pytest.mark.ci
@pytest.mark.parametrize(
    ("after", "built_before"),
    [
        (dt.timedelta(seconds=5), True),
        (dt.timedelta(minutes=2), False),
        pytest.param(dt.timedelta(hours=23), True, marks=pytest.mark.ci),
    ],
)
def test_answers_of_a_days_last_seconds_are_built_after_midnight(
    instance, auto: Automation, monkeypatch: pytest.MonkeyPatch, after: dt.timedelta, *, built_before: bool
) -> None:
    if built_before:
        collect_run(instance, TODAY, *NAMES[:2])
        auto.look_and_build()
    collect_run(instance, TODAY, *NAMES)
    midnight = dt.datetime.combine(TODAY + dt.timedelta(days=1), dt.time(), dt.UTC)
    monkeypatch.setattr(automation, "utc_now", lambda: midnight + after)
    assert auto.look_and_build() == [(TODAY, TODAY)]
    assert in_tables(TODAY) == set(NAMES)
    assert auto.look() == []


def test_answers_that_no_run_of_dagster_brought_are_built_as_well(instance, auto: Automation) -> None:
    ask = BacklinksApi().request(str(YESTERDAY), Target(NAMES[1]))
    with open_collector(Settings.from_env()) as collector:
        assert [outcome.error for outcome in collector.collect([ask])] == [None]
    assert auto.look_and_build() == [(YESTERDAY, YESTERDAY)]
    assert in_tables(YESTERDAY) == {NAMES[1]}


@pytest.mark.ci
def test_a_store_that_was_put_back_from_a_backup_is_what_the_tables_are_made_from(instance, auto: Automation) -> None:
    file = Settings.from_env().store_file
    collect_run(instance, TODAY, *NAMES[:2])
    shutil.copy(file, file.with_suffix(".backup"))
    collect_run(instance, TODAY, *NAMES)
    auto.look_and_build()
    shutil.copy(file.with_suffix(".backup"), file)
    collect_run(instance, TODAY, NAMES[2])  # as many answers as before, one of them paid for again
    assert auto.look_and_build() == [(TODAY, TODAY)]
    assert auto.look() == []


@pytest.mark.ci
def test_what_a_call_turned_out_to_cost_reaches_the_tables(instance, auto: Automation) -> None:
    collect_run(instance, TODAY, *NAMES)
    auto.look_and_build()
    with sqlite3.connect(Settings.from_env().store_file) as store:
        store.execute("UPDATE api_calls SET cost_microusd = cost_microusd + 1000 WHERE target = ?", NAMES[:1])
    store.close()
    assert auto.look_and_build() == [(TODAY, TODAY)]
    assert auto.look() == []


# --- a day on which nothing changed is built by nobody --------------------------------------------------------------


@pytest.mark.ci
def test_a_day_on_which_nothing_changed_is_built_by_nobody(instance, auto: Automation) -> None:
    assert auto.look() == []  # before there is a store
    for day in (YESTERDAY, TODAY):
        collect_run(instance, day, *NAMES)
    publish_run(instance, YESTERDAY, TODAY)
    assert auto.look() == []
    assert auto.said == "The last seven days' tables have all stored answers."
    collect_run(instance, TODAY, *NAMES)  # all of it is kept
    publish_run(instance, TODAY, TODAY)  # by hand, once more
    assert auto.look() == []
    assert Automation(instance).look() == []  # also without a cursor: a new installation over the same data


def test_a_target_that_fails_again_without_a_charge_is_no_news(instance, auto: Automation, api, write_targets) -> None:
    import faults
    from faults import Fault

    api(Fault(faults.code(40501, "Invalid Field: 'target'."), target=NAMES[2]))
    collect_run(instance, TODAY, *NAMES)
    assert auto.look_and_build() == [(TODAY, TODAY)]
    assert not collect_run(instance, TODAY, NAMES[2]).success
    assert auto.look() == []


# --- what is built of it is whole -----------------------------------------------------------------------------------


@pytest.mark.ci
def test_days_that_were_judged_by_an_older_history_are_judged_again_in_the_same_run(instance, auto: Automation) -> None:
    first = days_ago(2)
    for day in (first, YESTERDAY, TODAY):
        collect_run(instance, day, *NAMES[:2])
    assert auto.look_and_build() == [(first, TODAY)]
    collect_run(instance, first, *NAMES)
    assert auto.look_and_build() == [(first, TODAY)]
    assert auto.look() == []


@pytest.mark.ci
def test_a_day_that_a_person_built_anew_has_the_days_after_it_judged_again(instance, auto: Automation) -> None:
    for day in (YESTERDAY, TODAY):
        collect_run(instance, day, *NAMES[:2])
    auto.look_and_build()
    collect_run(instance, YESTERDAY, *NAMES)
    publish_run(instance, YESTERDAY, YESTERDAY)
    assert auto.look_and_build() == [(TODAY, TODAY)]
    assert auto.look() == []


@pytest.mark.ci
def test_a_judgement_during_which_the_days_before_changed_says_it_was_made_from_what_was_there(
    instance, auto: Automation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (YESTERDAY, TODAY):
        collect_run(instance, day, *NAMES[:2])
    auto.look_and_build()
    collect_run(instance, YESTERDAY, *NAMES)
    settings, landed = Settings.from_env(), []

    def land() -> None:  # the history has been read, and nothing is written yet
        if not landed:
            landed.append(True)
            with open_store(settings) as store:
                pipeline.publish_answers(settings, store, YESTERDAY)

    monkeypatch.setattr(pipeline, "write_day", before(pipeline.write_day, land))
    list(pipeline.publish_changes(settings, [TODAY], {}, DetectionSettings()))
    assert landed
    assert made_from(settings.root, "backlinks_flags", TODAY) != evaluated_from(settings.root, TODAY)


@pytest.mark.ci
def test_days_without_answers_between_two_are_not_said_to_be_built(instance, auto: Automation) -> None:
    for day in (days_ago(4), days_ago(3), TODAY):
        collect_run(instance, day, *NAMES)
    assert auto.look_and_build() == [(days_ago(4), days_ago(3)), (TODAY, TODAY)]
    assert auto.look() == []


def damaged(*_: Any, **__: Any) -> None:
    raise TablesError("a parquet file can't be read")


@pytest.mark.ci
@pytest.mark.parametrize(
    ("module", "step"),
    [
        (pipeline, "publish_changes"),
        pytest.param(pipeline, "costs_table", marks=pytest.mark.ci),
        pytest.param(page, "publish_page", marks=pytest.mark.ci),
    ],
)
def test_a_day_whose_run_ended_half_way_is_built_again(
    instance, auto: Automation, monkeypatch, module, step: str
) -> None:
    collect_run(instance, TODAY, *NAMES[:2])
    auto.look_and_build()
    collect_run(instance, TODAY, *NAMES)
    with monkeypatch.context() as patch:
        patch.setattr(module, step, damaged)
        assert not publish_run(instance, TODAY, TODAY).success
    assert auto.look_and_build() == [(TODAY, TODAY)]
    assert in_tables(TODAY) == set(NAMES)
    assert auto.look() == []


def unlink(path: Path) -> None:
    path.unlink()


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def as_an_earlier_version_wrote_it(path: Path) -> None:
    if path.suffix == ".html":
        path.write_text(re.sub("<meta name=.made-from.*>", "", path.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        pq.write_table(pq.read_table(path, partitioning=None).replace_schema_metadata(None), path)


@pytest.mark.ci
def test_a_file_that_is_missing_damaged_or_of_an_earlier_version_is_built_once(instance, auto: Automation) -> None:
    collect_run(instance, TODAY, NAMES[0])
    auto.look_and_build()
    root = Settings.from_env().root
    files = [*(parquet_path(root, table, TODAY) for table in TABLES), root / "reports" / f"flags-{TODAY}.html"]
    for path in files:
        whole = path.read_bytes()
        for harm in (unlink, cut_short, as_an_earlier_version_wrote_it):
            if (harm, path.suffix) == (cut_short, ".html"):
                continue  # it is replaced in one step; that its end is missing nobody looks for
            harm(path)
            assert Automation(instance).look() == [(TODAY, TODAY)], (harm, path)
            path.write_bytes(whole)
    assert auto.look() == []
    for path in files:
        as_an_earlier_version_wrote_it(path)
    assert auto.look_and_build() == [(TODAY, TODAY)]
    assert auto.look() == []
