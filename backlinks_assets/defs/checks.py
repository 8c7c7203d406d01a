"""The asset checks of a day's tables: what they are called and how a finding reads in the UI.

Specs and results only; the findings are `quality.py`. The checks are evaluated by the assets' own runs, so that they
are there whichever way a run was started; a run over several days evaluates them for the last one. Whether a day came in
time is `in_time.py`.
"""

import datetime as dt
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from backlinks_assets.detection.metrics import METRICS

if TYPE_CHECKING:
    import pandas as pd

    from backlinks_assets.tables.quality import Finding

_SUMMARY: Final = {
    "every_target_has_answers": "Every target watched that day has its live and its lost answer.",
    "values_are_plausible": "Scores are 0 to 100, counts are not negative, parts are no larger than their wholes. An implausible "
    "score or count is a missing reading. Of more than 5 % of the targets, they keep the day from being evaluated.",
    "schema_is_as_declared": "The parquet files have the declared columns and types.",
}
_BULK: Final = {
    "control_sample_agrees": "Targets that are read in bulk and in full on the same day have the same numbers: live links "
    "within 2 %, spam scores within a point, changes of the same sign. Three bad days of seven are a warning.",
}
_FLAGS: Final = {
    **{
        "no_target_went_down" if metric.is_state else f"{name}_did_not_change_sharply": metric.statement
        for name, metric in METRICS.items()
    },
    "no_vendor_fault": "The vendor's numbers can be right; if not, this is the one message about it, and nothing is flagged.",
    "vendor_index_did_not_move": "The vendor's index did not move; if it did, this is the one message about it.",
}


def _specs(asset: str, statements: dict[str, str]) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(name, asset=asset, description=says, blocking=name == "values_are_plausible")
        for name, says in statements.items()
    ]


IN_TIME: Final = dg.AssetCheckKey(dg.AssetKey("backlinks_flags"), "judged_in_time")
"""Of no run: `in_time.py` evaluates it."""

ANSWERS_CHECKS: Final = [*_specs("backlinks_summary", _SUMMARY), *_specs("backlinks_bulk", _BULK)]
FLAGS_CHECKS: Final = _specs("backlinks_flags", _FLAGS)


def answers_results(root: Path, day: dt.date, expected: Collection[str]) -> Iterator[dg.AssetCheckResult]:
    """Yield the results of the checks on `backlinks_summary` and `backlinks_bulk` for a day.

    Raises:
        Failure: after them, where the day must not be evaluated.
    """
    from backlinks_assets.tables import quality
    from backlinks_assets.tables.control_sample import control_sample_agrees

    values = quality.values_plausible(root, day)
    findings = (
        quality.every_target_present(root, day, expected),
        values,
        quality.schema_as_declared(root, day, ["backlinks_summary", "referring_links"]),
    )
    for name, finding in zip(_SUMMARY, findings, strict=True):
        warns = finding is values and not values.blocks
        severity = dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR
        yield _result("backlinks_summary", name, finding, severity)
    (name,) = _BULK
    yield _result("backlinks_bulk", name, control_sample_agrees(root, day), dg.AssetCheckSeverity.WARN)
    if values.blocks:
        raise dg.Failure(
            f"{values.sentence} The check values_are_plausible of backlinks_summary lists them. To evaluate the day all the "
            "same, materialize backlinks_changes, backlinks_flags and backlinks_incidents for it.",
            allow_retries=False,
        )


def flags_results(day: dt.date, flags: "pd.DataFrame") -> list[dg.AssetCheckResult]:
    """Return the results of the checks on `backlinks_flags`; `flags` are the day's, worst first."""
    from backlinks_assets.tables import quality

    findings = (
        *(quality.sharp_changes(flags, metric, day) for metric in METRICS),
        quality.vendor_faults(flags, day),
        quality.index_moves(flags, day),
    )
    pairs = zip(_FLAGS, findings, strict=True)
    return [_result("backlinks_flags", name, found, dg.AssetCheckSeverity.WARN) for name, found in pairs]


def _result(asset: str, name: str, finding: "Finding", severity: dg.AssetCheckSeverity) -> dg.AssetCheckResult:
    metadata: dict[str, Any] = {"count": finding.count}
    if finding.rows:
        columns = [dg.TableColumn(str(column), "string") for column in finding.rows[0]]
        records = [dg.TableRecord({str(key): str(value) for key, value in row.items()}) for row in finding.rows]
        metadata["worst"] = dg.MetadataValue.table(records, schema=dg.TableSchema(columns))
    return dg.AssetCheckResult(
        passed=finding.holds,
        asset_key=asset,
        check_name=name,
        severity=severity,
        description=finding.sentence,
        metadata=metadata,
    )
