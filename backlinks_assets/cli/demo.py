"""`backlinks demo`: the whole project over a simulated history, from nothing, and where to look next."""

import datetime as dt

import duckdb
from rich.markup import escape

from backlinks_assets.cli.console import STOPPED, complain, out, progress, settings_and_notices
from backlinks_assets.cli.flags import print_flags, read_flags
from backlinks_assets.cli.pipeline import RunFailedError, Tally, opened
from backlinks_assets.runtime import watched_targets
from backlinks_assets.simulator.samples import sample_targets_csv
from backlinks_assets.store.collect import utc_now

DAYS_A_RUN = 10
FLAGS_SHOWN_DAYS = 7


def run_demo(days: int) -> int:
    """Collect, table and flag `days` days of simulated answers up to today; return the exit status."""
    settings = settings_and_notices(demo=True)
    console = out()
    if not settings.targets_file.exists():
        settings.targets_file.parent.mkdir(parents=True, exist_ok=True)
        settings.targets_file.write_text(sample_targets_csv(), encoding="utf-8")
    targets = watched_targets(settings)
    today = utc_now().date()
    first = today - dt.timedelta(days=days - 1)
    tally = Tally()
    with opened(settings, demo=True) as pipeline:
        with progress(f"Collecting {len(targets)} targets, {days} days", days * len(targets)) as advance:
            for start in range(0, days, DAYS_A_RUN):
                day = first + dt.timedelta(days=start)
                last = min(today, day + dt.timedelta(days=DAYS_A_RUN - 1))
                pipeline.collect(day, last, targets, tally, lambda _: advance())
                if tally.stopped:
                    complain(tally.stopped)
                    return STOPPED
        console.print(
            f"{tally.collected + tally.reused:,} target-days of {len(targets)} targets: {tally.calls:,} simulated calls, "
            f"{2 * tally.reused:,} answers already kept. Building the tables…"
        )
        try:
            pipeline.publish(first, today)
        except RunFailedError as error:
            complain(str(error))
            return STOPPED
    _, flags = read_flags(settings, today)
    recent = []
    for back in range(FLAGS_SHOWN_DAYS):
        recent += read_flags(settings, today - dt.timedelta(days=back))[1] if back < days else []
    print_flags(recent, f"Flags of the last {FLAGS_SHOWN_DAYS} days", simulated=True, dated=True)
    with duckdb.connect(str(settings.duckdb_file), read_only=True) as connection:
        (total,) = connection.execute("SELECT count(*) FROM backlinks_flags").fetchone() or (0,)
    console.print(
        f"\n{total:,} flags in {days} days, {len(flags):,} of them today; all numbers are simulated.\n"
        f"The days as pages: {escape(str(settings.root / 'reports' / 'index.html'))}\n"
        f"Tables: {escape(str(settings.duckdb_file))} and {escape(str(settings.root / 'parquet'))}\n"
        "Next: [bold]make ui[/] opens Dagster on this history, with the schedule, sensors and automation to switch on; "
        "[bold]backlinks flags[/] shows today's flags."
    )
    return 0
