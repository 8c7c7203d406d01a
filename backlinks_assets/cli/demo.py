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
from backlinks_assets.cli.execution import opened
from backlinks_assets.cli.flags import print_flags, read_flags
from backlinks_assets.cli.tally import Tally
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import watched_targets
from backlinks_assets.paths import index_path, parquet_dir
from backlinks_assets.settings import Settings, SettingsError
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
    with opened(settings, demo=True) as pipeline:  # the folder was tried: what is made in it can stay
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


def _print_summary(summary: dict[str, Any], settings: Settings, today: dt.date) -> None:
    recent = []
    for back in range(min(FLAGS_SHOWN_DAYS, summary["days"])):
        recent += read_flags(settings, today - dt.timedelta(days=back))[1]
    print_flags(recent, f"Flags of the last {FLAGS_SHOWN_DAYS} days", simulated=True, dated=True)
    root = settings.root
    out().print(
        f"\n{summary['flags']:,} flags in {summary['days']} days, {summary['flags_today']:,} of them today; all numbers "
        f"are simulated.\n"
    )
    look = {
        "Open": f"{escape(shown(root / 'reports' / 'index.html'))}: the days as pages",
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
