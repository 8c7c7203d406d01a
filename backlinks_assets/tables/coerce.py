"""Reads values of the vendor's JSON into columns of a declared type, one column at a time.

An absent or null value is NULL; an unreadable one becomes NULL and is counted. Which field goes where is `rows.py`.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pyarrow as pa

from backlinks_assets.tables.schemas import TEXTS, TIMESTAMP

_WHOLE_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,19}(\.0*)?\s*", re.ASCII)
_INT64 = range(-(2**63), 2**63)


class UnreadableError(ValueError):
    """A value is not of its field's type."""


def to_int(value: Any) -> int:
    """Return a whole number that fits 64 bits: 12, 12.0 or "12". True, 12.5 and "many" are not."""
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        value = int(value.split(".", maxsplit=1)[0])
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is int and value in _INT64:
        return value
    raise UnreadableError(value)


def to_bool(value: Any) -> bool:
    """Return a truth value: a JSON one, 0 or 1, or `true` and `false` as text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | str):
        known = {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())
        if known is not None:
            return known
    raise UnreadableError(value)


def to_text(value: Any) -> str:
    """Return a text as it is; a number or an object is not one."""
    if isinstance(value, str):
        return value
    raise UnreadableError(value)


def to_texts(value: Any) -> list[str | None]:
    """Return a list of texts; a lone text is a list of one."""
    parts = [value] if isinstance(value, str) else value
    if isinstance(parts, list) and all(part is None or isinstance(part, str) for part in parts):
        return parts
    raise UnreadableError(value)


def to_timestamp(value: Any) -> dt.datetime:
    """Return the UTC instant of `2020-01-18 11:50:58 +00:00`; without an offset it is UTC.

    The vendor's page spells the time with dashes (`hh-mm-ss`), its samples with colons: both pass.
    """
    if not isinstance(value, str):
        raise UnreadableError(value)
    return _instant(value)


@lru_cache(maxsize=16_384)  # the days of a target have the same ones
def _instant(value: str) -> dt.datetime:
    text = value.strip()
    day, rest = text[:10], text[10:].strip().lstrip("T").replace(" ", "")
    if rest[2:3] == "-":
        rest = rest[:8].replace("-", ":") + rest[8:]
    try:
        instant = dt.datetime.fromisoformat(f"{day}T{rest}" if rest else day)
        return instant.replace(tzinfo=dt.UTC) if instant.tzinfo is None else instant.astimezone(dt.UTC)
    except (ValueError, OverflowError) as error:
        raise UnreadableError(value) from error


_READERS: dict[pa.DataType, Callable[[Any], Any]] = {
    pa.int64(): to_int,
    pa.bool_(): to_bool,
    pa.string(): to_text,
    TEXTS: to_texts,
    TIMESTAMP: to_timestamp,
}
_PLAIN: dict[pa.DataType, set[type]] = {
    pa.int64(): {int, type(None)},
    pa.bool_(): {bool, type(None)},
    pa.string(): {str, type(None)},
}


def column(field: str, values: list[Any], kind: pa.DataType, unreadable: Counter[str]) -> pa.Array:
    """Return the values as an Arrow array of `kind`. Unreadable ones are NULL and counted under `field`.

    A column whose values all have the expected type, the usual case, is given to Arrow whole.
    """
    plain = _PLAIN.get(kind)
    if plain is not None and plain.issuperset(map(type, values)):
        try:
            return pa.array(values, kind)
        except (pa.ArrowInvalid, OverflowError):  # an integer beyond 64 bits
            pass
    read = _READERS[kind]
    cleaned: list[Any] = []
    for value in values:
        try:
            cleaned.append(None if value is None else read(value))
        except UnreadableError:
            cleaned.append(None)
            unreadable[field] += 1
    return pa.array(cleaned, kind)
