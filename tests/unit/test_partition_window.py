"""From which day on targets have partitions, and that the tables' older days need none."""

import datetime as dt

import dagster as dg
import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from backlinks_assets.defs import partitions
from backlinks_assets.defs.partitions import (
    FIRST_DAY,
    all_target_days,
    days,
    first_target_day,
    target_days,
    window_start,
)
from backlinks_assets.env_values import SettingsError
from backlinks_assets.paths import parquet_path
from backlinks_assets.settings import Settings

FRIDAY = dt.date(2026, 11, 27)
NOON = dt.datetime(2026, 11, 27, 12, tzinfo=dt.UTC)
REAL = {"DATAFORSEO_LOGIN": "someone@example.com", "DATAFORSEO_PASSWORD": "s3cret"}


@pytest.fixture(autouse=True)
def a_friday(monkeypatch) -> None:
    monkeypatch.setattr(partitions, "utc_now", lambda: dt.datetime(2026, 11, 27, 23, 59, tzinfo=dt.UTC))


def keys(first: dt.date) -> list[str]:
    dates = target_days(first).get_partitions_def_for_dimension("date")
    return list(dates.get_partition_keys(current_time=NOON))


@pytest.mark.parametrize(
    ("today", "window", "own", "start"),
    [
        (FRIDAY, 60, [], "2026-09-28"),  # a Monday itself
        (FRIDAY, 59, [], "2026-09-28"),
        (FRIDAY, 61, [], "2026-09-21"),
        (FRIDAY + dt.timedelta(days=6), 60, [], "2026-09-28"),  # for a week it does not move
        (FRIDAY + dt.timedelta(days=7), 60, [], "2026-10-05"),
        (FRIDAY, 1, [], "2026-11-23"),
        (FRIDAY, 3650, [], FIRST_DAY),
        (FRIDAY, 60, [dt.date(2026, 3, 4)], "2026-03-02"),
        (FRIDAY, 60, [FRIDAY], "2026-09-28"),
        (FRIDAY, 60, [dt.date(2024, 1, 1)], FIRST_DAY),
    ],
)
def test_the_window_begins_on_a_monday(today: dt.date, window: int, own: list[dt.date], start: str) -> None:
    assert window_start(today, window, own) == dt.date.fromisoformat(start)


def test_the_environment_says_how_many_days(monkeypatch) -> None:
    for name, value in REAL.items():
        monkeypatch.setenv(name, value)
    assert first_target_day() == dt.date(2026, 9, 28)
    monkeypatch.setenv("BACKLINKS_PARTITION_DAYS", "14")
    assert first_target_day() == dt.date(2026, 11, 9)
    monkeypatch.setenv("BACKLINKS_PARTITION_DAYS", "0")
    assert first_target_day() == dt.date(2026, 9, 28)  # the code location loads, its runs say what is wrong
    with pytest.raises(SettingsError, match="BACKLINKS_PARTITION_DAYS is '0'; it must be a whole number from 1 to"):
        Settings.from_env()


def test_simulated_days_are_all_inside(clean_environment) -> None:
    simulated, real = Settings.from_env(), Settings.from_env({"BACKLINKS_DATA_DIR": str(clean_environment), **REAL})
    for settings in (simulated, real):
        parquet_path(settings.root, "backlinks_summary", dt.date(2026, 5, 6)).parent.mkdir(parents=True)
        parquet_path(settings.root, "backlinks_summary", dt.date(2026, 5, 6)).touch()
    assert first_target_day(simulated) == dt.date(2026, 5, 4)
    assert first_target_day(simulated, [dt.date(2026, 3, 4)]) == dt.date(2026, 3, 2)
    assert first_target_day(real, [dt.date(2026, 3, 4)]) == dt.date(2026, 9, 28)


def test_targets_have_partitions_from_the_start_until_today() -> None:
    assert keys(dt.date(2026, 9, 28))[0] == "2026-09-28"
    assert keys(dt.date(2026, 9, 28))[-1] == "2026-11-27"
    assert len(keys(dt.date(2026, 9, 28))) == 61
    assert keys(dt.date.fromisoformat(FIRST_DAY))[0] == FIRST_DAY
    assert target_days(dt.date.fromisoformat(FIRST_DAY)) == all_target_days


@pytest.mark.medium
@pytest.mark.parametrize(
    ("wanted", "upstream"),
    [
        (["2026-02-01"], []),
        (["2026-09-27", "2026-09-28"], ["2026-09-28"]),
        (["2026-11-01"], ["2026-11-01"]),
        (days.get_partition_keys(current_time=NOON), keys(dt.date(2026, 9, 28))),
    ],
    ids=["older", "across the edge", "inside", "all"],
)
def test_a_tables_day_depends_on_the_targets_of_that_day_and_an_older_one_on_nothing(
    wanted: list[str], upstream: list[str]
) -> None:
    mapping, window = dg.MultiToSingleDimensionPartitionMapping(), target_days(dt.date(2026, 9, 28))
    with dg.DagsterInstance.ephemeral() as instance, partition_loading_context(dynamic_partitions_store=instance):
        instance.add_dynamic_partitions("targets", ["a.example", "b.example"])
        found = mapping.get_upstream_mapped_partitions_result_for_partitions(
            days.empty_subset().with_partition_keys(wanted), days, window
        )
        assert found.required_but_nonexistent_subset.is_empty  # Dagster would refuse to backfill the day
        assert sorted({key[:10] for key in found.partitions_subset.get_partition_keys()}) == upstream
