"""Times of the day in cron's five fields, UTC: `0 6 * * *` is 06:00 every day.

Here belongs what such a text means and what is wrong with one, without Dagster, which takes a second to import. What is
accepted means the same to Dagster's scheduler; its rarer forms (`L`, `fri#1`, seconds) are not accepted.
"""

import calendar
import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

HOW: Final = "Write minute, hour, day of the month, month and day of the week in UTC: `0 6 * * *` is 06:00 every day."

_NICKNAMES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS: Final = {name: number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS: Final = {name: number for number, name in enumerate(["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"])}
_LONGEST: Final = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
_YEARS: Final = 8
"""From one 29 February to the next there are at most so many."""


@dataclass(frozen=True)
class _Field:
    name: str
    least: int
    most: int
    names: dict[str, int]


_FIELDS: Final = (
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of the month", 1, 31, {}),
    _Field("month", 1, 12, {name.lower(): number for name, number in _MONTHS.items()}),
    _Field("day of the week", 0, 7, {name.lower(): number for name, number in _WEEKDAYS.items()}),
)


@dataclass(frozen=True)
class Cron:
    """A cron text, read. `days` and `weekdays` are None where they are not restricted."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None

    @classmethod
    def parse(cls, text: str) -> "Cron":
        """Read five fields, or a nickname such as `@daily`.

        Raises:
            ValueError: with what is wrong, to go on from "… is not a usable cron: ".
        """
        fields = _NICKNAMES.get(text.strip().lower(), text).lower().split()
        if len(fields) != len(_FIELDS):
            raise ValueError(f"it has {len(fields)} fields, not five")
        minutes, hours, days, months, weekdays = map(_values, fields, _FIELDS)
        if all(day > _LONGEST[month - 1] for day in days for month in months):
            raise ValueError("none of its months has such a day")
        every = (days, set(range(1, 32))), (frozenset(day % 7 for day in weekdays), set(range(7)))
        if "*" not in (fields[2], fields[4]) and ("*" in fields[2] + fields[4] or any(a == b for a, b in every)):
            # Programs differ in what that means.
            raise ValueError("it restricts the day of the month and the day of the week; write `*` for one of them")
        return cls(
            text=" ".join(fields),
            minutes=minutes,
            hours=hours,
            days=None if fields[2] == "*" else days,
            months=months,
            weekdays=None if fields[4] == "*" else frozenset(day % 7 for day in weekdays),
        )

    def times_on(self, day: dt.date) -> Iterator[dt.datetime]:
        """Yield the times of a day, in order."""
        if not self._is_on(day):
            return
        for hour in sorted(self.hours):
            for minute in sorted(self.minutes):
                yield dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=dt.UTC)

    def last_today(self, now: dt.datetime) -> dt.datetime | None:
        """Return the last time of now's UTC day that has come, or None."""
        return max((time for time in self.times_on(now.astimezone(dt.UTC).date()) if time <= now), default=None)

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """Return the first time after a moment."""
        day = moment.astimezone(dt.UTC).date()
        for number in range(_YEARS * 366 + 1):
            for time in self.times_on(day + dt.timedelta(days=number)):
                if time > moment:
                    return time
        raise AssertionError("unreachable: a text without any time is not accepted")

    def _is_on(self, day: dt.date) -> bool:
        """Whether a day is one of the times': either by its date or by its weekday, where both are restricted."""
        if day.month not in self.months:
            return False
        by_date = self.days is None or day.day in self.days
        by_weekday = self.weekdays is None or day.isoweekday() % 7 in self.weekdays
        if self.days is not None and self.weekdays is not None:
            return by_date or by_weekday
        return by_date and by_weekday


def _values(text: str, field: _Field) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*" and (slash or text == "*"):
            least, most = field.least, field.most
        else:
            least = _number(first, field)
            most = _number(last, field) if dash else least
        if field.least == 0 and field.most == 7 and dash and most == 0:
            most = 7  # Sunday is both
        if slash and not dash and span != "*":  # programs differ in where it ends
            raise ValueError(
                f"its {field.name}, {part!r}, has a step after one value; write `*` or a span before the slash"
            )
        if most < least or (dash and most == least):
            raise ValueError(f"its {field.name}, {part!r}, does not go upwards")
        if slash and not (step.isascii() and step.isdecimal() and int(step)):
            raise ValueError(f"its {field.name}, {part!r}, has no step after the slash")
        values.update(range(least, most + 1, int(step) if slash else 1))
    return frozenset(values)


def _number(text: str, field: _Field) -> int:
    if text in field.names:
        return field.names[text]
    if not (text.isascii() and text.isdecimal()) or not field.least <= int(text) <= field.most:
        names = f" or a name such as {next(iter(field.names))!r}" if field.names else ""
        raise ValueError(f"its {field.name}, {text!r}, is not a number from {field.least} to {field.most}{names}")
    return int(text)
