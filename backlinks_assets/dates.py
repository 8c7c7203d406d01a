"""How a day that a person wrote is read: as YYYY-MM-DD, in every option, file and function."""

import datetime as dt
import re

_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def iso_date(text: str) -> dt.date:
    """Return the day that `YYYY-MM-DD` says.

    Python's own reader takes 20261124 and 2026-W48-2 too; pandas reads 05/09/2026 as the month comes first and
    25/09/2026 as the day does, row by row.

    Raises:
        ValueError: the end of a sentence that begins with what was written; it says what to write.
    """
    if not _ISO.fullmatch(text):
        raise ValueError("write a date as YYYY-MM-DD, for instance 2026-11-24.")
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError("there is no such day in the calendar.") from None
