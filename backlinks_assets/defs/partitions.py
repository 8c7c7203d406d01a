"""The partitions: days, targets, and both together; and how a set of targets becomes a few ranges.

A table has a partition for each day. The paid answers have one for each target too, and therefore only for the last days:
Dagster's pages are slow with hundreds of thousands. Which targets are watched is the targets file (`targets/file.py`).
"""

import datetime as dt
import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import dagster as dg

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.env_values import SettingsError
from backlinks_assets.settings import PARTITION_DAYS, Settings
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.parquet import days as days_of_table

RANGE_START: Final = "dagster/asset_partition_range_start"
RANGE_END: Final = "dagster/asset_partition_range_end"
ONE_KEY: Final = "dagster/partition"
DIMENSION: Final = "dagster/partition/"
"""Tags by which Dagster says which partitions a run is for; what they mean together is `run_partitions.py`."""

FIRST_DAY: Final = "2026-01-01"
"""The first day that has a partition; no answer of this project is older."""

MAX_KEYS_PER_RUN: Final = 2000
"""Dagster writes the planned events of a whole range before its run starts, some 0.2 ms each. Fewer and longer runs cost less: a
run's process takes some 2.5 s of CPU to start, and between two runs of a command no call is made for most of a second."""
MAX_RANGES: Final = 40
"""More runs than this cost more than the retired targets between the ranges would."""

days = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, end_offset=1)  # today's partition exists today
targets = dg.DynamicPartitionsDefinition(name="targets")


def window_start(today: dt.date, partition_days: int, own: Collection[dt.date] = ()) -> dt.date:
    """Return the first day of the window: so many days before today or the oldest of `own`, rounded down to a Monday.

    It moves once a week, since each new start costs Dagster a rebuild of what it remembers of the partitions.
    """
    first = min([today - dt.timedelta(days=partition_days), *own])
    return max(first - dt.timedelta(days=first.weekday()), dt.date.fromisoformat(FIRST_DAY))


def first_target_day(settings: Settings | None = None, also: Collection[dt.date] = ()) -> dt.date:
    """Return the first day on which targets have partitions, as the environment says now.

    Simulated answers may be of any day: all days that have tables are then inside, and `also`. An environment that can't be
    read gives the default, so that the code location loads; its runs say what is wrong.
    """
    today = utc_now().date()
    try:
        settings = settings or Settings.from_env()
    except SettingsError:
        return window_start(today, PARTITION_DAYS)
    own = [*_first_day_of_tables(settings), *also] if settings.simulated else []
    return window_start(today, settings.partition_days, own)


def _first_day_of_tables(settings: Settings) -> list[dt.date]:
    try:
        return days_of_table(settings.root, "backlinks_summary")[:1]
    except TablesError:
        return []  # what reads the tables says why


def target_days(first: dt.date) -> dg.MultiPartitionsDefinition:
    """Return the date × target partitions from a first day on.

    The days before it are named as excluded. Without that Dagster would refuse to backfill a table's older days: they would
    depend on partitions that do not exist.
    """
    start = dt.datetime.combine(first, dt.time())
    zero = dt.datetime.fromisoformat(FIRST_DAY)
    before = [zero + dt.timedelta(days=number) for number in range((start - zero).days)]
    dates = dg.DailyPartitionsDefinition(start_date=start, end_offset=1, exclusions=before or None)
    return dg.MultiPartitionsDefinition({"date": dates, "target": targets})


all_target_days = target_days(dt.date.fromisoformat(FIRST_DAY))


def ranges(known: Sequence[str], wanted: Collection[str], max_keys: int = MAX_KEYS_PER_RUN) -> list[tuple[str, str]]:
    """Return (first, last) keys of contiguous ranges that cover `wanted`, in the order of `known`.

    Dagster's ranges are positions in the order in which keys were added, so a retired key between two active ones
    splits a range. Where that would make more than `MAX_RANGES` of them, the narrowest gaps are bridged: the keys
    in a gap are then part of a run, which passes over them.
    """
    wanted = set(wanted)
    spans: list[list[int]] = []
    for position, key in enumerate(known):
        if key not in wanted:
            continue
        if spans and spans[-1][1] == position - 1:
            spans[-1][1] = position
        else:
            spans.append([position, position])
    while len(spans) > MAX_RANGES:
        gaps = [after[0] - before[1] for before, after in itertools.pairwise(spans)]
        narrowest = gaps.index(min(gaps))
        spans[narrowest][1] = spans.pop(narrowest + 1)[1]
    return [
        (known[start], known[min(start + max_keys - 1, last)])
        for first, last in spans
        for start in range(first, last + 1, max_keys)
    ]


def range_tags(date_first: str, date_last: str, target_first: str, target_last: str) -> dict[str, str]:
    """Return the run tags by which Dagster runs a range of date × target partitions as one run."""
    return {
        RANGE_START: str(dg.MultiPartitionKey({"date": date_first, "target": target_first})),
        RANGE_END: str(dg.MultiPartitionKey({"date": date_last, "target": target_last})),
    }


def day_range_tags(first: str, last: str) -> dict[str, str]:
    return {RANGE_START: first, RANGE_END: last}


def ends_of(tags: Mapping[str, str]) -> tuple[str, str]:
    """Return the first and the last partition key that a run's tags name, the same for a single one; of dimensions, joined."""
    single = tags.get(ONE_KEY) or "|".join(tags.get(f"{DIMENSION}{name}", "") for name in ("date", "target"))
    return tags.get(RANGE_START) or single, tags.get(RANGE_END) or single
