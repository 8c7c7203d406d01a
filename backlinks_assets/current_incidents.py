"""The incidents as they stand now, and how a person's verdict about one is stored: for the command and the web server alike.

What changes an incident is `incidents/`; what is shown of it is the caller's.
"""

import datetime as dt
from collections.abc import Callable

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store
from backlinks_assets.incidents.saying import VerdictError
from backlinks_assets.incidents.table import INCIDENTS, Row, now
from backlinks_assets.paths import parquet_dir
from backlinks_assets.published.publication import bring, table_between
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import incident_verdicts_in
from backlinks_assets.store.incident_verdicts import IncidentVerdict
from backlinks_assets.targets.file import load_targets
from backlinks_assets.targets.target import TargetsError, WatchList


class OvertakenError(VerdictError):
    """Somebody said something of the incident in the meantime; nothing was stored. `last` is what was said last."""

    def __init__(self, last: IncidentVerdict) -> None:
        super().__init__(f"{last.by} was quicker.")
        self.last = last


def current_incidents(settings: Settings) -> list[Row]:
    """Return the incidents as they stand now, worst first, with the groups and owners that the targets file has now.

    Raises:
        TablesError, StoreError: the table or the store can't be read.
    """
    bring(settings, table_between(INCIDENTS, None, None))
    rows = now(settings.root, incident_verdicts_in(settings.store), utc_now().date())
    try:
        lines = load_targets(settings.targets_file, allow_none=True)
    except TargetsError:
        lines = WatchList(str(settings.targets_file), [])
    known = lines.by_name()
    named = [
        row._replace(group=known[row.of.target].group, owner=known[row.of.target].owner)
        if row.of.target in known
        else row
        for row in rows
    ]
    return sorted(named, key=_rank)


def _rank(row: Row) -> tuple[bool, bool, int, str, str]:
    one = row.of
    return one.is_resolved, one.severity != "critical", -one.last_flag.toordinal(), one.target, one.metric


def has_incidents(settings: Settings) -> bool:
    """Whether any day has been evaluated that could have one."""
    return (parquet_dir(settings.root) / INCIDENTS).exists()


def last_said(settings: Settings) -> dict[str, IncidentVerdict]:
    """Return the last verdict about each incident that a person said something of; raises StoreError."""
    return {one.incident: one for one in incident_verdicts_in(settings.store)}


def say(settings: Settings, said: Callable[[dt.datetime], IncidentVerdict]) -> None:
    """Store what a person says now, whatever was said before. Raises StoreError."""
    with open_store(settings) as store:
        store.add_incident_verdicts([said(store.now())])


def say_if_last(
    settings: Settings, said: Callable[[dt.datetime], IncidentVerdict], last: IncidentVerdict | None
) -> None:
    """Store what a person says now if nothing was said of the incident since `last`; None is nothing at all.

    Saying the same twice, as a button that is pressed twice does, is saying it once.

    Raises:
        OvertakenError: somebody said something else in the meantime.
        StoreError: the store can't be used.
    """
    with open_store(settings) as store:
        one = said(store.now())
        between = store.add_incident_verdict_after(one, last)
    if between is not None and between != one._replace(said_at=between.said_at):
        raise OvertakenError(between)
