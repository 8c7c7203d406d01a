"""The partitions: days, targets, and both together; and how a set of targets becomes a few ranges.

Partitions only. Which targets are watched is the targets file (`targets/file.py`).
"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import dagster as dg

RANGE_START: Final = "dagster/asset_partition_range_start"
RANGE_END: Final = "dagster/asset_partition_range_end"
ONE_KEY: Final = "dagster/partition"
DIMENSION: Final = "dagster/partition/"
"""Tags by which Dagster says which partitions a run is for; what they mean together is `run_partitions.py`."""

FIRST_DAY: Final = "2026-01-01"
"""The first day that has a partition; no answer of this project is older."""

MAX_KEYS_PER_RUN: Final = 1000
"""Dagster writes the planned events of a whole range before its run starts, some 1 ms each; a run's process takes some
2.5 s of CPU to start, so that fewer and longer runs cost less."""
MAX_RANGES: Final = 40
"""More runs than this cost more than the retired targets between the ranges would."""

days = dg.DailyPartitionsDefinition(start_date=FIRST_DAY, end_offset=1)  # today's partition exists today
targets = dg.DynamicPartitionsDefinition(name="targets")
target_days = dg.MultiPartitionsDefinition({"date": days, "target": targets})


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
