"""The times that a cron text of five fields names, in UTC: `0 6 * * *` is 06:00 every day.

cronsim reads the texts; here belongs which are accepted, and what is wrong with others. An accepted text means the same to
Dagster, whose own parser takes a second to import. What programs read differently is refused (`L`, `fri#1`, `5/10`, seconds).
"""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Final

from cronsim import CronSim, CronSimError
from cronsim.cronsim import Field

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
_NAMES: Final = {Field.DAY: "day of the month", Field.DOW: "day of the week"}
_FIELDS: Final = {
    Field.MINUTE: "from 0 to 59",
    Field.HOUR: "from 0 to 23",
    Field.DAY: "from 1 to 31",
    Field.MONTH: "from 1 to 12 or a name such as `jan`",
    Field.DOW: "from 0 to 7 or a name such as `sun`",
}
_VALUE: Final = r"([0-9]{1,2}|[a-z]{3})"
_PART: Final = rf"(\*/[0-9]+|{_VALUE}(-{_VALUE}(/[0-9]+)?)?)"
_FIELD: Final = re.compile(rf"\*|{_PART}(,{_PART})*")
_LEAP_YEAR: Final = 2028
_ANY_MOMENT: Final = dt.datetime(_LEAP_YEAR - 1, 12, 31, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Cron:
    """A valid cron text, in lower case and with single spaces."""

    text: str

    @classmethod
    def parse(cls, text: str) -> "Cron":
        """Read five fields, or a nickname such as `@daily`.

        Raises:
            ValueError: what is wrong, as the end of "… is not a usable cron: …".
        """
        fields = _NICKNAMES.get(text.strip().lower(), text).lower().split()
        if len(fields) != len(_FIELDS):
            raise ValueError(f"it has {len(fields)} fields, not five")
        fields[4] = fields[4].replace("-sun", "-7")  # Sunday is 0 and 7
        for field, written in zip(_FIELDS, fields, strict=True):
            if not _is_usable(field, written):
                name, values = _NAMES.get(field, field.name.lower()), _FIELDS[field]
                raise ValueError(
                    f"its {name}, {written!r}, is not a number {values}, nor a list of them, a span upwards (`1-5`), "
                    "or steps of `*` or of a span (`*/2`)"
                )
        try:
            days = CronSim(" ".join([*fields[:4], "*"]), _ANY_MOMENT).days
        except CronSimError:
            raise ValueError("none of its months has such a day") from None
        weekdays = {day % 7 for day in Field.DOW.parse(fields[4].upper()) if isinstance(day, int)}
        stars = "*" in fields[2] + fields[4]
        if "*" not in (fields[2], fields[4]) and (stars or len(days) == 31 or len(weekdays) == 7):
            # Programs differ in what that means.
            raise ValueError("it restricts the day of the month and the day of the week; write `*` for one of them")
        return cls(" ".join(fields))

    def last_until(self, moment: dt.datetime) -> dt.datetime:
        """Return the last time at or before a moment."""
        return next(CronSim(self.text, _whole_second(moment) + dt.timedelta(seconds=1), reverse=True))

    def last_today(self, now: dt.datetime) -> dt.datetime | None:
        """Return the last time so far on now's UTC day, or None."""
        last = self.last_until(now)
        return last if last.date() == now.astimezone(dt.UTC).date() else None

    def longest_interval(self) -> dt.timedelta:
        """Return the longest interval between the first times of two successive days that have any."""
        longest, first = dt.timedelta(), self.next_after(_ANY_MOMENT)
        while first.year < _LEAP_YEAR + 1:
            following = self.next_after(first.replace(hour=23, minute=59))
            longest, first = max(longest, following - first), following
        return longest

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """Return the first time after a moment."""
        return next(CronSim(self.text, _whole_second(moment)))


def _whole_second(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC).replace(microsecond=0)


def _is_usable(field: Field, text: str) -> bool:
    """Whether a field can be used. Dagster's parser reads a span of one value, such as `6-6`, as every value."""
    if not _FIELD.fullmatch(text):
        return False
    try:
        spans = [part.partition("/")[0] for part in text.upper().split(",")]
        return bool(field.parse(text.upper())) and all("-" not in span or len(field.parse(span)) > 1 for span in spans)
    except CronSimError:
        return False
