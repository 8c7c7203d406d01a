"""`backlinks days list`: what people said of days, what detection found, and whether their readings are out now."""

import datetime as dt
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rich.markup import escape

from backlinks_assets.cli.console import cell, out, settings_and_notices, table
from backlinks_assets.published.publication import bring_duckdb
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import verdicts_in
from backlinks_assets.store.verdicts import StoredVerdict
from backlinks_assets.tables.duckdb_sync import reading

COLUMNS = ("first", "last", "target", "metric", "said", "now", "by", "said_at", "note")

_FAULTS = """
SELECT date, reason, date IN (SELECT date FROM backlinks_changes WHERE target <> '*') AS has_readings
FROM (SELECT date FROM _published WHERE table_name = 'backlinks_changes')
LEFT JOIN (SELECT date, reason FROM backlinks_flags WHERE kind = 'vendor_fault') USING (date) ORDER BY date
"""


class Fault(NamedTuple):
    """A span of days that detection found to be the vendor's fault, with its message."""

    first: dt.date
    last: dt.date
    reason: str


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
            listed.add_column(heading, overflow="fold", no_wrap=heading == "days")
        for row in rows:
            who = row["by"] + (f" {row['said_at'][:10]}" if row["said_at"] else "")
            texts = (row["target"] or "all", row["metric"] or "all", row["said"], row["now"], who, row["note"] or "")
            listed.add_row(span(row["first"], row["last"]), *map(escape, texts))
        out().print(listed)
    return 0


def _rows(settings: Settings) -> Iterator[dict[str, Any]]:
    verdicts = verdicts_in(settings.store)
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
    for fault in find_faults(settings):
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


def find_faults(settings: Settings) -> list[Fault]:
    """Return the vendor's faults by the tables: a flag has the first day, and the days after it gave no reading."""
    bring_duckdb(settings)
    if not settings.duckdb_file.exists():
        return []
    with reading(settings.root) as connection:
        rows = connection.execute(_FAULTS).fetchall()
    found: list[Fault] = []
    verdicts = verdicts_in(settings.store)
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


def span(first: dt.date | str, last: dt.date | str) -> str:
    """Return `2026-11-20` or `2026-11-20 to 2026-11-22`."""
    return str(first) if first == last else f"{first} to {last}"
