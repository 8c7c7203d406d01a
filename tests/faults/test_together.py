"""Two of everything at once: each answer is charged once, the limits hold, all end well, readers are undisturbed."""

import os
import shutil
import threading

import commands
import duckdb
import pytest
from simulated_api import PRICE_USD, SimulatedApi

from backlinks_assets.collect.factory import open_store
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.partitions import day_range_tags, range_tags
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.settings import Settings
from backlinks_assets.store.database import Database, metadata
from backlinks_assets.store.migrations import open_tables

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def names(first: int, last: int) -> list[str]:
    return [f"shop{number:03d}.example" for number in range(first, last)]


def each_was_charged_once(server: SimulatedApi, targets: int) -> None:
    asked = [(call.target, call.status_type) for call in server.calls]
    assert len(asked) == len(set(asked)) == 2 * targets
    assert server.spent_usd == pytest.approx(2 * targets * PRICE_USD)
    assert server.peak_at_once <= 30
    with open_store(Settings.from_env()) as store:
        assert len(store.stored_keys([commands.today()])) == 2 * targets
        assert store.day_costs(commands.today()).cost_usd == pytest.approx(server.spent_usd)


def published() -> tuple[int, int]:
    with duckdb.connect(str(Settings.from_env().duckdb_file), read_only=True) as tables:
        found = tables.execute(
            "SELECT count(*), count(DISTINCT (target, status_type)) FROM backlinks_summary"
        ).fetchone()
    return found or (0, 0)


def test_two_runs_of_a_new_folder_at_once_pay_once_and_both_end_well(api, write_targets) -> None:
    server = api(latency_s=0.1)
    write_targets(*names(0, 60))
    runs = [commands.start("run", "--json") for _ in range(2)]
    ended = [run.end() for run in runs]
    assert [(run.status, run.err) for run in ended] == [(0, "")] * 2
    assert sum(run.summary["calls"] for run in ended) == 120
    each_was_charged_once(server, 60)
    assert published() == (120, 120)


def test_a_new_folder_is_opened_by_several_processes_at_once(clean_environment) -> None:
    for _ in range(2):
        opened = [process.end() for process in [commands.opening() for _ in range(4)]]
        assert [(process.status, process.err) for process in opened] == [(0, "")] * 4
        shutil.rmtree(clean_environment)


@pytest.mark.ci
def test_a_new_store_is_made_by_several_at_the_same_instant(tmp_path) -> None:
    for number in range(60):
        file, together, opened = tmp_path / f"{number}.sqlite", threading.Barrier(4), []

        def make(file=file, together=together, opened=opened) -> None:
            together.wait()
            database = Database(file)
            open_tables(database, metadata)
            database.close()
            opened.append(file)

        makers = [threading.Thread(target=make) for _ in range(4)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
        assert len(opened) == 4


@pytest.mark.ci
def test_two_lists_over_one_folder_share_what_both_name(api, write_targets, monkeypatch) -> None:
    server = api(latency_s=0.1)
    write_targets(*names(0, 40))
    other = Settings.from_env().data_dir / "others.csv"
    other.write_text("\n".join(["target", *names(20, 60)]) + "\n", encoding="utf-8")
    first = commands.start("run", "--json")
    monkeypatch.setenv("BACKLINKS_TARGETS_FILE", str(other))
    second = commands.start("run", "--json")
    assert [(run.status, run.err) for run in (first.end(), second.end())] == [(0, "")] * 2
    each_was_charged_once(server, 60)


@pytest.mark.ci
def test_the_command_beside_a_run_of_the_ui_beside_a_backfill(api, write_targets) -> None:
    server = api(latency_s=0.1)
    write_targets(*names(0, 50))
    today, settings = str(commands.today()), Settings.from_env()
    with open_instance(settings) as instance:
        add_missing_targets(instance, names(0, 50))
    ui = commands.dagster_run("collect_job", range_tags(today, today, *names(0, 50)[::49]))
    backfill = commands.dagster_run(
        "collect_job", {**range_tags(today, today, *names(10, 40)[::29]), "dagster/backfill": "abcdefgh"}
    )
    command = commands.start("run", "--json")
    ended = [run.end() for run in (command, ui, backfill)]
    assert [run.status for run in ended] == [0, 0, 0], [run.err[-2000:] for run in ended]
    each_was_charged_once(server, 50)
    with open_instance(settings) as instance:
        assert {str(record.status.value) for record in instance.get_runs()} == {"SUCCESS"}


@pytest.mark.ci
def test_publishing_is_one_at_a_time_and_a_reader_sees_whole_tables_throughout(api, write_targets) -> None:
    api()
    write_targets(*names(0, 30))
    assert commands.command("run").status == 0
    settings, today = Settings.from_env(), str(commands.today())
    seen: list[tuple[int, int]] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.05):
            seen.append(published())

    reader = threading.Thread(target=look)
    reader.start()
    for file in settings.root.glob("parquet/*/*/*.parquet"):
        os.utime(file)  # as if all had been written anew, so that each run publishes
    runs = [commands.dagster_run("publish_job", day_range_tags(today, today)) for _ in range(2)]
    runs.append(commands.start("run", "--json"))
    ended = [run.end() for run in runs]
    commands.wait_for(lambda: len(seen) > 10 or not reader.is_alive())
    stop.set()
    reader.join()
    assert [run.status for run in ended] == [0] * 3, [run.err[-2000:] for run in ended]
    assert len(seen) > 10
    assert set(seen) == {(60, 60)}
    assert not list((settings.root / ".publish.tmp").glob("*"))
