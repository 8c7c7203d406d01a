"""The assets: paid answers, the tables made of them, changes and flags.

Thin objects only: partitions, lineage, metadata. Collecting is `collect/collector.py`, rows are `tables/`, judging
is `detection/`. What builds tables is imported by the runs that do: pandas and DuckDB take 0.5 s of CPU and 70 MB, and most
processes of this code location build none.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from backlinks_assets.collect.collector import StopError
from backlinks_assets.collect.outcome import CollectRequest, Outcome
from backlinks_assets.defs import checks
from backlinks_assets.defs.bulk import bulk_responses
from backlinks_assets.defs.code_versions import CODE_VERSIONS
from backlinks_assets.defs.metadata import collecting, page, tables, targets_pages
from backlinks_assets.defs.partitions import all_target_days, days
from backlinks_assets.defs.resources import BacklinksApi, BacklinksData
from backlinks_assets.defs.run_partitions import partitions_of_run
from backlinks_assets.defs.runs import requested_at
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.settings import Settings
from backlinks_assets.tables.schemas import TABLES
from backlinks_assets.targets.target import Target, WatchList
from backlinks_assets.targets.watch import is_in_bulk, ways_of_day

OWNERS = ["team:seo"]


@dg.asset(
    partitions_def=all_target_days,  # in the code location only those of the window: `definitions.py`
    backfill_policy=dg.BackfillPolicy.single_run(),
    output_required=False,  # each finished partition is reported as an event of its own
    group_name="collection",
    kinds={"python", "sqlite"},
    owners=OWNERS,
    tags={"costs_money": "yes"},
    metadata=collecting.STATIC_METADATA,
)
def summary_responses(
    context: dg.AssetExecutionContext, backlinks_data: BacklinksData, backlinks_api: BacklinksApi
) -> Iterator[dg.AssetMaterialization | dg.AssetObservation]:
    """The paid answers: two calls a target and day, live and lost backlinks, stored as they came.

    The API is not called again for a stored answer. It answers for the present only: a day that is over is built from
    the stored answers. A run over many partitions reports each as it is finished; targets that failed are
    named in the run's error and the others stay materialized.
    """
    partitions = partitions_of_run(context, reports_each=True)
    settings = backlinks_data.settings()
    tables.check_instance(context.instance, settings)
    watched = backlinks_data.targets()
    # In the UI after `backlinks demo` the partitions are its targets', though the user's file may list others.
    by_key = {target.partition_key: target for target in [*backlinks_data.demo_targets(), *watched]}
    wanted = _wanted(partitions, by_key, watched, backlinks_api, settings)
    if watched.bad_lines:
        context.log.warning(collecting.bad_lines_said(watched))
    if wanted.unwatched:
        context.log.info("Passed over: %s", ", ".join(wanted.unwatched))
    if wanted.foreign:
        context.log.warning("Passed over, of no target in the targets file: %s", collecting.named(wanted.foreign))
        yield collecting.passed_over(context.asset_key, wanted.foreign)
    if not wanted.requests:
        raise collecting.none_watched([*wanted.unwatched, *wanted.foreign])
    failed: list[Outcome] = []
    stopped = None
    is_recorded = False
    with closing(backlinks_api.collect(wanted.requests, requested_at(context.instance, context.run))) as outcomes:
        try:
            for outcome in outcomes:
                if outcome.error is not None:
                    failed.append(outcome)
                    continue
                if not is_recorded:
                    tables.record_origin(context.instance, settings)
                    is_recorded = True
                yield dg.AssetMaterialization(
                    context.asset_key,
                    partition=wanted.keys[str(outcome.date), outcome.target],
                    metadata=collecting.partition_metadata(outcome),
                )
        except StopError as error:
            stopped = str(error)
    if failed or stopped:
        raise collecting.failure(failed, len(wanted.requests), stopped)


@dataclass(slots=True)
class _Wanted:
    """What a run collects, the partition of each (by day and target), and the partitions that it passes over."""

    requests: list[CollectRequest] = field(default_factory=list)
    keys: dict[tuple[str, str], str] = field(default_factory=dict)
    unwatched: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def _wanted(
    partitions: Sequence[str], by_key: Mapping[str, Target], watched: WatchList, api: BacklinksApi, settings: Settings
) -> _Wanted:
    found = _Wanted()
    in_full: dict[str, set[str]] = {}
    for key in partitions:
        date, target_key = key.split("|", 1)
        target = by_key.get(target_key)
        if target is not None and len(partitions) > 1 and is_in_bulk(target, settings.watch):
            if date not in in_full:
                ways = ways_of_day(watched, dt.date.fromisoformat(date), settings.watch, settings.control_targets)
                in_full[date] = {one.target for one in ways.full}
            if target.target not in in_full[date]:  # a single partition is one that a person names
                found.unwatched.append(f"{target.target} ({date}), watched in bulk")
                continue
        if target is not None and target.active_on(dt.date.fromisoformat(date)):
            found.requests.append(api.request(date, target))
            found.keys[date, target.target] = key
        elif target is not None:
            found.unwatched.append(f"{target.target} ({date}), retired by then")
        elif bad := watched.bad_line_of_key(target_key):
            found.unwatched.append(f"{bad.target} ({date}): its line {bad.line} can't be used: {bad.why}")
        else:
            found.foreign.append(target_key)
    found.foreign = list(dict.fromkeys(found.foreign))  # one may be there for many days
    return found


def _table(name: str, deps: list[Any], group: str = "tables") -> dg.AssetSpec:
    return dg.AssetSpec(
        name,
        deps=deps,
        description=TABLES[name].description,
        group_name=group,
        kinds={"parquet", "duckdb"},
        owners=OWNERS,
        metadata=tables.static_metadata(name),
        partitions_def=days,
        code_version=CODE_VERSIONS[name],
        skippable=False,
    )


@dg.multi_asset(
    specs=[
        _table("backlinks_summary", [summary_responses]),
        _table("referring_links", [summary_responses]),
        _table("backlinks_bulk", [bulk_responses]),
        _table("api_costs", [summary_responses]),
    ],
    partitions_def=days,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=checks.ANSWERS_CHECKS,
    name="answer_tables",
    can_subset=False,
    pool="duckdb",
)
def answer_tables(
    context: dg.AssetExecutionContext, backlinks_data: BacklinksData
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Reads each stored answer of the days once and writes the tables made of it."""
    from backlinks_assets.pipeline import NoAnswersError, publish_days
    from backlinks_assets.published.publication import publish_tables

    settings = backlinks_data.settings()
    tables.check_instance(context.instance, settings)
    watched = backlinks_data.targets()
    by_day: dict[str, tables.Metadata] = {}
    built: list[dt.date] = []
    dates = [dt.date.fromisoformat(date) for date in partitions_of_run(context)]
    for date, day in zip(dates, publish_days(settings, dates, say=context.log.info), strict=True):
        if isinstance(day, NoAnswersError):
            by_day[str(date)] = tables.nothing_stored_metadata(str(day))
        else:
            by_day[str(date)] = tables.answers_metadata(day)
            built.append(date)
    if not built:
        raise dg.Failure(tables.why_nothing(by_day), allow_retries=False)
    tables.record_origin(context.instance, settings)
    if not tables.judges_too(context):  # one copy of the DuckDB file a run; it shows no day that is not judged
        publish_tables(settings, built)
    yield from tables.results(context, by_day)
    last = max(built)
    yield from checks.answers_results(settings.root, last, watched.expected_on(last))


