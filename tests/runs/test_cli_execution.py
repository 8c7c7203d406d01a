"""The command's runs: the same jobs as the UI's, a few targets each here, and what ends them early."""

from typing import Any

import dagster as dg
import faults
import pytest
from faults import Fault

from backlinks_assets.cli import execution
from backlinks_assets.cli.execution import Pipeline, RunFailedError
from backlinks_assets.cli.tally import Tally
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store, watched_targets
from backlinks_assets.defs.metadata import tables
from backlinks_assets.settings import Settings
from backlinks_assets.store.database import StoreError

RESPONSES = dg.AssetKey("summary_responses")
TARGETS = [f"shop{number:03d}.example" for number in range(6)]
TODAY = utc_now().date()


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def collect(instance: dg.DagsterInstance, tally: Tally, max_keys: int = 2) -> Tally:
    settings = Settings.from_env()
    Pipeline(settings, instance).collect(TODAY, TODAY, watched_targets(settings), tally, max_keys)
    return tally


def runs_of(instance: dg.DagsterInstance) -> list[str]:
    return [run.status.value for run in reversed(instance.get_runs())]


def test_each_run_makes_and_reports_its_own_calls(instance, api, write_targets) -> None:
    server = api()
    write_targets(*TARGETS)
    seen: list[int] = []
    tally = collect(instance, Tally(on_outcome=lambda: seen.append(len(instance.get_runs()))))
    assert (tally.collected, tally.calls, tally.failed, tally.stopped) == (6, 12, [], None)
    assert seen == [1, 1, 2, 2, 3, 3]
    assert len(server.calls) == 12
    assert len(instance.get_materialized_partitions(RESPONSES)) == 6


def test_after_a_stop_no_run_follows_and_every_target_is_counted(instance, api, write_targets) -> None:
    write_targets(*TARGETS[4:])
    api()
    assert collect(instance, Tally()).collected == 2
    write_targets(*TARGETS)
    server = api(Fault(faults.code(40200, "Payment Required."), target=TARGETS[0]))
    tally = collect(instance, Tally())
    assert "Payment Required" in (tally.stopped or "")
    assert runs_of(instance) == ["SUCCESS", "FAILURE"]
    assert {call.target for call in server.calls} <= set(TARGETS[:2])
    assert {outcome.target for outcome in tally.failed} | {TARGETS[1]} == set(TARGETS[:4])
    assert tally.reused == 2


def test_a_run_that_fails_before_its_first_call_is_told_and_none_follows(
    instance, api, write_targets, monkeypatch
) -> None:
    def refuses(*_: Any) -> None:
        raise dg.Failure("the instance is another's")

    server = api()
    write_targets(*TARGETS)
    monkeypatch.setattr(tables, "check_instance", refuses)
    with pytest.raises(RunFailedError, match="the instance is another's"):
        collect(instance, Tally())
    assert server.calls == []
    assert runs_of(instance) == ["FAILURE"]


def test_an_error_in_what_the_command_does_beside_ends_it_and_what_was_paid_for_is_stored(
    instance, api, write_targets
) -> None:
    server = api(latency_s=0.5)  # all 600 would take 10 s, in which the first is seen
    write_targets(*[f"many{number:04d}.example" for number in range(300)])

    def breaks() -> None:
        raise ZeroDivisionError("the bar broke")

    with pytest.raises(ZeroDivisionError, match="the bar broke"):
        collect(instance, Tally(on_outcome=breaks), max_keys=1000)
    assert 0 < len(server.calls) < 600
    with open_store(Settings.from_env()) as store:
        assert len(store.stored_keys([TODAY])) == len(server.calls)


def test_an_error_of_the_store_is_the_commands_own(instance, api, write_targets) -> None:
    server = api()
    write_targets(*TARGETS)
    tally = Tally()

    def damage(*_: Any) -> None:
        raise StoreError("the disk is full")

    tally.watch = damage
    with pytest.raises(StoreError, match="the disk is full"):
        collect(instance, tally)
    assert server.calls == []


def test_no_call_is_made_outside_of_a_run(instance, api, write_targets, monkeypatch) -> None:
    server = api()
    write_targets(*TARGETS)
    monkeypatch.setattr(execution, "ranges", lambda *_: [])
    tally = collect(instance, Tally())
    assert "targets file was changed" in (tally.stopped or "")
    assert len(tally.failed) == 6
    assert server.calls == []
