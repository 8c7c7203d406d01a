"""Writes the pages of all targets, and says in the UI what was written and what stands on them.

The pages are `report/targets_report.py`, imported when they are written: pandas and DuckDB come with it.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from backlinks_assets.defs.metadata.page import link
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import verdicts_in
from backlinks_assets.store.verdicts import StoredVerdict
from backlinks_assets.targets.target import WatchList

if TYPE_CHECKING:
    from backlinks_assets.report.left_out import LeftOut


def publish_pages_of_targets(settings: Settings, watched: WatchList) -> dict[str, Any]:
    """Write the pages of all targets, of the groups and of the targets that changed; return the metadata."""
    from backlinks_assets.report.targets_report import write_targets_report
    from backlinks_assets.tables.parquet import days

    judged = days(settings.root, "backlinks_changes")
    written = write_targets_report(
        settings.root,
        simulated=settings.simulated,
        expected_targets=watched.expected_on(judged[-1]) if judged else (),
        labels=watched.by_name(),
        left_out=list(left_out(verdicts_in(settings.store))),
    )
    if written is None:
        return {"nothing_kept": "no day is judged: there is nothing to show"}
    states = written.portfolio.states
    return {
        "page": link(settings, written.path),
        "until": str(written.portfolio.last),
        "targets": len(written.portfolio.rows),
        "down": states.get("down", 0),
        "critical": states.get("critical", 0),
        "warning": states.get("warning", 0),
        "target_pages_written": written.targets,
        "group_pages_written": written.groups,
    }


def left_out(verdicts: Sequence[StoredVerdict]) -> Iterator["LeftOut"]:
    """Yield the spans of days that people have taken out and nobody has taken back in since."""
    from backlinks_assets.report.left_out import LeftOut

    for at, one in enumerate(verdicts):
        if one.counts:
            continue
        since = verdicts[at + 1 :]
        length = (one.last - one.first).days + 1
        days = [
            day for day in (one.first + dt.timedelta(days=n) for n in range(length)) if not _said_again(one, day, since)
        ]
        spans: list[list[dt.date]] = []
        for day in days:
            if spans and spans[-1][1] + dt.timedelta(days=1) == day:
                spans[-1][1] = day
            else:
                spans.append([day, day])
        for first, last in spans:
            yield LeftOut(first, last, one.by, one.note or "", one.target, one.metric)


def _said_again(one: StoredVerdict, day: dt.date, since: Sequence[StoredVerdict]) -> bool:
    """Whether a later verdict speaks for all that one says of a day."""
    return any(
        other.first <= day <= other.last and other.target in (None, one.target) and other.metric in (None, one.metric)
        for other in since
    )
