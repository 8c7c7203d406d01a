"""What the table assets say in the UI: descriptions, columns, row counts, the flags as a table.

Metadata only. What is written is `pipeline.py`.
"""

from collections.abc import Iterator, Mapping
from math import inf
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from backlinks_assets.defs.metadata.lineage import column_lineage
from backlinks_assets.detection.metrics import METRICS
from backlinks_assets.formatting import markdown_text
from backlinks_assets.settings import Settings
from backlinks_assets.tables.schemas import TABLES

if TYPE_CHECKING:
    from backlinks_assets.pipeline import AnswersDay, ChangesDay

MAX_ROWS: Final = 50
"""Rows of a table shown in a run's metadata; the parquet file has them all."""

MAX_DAYS_NAMED: Final = 10

_DAGSTER_TYPES: Final = {"BIGINT": "int", "VARCHAR": "string", "BOOLEAN": "bool", "DOUBLE": "float"}

Metadata = dict[str, dict[str, Any]]
"""Metadata by asset name."""


def static_metadata(name: str) -> Mapping[str, Any]:
    """Return what is true of every partition of a table: its columns and their origin, its name, where it is stored."""
    columns = [
        dg.TableColumn(
            column,
            _DAGSTER_TYPES.get(kind, kind.lower()),
            description=text,
            constraints=dg.TableColumnConstraints(nullable=TABLES[name].arrow.field(column).nullable),
        )
        for column, kind, text in TABLES[name].columns()
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/column_lineage": column_lineage(name),
        "dagster/table_name": f"backlinks.{name}",
        "dagster/storage_kind": "duckdb",
    }


def nothing_stored_metadata(why: str) -> Metadata:
    """Return the metadata of a day that has nothing to build from, in a run over several days."""
    return {name: {"dagster/partition_row_count": 0, "nothing_kept": why} for name in TABLES}


def why_nothing(by_day: Mapping[str, Metadata]) -> str:
    """Return why a run over these days had nothing to build from, day by day."""
    reasons = [next(iter(tables.values()))["nothing_kept"] for tables in by_day.values()]
    more = f"\nand {len(reasons) - MAX_DAYS_NAMED:,} more days" if len(reasons) > MAX_DAYS_NAMED else ""
    return "\n".join(reasons[:MAX_DAYS_NAMED]) + more


def answers_metadata(day: "AnswersDay") -> Metadata:
    by_table: Metadata = {name: {"dagster/partition_row_count": rows} for name, rows in day.rows.items()}
    by_table["backlinks_summary"] |= {
        "targets": day.targets,
        "targets_unknown_to_the_api": day.empty,
        "values_unreadable": sum(day.unreadable.values()),
    }
    if day.unreadable or day.damaged:
        by_table["backlinks_summary"]["unreadable"] = dg.MetadataValue.json(
            {"fields": dict(day.unreadable), "answers": [" ".join(key) for key in day.damaged]}
        )
    by_table["backlinks_bulk"] |= dict(day.in_bulk)
    by_table["api_costs"] |= dict(day.costs)
    return by_table


def changes_metadata(day: "ChangesDay", *, simulated: bool) -> Metadata:
    """Return one day's metadata of changes and flags, the flags worst first as a table to read."""
    of_target = day.flags[day.flags["target"] != "*"]
    numbers = {
        "flags": len(of_target),
        "critical": int((of_target["severity"] == "critical").sum()),
        **{f"{name}_flags": int((of_target["metric"] == name).sum()) for name in METRICS},
        "index_moves": int((day.flags["kind"] == "index_move").sum()),
        "vendor_faults": int((day.flags["kind"] == "vendor_fault").sum()),
    }
    by_table: Metadata = {name: {"dagster/partition_row_count": rows, **numbers} for name, rows in day.rows.items()}
    by_table["backlinks_incidents"] = {"dagster/partition_row_count": day.rows["backlinks_incidents"]}
    by_table["backlinks_flags"]["flags_table"] = flags_table(day, simulated=simulated)
    return by_table


def worst_first(day: "ChangesDay") -> Any:
    """Return the flags, the vendor's first, then critical before warning, then the most unusual: as `backlinks flags` does."""
    order = day.flags.assign(
        _index=day.flags["target"] != "*",
        _severity=day.flags["severity"] != "critical",
        _unusual=-day.flags["score"].abs().fillna(inf),
    )
    return order.sort_values(["_index", "_severity", "_unusual", "target"], kind="stable")


def flags_table(day: "ChangesDay", *, simulated: bool) -> dg.MetadataValue[Any]:
    """Return the day's flags as Markdown; names are data, so what Markdown would read in them is escaped."""
    if day.flags.empty:
        return dg.MetadataValue.md(f"No flag on {day.date}.")
    lines = ["| severity | target | what | why |", "| --- | --- | --- | --- |"]
    for row in worst_first(day).head(MAX_ROWS).itertuples():
        target = "all targets" if row.target == "*" else markdown_text(row.target)
        what = row.kind if row.kind == "vendor_fault" else row.metric
        lines.append(f"| {row.severity} | {target} | {what.replace('_', ' ')} | {markdown_text(row.reason)} |")
    if len(day.flags) > MAX_ROWS:
        lines.append(f"\n… and {len(day.flags) - MAX_ROWS:,} more in backlinks_flags.")
    note = "\n\n*Simulated numbers: no real target is meant.*" if simulated else ""
    return dg.MetadataValue.md("\n".join(lines) + note)


def judges_too(context: dg.AssetExecutionContext) -> bool:
    """Whether the run goes on to judge the days whose tables it has written."""
    return dg.AssetKey("backlinks_changes") in context.job_def.asset_layer.selected_asset_keys


def results(context: dg.AssetExecutionContext, by_day: Mapping[str, Metadata]) -> Iterator[dg.MaterializeResult[Any]]:
    """Report every table of a run: with one day's metadata, or with each day's own in a run over several."""
    names = [key.path[-1] for key in context.selected_asset_keys]
    for name in sorted(names, key=list(TABLES).index):
        if len(by_day) == 1:
            (metadata,) = by_day.values()
            yield dg.MaterializeResult(asset_key=name, metadata=metadata[name])
            continue
        for date, metadata in by_day.items():
            context.add_asset_metadata(metadata[name], asset_key=name, partition_key=date)
        yield dg.MaterializeResult(asset_key=name)


_ORIGIN: Final = "backlinks/origin"
_RECORDED_FIRST: Final = tuple(
    dg.AssetKey(name) for name in ("summary_responses", "bulk_responses", "backlinks_summary")
)


def check_instance(instance: dg.DagsterInstance, settings: Settings) -> None:
    """Refuse to record simulated runs on an instance that has real ones, and the other way round.

    An instance without a materialization is free for either kind, whatever was tried on it.

    Raises:
        dagster.Failure: with what to do.
    """
    held = instance.run_storage.get_cursor_values({_ORIGIN}).get(_ORIGIN)
    if held in (None, settings.origin) or not any(map(instance.get_latest_materialization_event, _RECORDED_FIRST)):
        return
    raise dg.Failure(
        f"This Dagster instance holds runs over answers from {held}; answers from {settings.origin} would mix with "
        "them. Start the UI with `make ui`, which keeps each kind apart, or set DAGSTER_HOME to another folder.",
        allow_retries=False,
    )


def record_origin(instance: dg.DagsterInstance, settings: Settings) -> None:
    """Record whose answers the instance has, before a run's first materialization. Raises as `check_instance`."""
    check_instance(instance, settings)
    instance.run_storage.set_cursor_values({_ORIGIN: settings.origin})
