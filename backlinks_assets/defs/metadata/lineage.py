"""Which columns each column of a table is made from, for Dagster's column lineage; and the columns of the stored answers.

Declarations only, by asset and column names. What is made is `tables/` and `detection/`; the columns of the tables
themselves are `tables/schemas.py`.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import dagster as dg

from backlinks_assets.detection.metrics import COMPANIONS, METRICS
from backlinks_assets.tables.schemas import TABLES

_ANSWERS, _SUMMARY, _CHANGES = "summary_responses", "backlinks_summary", "backlinks_changes"
_BULK: Final = "backlinks_bulk"
_FLAGS: Final = "backlinks_flags"

ANSWER_COLUMNS: Final = dg.TableSchema(
    [
        dg.TableColumn("date", "date", "UTC day of the request."),
        dg.TableColumn("target", "string", "Domain, subdomain or page of the request."),
        dg.TableColumn("status_type", "string", "Links counted: `live` or `lost`."),
        dg.TableColumn("request_key", "string", "Hash of the request parameters."),
        dg.TableColumn("parameters", "string", "The request parameters, as JSON."),
        dg.TableColumn("task_id", "string", "The API's id of the task."),
        dg.TableColumn("cost_usd", "float", "What the answer cost, by its own account. [USD]"),
        dg.TableColumn("captured_at", "timestamp", "When the answer had been read. [UTC]"),
        dg.TableColumn("attempts", "int", "Calls it took to get the answer. [calls]"),
        dg.TableColumn("simulated", "bool", "True if the bundled simulator answered and not the API."),
        dg.TableColumn("body", "bytes", "The API's JSON as it came, compressed."),
        dg.TableColumn("endpoint", "string", "The path after `/v3/`."),
    ]
)
"""The table `responses` of the response store: a row an answer, two of them a partition."""

_STORED_AS_THEY_ARE: Final = ANSWER_COLUMNS.columns[:-2]

_STORED_NAMES: Final = frozenset(item.name for item in _STORED_AS_THEY_ARE)

# What detection reads of `backlinks_summary`; other request parameters start a target's history anew.
_READINGS: Final = [*dict.fromkeys(metric.source.column for metric in METRICS.values()), "status_type"]
_JUDGED: Final = [*_READINGS, "request_key"]
_CHANGES_FROM: Final[Mapping[str, Sequence[str]]] = {
    "date": ["date"],
    "target": ["target"],
    "metric": [],
    "value": _READINGS,
    "previous": _READINGS,
    "previous_date": [*_READINGS, "date"],
    "reason": [*dict.fromkeys([*_JUDGED, *(companion.source.column for companion in COMPANIONS.values())])],
    "instrument": ["target"],
    "simulated": ["simulated"],
}
# A flag decides what is asked; the answers are the asset's own.
_EVIDENCE_FROM: Final[Mapping[str, Sequence[str]]] = {
    "date": ["date"],
    "target": ["target"],
    "since": ["previous_date"],
    "simulated": ["simulated"],
}
_INCIDENT_FROM: Final = ["target", "metric", "direction", "date"]
# Their labels come from the targets file, and what is done about them from people.
_INCIDENTS_FROM: Final[Mapping[str, Sequence[str]]] = {
    **{name: [name] for name in ("date", "incident", "target", "metric", "direction", "severity")},
    **{name: ["date"] for name in ("opened", "last_flag", "critical_since", "resolved")},
    **{name: [name] for name in ("baseline", "usual_low", "usual_high", "simulated")},
    "change": ["value", "baseline"],
    **{name: ["date", "value"] for name in ("state", "reason", "back_readings", "level_readings")},
}
_FROM_FLAGS: Final[Mapping[str, tuple[Mapping[str, Sequence[str]], Sequence[str]]]] = {
    "backlinks_incidents": (_INCIDENTS_FROM, []),
    "flag_evidence": (_EVIDENCE_FROM, ["target", "metric", "direction"]),
}
# What went and came is counted by the asset's own calls.
_LOST_HISTORY_FROM: Final[Mapping[str, Sequence[str]]] = {
    "date": ["date"],
    "target": ["target"],
    "live_backlinks": ["backlinks"],
}
# Calls are counted by the account's ledger, whether an answer came or not.
_COSTS_FROM: Final[Mapping[str, Sequence[str]]] = {
    "date": ["date"],
    "answers": ["task_id"],
    "cost_usd": ["cost_usd"],
    "simulated": ["simulated"],
}


def column_lineage(table: str) -> dg.TableColumnLineage:
    """Return the columns that each column of a table is made from; one that is made from none is left out."""
    deps = {name: _deps(table, name) for name in TABLES[table].arrow.names}
    return dg.TableColumnLineage({name: found for name, found in deps.items() if found})


def _deps(table: str, column: str) -> list[dg.TableColumnDep]:
    if table == "backlinks_flags":
        return _of(_CHANGES, _INCIDENT_FROM if column == "incident" else [column])
    if table in _FROM_FLAGS:
        known, otherwise = _FROM_FLAGS[table]
        return _of(_FLAGS, known.get(column, otherwise))
    if table == "lost_history":
        return [dep for asset in (_SUMMARY, _BULK) for dep in _of(asset, _LOST_HISTORY_FROM.get(column, []))]
    if table == "backlinks_changes":
        columns = _CHANGES_FROM.get(column, _JUDGED)
        return [*_of(_SUMMARY, columns), *_of(_BULK, _in_bulk(columns))]
    if table == "api_costs":
        return _of(_ANSWERS, _COSTS_FROM.get(column, []))
    named = "parameters" if column == "request_parameters" else column
    answers = "bulk_responses" if table == _BULK else _ANSWERS
    return _of(answers, [named] if named in _STORED_NAMES else ["body"])


def _in_bulk(columns: Sequence[str]) -> list[str]:
    """Return the columns of `backlinks_bulk` that stand for some of `backlinks_summary`."""
    instead = {"status_type": [], "request_key": ["level_start"], "backlinks": ["backlinks", "lost_level"]}
    return [name for column in columns for name in instead.get(column, [column])]


def _of(asset: str, columns: Sequence[str]) -> list[dg.TableColumnDep]:
    return [dg.TableColumnDep(dg.AssetKey(asset), column) for column in columns]
