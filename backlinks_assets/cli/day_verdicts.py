"""What `backlinks days` does: stores what a person says of days, evaluates them again, lists what is out.

The options are `days.py`; which readings a verdict takes out is `detection/vendor_faults.py`.
"""

import datetime as dt
import getpass
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rich.markup import escape

from backlinks_assets.cli.console import UsageError, cell, err, me, out, settings_and_notices, table
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store
from backlinks_assets.detection.metrics import SERIES
from backlinks_assets.errors import BacklinksError
from backlinks_assets.formatting import counted
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import verdicts_in
from backlinks_assets.store.verdicts import StoredVerdict
from backlinks_assets.tables.duckdb_sync import reading
from backlinks_assets.tables.history import targets_with_answers
from backlinks_assets.tables.parquet import days, read_days
from backlinks_assets.targets.file import load_targets
from backlinks_assets.targets.name import normalised_or_none
from backlinks_assets.targets.target import TargetsError

COLUMNS = ("first", "last", "target", "metric", "said", "now", "by", "said_at", "note")

_FAULTS = """
SELECT date, reason, date IN (SELECT date FROM backlinks_changes WHERE target <> '*') AS has_readings
FROM (SELECT date FROM _published WHERE table_name = 'backlinks_changes')
LEFT JOIN (SELECT date, reason FROM backlinks_flags WHERE kind = 'vendor_fault') USING (date) ORDER BY date
"""


class Said(NamedTuple):
    """What was typed after `exclude` or `include`."""

    counts: bool
    first: dt.date
    last: dt.date
    metric: str | None
    target: str | None
    note: str
    by: str | None


class Fault(NamedTuple):
    """A span of days that detection found to be the vendor's fault, with its message."""

    first: dt.date
    last: dt.date
    reason: str


def say(said: Said, *, rebuild: bool) -> int:
    """Store a verdict and, with `rebuild`, evaluate its days and those after them again; return the exit status.

    Raises:
        UsageError: a day, the metric or the target can't be used; nothing was stored.
        RunFailedError: the days could not be evaluated again; the verdict is stored.
    """
    settings = settings_and_notices()
    target = _checked(settings, said)
    verdict = StoredVerdict(
        said.first, said.last, said.counts, said.by or _login(), utc_now(), target, said.metric, said.note or None
    )
    with open_store(settings) as store:
        store.add_verdict(verdict)
    whose = f"{_of(verdict.metric, 'metric')} of {_of(verdict.target, 'target')}"
    state = "count again in" if said.counts else "are out of"
    out().print(f"{_span(said.first, said.last)}: the readings of {whose} {state} baselines and flags.", markup=False)
    if said.counts and (target or said.metric):
        for fault in _overlapping(_faults(settings), said):
            err().print(
                f"[yellow]Note:[/] detection found {_span(fault.first, fault.last)} to be the vendor's fault for all targets. "
                "Such days come back whole only: without --metric and --target."
            )
    evaluated = [day for day in days(settings.root, "backlinks_flags") if day >= said.first]
    if not evaluated:
        out().print(f"No day from {said.first} on has been evaluated yet; it holds when one is.")
    elif rebuild:
        _evaluate(settings, evaluated[0], evaluated[-1])
    else:
        out().print(
            f"The flags of {counted(len(evaluated), 'day')} from {evaluated[0]} to {evaluated[-1]} are still those of before. "
            "While Dagster's daemon runs, the automation evaluates the last seven days again by itself; the same call without "
            "--no-rebuild evaluates all."
        )
    return 0


def _checked(settings: Settings, said: Said) -> str | None:
    """Return the target in its normal form, None for all. Raises UsageError for what can't be used."""
    if said.last < said.first:
        raise UsageError(f"The span ends before it begins: {said.last} is before {said.first}.")
    if said.last > utc_now().date():
        raise UsageError(f"{said.last} has not begun (UTC): nothing is known of its readings yet.")
    if said.metric is not None and said.metric not in SERIES:
        raise UsageError(f"{said.metric!r} is not a valid metric. Write {' or '.join(SERIES)}, or leave --metric out.")
    dates = days(settings.root, "backlinks_summary")
    if not dates:
        raise UsageError(f"No table is in {settings.root} yet. Make the first with `{me()} run`.")
    if said.target is None:
        return None
    target = normalised_or_none(said.target)
    try:
        known = {one.target for one in load_targets(settings.targets_file, allow_none=True)}
    except TargetsError:
        known = set()
    if target in known or target in targets_with_answers(settings.root, dates[-1], (dates[-1] - dates[0]).days + 1):
        return target
    raise UsageError(
        f"{said.target!r} is not a known target: it is neither in {settings.targets_file} nor in the tables. "
        f"`{me()} targets list --all` names those that are."
    )


