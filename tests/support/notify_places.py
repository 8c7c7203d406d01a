"""Channels on loopback, a webhook and a mail server that take real messages and may refuse them; and looks at what is due.

Flags are written as publishing writes them, into the folder of simulated answers.
"""

import asyncio
import datetime as dt
import email
import email.message
import email.policy
import json
import os
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
from aiosmtpd.smtp import SMTP, AuthResult

from backlinks_assets.notify.alerts import FailedRun
from backlinks_assets.notify.announce import Look, announce
from backlinks_assets.notify.cursor import SECOND_MESSAGE_AFTER, Cursor
from backlinks_assets.notify.old_tables import first_cursor
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES

DAY = dt.date(2026, 11, 24)
MORNING = dt.datetime(2026, 11, 24, 6, 30, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
LATER = SECOND_MESSAGE_AFTER + MINUTE
PATIENTLY = "?rto=60"
"""Behind a webhook's path, for what sends from another process: apprise itself gives up after 4 s without an answer."""

OLD_TABLES = """
CREATE TABLE announced_messages (message_id INTEGER PRIMARY KEY, day VARCHAR, composed_at VARCHAR, message VARCHAR);
CREATE TABLE announced_news (day VARCHAR, key VARCHAR, message_id INTEGER, PRIMARY KEY (day, key));
CREATE TABLE announcement_deliveries (message_id INTEGER, place VARCHAR, state VARCHAR, attempts INTEGER,
    next_at VARCHAR, claimed_until VARCHAR, reason VARCHAR, PRIMARY KEY (message_id, place));
CREATE TABLE announced_runs (run_id VARCHAR PRIMARY KEY, day VARCHAR, failed VARCHAR);
CREATE TABLE announcement_notes (name VARCHAR PRIMARY KEY, value VARCHAR);
"""
"""In which versions before the cursor kept what they had announced."""


class Looks:
    """Looks as the sensor's ticks do: the settings and the cursor are read anew each time, as after a restart."""

    def __init__(self) -> None:
        self.cursor = ""
        self.runs: list[FailedRun] = []

    def __call__(self, urls: str, now: dt.datetime = MORNING, busy: Collection[dt.date] = ()) -> Look:
        settings = Settings.from_env({**os.environ, "BACKLINKS_NOTIFY_URLS": urls})
        cursor = Cursor.read(self.cursor) if self.cursor else first_cursor(settings, now)
        look = announce(settings, cursor, self.runs, busy, now)
        self.cursor = cursor.written()
        return look


def flag(
    target: str, metric: str = "lost_backlinks", severity: str = "warning", **columns: object
) -> dict[str, object]:
    reason = f"Lost backlinks rose by 900 to 1,000 against 100 ({target})."
    return {"target": target, "metric": metric, "severity": severity, "score": 9.0, "reason": reason, **columns}


def write_flags(*rows: dict[str, object], day: dt.date = DAY) -> Path:
    schema = TABLES["backlinks_flags"].arrow
    table = pa.Table.from_pylist([{"date": day, "simulated": True, **row} for row in rows], schema=schema)
    return write_day(Settings.from_env().root, "backlinks_flags", day, table)


class Webhook:
    """Takes POSTs of JSON. `statuses` are what it answers, one after the other; then 200."""

    def __init__(self, statuses: Sequence[int] = ()) -> None:
        from apprise import URLBase

        URLBase.socket_read_timeout = 60.0  # in this process; a stalled machine is no failed place
        self.posts: list[dict[str, Any]] = []
        self.attempts = 0
        left = list(statuses)
        lock = threading.Lock()
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    webhook.attempts += 1
                    status = left.pop(0) if left else 200
                    if status == 200:
                        webhook.posts.append({**body, "path": self.path})
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.port = self._server.server_port

    def url(self, path: str = "hook", login: str = "") -> str:
        return f"json://{login and login + '@'}127.0.0.1:{self.port}/{path}"

    @property
    def titles(self) -> list[str]:
        return [post["title"] for post in self.posts]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def webhook(*statuses: int) -> Iterator[Webhook]:
    server = Webhook(statuses)
    try:
        yield server
    finally:
        server.close()


class Inbox:
    """What a mail server has taken, and the logins that were shown to it."""

    def __init__(self) -> None:
        self.mails: list[email.message.EmailMessage] = []
        self.logins: list[tuple[bytes, bytes]] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right", handled=False)


@contextmanager
def mail_server() -> Iterator[tuple[Inbox, int]]:
    """Yield the inbox and the port of an SMTP server that wants a login with the password `right`."""
    inbox = Inbox()

    def protocol() -> SMTP:
        return SMTP(
            inbox, authenticator=inbox.authenticate, auth_required=True, auth_require_tls=False, hostname="localhost"
        )

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(protocol, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield inbox, server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
