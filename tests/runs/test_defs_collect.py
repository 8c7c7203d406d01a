"""Runs that collect, what asks for them, and how targets become ranges of partitions."""

import datetime as dt
import itertools

import dagster as dg
import faults
import pytest
from collecting import be_quick
from faults import Fault, FaultPlan
from job_runs import RESPONSES, TARGETS, TODAY, collect_run, materialized, publish_run, schedule_tick
from looks import Automation

from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.partitions import MAX_RANGES, ranges
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.targets.name import partition_key


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    be_quick(monkeypatch)


def test_a_range_run_materializes_each_partition_with_its_own_numbers(instance, api, write_targets) -> None:
    server = api()
    write_targets(*TARGETS)
    add_missing_targets(instance, TARGETS)
    result = collect_run(instance, TARGETS[0], TARGETS[-1])
    assert result.success
    assert len(server.calls) == 24
    assert materialized(instance) == set(TARGETS)
    events = result.get_asset_materialization_events()
    assert len(events) == 12
    numbers = {event.materialization.partition: event.materialization.metadata for event in events}
    assert len({metadata["live_backlinks"].value for metadata in numbers.values()}) > 6
    assert all(metadata["cost_usd"].value == pytest.approx(0.048072) for metadata in numbers.values())


def test_failed_targets_are_named_and_the_others_stay_materialized(instance, api, write_targets) -> None:
    server = api(Fault(faults.code(40501, "Invalid Field: 'target'."), target="shop00[37].example"))
    write_targets(*TARGETS)
    add_missing_targets(instance, TARGETS)
    result = collect_run(instance, TARGETS[0], TARGETS[-1])
    assert not result.success
    assert materialized(instance) == set(TARGETS) - {"shop003.example", "shop007.example"}
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    words = failure.step_failure_data.user_failure_data
    assert "2 of 12" in words.description
    assert "shop003.example" in words.description
    assert words.metadata["failed_targets"].value == 2

    server.faults = FaultPlan(())  # mended: the same range again asks for what is missing only
    calls = len(server.calls)
    assert collect_run(instance, TARGETS[0], TARGETS[-1]).success
    assert len(server.calls) - calls == 4
    assert materialized(instance) == set(TARGETS)


def test_a_retired_target_is_passed_over_and_costs_nothing(instance, api, write_targets) -> None:
    server = api()
    write_targets("a.example,", f"b.example,{TODAY}", "c.example,", header="target,retired")
    add_missing_targets(instance, ["a.example", "b.example", "c.example"])
    assert collect_run(instance, "a.example", "c.example").success
    assert {call.target for call in server.calls} == {"a.example", "c.example"}
    result = collect_run(instance, "b.example", "b.example")
    assert not result.success
    assert len(server.calls) == 4


def test_keys_that_dagster_cannot_hold_are_encoded_and_the_api_gets_them_as_they_are(
    instance, api, write_targets
) -> None:
    page = "https://shop.example/a|b,c...d e?q=100%25"
    server = api()
    write_targets(f'"{page}"')
    add_missing_targets(instance, [partition_key(page)])
    assert collect_run(instance, partition_key(page), partition_key(page)).success
    assert {call.target for call in server.calls} == {page}
    assert {key.split("|", 1)[1] for key in instance.get_materialized_partitions(RESPONSES)} == {partition_key(page)}


def test_simulated_and_real_runs_never_share_an_instance(instance, api, write_targets, monkeypatch) -> None:
    write_targets(*TARGETS[:1])
    add_missing_targets(instance, TARGETS[:1])
    assert collect_run(instance, TARGETS[0], TARGETS[0]).success  # simulated
    server = api()
    result = collect_run(instance, TARGETS[0], TARGETS[0])
    assert not result.success
    assert server.calls == []


def test_the_schedule_asks_for_today_as_a_few_ranges_and_skips_what_is_retired(instance, api, write_targets) -> None:
    api()
    names = [f"shop{number:04d}.example" for number in range(2100)]
    write_targets(*[f"{name},{'2026-01-02' if name == names[100] else ''}" for name in names], header="target,retired")
    requests = schedule_tick(instance, dt.datetime.combine(TODAY, dt.time(6), dt.UTC)).run_requests
    assert len(instance.get_dynamic_partitions("targets")) == 2099
    assert len(requests) == 2
    assert all(request.tags["dagster/asset_partition_range_start"].startswith(f"{TODAY}|") for request in requests)
    assert len({request.run_key for request in requests}) == 2
    assert requests[1].tags["run"] == f"Collect {TODAY} · 2,099 targets · part 2 of 2"


def test_without_targets_the_schedule_says_so(instance, api, write_targets) -> None:
    api()
    write_targets("a.example,2026-01-02", header="target,retired")
    tick = schedule_tick(instance, dt.datetime.combine(TODAY, dt.time(6), dt.UTC))
    assert tick.run_requests == []
    assert "No active target" in (tick.skip_message or "")


def test_new_targets_reach_the_partitions_in_one_batch(instance, write_targets) -> None:
    write_targets(*TARGETS)
    definitions = build_defs()
    sensor = definitions.get_repository_def().get_sensor_def("targets_sensor")
    context = dg.build_sensor_context(
        instance=instance,
        repository_def=definitions.get_repository_def(),
        resources={"backlinks_data": BacklinksData()},
    )
    (request,) = sensor.evaluate_tick(context).dynamic_partitions_requests
    assert list(request.partition_keys) == TARGETS
    instance.add_dynamic_partitions("targets", TARGETS)
    assert "Every target" in (sensor.evaluate_tick(context).skip_message or "")


def test_before_there_is_a_targets_file_a_tick_says_how_to_make_one_and_does_not_fail(instance, settings) -> None:
    repository = build_defs().get_repository_def()
    context = dg.build_sensor_context(
        instance=instance, repository_def=repository, resources={"backlinks_data": BacklinksData()}
    )
    said = repository.get_sensor_def("targets_sensor").evaluate_tick(context).skip_message
    assert said == f"{settings.targets_file} is not there yet. Make it with `backlinks targets add example.com`."


def test_automation_builds_todays_tables_also_when_targets_are_missing(instance, api, write_targets) -> None:
    api(Fault(faults.code(40501, "Invalid Field: 'target'."), target="shop003.example"))
    write_targets(*TARGETS)
    add_missing_targets(instance, TARGETS)
    automation = Automation(instance)
    assert automation.look() == []
    collect_run(instance, TARGETS[0], TARGETS[-1])
    assert automation.look() == [(TODAY, TODAY)]
    publish_run(instance, TODAY, TODAY)
    assert automation.look() == []


@pytest.mark.parametrize("most", [3, 250])
def test_ranges_cover_what_is_wanted_in_the_order_of_the_partitions(most: int) -> None:
    known = [f"k{number:03d}" for number in range(200)]
    wanted = [key for number, key in enumerate(known) if number % 50 not in (7, 8)]
    parts = ranges(known, wanted, most)
    covered = list(itertools.chain.from_iterable(known[known.index(a) : known.index(b) + 1] for a, b in parts))
    assert covered == wanted
    assert all(known.index(b) - known.index(a) < most for a, b in parts)


def test_scattered_targets_become_a_bounded_number_of_ranges() -> None:
    known = [f"k{number:04d}" for number in range(1000)]
    parts = ranges(known, known[::2])
    assert len(parts) <= MAX_RANGES + 1000 // 250
    covered = set(itertools.chain.from_iterable(known[known.index(a) : known.index(b) + 1] for a, b in parts))
    assert covered >= set(known[::2])
