"""`backlinks history`: one target's readings and flags, from the DuckDB file. Quick: no Dagster, no pandas."""

import csv
import datetime as dt
import difflib
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from rich.markup import escape
from rich.padding import Padding

from backlinks_assets.cli.console import UsageError, cell, out, settings_and_notices, shown, table
from backlinks_assets.cli.small_chart import MARKS, small_chart
from backlinks_assets.formatting import counted, number, visible
from backlinks_assets.published.publication import bring_duckdb
from backlinks_assets.settings import Settings
from backlinks_assets.tables.client_logs import remove_client_logs
from backlinks_assets.tables.duckdb_sync import reading
from backlinks_assets.targets.name import normalised_or_none

COLUMNS: Final = {
    "spam_score": ("live.backlinks_spam_score", "Spam"),
    "lost_backlinks": ("lost.backlinks", "Lost"),
    "live_backlinks": ("live.backlinks", "Live"),
    "main_domains": ("live.referring_main_domains", "Main domains"),
    "referring_domains": ("live.referring_domains", "Domains"),
    "rank": ("live.rank", "Rank"),
    "broken_backlinks": ("live.broken_backlinks", "Broken"),
    "target_spam_score": ("live.info_target_spam_score", "Own spam"),
}
"""Each number of a reading: where it is in `backlinks_summary`, and its heading on a terminal."""

DRAWN: Final = {"spam_score": "Spam score", "lost_backlinks": "Lost backlinks", "live_backlinks": "Live backlinks"}
LISTED: Final = 14
"""Readings listed on a terminal without `--days`."""

_READINGS: Final = f"""
WITH answers AS (FROM backlinks_summary WHERE target = $1 AND status_type IN ('live', 'lost'))
SELECT date, {", ".join(f"{column} AS {name}" for name, (column, _) in COLUMNS.items())}
FROM (FROM answers WHERE status_type = 'live') AS live FULL JOIN (FROM answers WHERE status_type = 'lost') AS lost USING (date)
ORDER BY date
"""  # noqa: S608 - the columns are above
_FLAGS: Final = """
SELECT date, metric, severity, kind, direction, value, baseline, reason FROM backlinks_flags WHERE target = ?
ORDER BY date, metric
"""


@dataclass(frozen=True)
class TargetHistory:
    """A target's readings and flags, both oldest first."""

    target: str
    readings: list[dict[str, Any]]
    flags: list[dict[str, Any]]


def show_history(target: str, *, days: int | None, as_json: bool, as_csv: bool) -> int:
    """Print a target's history: charts and tables on a terminal, a line a reading in a pipe; return the exit status.

    `days`: the last days up to its last reading; None: all.

    Raises:
        UsageError: the target has no reading, or both forms are wanted.
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv are two forms of the same: choose one.")
    settings = settings_and_notices()
    history = read_history(settings, target, days)
    if as_json:
        print(json.dumps({**vars(history), "simulated": settings.simulated}, default=str))
    elif as_csv:
        _print_csv(history)
    elif sys.stdout.isatty():
        _print_on_terminal(history, days, simulated=settings.simulated)
    else:
        print("\t".join(("date", *COLUMNS, "flags")))
        for row in _rows(history):
            print("\t".join(row))
    return 0


def read_history(settings: Settings, target: str, days: int | None) -> TargetHistory:
    """Return the readings and flags of a target in any spelling; raises UsageError if it has none."""
    bring_duckdb(settings)
    if not settings.duckdb_file.exists():
        raise UsageError(f"No table is in {shown(settings.root)} yet. Make the first with `backlinks run`.")
    with suppress(OSError):  # it may belong to another user; then opening says what is wrong
        remove_client_logs(settings.duckdb_file)
    name = normalised_or_none(target) or target
    with reading(settings.root) as connection:

        def query(text: str, *values: Any) -> list[dict[str, Any]]:
            found = connection.execute(text, list(values))
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

        readings, flags = query(_READINGS, name), query(_FLAGS, name)
        if not readings:
            known = [row["target"] for row in query("SELECT DISTINCT target FROM backlinks_summary ORDER BY target")]
            raise UsageError(_unknown(name, known))
    if days is not None:
        first = readings[-1]["date"] - dt.timedelta(days=days - 1)
        readings, flags = ([row for row in rows if row["date"] >= first] for rows in (readings, flags))
    return TargetHistory(name, readings, flags)


def _unknown(target: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(target, known, 1)
    hint = f"Did you mean {visible(near[0])!r}?" if near else "`backlinks targets list` shows what is watched."
    return f"{target!r} has no reading in the tables. {hint}"


def _rows(history: TargetHistory) -> list[list[str]]:
    """Return a line of cells for each reading, the last the day's flags, and for a day that has flags only."""
    said: dict[dt.date, list[str]] = {}
    for flag in history.flags:
        said.setdefault(flag["date"], []).append(f"{flag['severity']} {flag['metric']}")
    readings = {row["date"]: row for row in history.readings}
    return [
        [
            str(day),
            *("" if (value := readings.get(day, {}).get(name)) is None else str(value) for name in COLUMNS),
            cell("; ".join(said.get(day, ()))),
        ]
        for day in sorted(readings.keys() | said.keys())
    ]


def _print_csv(history: TargetHistory) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["date", "target", *COLUMNS, "flags"])
    for day, *values in _rows(history):
        writer.writerow([day, cell(history.target), *values])


def _print_on_terminal(history: TargetHistory, days: int | None, *, simulated: bool) -> None:
    console, readings = out(), history.readings
    first, last = readings[0]["date"], readings[-1]["date"]
    title = f"[bold]{escape(visible(history.target))}[/]{' (simulated numbers)' if simulated else ''}"
    console.print(
        f"{title}\n{counted(len(readings), 'reading')}, {first} to {last}; {counted(len(history.flags), 'flag')}"
    )
    if console.encoding.lower().startswith("utf"):
        for name, heading in DRAWN.items():
            values = {row["date"]: row[name] for row in readings if row[name] is not None}
            metric = "target_down" if name == "live_backlinks" else name
            marks = {flag["date"]: flag["severity"] for flag in history.flags if flag["metric"] == metric}
            drawn = small_chart(values, marks, first, last, width=min(console.width, 100))
            console.print(f"\n[bold]{heading}[/]")
            console.print(drawn or "no reading", markup=False)
    listed = table()
    listed.add_column("Day", no_wrap=True)
    for _, heading in list(COLUMNS.values())[:6]:
        listed.add_column(heading, justify="right")
    shown_rows = readings[::-1] if days is not None else readings[: -LISTED - 1 : -1]
    for row in shown_rows:
        listed.add_row(str(row["date"]), *(number(row[name]) for name in list(COLUMNS)[:6]))
    console.print()
    console.print(listed)
    if earlier := len(readings) - len(shown_rows):
        span = (last - first).days + 1
        console.print(f"[dim]… and {counted(earlier, 'earlier reading')}: --days {span} lists all, --csv too[/]")
    for flag in reversed(history.flags):
        style = "bold red" if flag["severity"] == "critical" else "yellow"
        mark = MARKS.get(flag["severity"], "▲")
        what = flag["metric"].replace("_", " ")
        console.print(f"\n{flag['date']}  [{style}]{mark} {escape(str(flag['severity']))}[/]  {what}")
        console.print(Padding(escape(visible(flag["reason"] or "")), (0, 0, 0, 2)))
