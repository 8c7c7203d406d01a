"""`backlinks flags`: the flags of a day, read from the DuckDB file. Quick: no Dagster, no pandas."""

import datetime as dt
import json
import sys
from typing import Any

import duckdb
from rich.markup import escape
from rich.table import Table

from backlinks_assets.cli.console import UsageError, out, settings_and_notices
from backlinks_assets.settings import Settings

_COLUMNS = ["date", "target", "metric", "value", "previous", "previous_date", "baseline", "change", "score"]
_COLUMNS += ["direction", "kind", "severity", "reason"]

_QUERY = f"""
    SELECT {", ".join(_COLUMNS)} FROM backlinks_flags WHERE date = ?
    ORDER BY target <> '*', severity <> 'critical', abs(score) DESC, target, metric
"""  # noqa: S608 - the column names are above


def read_flags(settings: Settings, date: dt.date | None) -> tuple[dt.date, list[dict[str, Any]]]:
    """Return the day (the latest judged one for None) and its flags, index moves first, then worst first.

    Raises:
        UsageError: nothing has been judged yet, or not that day.
    """
    if not settings.duckdb_file.exists():
        raise UsageError(f"No table is in {settings.root} yet. Make the first with `backlinks run`.")
    with duckdb.connect(str(settings.duckdb_file), read_only=True) as connection:
        judged = connection.execute(
            "SELECT max(date) FROM backlinks_changes WHERE date = coalesce(?, date)", [date]
        ).fetchone()
        if judged is None or judged[0] is None:
            day = f"{date} is not judged yet" if date else "No day is judged yet"
            raise UsageError(f"{day}. Judge it with `backlinks run --date {date or 'YYYY-MM-DD'}`.")
        rows = connection.execute(_QUERY, [judged[0]]).fetchall()
    return judged[0], [dict(zip(_COLUMNS, row, strict=True)) for row in rows]


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
            print("\t".join(_cell(flag[name]) for name in ("date", "severity", "target", "metric", "reason")))
        return
    console = out()
    if not flags:
        console.print(f"{title}: none.")
        return
    table = Table(title=title + (" (simulated numbers)" if simulated else ""), title_justify="left", show_lines=True)
    if dated:
        table.add_column("Day", no_wrap=True)
    table.add_column("Severity", no_wrap=True)
    table.add_column("Target", overflow="fold", min_width=14)
    table.add_column("What", no_wrap=True)
    table.add_column("Why", overflow="fold", ratio=1)
    for flag in flags:
        critical = flag["severity"] == "critical"
        name = "all targets" if flag["target"] == "*" else flag["target"]
        cells = [
            f"[bold red]{flag['severity']}[/]" if critical else f"[yellow]{flag['severity']}[/]",
            escape(name),
            flag["metric"].replace("_", " "),
            escape(flag["reason"] or ""),
        ]
        table.add_row(*([str(flag["date"])] if dated else []), *cells)
    console.print(table)


def _cell(value: object) -> str:
    """Return one cell of a line: a spreadsheet must not take it for a formula, nor a tab split it."""
    text = " ".join(str(value if value is not None else "").split())
    return "'" + text if text.startswith(("=", "+", "-", "@")) else text
