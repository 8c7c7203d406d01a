"""What a run of `summary_responses` says: one partition's numbers, and the failure that names the rest.

Metadata only. The asset is `assets.py`; what is collected is `collect/collector.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dagster as dg

from backlinks_assets.collect.outcome import Outcome
from backlinks_assets.defs.metadata.lineage import ANSWER_COLUMNS
from backlinks_assets.formatting import shown
from backlinks_assets.targets.target import WatchList

STATIC_METADATA: Final[Mapping[str, Any]] = {
    "dagster/column_schema": ANSWER_COLUMNS,
    "dagster/table_name": "responses",
    "dagster/storage_kind": "sqlite",
}
STOPPED: Final = "stopped"
"""Metadata of a run's failure: why it ended before it had requested everything. Announcements read it."""
MAX_NAMED: Final = 20
"""Failed targets named in a run's error; all of them are in its table. Foreign partitions are named up to that."""


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


def named(partitions: Sequence[str]) -> str:
    """Return the names of partitions as a list in a sentence, cut where they are many."""
    more = f" and {len(partitions) - MAX_NAMED:,} more" if len(partitions) > MAX_NAMED else ""
    return ", ".join(map(shown, partitions[:MAX_NAMED])) + more


def passed_over(asset: dg.AssetKey, partitions: Sequence[str]) -> dg.AssetObservation:
    """Return the event that names the partitions of a run which are none of the targets file's.

    The dynamic partitions `targets` are the whole instance's: another code location, or a person, may add to them.
    """
    return dg.AssetObservation(
        asset,
        description="Partitions that no target of the targets file has were passed over.",
        metadata={
            "passed_over": len(partitions),
            "passed_over_partitions": dg.MetadataValue.json(list(partitions[:MAX_NAMED])),
        },
    )


def failure(failed: Sequence[Outcome], requested: int, stopped: str | None) -> dg.Failure:
    """Return the error of a run that leaves targets without answers: how many, which, why, and the next step."""
    named = _listed([f"{outcome.target} ({outcome.date}): {outcome.error}" for outcome in failed], ", in the metadata")
    head = f"{len(failed):,} of {requested:,} target-days have no answers"
    why = f". The run stopped: {stopped}" if stopped else "; the others are stored and materialized."
    metadata: dict[str, Any] = {"failed_targets": len(failed), "failed": _failed_table(failed)}
    if stopped:
        metadata[STOPPED] = stopped
    return dg.Failure(
        description=f"{head}{why}\n{named}\nRun the same partitions again: only what is missing is requested.",
        metadata=metadata,
        allow_retries=False,
    )


def bad_lines_said(watched: WatchList) -> str:
    named = _listed([bad.reason for bad in watched.bad_lines], ": `backlinks targets check` names all")
    return f"{watched.source} has lines that can't be used; nothing is requested for them.\n{named}"


def none_watched(unwatched: Sequence[str]) -> dg.Failure:
    """Return the error of a run none of whose targets is watched; it has requested nothing."""
    return dg.Failure(
        "None of these targets is watched on these days: they are retired, not in the targets file, or on a line of it "
        f"that can't be used. Nothing was requested.\n{_listed(unwatched)}",
        allow_retries=False,
    )


def _listed(names: Sequence[str], where: str = "") -> str:
    """Return a line for each of the first 20, and how many more there are, and where."""
    left = len(names) - MAX_NAMED
    return "\n".join(f"- {name}" for name in names[:MAX_NAMED]) + (f"\n- and {left:,} more{where}" if left > 0 else "")


def _failed_table(failed: Sequence[Outcome]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord({"date": str(outcome.date), "target": outcome.target, "reason": outcome.error or ""})
            for outcome in failed
        ],
        schema=dg.TableSchema(
            [dg.TableColumn("date", "date"), dg.TableColumn("target", "string"), dg.TableColumn("reason", "string")]
        ),
    )
