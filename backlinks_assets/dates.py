"""Reads a day that a person wrote, as YYYY-MM-DD, in every option, file and function."""

import datetime as dt
import re

_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def iso_date(text: str) -> dt.date:
    """Return the day of a text `YYYY-MM-DD`.

    Python's own reader also accepts 20261124 and 2026-W48-2; pandas reads 05/09/2026 month first and 25/09/2026 day first.

    Raises:
        ValueError: the end of a sentence that begins with the text; it says what to write.
    """
    if not _ISO.fullmatch(text):
        raise ValueError("write a date as YYYY-MM-DD, for instance 2026-11-24.")
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError("there is no such day in the calendar.") from None
