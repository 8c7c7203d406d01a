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
from backlinks_assets.cli.options import group_of
from backlinks_assets.formatting import visible
from backlinks_assets.published.publication import bring_duckdb, where_real_ones_are
from backlinks_assets.settings import Settings
from backlinks_assets.tables.client_logs import remove_client_logs
from backlinks_assets.targets.file import load_targets
from backlinks_assets.targets.labels import group_key
from backlinks_assets.targets.target import TargetsError, WatchList

_COLUMNS = ["date", "target", "metric", "value", "previous", "previous_date", "baseline", "change", "score"]
_COLUMNS += ["direction", "kind", "severity", "reason"]

_PIPED = ("date", "severity", "target", "metric", "reason", "group", "owner", "incident")

_QUERY = f"""
    SELECT {", ".join(_COLUMNS)}, {{incident}} FROM backlinks_flags WHERE date = ?
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
    bring_duckdb(settings)
    if not settings.duckdb_file.exists():
        hint = where_real_ones_are(settings) or " Make the first with `backlinks run`."
        raise UsageError(f"No table is in {shown(settings.root)} yet.{hint}")
    with suppress(OSError):  # it may belong to another user; then opening says what is wrong
        remove_client_logs(settings.duckdb_file)
    with duckdb.connect(str(settings.duckdb_file), read_only=True) as connection:
        judged = {day for (day,) in connection.execute(_JUDGED).fetchall()}
        if not judged or (date is not None and date not in judged):
            raise UsageError(_not_judged(judged, date))
        day = max(judged) if date is None else date
        names = {name for name, *_ in connection.execute("DESCRIBE backlinks_flags").fetchall()}
        incident = "incident" if "incident" in names else "NULL"  # of a file that an earlier version made
        rows = connection.execute(_QUERY.format(incident=incident), [day]).fetchall()
    return day, [dict(zip([*_COLUMNS, "incident"], row, strict=True)) for row in rows]


def _not_judged(judged: set[dt.date], date: dt.date | None) -> str:
    if not judged:
        return "No day is judged yet. Judge today with `backlinks run`."
    return (
        f"{date} is not judged; the days from {min(judged)} to {max(judged)} are. "
        f"Where answers of that day are stored, `backlinks run --date {date}` judges it."
    )


def show_flags(
    date: dt.date | None, *, group: str | None = None, severity: str | None = None, as_json: bool = False
) -> int:
    """Print the flags as a table, as tab-separated text in a pipe, or as JSON; return the exit status.

    `group` filters by the targets file as it is now; what is about all targets stays. An empty one means no group.

    Raises:
        UsageError: nothing has been judged yet, or not that day.
        TargetsError: no target has the group, or the targets file, by which to filter, can't be read.
    """
    settings = settings_and_notices(only_reads=True)
    day, flags = read_flags(settings, date)
    watched = _watched(settings, needed=group is not None)
    flags = labelled(flags, watched)
    title = f"Flags of {day}"
    if group is not None:
        key = group_key(group)
        group_of(watched, group)
        flags = [flag for flag in flags if flag["target"] == "*" or group_key(flag["group"]) == key]
        title += f", {visible(group)}" if key else ", without a group"
    if severity is not None:
        flags = [flag for flag in flags if flag["severity"] == severity]
        title += f", {severity}"
    if as_json:
        print(json.dumps({"date": str(day), "simulated": settings.simulated, "flags": flags}, default=str))
        return 0
    print_flags(flags, title, simulated=settings.simulated)
    return 0


def labelled(flags: list[dict[str, Any]], watched: WatchList) -> list[dict[str, Any]]:
    """Return flags with the group, owner and note that the targets file has of each target, empty where it has none."""
    by_name = watched.by_name()
    return [
        {**flag, **{label: getattr(by_name.get(flag["target"]), label, "") for label in ("group", "owner", "note")}}
        for flag in flags
    ]


def _watched(settings: Settings, *, needed: bool) -> WatchList:
    try:
        return load_targets(settings.targets_file, allow_none=True)
    except TargetsError:
        if needed:
            raise
        return WatchList(str(settings.targets_file), [])


def print_flags(flags: list[dict[str, Any]], title: str, *, simulated: bool, dated: bool = False) -> None:
    """Print flags for a person: a table on a terminal, a line each in a pipe."""
    if not sys.stdout.isatty():
        print("\t".join(_PIPED))
        for flag in flags:
            print("\t".join(cell(flag.get(name)) for name in _PIPED))
        return
    console = out()
    if not flags:
        console.print(f"{title}: none.", markup=False)
        return
    title += " (simulated numbers)" if simulated else ""
    if console.width < TABLE_FROM_COLUMNS:
        console.print(f"[bold]{escape(title)}[/]")
        for flag in flags:
            day, severity, target, metric, reason = _shown(flag)
            shown_id = [f"[dim]{flag['incident']}[/]"] if flag.get("incident") else []
            console.print("\n" + "  ".join([*([day] if dated else []), severity, metric, target, *shown_id]))
            if said := _labels(flag):
                console.print(Padding(f"[dim]{escape(said)}[/]", (0, 0, 0, 2)))
            console.print(Padding(reason, (0, 0, 0, 2)))
        return
    listed = table(escape(title), lines=True)
    if dated:
        listed.add_column("Day", no_wrap=True)
    listed.add_column("Severity", no_wrap=True)
    listed.add_column("Target", overflow="fold", min_width=14, max_width=console.width // 3)
    listed.add_column("What", no_wrap=True)
    listed.add_column("Why", overflow="fold", ratio=1)
    for flag in flags:
        day, severity, target, *cells = _shown(flag)
        if said := _labels(flag):
            target += f"\n[dim]{escape(said)}[/]"
        if flag.get("incident"):
            cells[0] += f"\n[dim]{flag['incident']}[/]"
        listed.add_row(*([day] if dated else []), severity, target, *cells)
    console.print(listed)


def _labels(flag: dict[str, Any]) -> str:
    """Return a target's group, owner and note on one line, harmless for a terminal."""
    said = [" ".join(str(flag.get(label) or "").split()) for label in ("group", "owner", "note")]
    return visible(" · ".join(filter(None, said)))


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
