"""`backlinks demo`: the whole project over a simulated history, from nothing, and where to look next."""

import datetime as dt
import json
import time
from typing import Any

import duckdb
from rich.markup import escape

from backlinks_assets.cli.console import (
    STOPPED,
    UsageError,
    complain,
    err,
    me,
    out,
    progress,
    settings_and_notices,
    shown,
)
from backlinks_assets.cli.demo_incidents import say
from backlinks_assets.cli.execution import Pipeline, opened
from backlinks_assets.cli.flags import print_flags, read_flags
from backlinks_assets.cli.tally import Tally
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import watched_targets
from backlinks_assets.env_values import SettingsError
from backlinks_assets.evidence.flags import flags_of
from backlinks_assets.evidence.questions import wanted
from backlinks_assets.formatting import visible
from backlinks_assets.paths import index_path, parquet_dir, portfolio_path
from backlinks_assets.report.evidence import read_evidence
from backlinks_assets.report.incidents import counts, read_incidents
from backlinks_assets.settings import Settings
from backlinks_assets.simulator.world.samples import sample_targets_csv

DAYS_PER_RUN = 10
FLAGS_SHOWN_DAYS = 7
MIN_DAYS, MAX_DAYS = 2, 300


def run_demo(days: int, *, as_json: bool) -> int:
    """Collect, table and flag `days` days of simulated answers up to today; return the exit status.

    Raises:
        UsageError: so many days can't be simulated.
    """
    if not MIN_DAYS <= days <= MAX_DAYS:
        raise UsageError(f"--days is {days}; from {MIN_DAYS} to {MAX_DAYS} days can be simulated.")
    started = time.monotonic()
    settings = settings_and_notices(demo=True)
    today = utc_now().date()
    first = today - dt.timedelta(days=days - 1)
    tally = Tally()
    with opened(settings, demo=True, day=first) as pipeline:  # the folder was tried: what is made in it can stay
        if not settings.targets_file.exists():
            settings.targets_file.parent.mkdir(parents=True, exist_ok=True)
            settings.targets_file.write_text(sample_targets_csv(), encoding="utf-8")
        targets = watched_targets(settings)
        with progress(f"Collecting {len(targets)} targets, {days} days", days * len(targets)) as tally.on_outcome:
            for start in range(0, days, DAYS_PER_RUN):
                day = first + dt.timedelta(days=start)
                last = min(today, day + dt.timedelta(days=DAYS_PER_RUN - 1))
                pipeline.collect(day, last, targets, tally)
                if tally.stopped:
                    complain(tally.stopped)
                    return STOPPED
        (err() if as_json else out()).print(
            f"{tally.collected + tally.reused:,} target-days of {len(targets)} targets: {tally.calls:,} simulated "
            f"calls, {2 * tally.reused:,} answers already stored. Building the tables…\n"
        )
        pipeline.publish(first, today)
        said_from = say(settings, today)
        evidence, bought_for = _one_flags_evidence(pipeline, settings, today, days)
        changed = [day for day in (said_from, bought_for) if day]
        if changed:  # what it cost and what was said is in the tables
            pipeline.publish(min(changed), today)
    with duckdb.connect(str(settings.duckdb_file), read_only=True) as connection:
        (total,) = connection.execute("SELECT count(*) FROM backlinks_flags").fetchone() or (0,)
    summary = {
        "date": str(today),
        "days": days,
        "simulated": True,
        "targets": len(targets),
        "calls": tally.calls,
        "reused": tally.reused,
        "flags": total,
        "flags_today": len(read_flags(settings, today)[1]),
        "evidence": evidence,
        "incidents": counts(one for some in read_incidents(settings.root, today).values() for one in some),
        "pages": str(index_path(settings.root)),
        "duckdb": str(settings.duckdb_file),
        "parquet": str(parquet_dir(settings.root)),
        "seconds": round(time.monotonic() - started, 1),
    }
    if as_json:
        print(json.dumps(summary))
    else:
        _print_summary(summary, settings, today)
    return 0


def _one_flags_evidence(
    pipeline: Pipeline, settings: Settings, today: dt.date, days: int
) -> tuple[str, dt.date | None]:
    """Have the evidence of the latest day's first flag bought from the simulator; return what it says, and that day."""
    for back in range(min(FLAGS_SHOWN_DAYS, days)):
        day = today - dt.timedelta(days=back)
        if flags := wanted("all", flags_of(settings.root, day)):
            pipeline.evidence(day, "all", 1)
            said = read_evidence(settings.root, day).sentence(flags[0].target, flags[0].metric)
            return f"{flags[0].target}, {day}: {said}", day
    return "", None


def _print_summary(summary: dict[str, Any], settings: Settings, today: dt.date) -> None:
    recent = []
    for back in range(min(FLAGS_SHOWN_DAYS, summary["days"])):
        recent += read_flags(settings, today - dt.timedelta(days=back))[1]
    print_flags(recent, f"Flags of the last {FLAGS_SHOWN_DAYS} days", simulated=True, dated=True)
    if summary["evidence"]:
        out().print(
            f"\n[bold]Which links[/], as `{escape(me())} evidence` shows: {escape(visible(summary['evidence']))}"
        )
    if summary["incidents"]:
        out().print(
            f"\n[bold]Incidents[/], of which [bold]{escape(me())} incidents list[/] shows those that are not resolved: "
            f"{summary['incidents']}."
        )
    root = settings.root
    out().print(
        f"\n{summary['flags']:,} flags in {summary['days']} days, {summary['flags_today']:,} of them today; all numbers "
        f"are simulated.\n"
    )
    look = {
        "Open": f"{escape(shown(root / 'reports' / 'index.html'))}: the days as pages; "
        f"{escape(shown(portfolio_path(root)))}: all targets and their groups, and what is done about the flags",
        "Read": f"{escape(shown(root / 'backlinks.duckdb'))} and {escape(shown(root / 'parquet'))}: the tables",
        "Next": "[bold]make ui[/] opens Dagster on this history, with the schedule, sensors and automation to switch on; "
        f"[bold]{escape(me())} flags[/] shows today's flags",
    }
    for word, text in look.items():
        out().print(f"[bold]{word}[/]: {text}")
    if not _is_simulated_here():
        err().print(
            "[yellow]Note:[/] credentials are set, so the other calls and `make ui` show real answers. For the demo's: "
            f"`DATAFORSEO_LOGIN= DATAFORSEO_PASSWORD= {me()} flags`."
        )


def _is_simulated_here() -> bool:
    """Whether the other calls look at simulated answers too, in this environment."""
    try:
        return Settings.from_env().simulated
    except SettingsError:
        return False
