"""What `backlinks incidents list`, `ack`, `snooze`, `resolve` and `reopen` do. Without Dagster and pandas.

The options are `incidents.py`; how a verdict changes an incident is `incidents/replay.py`.
"""

import datetime as dt
import json
import sys
from dataclasses import asdict
from typing import Final

from rich.markup import escape

from backlinks_assets.cli.console import UsageError, cell, me, out, settings_and_notices, shown, table
from backlinks_assets.cli.login import login
from backlinks_assets.cli.options import group_of
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.current_incidents import current_incidents, has_incidents, say
from backlinks_assets.formatting import visible
from backlinks_assets.incidents.incident import RESOLVED, STATES
from backlinks_assets.incidents.saying import DONE, verdict
from backlinks_assets.incidents.table import Row
from backlinks_assets.settings import Settings
from backlinks_assets.targets.file import load_targets
from backlinks_assets.targets.labels import group_key

MAX_NAMED: Final = 5
_PIPED: Final = (
    "incident", "state", "severity", "target", "metric", "direction", "opened", "last_flag", "group", "owner", "by", "note",
    "snoozed_until", "resolved", "reason",
)  # fmt: skip


def show_incidents(group: str | None, states: str | None, *, as_json: bool) -> int:
    """Print the incidents as they stand now; return the exit status.

    Raises:
        UsageError: a state does not exist.
        TargetsError: no target has the group, or the targets file, by which to filter, can't be read.
    """
    wanted = _states(states)
    settings = settings_and_notices()
    rows = [row for row in _rows(settings) if row.of.state in wanted]
    if group is not None:
        targets = {one.target for one in group_of(load_targets(settings.targets_file, allow_none=True), group)}
        keyed = group_key(group)
        rows = [row for row in rows if row.of.target in targets or (not keyed and not row.group)]
    records = [asdict(row.of) | {"group": row.group, "owner": row.owner} for row in rows]
    if as_json:
        print(json.dumps({"incidents": records, "simulated": settings.simulated}, default=str))
    elif not sys.stdout.isatty():
        print("\t".join(_PIPED))
        for record in records:
            print("\t".join(cell(record[name]) for name in _PIPED))
    elif not rows:
        out().print("No incident is " + " or ".join(state for state in STATES if state in wanted) + ".")
    else:
        _print_table(rows, simulated=settings.simulated)
    return 0


def _print_table(rows: list[Row], *, simulated: bool) -> None:
    listed = table("Incidents" + (" (simulated numbers)" if simulated else ""))
    for heading in ("ID", "state", "severity", "target", "what", "since", "who and why"):
        listed.add_column(heading, overflow="fold", no_wrap=heading in {"ID", "state", "severity", "since"})
    for row in rows:
        one = row.of
        style = "bold red" if one.severity == "critical" else "yellow"
        state = f"{one.state}: {one.reason}" if one.reason else one.state
        state += f" until {one.snoozed_until}" if one.snoozed_until else ""
        said = " · ".join(filter(None, (row.group, row.owner, one.by, one.note)))
        texts = (one.target, f"{one.metric.replace('_', ' ')} {one.direction}", str(one.opened), said)
        listed.add_row(
            one.incident,
            state,
            f"[{style}]{one.severity}[/]",
            *(escape(visible(" ".join(text.split()))) for text in texts),
        )
    out().print(listed)


def _states(text: str | None) -> set[str]:
    if text is None:
        return {state for state in STATES if state != RESOLVED}
    wanted = {part.strip() for part in text.split(",")} - {""}
    if not wanted or not wanted <= set(STATES):
        raise UsageError(f"{text!r} is not valid after --state. Write {', '.join(STATES)}, with commas between.")
    return wanted


def act(
    typed: str, action: str, *, reason: str | None = None, until: dt.date | None = None, note: str, by: str | None
) -> int:
    """Store a verdict about an incident and print what it is now; return the exit status.

    Raises:
        UsageError, VerdictError: the ID is unknown or that of several, or what is said does not fit; nothing was stored.
    """
    settings = settings_and_notices()
    one = find(_rows(settings), typed).of
    who = by or login()
    verdict(one, action, utc_now(), who, reason=reason, until=until, note=note)  # refused before a store is made
    say(settings, lambda at: verdict(one, action, at, who, reason=reason, until=until, note=note))
    details = (f" as {reason}" if reason else "") + (f" until {until}" if until else "")
    out().print(
        f"{one.incident} is {DONE[action]}{details}: {one.metric.replace('_', ' ')} of "
        f"{visible(one.target)}, {one.severity} since {one.opened}.",
        markup=False,
    )
    return 0


def find(rows: list[Row], typed: str) -> Row:
    """Return the incident of an ID, or of the first letters of one. Raises UsageError."""
    text = typed.strip().lower()
    found = [row for row in rows if text and row.of.incident.startswith(text)]
    exact = [row for row in found if row.of.incident == text]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise UsageError(
            f"{visible(typed)!r} is the ID of no incident. `{me()} incidents list --state {','.join(STATES)}` shows all of the "
            "last 90 days."
        )
    names = ", ".join(f"{row.of.incident} ({visible(row.of.target)})" for row in found[:MAX_NAMED])
    more = f" and {len(found) - MAX_NAMED:,} more" if len(found) > MAX_NAMED else ""
    raise UsageError(f"{visible(typed)!r} begins the IDs of {len(found):,} incidents: {names}{more}. Write more of it.")


def _rows(settings: Settings) -> list[Row]:
    rows = current_incidents(settings)
    if not rows and not has_incidents(settings):
        raise UsageError(f"No incident is in {shown(settings.root)} yet. Evaluate a day with `{me()} run`.")
    return rows
