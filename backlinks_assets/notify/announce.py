"""One look at everything that may have to be announced, and the sending of what is due.

The order of the steps only: which days, what is new about them, which channel gets it, how sending went. No Dagster: failed
runs come as plain records. Whatever may raise comes before the first message is sent, so that the cursor is saved after it.
"""

import datetime as dt
import functools
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from backlinks_assets.collect.factory import open_store, watched_targets
from backlinks_assets.formatting import counted
from backlinks_assets.notify import alerts as found
from backlinks_assets.notify.alerts import INCOMPLETE, Alert, FailedRun, Kind
from backlinks_assets.notify.balance import account_alerts
from backlinks_assets.notify.channels import OF_FILE, Channel, SendError, places_of, send
from backlinks_assets.notify.cursor import GIVEN_UP_AFTER, Cursor
from backlinks_assets.notify.messages import Messages
from backlinks_assets.notify.templates import Message
from backlinks_assets.paths import parquet_path
from backlinks_assets.settings import Settings
from backlinks_assets.tables.atomic import TablesError
from backlinks_assets.targets.target import TargetsError, WatchList

LOOKS_BACK: Final = dt.timedelta(days=7)
"""Days that were not announced while no daemon ran are announced later; older ones are history. Days before announcements
were first switched on are never announced."""
SENDING_S: Final = 25.0
"""A look starts no delivery after this: Dagster ends a tick at 60 s, and one delivery takes 20 s at most."""
MONDAY: Final = 0
WEEK: Final = "week"
CLOSED: Final = "closed"
"""Key of a day that is over and has been looked at for lost targets."""


def announce(
    settings: Settings, cursor: Cursor, runs: Sequence[FailedRun], busy: Collection[dt.date], now: dt.datetime
) -> "Look":
    """Send each channel what it has not had, one message a day, and note in the cursor what arrived.

    `runs` are the failed runs of the last seven days; `busy` are days on which something is being collected or built:
    they are announced when it is done. What did not work is in `problems`; what can't be sent is tried by a later call.

    Raises:
        StoreError: the response store can't be read; nothing was sent.
    """
    look = Look(settings, cursor, now)
    if look.channels or look.unread:  # otherwise nothing counts as announced
        cursor.set_channels([*(channel.key for channel in look.channels), *look.unread])
        alerts = look.alerts(runs, busy)
        for day, of_day in alerts.items():
            cursor.announce(day, of_day, now, look.gets(day, of_day))
        look.deliver(list(look.due(alerts)))
    cursor.problems = look.problems
    return look