def _evaluate(settings: Settings, first: dt.date, last: dt.date) -> None:
    from backlinks_assets.cli.execution import opened  # Dagster: `days list` does without

    before = read_days(settings.root, "backlinks_flags", first, last).num_rows
    err().print(f"{_span(first, last)}: evaluated again from the tables. This makes no calls.")
    try:
        with opened(settings) as pipeline:
            pipeline.evaluate(first, last)
    except BacklinksError as error:
        error.add_note("What was said of the days is stored, and holds when they are evaluated again.")
        raise
    after = read_days(settings.root, "backlinks_flags", first, last).num_rows
    out().print(f"{_span(first, last)}: {counted(after, 'flag')}, {before:,} before.")


def show_days(*, as_json: bool) -> int:
    """Print what people said of days and what detection found, by first day; return the exit status."""
    settings = settings_and_notices()
    rows = sorted(_rows(settings), key=lambda row: (row["first"], row["said_at"] or ""))
    if as_json:
        print(json.dumps({"days": rows, "simulated": settings.simulated}))
    elif not sys.stdout.isatty():
        print("\t".join(COLUMNS))
        for row in rows:
            print("\t".join(cell(row[name]) for name in COLUMNS))
    elif not rows:
        out().print("No day is out of baselines and flags, and none ever was.")
    else:
        listed = table()
        for heading in ("days", "target", "metric", "said", "now", "by", "note"):
            listed.add_column(heading, overflow="fold")
        for row in rows:
            who = row["by"] + (f" {row['said_at'][:10]}" if row["said_at"] else "")
            span = row["first"] if row["first"] == row["last"] else f"{row['first']} to {row['last']}"
            texts = (row["target"] or "all", row["metric"] or "all", row["said"], row["now"], who, row["note"] or "")
            listed.add_row(span, *map(escape, texts))
        out().print(listed)
    return 0


def _rows(settings: Settings) -> Iterator[dict[str, Any]]:
    verdicts = verdicts_in(settings.store_file)
    for one in verdicts:
        yield {
            "first": str(one.first),
            "last": str(one.last),
            "target": one.target,
            "metric": one.metric,
            "said": "include" if one.counts else "exclude",
            "now": _now(one, verdicts),
            "by": one.by,
            "said_at": one.said_at.isoformat(timespec="seconds"),
            "note": one.note,
        }
    for fault in _faults(settings):
        row = dict.fromkeys(COLUMNS) | {"said": "fault", "now": "out", "by": "detection", "note": fault.reason}
        yield row | {"first": str(fault.first), "last": str(fault.last)}


def _now(one: StoredVerdict, verdicts: Sequence[StoredVerdict]) -> str:
    """Return whether the readings that a verdict is about are out by what was said since: `out`, `in` or `in part`."""
    since = verdicts[verdicts.index(one) :]
    found = set()
    for number in range((one.last - one.first).days + 1):
        day = one.first + dt.timedelta(days=number)
        of_day = [other for other in since if other.first <= day <= other.last]
        whole = [at for at, other in enumerate(of_day) if _covers(other, one)][-1]
        found.add(of_day[whole].counts)
        found.update(other.counts for other in of_day[whole + 1 :] if _touches(other, one))
    return "in part" if len(found) > 1 else "in" if found.pop() else "out"


def _covers(other: StoredVerdict, one: StoredVerdict) -> bool:
    return other.target in (None, one.target) and other.metric in (None, one.metric)


def _touches(other: StoredVerdict, one: StoredVerdict) -> bool:
    return (None in (other.target, one.target) or other.target == one.target) and (
        None in (other.metric, one.metric) or other.metric == one.metric
    )


def _faults(settings: Settings) -> list[Fault]:
    """Return the vendor's faults by the tables: a flag has the first day, and the days after it gave no reading."""
    if not settings.duckdb_file.exists():
        return []
    with reading(settings.root) as connection:
        rows = connection.execute(_FAULTS).fetchall()
    found: list[Fault] = []
    verdicts = verdicts_in(settings.store_file)
    goes_on = False
    for day, reason, has_readings in rows:
        if reason is not None:
            found.append(Fault(day, day, reason))
            goes_on = True
        elif goes_on := goes_on and not has_readings and not _is_excluded(day, verdicts):
            found[-1] = found[-1]._replace(last=day)
    return found


def _is_excluded(day: dt.date, verdicts: Sequence[StoredVerdict]) -> bool:
    """Whether a person has taken all readings of a day out."""
    whole = [one.counts for one in verdicts if one.first <= day <= one.last and not one.target and not one.metric]
    return bool(whole) and not whole[-1]


def _overlapping(faults: Sequence[Fault], said: Said) -> list[Fault]:
    return [fault for fault in faults if fault.first <= said.last and said.first <= fault.last]


def _of(name: str | None, what: str) -> str:
    return name if name is not None else f"all {what}s"


def _span(first: dt.date, last: dt.date) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user {os.getuid()}"
