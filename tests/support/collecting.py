"""What the tests of collecting share: a run over targets in this process, and what the store then holds."""

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import orjson
import tenacity
import zstandard

from backlinks_assets.collect import collector as collector_module
from backlinks_assets.collect.bulk_day import BulkTarget
from backlinks_assets.collect.collector import StopError, utc_now
from backlinks_assets.collect.factory import open_collector
from backlinks_assets.collect.outcome import CollectRequest, Outcome
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.settings import Settings


def be_quick(monkeypatch: Any) -> None:
    """Waits of seconds become waits of milliseconds; their number and order stay. The rate is not waited for."""
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")
    monkeypatch.setattr(
        collector_module, "_backoff", tenacity.wait_exponential_jitter(multiplier=0.01, max=0.05, jitter=0.01)
    )


def point_at(monkeypatch: Any, url: str) -> None:
    """Take a server for the real API."""
    monkeypatch.setenv("DATAFORSEO_BASE_URL", url)
    monkeypatch.setenv("DATAFORSEO_LOGIN", "someone@example.com")
    monkeypatch.setenv("DATAFORSEO_PASSWORD", "s3cret-passphrase")


def asks_of(*targets: str, **parameters: object) -> list[CollectRequest]:
    """Ask for targets today."""
    return [CollectRequest(utc_now().date(), target, RequestParameters(**parameters)) for target in targets]


def collect_in_bulk(*names: str) -> None:
    """Collect today's answers about targets in bulk, a call at a time, in a process that may be killed.

    A call of a killed process has one of the account's thirty slots as long as the server may be at it.
    """
    with open_collector(Settings.from_env()) as collector:
        collector._at_once = 1
        for outcome in collector.collect_in_bulk(utc_now().date(), [BulkTarget(name, line="") for name in names]):
            assert not outcome.failed


def shops(count: int) -> list[str]:
    return [f"shop{number:03d}.example" for number in range(count)]


def run(asks: Sequence[CollectRequest], now: Callable[..., Any] = utc_now) -> tuple[dict[str, Outcome], str | None]:
    """Collect; return what became of each target, and why the run stopped."""
    outcomes: dict[str, Outcome] = {}
    with open_collector(Settings.from_env(), now=now) as collector:
        try:
            for outcome in collector.collect(asks):
                outcomes[outcome.target] = outcome
        except StopError as error:
            return outcomes, str(error)
    return outcomes, None


def rows(query: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
    """Read the store beside whatever is going on, values as SQLite has them; `rowid` is in the order of writing."""
    settings = Settings.from_env()
    if settings.database_url is not None:
        return _rows_of_postgres(settings.database_url.secret, query, tuple(values))
    store = sqlite3.connect(settings.store_file)
    try:
        return store.execute(query, list(values)).fetchall()
    finally:
        store.close()


def _rows_of_postgres(url: str, query: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    import psycopg

    with psycopg.connect(url) as connection:
        found = connection.execute(query.replace("?", "%s").replace("rowid", "ctid"), values).fetchall()
    return [tuple(map(as_sqlite_has_it, row)) for row in found]


def as_sqlite_has_it(value: object) -> object:
    match value:
        case bool() | Decimal():
            return int(value)
        case dt.date():
            return value.isoformat()
    return value


def bodies(table: str) -> list[Any]:
    """The answers of a table as they came: JSON read, anything else as bytes."""
    found = [zstandard.decompress(body) for (body,) in rows(f"SELECT body FROM {table} ORDER BY captured_at, rowid")]
    return [_read(body) for body in found]


def _read(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body


def of_links(server: Any) -> list[Any]:
    """Return the calls that bought evidence."""
    return [call for call in server.calls if call.path.endswith("/backlinks/backlinks/live")]


def kept() -> set[tuple[str, str]]:
    """(target, status type) of the answers that are used."""
    return set(rows("SELECT target, status_type FROM responses"))


def spent_usd() -> float:
    """What the budget takes for spent, begun and set aside today."""
    ((spent, under_way),) = rows("SELECT sum(spent_microusd), sum(in_flight_microusd) FROM daily_spend")
    ((aside,),) = rows("SELECT count(*) FROM set_aside")
    assert aside == 0 or under_way, "room is set aside though nothing is under way"
    return (spent + under_way) / 1e6
