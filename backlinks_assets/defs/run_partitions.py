"""Which partitions a run is for, read from its tags; every asset of the project takes them from here.

Dagster describes them by a range, by one key, or by one key's dimensions, and to runs of a job's backfill it gives the
range and the dimensions of the backfill's first key. Its own `context.partition_keys` then returns that one key. Here
belongs what such tags mean together; the partitions themselves are `partitions.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dagster as dg

from backlinks_assets.dates import iso_date
from backlinks_assets.defs.partitions import DIMENSION, ONE_KEY, RANGE_END, RANGE_START

BACKFILL: Final = "dagster/backfill"
DIMENSIONS: Final = {"date", "target"}

_NEXT: Final = "Nothing was done. Launch the partitions again from the asset's page in the UI."


def partitions_of_run(context: dg.AssetExecutionContext, *, reports_each: bool = False) -> Sequence[str]:
    """Return the keys of the partitions that a run is for, without those that are older than the definition's first.

    A range comes before a single key. Both together are accepted where Dagster itself gives both: the single key is the
    range's first, or one of the backfill's that the run belongs to.

    Args:
        context: of an asset that has partitions.
        reports_each: the asset yields an event for each partition. For all others Dagster makes the events, and where
            it finds two descriptions it records the single key only; such a run must not build what is not recorded.

    Raises:
        dagster.Failure: the tags name no partition, one that does not exist, older ones alone, or contradict each other.
    """
    tags = context.run.tags
    definition = context.assets_def.partitions_def
    assert definition is not None
    single = _single(tags)
    first, last = tags.get(RANGE_START), tags.get(RANGE_END)
    if first is None or last is None:  # Dagster makes no run with one end of a range
        if single is None:
            raise _refused("The run names no partition.")
        key = _parsed(definition, single)
        _pass_over_older(context, definition, key, key)
        return [key]
    keys = _between(context, definition, first, last)
    _pass_over_older(context, definition, first, last)
    both = f"The run's tags name the partitions {first} to {last} and also {single}"
    if single is not None and single != first and not _is_of_its_backfill(context.instance, tags, single):
        raise _refused(f"{both}, which is not the first of them: it is not certain which were meant.")
    if single is not None and not reports_each and list(keys) != [single]:
        raise _refused(f"{both}: Dagster would record that one only.")
    return keys


def _pass_over_older(
    context: dg.AssetExecutionContext, definition: dg.PartitionsDefinition[Any], first: str, last: str
) -> None:
    """Say which of the days that a run names have no partitions of targets any more; refuse a run of such days alone.

    It may be an old run that is started again. In the place of a day without partitions Dagster takes the next that has some.
    """
    if not isinstance(definition, dg.MultiPartitionsDefinition):
        return
    dates = definition.get_partitions_def_for_dimension("date")
    assert isinstance(dates, dg.TimeWindowPartitionsDefinition)
    start = str(dates.start.date())
    if first[:10] >= start:
        return
    said = (
        f"Days before {start} were passed over: they have no partitions any more. What was paid for is stored, and their "
        "tables are built from it: materialize those."
    )
    if last[:10] < start:
        raise dg.Failure(said, allow_retries=False)
    context.log.warning(said)


def _single(tags: Mapping[str, str]) -> str | None:
    """Return the one key that the tags name as a whole or by its dimensions, which must then be the same."""
    dimensions = {name.removeprefix(DIMENSION): key for name, key in tags.items() if name.startswith(DIMENSION)}
    if unknown := dimensions.keys() - DIMENSIONS:
        raise _refused(f"The run's tags name a partition by {unknown.pop()!r}, which this project has not.")
    by_dimension = str(dg.MultiPartitionKey(dimensions)) if dimensions else None
    whole = tags.get(ONE_KEY)
    if whole is not None and by_dimension is not None and whole != by_dimension:
        raise _refused(f"The run's tags name the partition {whole} and also {by_dimension}.")
    return whole if by_dimension is None else by_dimension


def _parsed(definition: dg.PartitionsDefinition[Any], key: str) -> str:
    """Return the key in the type that Dagster gives: one of two dimensions knows them."""
    multi = definition if isinstance(definition, dg.MultiPartitionsDefinition) else None
    day, *rest = key.split("|")
    try:
        if len(rest) != (1 if multi else 0) or not iso_date(day):
            raise ValueError
    except ValueError:
        kind = "date and target" if multi else "date"
        raise _refused(f"The run's tags name {key!r}, which is not a partition by {kind}.") from None
    return multi.get_partition_key_from_str(key) if multi else key


def _between(
    context: dg.AssetExecutionContext, definition: dg.PartitionsDefinition[Any], first: str, last: str
) -> Sequence[str]:
    start, end = _parsed(definition, first), _parsed(definition, last)
    try:
        with dg.partition_loading_context(dynamic_partitions_store=context.instance):
            keys = definition.get_partition_keys_in_range(dg.PartitionKeyRange(start, end))
    except dg.DagsterError:
        raise _refused(f"The range of partitions {first} to {last} has an end that does not exist.") from None
    if not keys:
        raise _refused(f"The range of partitions {first} to {last} ends before it starts.")
    return keys


def _is_of_its_backfill(instance: dg.DagsterInstance, tags: Mapping[str, str], key: str) -> bool:
    """Whether a key is one of the backfill's that the run belongs to: all its runs bear the first key of the first."""
    backfill = instance.get_backfill(tags[BACKFILL]) if BACKFILL in tags else None
    return backfill is not None and key in (backfill.partition_names or ())


def _refused(why: str) -> dg.Failure:
    return dg.Failure(f"{why} {_NEXT}", allow_retries=False)
