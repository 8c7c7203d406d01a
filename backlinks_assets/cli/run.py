"""`backlinks run`: one whole day, collected, tabled and flagged, with a bar while it goes and a summary at its end."""

import datetime as dt
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import typer
from rich.markup import escape
from rich.padding import Padding

from backlinks_assets.cli.console import (
    INCOMPLETE,
    STOPPED,
    UsageError,
    complain,
    err,
    is_interactive,
    out,
    progress,
    settings_and_notices,
    shown,
)
from backlinks_assets.cli.execution import Pipeline, RunFailedError, opened
from backlinks_assets.cli.flags import print_flags, read_flags
from backlinks_assets.cli.tally import Tally
from backlinks_assets.collect.bulk_day import BulkDay
from backlinks_assets.collect.chunks import bulk_calls
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store, watched_targets
from backlinks_assets.dataforseo.endpoints.summary import STATUS_TYPES
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.evidence.files import known_of
from backlinks_assets.formatting import counted, visible
from backlinks_assets.notify.channels import has_places, places_of
from backlinks_assets.paths import page_path
from backlinks_assets.settings import TARGETS_PER_SAMPLE, Settings
from backlinks_assets.tables.parquet import read_days
from backlinks_assets.targets.target import WatchList
from backlinks_assets.targets.watch import DayWays, ways_of_day

MAX_REASONS, MAX_NAMED_PER_REASON = 20, 5
"""Reasons printed on the terminal, and failed targets named for each; `--json` names all."""

READINGS_BEFORE_FLAGS = DetectionSettings().readings_min


def run_day(date: dt.date | None, *, as_json: bool, yes: bool) -> int:
    """Run a day, the present one for None, and print what came of it; return the exit status.

    Before the first paid day a person on a terminal has to confirm once, unless `yes`; a program never has to.
    """
    began, started = utc_now(), time.monotonic()
    date = date or began.date()
    settings = settings_and_notices()
    for sentence in places_of(settings, None).problems if has_places(settings) else ():
        err().print(f"[yellow]Note:[/] {escape(sentence)}")  # a wrong URL stops no run
    if date > began.date():
        raise UsageError(f"{date} has not begun (UTC). The API answers for the present only.")
    watched = watched_targets(settings)
    targets = [target for target in watched if target.active_on(date)]
    if not targets:
        raise UsageError(
            f"No target of {settings.targets_file} is active on {date}. Add one with `backlinks targets add example.com`."
            + (f" Lines that can't be used:\n{watched.refusal()}" if watched.bad_lines else "")
        )
    ways = ways_of_day(watched, date, settings.watch, settings.control_targets, TARGETS_PER_SAMPLE)
    if not yes and is_interactive() and not _agreed(settings, ways):
        complain("Stopped before the first call: nothing was requested and nothing was paid.")
        return STOPPED
    tally = Tally(began, sample=ways.sample)
    missing: list[str] = []
    flags: list[dict[str, Any]] = []
    evidence: dict[str, Any] = {}
    problem = None
    try:
        with opened(settings, day=date) as pipeline:
            _collect(pipeline, date, ways, tally)
            if date in _stored_days(settings):  # without any answer there is no table to build
                try:
                    pipeline.publish(date, date)
                    if settings.evidence != "off" and (settings.simulated or date == utc_now().date()):
                        evidence = _with_evidence(pipeline, settings, date)
                    flags = read_flags(settings, date)[1]
                    missing = _missing(settings, date, tally)
                except RunFailedError as error:
                    problem = str(error)
    except Exception:
        if tally.failed or (tally.bulk and tally.bulk.failed):  # they failed first, and the error says nothing of them
            _name_failed(_failed(tally, watched), tally.stopped, len(targets) + len(watched.bad_lines))
        raise
    failed = _failed(tally, watched)
    summary = {
        "date": str(date),
        "targets": len(targets) + len(watched.bad_lines),
        "collected": tally.collected,
        "reused": tally.reused,
        "empty": sorted(tally.empty),
        "failed": failed,
        "calls": tally.calls,
        "cost_usd": round(tally.cost_usd, 6),
        "flags": len(flags),
        "seconds": round(time.monotonic() - started, 1),
    }
    summary |= _with_bulk(summary, ways, tally.bulk or BulkDay(date, 0), missing)
    if evidence:
        summary["evidence"] = {name: evidence[name] for name in ("flags", "calls", "cost_usd")}
    _print_summary(summary, tally, flags, settings, as_json=as_json)
    sentences = [sentence for sentence in (tally.stopped, problem) if sentence]
    if sentences:
        complain("\n".join(sentences))
        return STOPPED
    return INCOMPLETE if failed else 0


def _collect(pipeline: Pipeline, date: dt.date, ways: DayWays, tally: Tally) -> None:
    if ways.bulk:  # before the control sample, for which the budget may be too small
        pipeline.collect_in_bulk(date, len(ways.bulk), tally)
    if ways.full:
        with progress(f"Collecting {date}", len(ways.full)) as tally.on_outcome:
            pipeline.collect(date, date, ways.full, tally)


def _with_evidence(pipeline: Pipeline, settings: Settings, date: dt.date) -> dict[str, Any]:
    """Buy the day's evidence, and have its page and its costs made again where there is more of it; return what was bought."""
    before = known_of(settings.root, date)
    evidence = pipeline.evidence(date)
    if evidence["calls"] or known_of(settings.root, date) != before:
        pipeline.publish(date, date)
    return evidence


