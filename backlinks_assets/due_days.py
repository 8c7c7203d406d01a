"""Which recent days are due: their tables, flags or page are not made from what the response store holds.

Each file says what it was made from, whoever made it and when. `backlinks_summary` is made from answers, `backlinks_flags` from
that and the days before it, the day's page from those (`pipeline.py`). The runs are requested by `defs/automation.py`. pandas
and DuckDB are not imported here, since this is checked six times a minute.
"""

import datetime as dt
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from backlinks_assets.paths import page_path
from backlinks_assets.store.incident_verdicts import IncidentVerdict
from backlinks_assets.store.verdicts import StoredVerdict
from backlinks_assets.tables.parquet import made_from

RECENT_DAYS: Final = 7
"""Days, today included, whose tables are built automatically; older ones are built by hand."""

WAITS_MIN: Final = (0, 1, 4, 16, 60)
"""Minutes until a day is tried again after the first, second … failed try with the same answers."""

_PAGE_HEAD_BYTES: Final = 4096
_PAGE_MADE_FROM: Final = re.compile(r'<meta name="made-from" content="([^"]*)">')


class Tries(NamedTuple):
    """How many times a run was requested for a day, with which answers, and when it may be requested again."""

    answers: str
    times: int
    again_at: dt.datetime


def recent_days(today: dt.date) -> list[dt.date]:
    """Return the recent days, oldest first."""
    return [today - dt.timedelta(days=back) for back in reversed(range(RECENT_DAYS))]


def is_level(
    root: Path,
    day: dt.date,
    digest: str,
    verdicts: Sequence[StoredVerdict] = (),
    of_incidents: Sequence[IncidentVerdict] = (),
) -> bool:
    """Return whether a day's tables are made from answers of that digest, its flags from these and what people say of days.

    And its page from these flags.
    """
    answers = {made_from(root, table, day) for table in ("backlinks_summary", "referring_links", "api_costs")}
    in_bulk = made_from(root, "backlinks_bulk", day)  # of a day on which any target is watched so
    evaluations = {
        made_from(root, "backlinks_changes", day),
        made_from(root, "backlinks_flags", day),
        made_from(root, "backlinks_incidents", day),
        _page_made_from(root, day),
    }
    flags_made_from = evaluated_from(root, day, verdicts, of_incidents)
    return answers == {digest} and in_bulk in (None, digest) and evaluations == {flags_made_from}


def evaluated_from(
    root: Path,
    day: dt.date,
    verdicts: Sequence[StoredVerdict] = (),
    of_incidents: Sequence[IncidentVerdict] = (),
) -> str:
    """Return a short text for what a day is evaluated from: its answers and those of the days before, as the tables have them.

    As many days before as are built by themselves: what changes in older ones was built by a person. What people say of
    any day up to it is part of the text, since it changes what is usual. So is what they said of incidents on as many days
    up to it: what is said later does not count for the day.
    """
    recent = recent_days(day)
    said = [tuple(verdict) for verdict in verdicts if verdict.first <= day]
    said += [tuple(verdict) for verdict in of_incidents if recent[0] <= verdict.day <= day]
    return _hash([*(made_from(root, "backlinks_summary", one) for one in recent), *said])


def due(
    held: Mapping[dt.date, str],
    behind: Collection[dt.date],
    busy: Collection[dt.date],
    tries: Mapping[dt.date, Tries],
    now: dt.datetime,
) -> tuple[list[dt.date], dict[dt.date, Tries]]:
    """Return the days to build now, oldest first, and the tries of the days behind, these included.

    `held` are the digests of the recent days that have answers; `behind` are those of them that are not level; `busy` have
    a run at work and wait. Days after one that is behind are built with it, since they are evaluated from its tables. A day
    that is still behind after a try is tried again alone, so that it does not make others fail, and after longer and longer
    waits; at once if other answers have come.
    """
    known = {}
    for day in behind:
        until = _hash([digest for other, digest in held.items() if other <= day])
        known[day] = tries[day] if day in tries and tries[day].answers == until else Tries(until, 0, now)
    ready = sorted(day for day, tried in known.items() if day not in busy and tried.again_at <= now)
    new = [day for day in ready if not known[day].times]
    if new:
        wanted = [day for day in held if day >= new[0] and day not in busy and (day in new or day not in known)]
    else:
        wanted = ready[-1:]
    for day in known.keys() & set(wanted):
        wait = WAITS_MIN[min(known[day].times, len(WAITS_MIN) - 1)]
        known[day] = Tries(known[day].answers, known[day].times + 1, now + dt.timedelta(minutes=wait))
    return sorted(wanted), known


def _hash(parts: Collection[object]) -> str:
    return hashlib.sha256(repr(list(parts)).encode()).hexdigest()[:32]


def _page_made_from(root: Path, day: dt.date) -> str | None:
    try:
        with page_path(root, day).open("rb") as file:
            head = file.read(_PAGE_HEAD_BYTES).decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    found = _PAGE_MADE_FROM.search(head)
    return found[1] if found else None
