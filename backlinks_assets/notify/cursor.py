"""What the announcing sensor knows from one tick to the next: what each channel has had, and when it is tried again.

It is the sensor's cursor: JSON in Dagster's instance, and again beside each tick for a week. So it is small. An
alert is five characters, and only the last seven days are in it: 1,000 flags a day make 35 kB. What is sent when is
`announce.py`; what versions before this one had in the response store is read by `old_tables.py`.
"""

import base64
import datetime as dt
import hashlib
from collections.abc import Callable, Collection, Sequence
from typing import Annotated, Final

import pydantic

from backlinks_assets.notify.alerts import Alert, Kind

SECOND_MESSAGE_AFTER: Final = dt.timedelta(minutes=15)
"""Between the first two messages about a day; each gap after that is twice the one before, so that a bad day makes
some seven messages at most. What comes in the meantime waits for the next one. What stops collecting waits no longer
than the first gap: there are few reasons, and each is sent once."""
URGENT: Final = frozenset({Kind.STOPPED, Kind.BALANCE})
FIRST_RETRY_AFTER: Final = dt.timedelta(minutes=1)
MAX_RETRY_AFTER: Final = dt.timedelta(hours=1)
GIVEN_UP_AFTER: Final = dt.timedelta(days=3)
"""Then an alert is stale: what it says has been on the pages for days."""

_HASH_LENGTH: Final = 5
"""Of a key, in base64. Of a million alerts that come later on a day with 1,000 alerts, one is taken for one of these."""


def _split(hashes: object) -> object:
    if isinstance(hashes, str):
        return {hashes[at : at + _HASH_LENGTH] for at in range(0, len(hashes), _HASH_LENGTH)}
    return hashes


def short(day: dt.date, key: str) -> str:
    """Return the hash under which a key of an alert about a day is in the cursor."""
    digest = hashlib.sha256(f"{day}|{key}".encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).decode()[:_HASH_LENGTH]


Hashes = Annotated[
    set[str], pydantic.BeforeValidator(_split), pydantic.PlainSerializer(lambda hashes: "".join(sorted(hashes)))
]


class CursorError(Exception):
    """The cursor is not one of this project's; the message says what to do."""


class ChannelState(pydantic.BaseModel):
    """One channel: the announced alerts that it has not had, its messages of each day, and how sending goes."""

    waiting: dict[dt.datetime, Hashes] = {}
    """By when they began to wait."""
    missed: Hashes = set()
    """Announced before the channel was set: it gets these only if they wait for a channel that is removed."""
    messages: dict[dt.date, tuple[int, dt.datetime]] = {}
    """How many a day has had, and when the last one was sent."""
    attempts: int = 0
    """Ticks in which sending failed since the last in which it did not."""
    next_at: dt.datetime | None = None
    reason: str = ""

    def waits_for(self, day: dt.date, key: str) -> bool:
        return any(short(day, key) in hashes for hashes in self.waiting.values())

    def due(self, day: dt.date, alerts: Sequence[Alert], now: dt.datetime) -> list[Alert]:
        """Return the alerts of a day that the channel has not had; none before it is time for the day's next message."""
        waiting = [alert for alert in alerts if self.waits_for(day, alert.keys[0])]
        number, last_at = self.messages.get(day, (0, now))
        doubled = 0 if any(alert.kind in URGENT for alert in waiting) else number - 1
        return waiting if not number or now >= last_at + SECOND_MESSAGE_AFTER * 2**doubled else []

    def arrived(self, day: dt.date, alerts: Sequence[Alert], now: dt.datetime) -> None:
        self.drop(day, alerts)
        self.messages[day] = self.messages.get(day, (0, now))[0] + 1, now

    def drop(self, day: dt.date, alerts: Sequence[Alert]) -> None:
        """Let alerts wait no more, without a message."""
        had = {short(day, key) for alert in alerts for key in alert.keys}
        self.waiting = {since: hashes - had for since, hashes in self.waiting.items() if hashes - had}

    def failed(self, reason: str, now: dt.datetime) -> bool:
        """Note that sending failed, and try again after 1, 2, 4 … 60 minutes; return whether alerts were given up."""
        self.reason = reason
        self.next_at = now + min(FIRST_RETRY_AFTER * 2 ** min(self.attempts, 10), MAX_RETRY_AFTER)
        self.attempts += 1
        before = len(self.waiting)
        self.waiting = {since: hashes for since, hashes in self.waiting.items() if now - since <= GIVEN_UP_AFTER}
        return len(self.waiting) < before

    def works(self) -> None:
        self.attempts, self.next_at, self.reason = 0, None, ""

    def take_over(self, removed: "ChannelState") -> None:
        """Take over what waits for a removed channel and this one has not had: a URL was corrected."""
        for since, hashes in removed.waiting.items():
            if moved := hashes & self.missed:
                self.missed -= moved
                self.waiting.setdefault(since, set()).update(moved)


