"""What versions before the cursor had in the response store: read once into the first cursor, then dropped.

What was announced then is not announced again, and what waited for a channel still waits for it.
"""

import datetime as dt
import os
import sqlite3
from contextlib import closing
from typing import Final

from backlinks_assets.notify.cursor import ChannelState, Cursor, short
from backlinks_assets.settings import Settings
from backlinks_assets.store.database import StoreError

_TABLES: Final = (
    "announced_messages", "announced_news", "announcement_deliveries", "announced_runs", "announcement_notes",
)  # fmt: skip
_WAIT_S: Final = 5.0
_DELIVERIES: Final = """
    SELECT place, day, composed_at, state, attempts, next_at, reason, message_id
    FROM announcement_deliveries JOIN announced_messages USING (message_id) ORDER BY message_id
"""


def first_cursor(settings: Settings, now: dt.datetime) -> Cursor:
    """Return the cursor of a sensor that has none: announcing begins today, or goes on where an older version stopped.

    Raises:
        StoreError: the tables can't be read; beginning anew would send everything once more.
    """
    cursor = Cursor(salt=os.urandom(16).hex(), started=now.date())
    if not settings.store_file.exists():
        return cursor
    try:
        with closing(sqlite3.connect(settings.store_file, timeout=_WAIT_S)) as sql:
            query = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN (?, ?, ?, ?, ?)"
            if sql.execute(query, _TABLES).fetchone() == (len(_TABLES),):
                _read(sql, cursor)
    except sqlite3.Error as error:
        raise StoreError(
            f"{settings.store_file} could not be read ({error}). It has what an earlier version announced, so nothing is "
            "announced before it can be: put back a backup, or move the file aside."
        ) from None
    return cursor


def drop(settings: Settings) -> None:
    """Drop the tables: a saved cursor has what they had. Raises sqlite3.Error."""
    with closing(sqlite3.connect(settings.store_file, timeout=_WAIT_S, isolation_level=None)) as sql:
        sql.execute("BEGIN IMMEDIATE")
        for table in _TABLES:
            sql.execute(f"DROP TABLE IF EXISTS {table}")
        sql.execute("COMMIT")


def _read(sql: sqlite3.Connection, cursor: Cursor) -> None:
    notes = dict(sql.execute("SELECT name, value FROM announcement_notes"))
    cursor.salt = notes.get("salt", cursor.salt)
    cursor.started = dt.date.fromisoformat(notes.get("started_on", str(cursor.started)))
    cursor.has_old_tables = True
    hashes: dict[int | None, set[str]] = {}
    for text, key, message_id in sql.execute("SELECT day, key, message_id FROM announced_news"):
        day = dt.date.fromisoformat(text)
        cursor.mark(day, key)
        hashes.setdefault(message_id, set()).add(short(day, key))
        if key == notes.get("bad_lines_told"):
            cursor.bad_lines = key, max(cursor.bad_lines[1], day)
    known: set[str] = set().union(*hashes.values())
    for place, text, composed_at, state, attempts, next_at, reason, message_id in sql.execute(_DELIVERIES):
        channel = cursor.channels.setdefault(place, ChannelState(missed=set(known)))
        day, at, alerts = (
            dt.date.fromisoformat(text),
            dt.datetime.fromisoformat(composed_at),
            hashes.get(message_id, set()),
        )
        channel.missed -= alerts
        if state == "sent":
            channel.messages[day] = channel.messages.get(day, (0, at))[0] + 1, at
        elif state == "waiting":
            channel.waiting.setdefault(at, set()).update(alerts)
            if attempts > channel.attempts:
                channel.attempts, channel.reason = attempts, reason or ""
                channel.next_at = dt.datetime.fromisoformat(next_at)
