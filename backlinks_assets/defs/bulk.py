"""The paid answers of targets watched in bulk: the asset and its job.

Thin objects only. Collecting is `collect/bulk.py`; the table made of these answers is built in `assets.py`. The schedule is in
`schedules.py`.
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import closing

import dagster as dg

from backlinks_assets.collect.bulk_day import BulkDay
from backlinks_assets.collect.collector import StopError
from backlinks_assets.defs.metadata import collecting_bulk as said, tables
from backlinks_assets.defs.partitions import days
from backlinks_assets.defs.resources import BacklinksApi, BacklinksData
from backlinks_assets.defs.run_partitions import partitions_of_run
from backlinks_assets.defs.runs import requested_at


@dg.asset(
    partitions_def=days,
    backfill_policy=dg.BackfillPolicy.single_run(),
    output_required=False,  # each finished day is reported as an event of its own
    group_name="collection",
    kinds={"python", "sqlite"},
    owners=["team:seo"],
    tags={"costs_money": "yes"},
    metadata=said.STATIC_METADATA,
)
def bulk_responses(
    context: dg.AssetExecutionContext, backlinks_data: BacklinksData, backlinks_api: BacklinksApi
) -> Iterator[dg.AssetMaterialization]:
    """The paid bulk answers, whole: three endpoints, up to 1,000 targets a call, stored as they came. The day is the unit.

    The API is not called again for a target that has an answer of the day. It answers for the present only: a day that is over
    is built from the stored answers. What failed is named in the run's error; the others' answers stay.
    """
    settings = backlinks_data.settings()
    tables.check_instance(context.instance, settings)
    watched = backlinks_data.targets()
    failed: list[BulkDay] = []
    for date in partitions_of_run(context, reports_each=True):
        day = dt.date.fromisoformat(date)
        targets = backlinks_api.bulk_targets(watched, day)
        done = BulkDay(day, len(targets))
        began = requested_at(context.instance, context.run)
        with closing(backlinks_api.collect_in_bulk(day, targets, began)) as outcomes:
            try:
                for outcome in outcomes:
                    done.add(outcome)
            except StopError as error:
                done.stopped = str(error)
        if done.has_answers:
            tables.record_origin(context.instance, settings)
            yield dg.AssetMaterialization(context.asset_key, partition=date, metadata=said.day_metadata(done))
        if done.failed or done.stopped:
            failed.append(done)
    if failed:
        raise said.failure(failed)


bulk_collect_job = dg.define_asset_job(
    "bulk_collect_job",
    selection=dg.AssetSelection.assets(bulk_responses),
    executor_def=dg.in_process_executor,
    description="Calls the bulk endpoints for the targets watched in bulk on a day and stores the answers. Costs money: 12 calls "
    "for 1,000 domains.",
)
