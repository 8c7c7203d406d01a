"""One look at everything that may have to be told, and the sending of what is due.

The order of things only: which days, what is new of them, deliveries, the sentence at the end. No Dagster: runs come
as plain records.
"""

import datetime as dt
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from backlinks_assets.collect.factory import open_store, watched_targets
from backlinks_assets.formatting import counted
from backlinks_assets.notify import alerts as told
from backlinks_assets.notify.alerts import INCOMPLETE, News
from backlinks_assets.notify.bad_lines import bad_lines_news
from backlinks_assets.notify.balance import balance_news
from backlinks_assets.notify.channels import Place, SendError, places_of, send
from backlinks_assets.notify.message import Message, compose
from backlinks_assets.notify.outbox import GIVEN_UP_AFTER, Memory
from backlinks_assets.paths import page_path, parquet_path
from backlinks_assets.report.day_sentence import day_sentence
from backlinks_assets.report.summary import Change, read_day_report
from backlinks_assets.settings import Settings
from backlinks_assets.store.database import Database
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.tables.parquet import days, read_days
from backlinks_assets.targets.file import Target, TargetsError, WatchList

LOOKS_BACK: Final = dt.timedelta(days=7)
"""Days that were not told while no daemon ran are told later; older ones are history. Days before announcements were
first switched on are never told."""
SENDING_S: Final = 25.0
"""A tick starts no delivery after this: Dagster ends a tick at 60 s, and one delivery takes 20 s at most."""
STARTED: Final = "started_on"
CLOSED: Final = "closed"
"""Key of a day that is over and has been looked at for lost targets."""


@dataclass
class Announced:
    """What one look did: the messages made, deliveries that arrived, and sentences about what did not work."""

    messages: list[Message] = field(default_factory=list)
    delivered: int = 0
    troubles: list[str] = field(default_factory=list)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Take a table that can't be read for a trouble: whatever else is to be told goes out all the same."""
        try:
            yield
        except TablesError as error:
            if str(error) not in self.troubles:
                self.troubles.append(str(error))


@contextmanager
def opened(settings: Settings) -> Iterator[Memory]:
    """Yield the memory of these settings' announcements; raises StoreError."""
    database = Database(settings.store_file)
    try:
        yield Memory(database)
    finally:
        database.close()


def announce(settings: Settings, memory: Memory, busy: Collection[dt.date], now: dt.datetime) -> Announced:
    """Put what is new into messages, one a day, and deliver what is due.

    `busy` are days on which something is being collected or built: they are told when it is done. What can't be sent
    is in `troubles` and is tried again by a later call.

    Raises:
        StoreError: what is kept can't be read; the message says what to do.
    """
    places, refused = places_of(settings.notify_urls, memory.place_salt())
    done = Announced(troubles=list(refused))
    keys = [place.key for place in places]
    today = now.date()
    started = dt.date.fromisoformat(memory.note(STARTED, today.isoformat()))
    targets, unreadable = _targets(settings)
    memory.hand_over(keys, now)
    first = max(started, today - LOOKS_BACK)
    for day in (first + dt.timedelta(days=number) for number in range((today - first).days + 1)):
        if day in busy:
            continue
        news = _day_news(settings, memory, day, targets, over=day < today)
        with done.going_on():
            news += told.flag_news(_flags(settings, day))
        if day == today:
            news += unreadable
            if not unreadable:
                news += bad_lines_news(memory, targets.bad_lines, today)
            with done.going_on():
                news += balance_news(settings, memory, _active(targets, today), now)
        if news and keys:  # with no place to send to, nothing counts as told
            message = memory.put_in_outbox(day, news, keys, now, _composer(settings, day, targets, done))
            done.messages += [message] if message else []
    _deliver(memory, places, now, done)
    return done


def report_page(settings: Settings, day: dt.date) -> Path:
    """Return where a day's page lies, once it is written."""
    return page_path(settings.root, day)


def _targets(settings: Settings) -> tuple[WatchList, list[News]]:
    try:
        return watched_targets(settings), []
    except TargetsError as error:  # the schedule can't start a run either, so that no run would tell
        return WatchList(error.source, []), [told.account_news(str(error))]