class Account(pydantic.BaseModel):
    """The last look at the account: its balance, or why it is refused; neither where the look failed."""

    seen_at: dt.datetime
    balance_usd: float | None = None
    refused: str = ""


class Cursor(pydantic.BaseModel):
    """All that the sensor knows between ticks. A channel is known by a salted hash of its URL, or of its name in the file."""

    salt: str
    started: dt.date
    announced: dict[dt.date, Hashes] = {}
    channels: dict[str, ChannelState] = {}
    bad_lines: tuple[str, dt.date] = "", dt.date.min
    """The key of the targets file's bad lines, and the day about which they were announced."""
    account: Account | None = None
    problems: list[str] = []
    """What did not work in the last tick, in sentences without any URL."""
    has_old_tables: bool = False
    """Filled from the tables of an earlier version, which are still there."""

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Return what `written` gave. Raises CursorError."""
        try:
            return cls.model_validate_json(text)
        except pydantic.ValidationError:
            raise CursorError(
                "The cursor of announce_sensor could not be read. Reset it in the UI (Automation, announce_sensor): "
                "announcing then begins anew, and today's alerts are sent once more."
            ) from None

    def written(self) -> str:
        return self.model_dump_json(exclude_defaults=True)

    def forget_before(self, first: dt.date) -> None:
        self.announced = {day: hashes for day, hashes in self.announced.items() if day >= first}
        known = self._known()
        for state in self.channels.values():
            state.waiting = {since: hashes & known for since, hashes in state.waiting.items() if hashes & known}
            state.missed &= known
            state.messages = {day: last for day, last in state.messages.items() if day >= first}

    def set_channels(self, keys: Collection[str]) -> None:
        """Make the channels those of `keys`. A new one gets what is announced from now on."""
        removed = [self.channels.pop(key) for key in self.channels.keys() - set(keys)]
        for key in keys:
            state = self.channels.setdefault(key, ChannelState(missed=self._known()))
            for one in removed:
                state.take_over(one)

    def announce(
        self,
        day: dt.date,
        alerts: Sequence[Alert],
        now: dt.datetime,
        gets: Callable[[str, Alert], bool] = lambda _channel, _alert: True,
    ) -> None:
        """Let the alerts that are new wait for every channel that gets them; the others never get them later."""
        fresh = [alert for alert in alerts if not self.is_announced(day, alert.keys[0])]
        known = self.announced.setdefault(day, set())
        if new := {short(day, key) for alert in fresh for key in alert.keys} - known:
            known |= new
            for channel, state in self.channels.items():
                mine = {short(day, key) for alert in fresh if gets(channel, alert) for key in alert.keys}
                if waits := mine & new:
                    state.waiting.setdefault(now, set()).update(waits)

    def is_announced(self, day: dt.date, key: str) -> bool:
        return short(day, key) in self.announced.get(day, set())

    def is_waited_for(self, day: dt.date, key: str) -> bool:
        return any(state.waits_for(day, key) for state in self.channels.values())

    def mark(self, day: dt.date, key: str) -> None:
        """Count something as announced that needs no message."""
        self.announced.setdefault(day, set()).add(short(day, key))

    def _known(self) -> set[str]:
        return set().union(*self.announced.values())
