"""Formats numbers, days and names, and makes foreign text harmless.

Targets and the API's keys are data: whatever they hold is shown as text. Sentences about a day are `report/day_sentence.py`.
"""

import datetime as dt
import re
import unicodedata
from typing import Final

MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
"""English in every locale: the same tables give the same bytes on every machine."""

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

MAX_SHOWN_CHARACTERS: Final = 120

_CREDENTIALS: Final = re.compile(r"^(?!mailto:)([a-z][a-z0-9+.-]*://)?[^/@]*:.*@", re.IGNORECASE | re.DOTALL)
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control, format (also those that change the direction of writing), surrogate and separator characters."""

_NO_XML: Final = "\ufffe\uffff"
"""Not characters, and refused by XML: an SVG with one would not be shown."""

_MARKDOWN: Final = r"\`*_[]|!#~"


def long_day(day: dt.date) -> str:
    """For instance `24 November 2026`."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def short_day(day: dt.date) -> str:
    """For instance `24 Nov`."""
    return f"{day.day} {MONTHS[day.month - 1][:3]}"


def day_of_month(day: dt.date) -> str:
    """For instance `Tue 24`."""
    return f"{WEEKDAYS[day.weekday()]} {day.day}"


def number(value: float | None) -> str:
    """Return a number with thousands separators, below 100 with one decimal if it has any; `–` for None."""
    if value is None:
        return "–"
    if round(abs(value), 1) < 100:
        return _minus(f"{value:,.1f}".removesuffix(".0"))
    return _minus(f"{value:,.0f}")


def signed(value: float | None) -> str:
    """Return a change with its sign; `±0` for no change, `–` for None."""
    if value is None:
        return "–"
    text = number(value)
    if text in {"0", "−0"}:
        return "±0"
    return text if value < 0 else f"+{text}"


def percent(change: float | None, base: float | None) -> str:
    """Return a change in percent of its base, `+12 %`; empty without a base of at least one."""
    if change is None or base is None or base < 1:
        return ""
    return f"{signed(round(100 * change / base))} %"


def counted(count: int, singular: str) -> str:
    """For instance `1 flag` and `2 flags`."""
    return f"{count:,} {singular}{'' if count == 1 else 's'}"


def dollars(amount: float | None) -> str:
    """Return US dollars, `$1.23`, with four decimals below ten cents; `–` for None."""
    if amount is None:
        return "–"
    return f"${amount:,.2f}" if amount >= 0.1 or amount == 0 else f"${amount:.4f}"


def visible(text: str) -> str:
    """Return a text in which invisible characters, and those that change its direction, are spelled `\\u202e`."""
    if text.isprintable():  # nearly always: a chart has paths of a thousand characters
        return text
    return "".join(_spelled(c) if unicodedata.category(c) in _UNSEEN or c in _NO_XML else c for c in text)


def markdown_text(text: str) -> str:
    """Return Markdown that shows a text as it is on a line or in a table's cell: no mark-up, HTML or line breaks."""
    shown = visible(" ".join(text.split())).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in _MARKDOWN else c for c in shown)


def markdown_name(name: str) -> str:
    """Return Markdown for a target's name as code, so that a page's address does not become a link."""
    shown = visible(" ".join(name.split()))
    return markdown_text(name) if "`" in shown or "|" in shown or "\\" in shown or not shown else f"`{shown}`"


def _spelled(character: str) -> str:
    code = ord(character)
    return " " if character in "\t\n\r" else (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")


def _minus(text: str) -> str:
    return text.replace("-", "−")


def shown(text: str) -> str:
    """Return a text for a message: quoted, one line, cut, without control codes or passwords."""
    text = without_password(text)
    return repr(text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}...")


def cell(value: object) -> str:
    """Return a value as one cell of a line: no spreadsheet takes it for a formula, and nothing splits it."""
    text = " ".join("".join(c if c.isprintable() else " " for c in str("" if value is None else value)).split())
    return "'" + text if text.startswith(("=", "+", "-", "@")) else text


def without_password(text: str) -> str:
    """Return a text with `***` where it has a user name and password."""
    return _CREDENTIALS.sub(r"\1***@", text)