def _active(targets: Sequence[Target], day: dt.date) -> int:
    return sum(target.active_on(day) for target in targets)


def _day_news(settings: Settings, memory: Memory, day: dt.date, targets: Sequence[Target], *, over: bool) -> list[News]:
    """Return what a day's runs and answers have to tell; its flags are in its tables."""
    root = settings.root
    runs = memory.failed_runs(day)
    path = parquet_path(root, "backlinks_flags", day)
    built_at = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) if path.exists() else None
    news = told.publishing_news(runs, built_at)
    if any(run.collects for run in runs):
        active = {target.target for target in targets if target.active_on(day)}
        news += told.collecting_news(runs, active, _answered(settings, day), day)
    if over and not memory.is_told(day, CLOSED):
        news += _closing_news(settings, memory, day, targets)
    return news


def _closing_news(settings: Settings, memory: Memory, day: dt.date, targets: Sequence[Target]) -> list[News]:
    """Look once at a day that is over: targets with answers on both days before it should have them."""
    if not memory.is_told(day, INCOMPLETE):
        usual = _answered(settings, day - dt.timedelta(days=1)) & _answered(settings, day - dt.timedelta(days=2))
        expected = {target.target for target in targets if target.active_on(day)} & usual
        found = told.lost_day_news(expected, _answered(settings, day), day)
        if found:
            return found
    memory.mark_told(day, CLOSED)
    return []


def _answered(settings: Settings, day: dt.date) -> set[str]:
    """Return the targets of which both answers of a day are kept, whether tables are built of them or not."""
    with open_store(settings) as store:
        kinds: dict[str, set[str]] = {}
        for key in store.landed({day}):
            kinds.setdefault(key.target, set()).add(key.status_type)
    return {target for target, found in kinds.items() if {"live", "lost"} <= found}


def _flags(settings: Settings, day: dt.date) -> list[Change]:
    rows = read_days(settings.root, "backlinks_flags", day, day, list(Change.__dataclass_fields__))
    return sorted((Change(**row) for row in rows.to_pylist()), key=lambda flag: flag.rank)


def _composer(
    settings: Settings, day: dt.date, targets: WatchList, done: Announced
) -> Callable[[list[News], int, dt.datetime | None], Message]:
    """Return what makes a message of what is new of a day."""

    def composed(fresh: list[News], number: int, last_at: dt.datetime | None) -> Message:
        page, sentence = report_page(settings, day), None
        with done.going_on():
            sentence = _sentence(settings, day, targets)
        return compose(
            day,
            fresh,
            number=number,
            last_at=last_at,
            sentence=sentence,
            report=settings.report_address(page) if page.exists() else None,
            simulated=settings.simulated,
        )

    return composed


def _sentence(settings: Settings, day: dt.date, targets: WatchList) -> str | None:
    """Return the day's sentence with flags, coverage and spend, where its tables are built."""
    if day not in days(settings.root, "backlinks_summary"):
        return None
    expected = targets.expected_on(day)
    return day_sentence(read_day_report(settings.root, day, simulated=settings.simulated, expected_targets=expected))


def _deliver(memory: Memory, places: Sequence[Place], now: dt.datetime, done: Announced) -> None:
    by_key = {place.key: place for place in places}
    began = time.monotonic()
    while time.monotonic() - began < SENDING_S and (delivery := memory.claim(list(by_key), now)) is not None:
        try:
            send(by_key[delivery.place], delivery.message)
        except SendError as error:
            if not memory.failed(delivery, str(error), now):
                done.troubles.append(
                    f"“{delivery.message.title}” was given up after {GIVEN_UP_AFTER.days} days: "
                    f"{by_key[delivery.place]}: {error}."
                )
        else:
            memory.sent(delivery)
            done.delivered += 1
    for failing in memory.failing(list(by_key)):
        what = counted(failing.messages, "announcement")
        done.troubles.append(
            f"{what} could not be sent to {by_key[failing.place]}: {failing.reason}. "
            f"{counted(failing.attempts, 'attempt')} so far; the next is at {failing.next_at:%H:%M:%S} UTC."
        )
