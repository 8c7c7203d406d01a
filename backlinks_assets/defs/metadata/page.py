"""What the UI shows of a day's page: the day in one sentence, the flags as a table, a picture.

Metadata only; the page is `report/`. That is imported when a page is written, since pandas and DuckDB come with it
and most runs of this code location write none.
"""

import base64
import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from backlinks_assets.paths import index_path
from backlinks_assets.settings import Settings
from backlinks_assets.targets.target import WatchList


def publish_page(settings: Settings, day: dt.date, watched: WatchList) -> dict[str, Any]:
    """Write one day's page and return its metadata; a day that was never judged has no page.

    `watched` is the targets file as it is now: whom the page misses, and each target's group, owner and note.
    """
    from backlinks_assets.report.day_sentence import day_sentence
    from backlinks_assets.report.page import write_report
    from backlinks_assets.report.summary import read_day_report
    from backlinks_assets.report.ui_summary import markdown, overview_svg
    from backlinks_assets.tables.parquet import days

    if day not in days(settings.root, "backlinks_changes"):
        return {"nothing_kept": f"{day} is not judged: there is nothing to show"}
    report = read_day_report(
        settings.root,
        day,
        simulated=settings.simulated,
        expected_targets=watched.expected_on(day),
        labels=watched.by_name(),
    )
    page = write_report(settings.root, report)
    picture = base64.b64encode(overview_svg(settings.root, report).encode()).decode()
    return {
        "day": day_sentence(report),
        "page": link(settings, page),
        "all_days": link(settings, index_path(settings.root)),
        "flags": len(report.flags),
        "flags_table": dg.MetadataValue.md(markdown(report)),
        "picture": dg.MetadataValue.md(f"![The day's flags, drawn](data:image/svg+xml;base64,{picture})"),
    }


def link(settings: Settings, page: Path) -> dg.MetadataValue[Any]:
    """Return a page's address: on the web where that is set, else its path."""
    address = settings.report_address(page)
    return dg.MetadataValue.url(address) if settings.reports_url else dg.MetadataValue.path(address)


def result(context: dg.AssetExecutionContext, by_day: Mapping[str, dict[str, Any]]) -> dg.MaterializeResult[Any]:
    """Report the pages of a run: one day's metadata, or each day's own in a run over several.

    Raises:
        dagster.Failure: none of the days has been judged.
    """
    reasons = [metadata["nothing_kept"] for metadata in by_day.values() if "nothing_kept" in metadata]
    if len(reasons) == len(by_day):
        raise dg.Failure("; ".join(reasons[:5]), allow_retries=False)
    if len(by_day) == 1:
        return dg.MaterializeResult(metadata=next(iter(by_day.values())))
    for date, metadata in by_day.items():
        # Pictures of many days would fill the event log; the newest day's is enough in a run over several.
        shown = {name: value for name, value in metadata.items() if name != "picture" or date == max(by_day)}
        context.add_asset_metadata(shown, partition_key=date)
    return dg.MaterializeResult()