@dg.multi_asset(
    specs=[
        _table("backlinks_changes", ["backlinks_summary", "backlinks_bulk"], "flags"),
        _table("backlinks_flags", ["backlinks_changes"], "flags"),
        _table("backlinks_incidents", ["backlinks_flags"], "flags"),
    ],
    partitions_def=days,
    backfill_policy=dg.BackfillPolicy.single_run(),
    check_specs=checks.FLAGS_CHECKS,
    name="detection",
    can_subset=False,
    pool="duckdb",
)
def detection(
    context: dg.AssetExecutionContext, backlinks_data: BacklinksData
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Compares each day with what is normal for each target, flags what changed sharply, and brings the incidents on."""
    from backlinks_assets.pipeline import publish_changes
    from backlinks_assets.published.publication import publishing_tables

    settings = backlinks_data.settings()
    dates = [dt.date.fromisoformat(date) for date in partitions_of_run(context)]
    by_day = {str(date): tables.nothing_stored_metadata(f"backlinks_summary has no {date}") for date in dates}
    last = None
    targets = backlinks_data.targets()
    # Also if judging fails: the tables of the answers may have come by this run.
    with publishing_tables(settings, dates):
        labels = {one.target: (one.group, one.owner) for one in targets}
        for day in publish_changes(settings, dates, targets.thresholds, DetectionSettings(), context.log.info, labels):
            by_day[str(day.date)] = tables.changes_metadata(day, simulated=settings.simulated)
            last = day
    if last is None:
        raise dg.Failure(tables.why_nothing(by_day), allow_retries=False)
    yield from tables.results(context, by_day)
    yield from checks.flags_results(last.date, tables.worst_first(last))


@dg.asset(
    deps=["backlinks_flags"],
    partitions_def=days,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="flags",
    kinds={"html"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["flags_report"],
)
def flags_report(context: dg.AssetExecutionContext, backlinks_data: BacklinksData) -> dg.MaterializeResult[Any]:
    """A page of the day's flags that opens from disk: each with its reason, its recent history drawn, and what moved with it.

    An index of the days lies beside the pages, under `reports` in the data folder.
    """
    from backlinks_assets.published.publication import bring, publish_pages
    from backlinks_assets.report.index import relink, write_index

    settings, watched = backlinks_data.settings(), backlinks_data.targets()
    by_day = {}
    bring(settings)
    for date in partitions_of_run(context):
        day = dt.date.fromisoformat(date)
        by_day[date] = page.publish_page(settings, day, watched)
    result = page.result(context, by_day)

    def finish() -> None:  # once for all days of the run
        if settings.tables_url is not None:  # pages of other machines may have come
            relink(settings.root)
        write_index(settings.root)

    publish_pages(settings, [dt.date.fromisoformat(date) for date in by_day], finish)
    return result


@dg.asset(
    deps=[flags_report],
    group_name="flags",
    kinds={"html"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["targets_report"],
)
def targets_report(backlinks_data: BacklinksData) -> dg.MaterializeResult[Any]:
    """All targets on one page, a page for each group, and one for each target that changed, with its whole history.

    Made of all days up to the last one that is judged, after each day's flags.
    """
    from backlinks_assets.published.publication import bring, publish_pages

    settings, watched = backlinks_data.settings(), backlinks_data.targets()
    bring(settings)
    metadata = targets_pages.publish_pages_of_targets(settings, watched)
    publish_pages(settings, [], lambda: None)
    return dg.MaterializeResult(metadata=metadata)


ASSETS = [summary_responses, answer_tables, detection, flags_report, targets_report]
