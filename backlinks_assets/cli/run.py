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
    out,
    progress,
    settings_and_notices,
    shown,
)
from backlinks_assets.cli.execution import RunFailedError, opened
from backlinks_assets.cli.flags import print_flags, read_flags
from backlinks_assets.cli.tally import Tally
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store, watched_targets
from backlinks_assets.dataforseo.endpoints.summary import STATUS_TYPES
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.formatting import counted, visible
from backlinks_assets.notify.channels import channels_of
from backlinks_assets.paths import page_path
from backlinks_assets.settings import Settings
from backlinks_assets.targets.target import WatchList

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
    for sentence in channels_of(settings.notify_urls)[1] if settings.notify_urls else ():
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
    if not yes and sys.stdin.isatty() and sys.stderr.isatty() and not _agreed(settings, len(targets)):
        complain("Stopped before the first call: nothing was requested and nothing was paid.")
        return STOPPED
    tally = Tally(began)
    flags: list[dict[str, Any]] = []
    problem = None
    try:
        with opened(settings) as pipeline:
            with progress(f"Collecting {date}", len(targets)) as tally.on_outcome:
                pipeline.collect(date, date, targets, tally)
            if date in _stored_days(settings):  # without any answer there is no table to build
                try:
                    pipeline.publish(date, date)
                    flags = read_flags(settings, date)[1]
                except RunFailedError as error:
                    problem = str(error)
    except Exception:
        if tally.failed:  # they failed first, and the error says nothing of them
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
    _print_summary(summary, tally, flags, settings, as_json=as_json)
    sentences = [sentence for sentence in (tally.stopped, problem) if sentence]
    if sentences:
        complain("\n".join(sentences))
        return STOPPED
    return INCOMPLETE if failed else 0


def _agreed(settings: Settings, targets: int) -> bool:
    """Have the first paid day confirmed; True where it need not be: answers are simulated, or a day was paid before."""
    if settings.simulated or _stored_days(settings):
        return True
    calls = len(STATUS_TYPES) * targets
    budget = settings.budget_usd_per_day
    cap = f"the budget stops it at ${budget:,.2f}" if budget is not None else "no budget is set"
    err().print(
        f"This is the first paid day: {targets:,} targets, {calls:,} calls, some "
        f"${calls * settings.expected_price_usd:,.2f} a day ({cap}). `backlinks doctor` shows the account's own price."
    )
    return typer.confirm("Go on?", default=False, err=True)


def _failed(tally: Tally, watched: WatchList) -> list[dict[str, str]]:
    """Return what has no data for the day, with the reasons: targets whose calls failed, and lines of the file."""
    return [
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
