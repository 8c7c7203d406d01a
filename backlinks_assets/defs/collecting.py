"""What a run of `summary_responses` says: one partition's numbers, and the failure that names the rest.

Words and metadata only. The asset is `assets.py`; what is collected is `store/collect.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dagster as dg

from backlinks_assets.defs.lineage import ANSWER_COLUMNS
from backlinks_assets.store.outcome import Outcome

STATIC_METADATA: Final[Mapping[str, Any]] = {
    "dagster/column_schema": ANSWER_COLUMNS,
    "dagster/table_name": "responses",
    "dagster/storage_kind": "sqlite",
}
STOPPED: Final = "stopped"
"""Metadata of a run's failure: why it ended before it had asked about all, where that is so. Announcements read it."""
MOST_NAMED: Final = 20
"""Failed targets named in a run's error; all of them are in its table."""


def partition_metadata(outcome: Outcome) -> Mapping[str, Any]:
    """Return a target-day's numbers, as numbers, so that the UI plots them over the partitions."""
    live, lost = outcome.readings.get("live"), outcome.readings.get("lost")
    numbers: dict[str, Any] = {
        "live_backlinks": live.backlinks if live else None,
        "spam_score": live.spam_score if live else None,
        "lost_backlinks": lost.backlinks if lost else None,
    }
    captured = max(reading.captured_at for reading in outcome.readings.values())
    return {
        "dagster/partition_row_count": len(outcome.readings),
        **{name: value for name, value in numbers.items() if value is not None},
        "cost_usd": outcome.cost_usd,
        "calls": outcome.calls,
        "answers_reused": outcome.reused,
        "known_to_the_api": not outcome.empty,
        "captured_at": dg.MetadataValue.timestamp(captured),
    }


def failure(failed: Sequence[Outcome], asked: int, stopped: str | None) -> dg.Failure:
    """Return the error of a run that leaves targets without answers: how many, which, why, and the next step."""
    named = "\n".join(f"- {outcome.target} ({outcome.date}): {outcome.error}" for outcome in failed[:MOST_NAMED])
    more = f"\n- and {len(failed) - MOST_NAMED:,} more, in the metadata" if len(failed) > MOST_NAMED else ""
    head = f"{len(failed):,} of {asked:,} target-days have no answers"
    why = f". The run stopped: {stopped}" if stopped else "; the others are kept and materialized."
    metadata: dict[str, Any] = {"failed_targets": len(failed), "failed": failed_table(failed)}
    if stopped:
        metadata[STOPPED] = stopped
    return dg.Failure(
        description=f"{head}{why}\n{named}{more}\nRun the same partitions again: only what is missing is asked for.",
        metadata=metadata,
        allow_retries=False,
    )


def failed_table(failed: Sequence[Outcome]) -> dg.TableMetadataValue:
    """Return the failed target-days with their reasons as a table."""
    return dg.MetadataValue.table(
        [
            dg.TableRecord({"date": str(outcome.date), "target": outcome.target, "reason": outcome.error or ""})
            for outcome in failed
        ],
        schema=dg.TableSchema(
            [dg.TableColumn("date", "date"), dg.TableColumn("target", "string"), dg.TableColumn("reason", "string")]
        ),
    )