class Look:
    """One evaluation of the sensor. `sent` are the messages that arrived, once for each channel; `problems` are sentences."""

    def __init__(self, settings: Settings, cursor: Cursor, now: dt.datetime) -> None:
        self.settings, self.cursor, self.now = settings, cursor, now
        self._began = time.monotonic()
        self.sent: list[Message] = []
        self.watched, self._unusable_file = _targets(settings)
        groups = None if self._unusable_file else self.watched.groups
        places = places_of(settings, groups, bytes.fromhex(cursor.salt))
        self.channels, self.problems, self.warnings = places.channels, places.problems, places.warnings
        # Channels of the file that can't be used now, as far as one of them has been known: what is announced waits for them.
        known = {key for key in cursor.channels if key.startswith(OF_FILE)} - {one.key for one in self.channels}
        self.unread = [] if places.is_file_whole else sorted(known)
        self._answered = functools.cache(functools.partial(_answered, settings))
        self._messages = Messages(settings, self.watched, self._going_on)

    @contextmanager
    def _going_on(self) -> Iterator[None]:
        """Note a table that can't be read as a problem, and go on: everything else is announced all the same."""
        try:
            yield
        except TablesError as error:
            if str(error) not in self.problems:
                self.problems.append(str(error))

    def alerts(self, runs: Sequence[FailedRun], busy: Collection[dt.date]) -> dict[dt.date, list[Alert]]:
        """Return by day all that there is to announce, whether or not a channel has had it already."""
        today = self.now.date()
        first = max(self.cursor.started, today - LOOKS_BACK)
        self.cursor.forget_before(first)
        alerts: dict[dt.date, list[Alert]] = {}
        for day in (first + dt.timedelta(days=number) for number in range((today - first).days + 1)):
            if day not in busy:
                alerts[day] = self._run_alerts(day, [run for run in runs if run.day == day])
                alerts[day] += self._messages.flags(day) + self._messages.incidents(day) + self._messages.in_bulk(day)
                alerts[day] += self._of_evaluated_day(day, today)
        if today in alerts:
            alerts[today] += self._unusable_file
            with self._going_on():
                active = sum(target.active_on(today) for target in self.watched)
                alerts[today] += account_alerts(self.settings, self.cursor, active, self.now)
        if not self._unusable_file:
            bad_lines = found.bad_line_alerts(self.watched.bad_lines)
            if (key := bad_lines[0].keys[0] if bad_lines else "") != self.cursor.bad_lines[0]:
                self.cursor.bad_lines = key, today  # they may stay for weeks: it is announced about the first day
            if (day := self.cursor.bad_lines[1]) in alerts:
                alerts[day] += bad_lines
        return alerts

    def _run_alerts(self, day: dt.date, failed: Sequence[FailedRun]) -> list[Alert]:
        """Return what a day's failed runs left undone, and what is missing of a day that is over."""
        path = parquet_path(self.settings.root, "backlinks_flags", day)
        built_at = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) if path.exists() else None
        alerts = found.publishing_alerts(failed, built_at)
        active = {target.target for target in self.watched if target.active_on(day)}
        over = day < self.now.date()
        if any(run.collects for run in failed):
            alerts += found.collecting_alerts(failed, active, self._answered(day), day, over=over)
        if over and not self.cursor.is_announced(day, CLOSED) and not any(INCOMPLETE in alert.keys for alert in alerts):
            lost = []
            if not self.cursor.is_announced(day, INCOMPLETE) or self.cursor.is_waited_for(day, INCOMPLETE):
                # Targets with answers on both days before should have them.
                usual = self._answered(day - dt.timedelta(days=1)) & self._answered(day - dt.timedelta(days=2))
                lost = found.lost_day_alerts(active & usual, self._answered(day), day)
            if not lost:
                self.cursor.mark(day, CLOSED)
            alerts += lost
        return alerts

    def _of_evaluated_day(self, day: dt.date, today: dt.date) -> list[Alert]:
        """Return that a day is evaluated, for channels that are told of a quiet one, and on a Monday that the week is over."""
        evaluated = parquet_path(self.settings.root, "backlinks_changes", day).exists()
        alerts = []
        if evaluated and day >= today - dt.timedelta(days=1):  # that an older one was quiet is no news
            alerts.append(Alert(Kind.QUIET, (found.QUIET,), ""))
        if day.weekday() == MONDAY and (evaluated or day < today):
            alerts.append(Alert(Kind.WEEK, (WEEK,), ""))
        return alerts

    def gets(self, day: dt.date, of_day: Sequence[Alert]) -> Callable[[str, Alert], bool]:
        """Return whether an alert of a day is to wait for a channel, given by its key; one that can't be read gets all."""
        rules = {channel.key: channel.rule for channel in self.channels}
        known = not self._unusable_file

        def gets(key: str, alert: Alert) -> bool:
            if (rule := rules.get(key)) is None or not rule.sends(alert, of_day, groups_known=known):
                return rule is None
            unwanted = alert.kind is Kind.WEEK and known and not rule.quiet
            return not unwanted or bool(self._messages.moved_in_week(day, rule))

        return gets

    def due(self, alerts: dict[dt.date, list[Alert]]) -> Iterator[tuple[Channel, dt.date, list[Alert], Message]]:
        """Yield the messages that are due: first to the channels of which nothing has failed."""
        for channel in sorted(self.channels, key=lambda channel: self.cursor.channels[channel.key].attempts):
            state, rule = self.cursor.channels[channel.key], channel.rule
            if state.next_at and self.now < state.next_at:
                continue
            if rule.groups is not None and self._unusable_file:
                continue  # whose a target is can't be read: what is announced waits
            for day, of_day in alerts.items():
                due = state.due(day, [alert for alert in of_day if rule.sends(alert, of_day)], self.now)
                if due and rule.weekly:
                    if message := self._messages.of_week(day, rule):
                        yield channel, day, due, message
                    else:
                        state.drop(day, due)
                elif due and (message := self._messages.of_day(day, due, rule, state.messages.get(day))):
                    yield channel, day, due, message

    def deliver(self, due: Sequence[tuple[Channel, dt.date, list[Alert], Message]]) -> None:
        """Send what is due, each channel and each day's message apart, and note how it went."""
        failed: dict[str, str] = {}
        untried = {channel.key for channel, *_ in due}
        for channel, day, alerts, message in due:
            if time.monotonic() - self._began >= SENDING_S:
                break
            untried.discard(channel.key)
            state = self.cursor.channels[channel.key]
            try:
                send(channel, message)
            except SendError as error:
                failed[channel.key] = str(error)
            else:
                state.arrived(day, alerts, self.now)
                self.sent.append(message)
        for channel in self.channels:
            state = self.cursor.channels[channel.key]
            if channel.key in failed:
                if state.failed(failed[channel.key], self.now):
                    self.problems.append(
                        f"What waited {GIVEN_UP_AFTER.days} days for {channel} was given up: {state.reason}."
                    )
            elif channel.key not in untried and (state.next_at is None or state.next_at <= self.now):
                state.works()
            if state.next_at and state.waiting:
                self.problems.append(
                    f"What is announced could not be sent to {channel}: {state.reason}. "
                    f"{counted(state.attempts, 'attempt')} so far; the next is at {state.next_at:%H:%M:%S} UTC."
                )


def _targets(settings: Settings) -> tuple[WatchList, list[Alert]]:
    try:
        return watched_targets(settings), []
    except TargetsError as error:  # the schedule can't start a run either, so that no run would fail
        return WatchList(error.source, []), [found.stopped_alert(str(error))]


def _answered(settings: Settings, day: dt.date) -> set[str]:
    """Return the targets of which both answers of a day are stored, whether tables are built of them or not."""
    with open_store(settings) as store:
        kinds: dict[str, set[str]] = {}
        for key in store.stored_keys({day}):
            kinds.setdefault(key.target, set()).add(key.status_type)
    return {target for target, statuses in kinds.items() if {"live", "lost"} <= statuses}
