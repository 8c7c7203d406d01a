"""What a run of `bulk_responses` says: a day's numbers, and the failure that names the rest. Metadata only."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dagster as dg

from backlinks_assets.collect.bulk_day import BulkDay
from backlinks_assets.defs.metadata.collecting import MAX_NAMED, STATIC_METADATA as OF_ANSWERS, STOPPED

STATIC_METADATA: Final[Mapping[str, Any]] = OF_ANSWERS


def day_metadata(day: BulkDay) -> Mapping[str, Any]:
    """Return a day's numbers, as numbers, so that the UI plots them over the partitions."""
    return {
        "dagster/partition_row_count": len(day.answered | day.reused),
        "targets": day.targets,
        "calls": day.calls,
        "cost_usd": round(day.cost_usd, 6),
        "targets_reused": len(day.reused),
        "targets_failed": len(day.failed),
    }


def failure(days: Sequence[BulkDay]) -> dg.Failure:
    """Return the error of a run that leaves targets without answers: how many, which, why, and the next step."""
    lines = [f"- {target} ({day.date}): {why}" for day in days for target, why in day.failed.items()]
    more = f"\n- and {len(lines) - MAX_NAMED:,} more" if len(lines) > MAX_NAMED else ""
    named = "\n".join(lines[:MAX_NAMED]) + more
    stopped = next((day.stopped for day in days if day.stopped), None)
    head = f"{len(lines):,} of {sum(day.targets for day in days):,} target-days have no answers in bulk"
    why = f". The run stopped: {stopped}" if stopped else "; the others are stored."
    metadata: dict[str, Any] = {"failed_targets": len(lines)} | ({STOPPED: stopped} if stopped else {})
    return dg.Failure(
        description=f"{head}{why}\n{named}\nRun the same day again: only what is missing is requested.",
        metadata=metadata,
        allow_retries=False,
    )
