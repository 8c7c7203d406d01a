"""`backlinks flags`: the flags of a day, read from the DuckDB file. Quick: no Dagster, no pandas."""

import datetime as dt
import json
import sys
from contextlib import suppress
from typing import Any

import duckdb
from rich.markup import escape
from rich.padding import Padding

from backlinks_assets.cli.console import UsageError, cell, out, settings_and_notices, shown, table
from backlinks_assets.settings import Settings
from backlinks_assets.tables.client_logs import remove_client_logs

_COLUMNS = ["date", "target", "metric", "value", "previous", "previous_date", "baseline", "change", "score"]
_COLUMNS += ["direction", "kind", "severity", "reason"]

_QUERY = f"""
    SELECT {", ".join(_COLUMNS)} FROM backlinks_flags WHERE date = ?
    ORDER BY target <> '*', severity <> 'critical', abs(score) DESC NULLS FIRST, target, metric
"""  # noqa: S608 - the column names are above

_JUDGED = "SELECT date FROM _published WHERE table_name = 'backlinks_changes'"
"""The days whose changes the file holds: one on which the API knew no target was judged too, and has no row."""

TABLE_FROM_COLUMNS = 100
"""Narrower terminals get each reason under its target: beside it, it would be a column of single words."""


def read_flags(settings: Settings, date: dt.date | None) -> tuple[dt.date, list[dict[str, Any]]]:
    """Return the day (the latest judged one for None) and its flags, the vendor's moves and faults first, then worst first.

    Raises:
        UsageError: nothing has been judged yet, or not that day.
    """
    if not settings.duckdb_file.exists():
        raise UsageError(f"No table is in {shown(settings.root)} yet. Make the first with `backlinks run`.")
    with suppress(OSError):  # it may belong to another user; then opening says what is wrong
        remove_client_logs(settings.duckdb_file)
    with duckdb.connect(str(settings.duckdb_file), read_only=True) as connection:
        judged = {day for (day,) in connection.execute(_JUDGED).fetchall()}
        if not judged or (date is not None and date not in judged):
            raise UsageError(_not_judged(judged, date))
        day = max(judged) if date is None else date
        rows = connection.execute(_QUERY, [day]).fetchall()
    return day, [dict(zip(_COLUMNS, row, strict=True)) for row in rows]


def _not_judged(judged: set[dt.date], date: dt.date | None) -> str:
    if not judged:
        return "No day is judged yet. Judge today with `backlinks run`."
    return (
        f"{date} is not judged; the days from {min(judged)} to {max(judged)} are. "
        f"Where answers of that day are stored, `backlinks run --date {date}` judges it."
    )


def show_flags(date: dt.date | None, *, as_json: bool) -> int:
    """Print the flags as a table, as tab-separated text in a pipe, or as JSON; return the exit status."""
    settings = settings_and_notices()
    day, flags = read_flags(settings, date)
    if as_json:
        print(json.dumps({"date": str(day), "simulated": settings.simulated, "flags": flags}, default=str))
        return 0
    print_flags(flags, f"Flags of {day}", simulated=settings.simulated)
    return 0


def print_flags(flags: list[dict[str, Any]], title: str, *, simulated: bool, dated: bool = False) -> None:
    """Print flags for a person: a table on a terminal, a line each in a pipe."""
    if not sys.stdout.isatty():
        print("date\tseverity\ttarget\tmetric\treason")
        for flag in flags:
            print("\t".join(cell(flag[name]) for name in ("date", "severity", "target", "metric", "reason")))
        return
    console = out()
    if not flags:
        console.print(f"{title}: none.")
        return
    title += " (simulated numbers)" if simulated else ""
    if console.width < TABLE_FROM_COLUMNS:
        console.print(f"[bold]{title}[/]")
        for flag in flags:
            day, severity, target, metric, reason = _shown(flag)
            console.print("\n" + "  ".join([*([day] if dated else []), severity, metric, target]))
            console.print(Padding(reason, (0, 0, 0, 2)))
        return
    listed = table(title, lines=True)
    if dated:
        listed.add_column("Day", no_wrap=True)
    listed.add_column("Severity", no_wrap=True)
    listed.add_column("Target", overflow="fold", min_width=14, max_width=console.width // 3)
    listed.add_column("What", no_wrap=True)
    listed.add_column("Why", overflow="fold", ratio=1)
    for flag in flags:
        day, *cells = _shown(flag)
        listed.add_row(*([day] if dated else []), *cells)
    console.print(listed)


def _shown(flag: dict[str, Any]) -> tuple[str, str, str, str, str]:
    severity = str(flag["severity"])
    style = "bold red" if severity == "critical" else "yellow"
    return (
        str(flag["date"]),
        f"[{style}]{escape(severity)}[/]",
        f"[bold]{escape('all targets' if flag['target'] == '*' else flag['target'])}[/]",
        ("vendor_fault" if flag["kind"] == "vendor_fault" else flag["metric"]).replace("_", " "),
        escape(flag["reason"] or ""),
    )
