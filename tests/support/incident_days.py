"""Tables of some weeks in which one target's spam score rises, stays and comes back; and what people say of it."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from summary_days import keep

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.paths import parquet_path
from backlinks_assets.pipeline import publish_changes
from backlinks_assets.settings import Settings
from backlinks_assets.store.incident_verdicts import IncidentVerdict
from backlinks_assets.tables.duckdb_sync import sync
from backlinks_assets.tables.parquet import days, read_days

TODAY = utc_now().date()
DAYS = 30
NAMES = [f"shop{number:02d}.example" for number in range(12)]
SPAMMY, LOSING = NAMES[3], NAMES[7]
RISES, FALLS, LOSES = 20, 25, 27
"""Days on which the spam score of the one rises and comes back, and on which the other loses most of its links."""
TABLES = ("backlinks_changes", "backlinks_flags", "backlinks_incidents")


def day(number: int) -> dt.date:
    return TODAY - dt.timedelta(days=DAYS - 1 - number)


def answers(number: int, rises: int = RISES, falls: int = FALLS) -> list[tuple[str, str, dict[str, Any] | None]]:
    rows: list[tuple[str, str, dict[str, Any] | None]] = []
    for at, name in enumerate(NAMES):
        noise = (number * 7 + at * 3) % 5
        spam = 45 if name == SPAMMY and rises <= number < falls else 10 + noise % 2
        gone = 1500 if name == LOSING and number >= LOSES else 0
        live = {"backlinks": 2000 - gone + noise, "backlinks_spam_score": spam, "referring_main_domains": 50}
        rows += [(name, "live", live), (name, "lost", {"backlinks": 300 + gone + noise, "backlinks_spam_score": spam})]
    return rows


def keep_all(settings: Settings, last: int = DAYS - 1, **moved: int) -> None:
    """Write the days of answers up to one, and make the store."""
    for number in range(last + 1):
        keep(settings.root, day(number), *answers(number, **moved))
    with open_store(settings):
        pass


def evaluate(settings: Settings, numbers: Sequence[int]) -> None:
    dates = [day(number) for number in numbers]
    labels = {SPAMMY: ("Acme", "ann@agency.example")}
    list(publish_changes(settings, dates, {}, DetectionSettings(), labels=labels))
    sync(settings.root)


def say(settings: Settings, number: int, incident: dict[str, Any], action: str, **more: Any) -> None:
    """Say something of an incident at noon of a day."""
    at = dt.datetime.combine(day(number), dt.time(12), dt.UTC)
    values = {"by": "Ann", "reason": None, "until": None, "note": None} | more
    about = {name: incident[name] for name in ("incident", "target", "metric", "direction", "opened")}
    with open_store(settings) as store:
        store.add_incident_verdicts([IncidentVerdict(said_at=at, action=action, **about, **values)])


def incidents(settings: Settings, number: int) -> list[dict[str, Any]]:
    return read_days(settings.root, "backlinks_incidents", day(number), day(number)).to_pylist()


def the_one(settings: Settings, number: int, target: str = SPAMMY, opened: int = RISES) -> dict[str, Any]:
    """Return the incident of a target that began on a day, as it stood on another."""
    (one,) = [one for one in incidents(settings, number) if (one["target"], one["opened"]) == (target, day(opened))]
    return one


def written(settings: Settings) -> dict[str, bytes]:
    """Return the bytes of all days of the tables that evaluating writes."""
    return {
        f"{table} {date}": parquet_path(settings.root, table, date).read_bytes()
        for table in TABLES
        for date in days(settings.root, table)
    }