def _with_bulk(summary: dict[str, Any], ways: DayWays, bulk: BulkDay, missing: list[str]) -> dict[str, Any]:
    """Return what changes in a run's summary by the targets watched in bulk, and their own part of it."""
    if not ways.bulk:
        return {}
    good = bulk.answered - bulk.failed.keys()
    return {
        "collected": summary["collected"] + len(good),
        "reused": summary["reused"] + len(bulk.reused - good - bulk.failed.keys()),
        "calls": summary["calls"] + bulk.calls,
        "cost_usd": round(summary["cost_usd"] + bulk.cost_usd, 6),
        "bulk": {
            "calls": bulk.calls,
            "targets": len(ways.bulk),
            "missing": missing,
            "cost_usd": round(bulk.cost_usd, 6),
        },
    }


def _missing(settings: Settings, date: dt.date, tally: Tally) -> list[str]:
    """Return the targets in bulk without a reading of a watched count; those that no endpoint knows are empty too."""
    names = ["target", "has_data", "backlinks_spam_score", "lost_level"]
    rows = read_days(settings.root, "backlinks_bulk", date, date, names).to_pylist()
    tally.empty += [row["target"] for row in rows if not row["has_data"]]
    return [row["target"] for row in rows if row["backlinks_spam_score"] is None or row["lost_level"] is None]


def _agreed(settings: Settings, ways: DayWays) -> bool:
    """Have the first paid day confirmed; True where it need not be: answers are simulated, or a day was paid before."""
    if settings.simulated or _stored_days(settings):
        return True
    in_bulk = bulk_calls([one.target for one in ways.bulk])
    in_full = len(STATUS_TYPES) * len(ways.full)
    calls = in_full + sum(each.calls for each in in_bulk)
    price_usd = in_full * settings.expected_price_usd + sum(each.price_usd() for each in in_bulk)
    targets = len({one.target for one in (*ways.full, *ways.bulk)})
    budget = settings.budget_usd_per_day
    cap = f"the budget stops it at ${budget:,.2f}" if budget is not None else "no budget is set"
    err().print(
        f"This is the first paid day: {targets:,} targets, {calls:,} calls, some "
        f"${price_usd:,.2f} a day ({cap}). `backlinks doctor` shows the account's own price."
    )
    return typer.confirm("Go on?", default=False, err=True)


def _failed(tally: Tally, watched: WatchList) -> list[dict[str, str]]:
    """Return what has no data for the day, with the reasons: targets whose calls failed, and lines of the file."""
    in_bulk = tally.bulk.failed if tally.bulk else {}
    return [
        *({"target": target, "reason": why} for target, why in sorted(in_bulk.items())),
        *({"target": outcome.target, "reason": outcome.error or ""} for outcome in tally.failed),
        *({"target": bad.cell, "reason": bad.reason} for bad in watched.bad_lines),
    ]


def _name_failed(failed: Sequence[dict[str, str]], stopped: str | None, targets: int) -> None:
    """Print which targets have no answers and why; those with the same reason together, that of a stop only once."""
    console = err()
    console.print(f"[bold]{len(failed):,} of {targets:,} targets have no answers for the day:[/]")
    reasons: dict[str, list[str]] = {}
    for one in sorted(failed, key=lambda one: one["target"]):
        reason = one["reason"].replace(stopped or "\0", "the reason below")
        reasons.setdefault(reason, []).append(visible(one["target"]) or "no target")
    printed = 0
    for reason, names in list(reasons.items())[:MAX_REASONS]:
        named = names[:MAX_NAMED_PER_REASON]
        printed += len(names)
        more = f" and {len(names) - len(named):,} more" if len(names) > len(named) else ""
        text = f"{escape(', '.join(named))}{more}: {escape(reason)}"
        console.print(Padding(text, (0, 0, 0, 2)) if sys.stderr.isatty() else f"  {text}")
    if printed < len(failed):
        console.print(f"  and {len(failed) - printed:,} more (`--json` names all)")


def _stored_days(settings: Settings) -> list[dt.date]:
    with open_store(settings) as store:
        return store.dates()


def _print_summary(
    summary: dict[str, Any], tally: Tally, flags: list[dict[str, Any]], settings: Settings, *, as_json: bool
) -> None:
    if summary["failed"]:
        _name_failed(summary["failed"], tally.stopped, summary["targets"])
    if as_json:
        print(json.dumps(summary))
        return
    days = 0 if flags else len(_stored_days(settings))
    if flags or (days and sys.stdout.isatty()):
        print_flags(flags, f"Flags of {summary['date']}", simulated=settings.simulated)
    if 0 < days <= READINGS_BEFORE_FLAGS:
        out().print(
            f"Too early for flags: a target is judged from its reading number {READINGS_BEFORE_FLAGS + 1} on; stored so far: "
            f"{counted(days, 'day')}."
        )
    out().print(
        f"{summary['date']}: {summary['collected']:,} collected, {summary['reused']:,} already stored, "
        f"{len(summary['empty']):,} unknown to the API, {len(summary['failed']):,} failed; {summary['calls']:,} calls, "
        f"${summary['cost_usd']:,.6g}; {summary['flags']:,} flags; {summary['seconds']:,.1f} s."
    )
    page = page_path(settings.root, dt.date.fromisoformat(summary["date"]))
    if page.exists():
        out().print(f"The day's page: {escape(settings.report_address(page) if settings.reports_url else shown(page))}")
