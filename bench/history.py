"""What long use leaves: answers and ledger of many targets and days, made by whole days at a time, or the tables alone.

The bodies are some dozens of the simulator's, of real size; a target keeps to one of them and strays now and then.
"""

import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import zstandard
from publish import FIRST_DAY, summary_day

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoint import Request
from backlinks_assets.dataforseo.endpoints.summary import STATUS_TYPES, SUMMARY, RequestParameters
from backlinks_assets.settings import Settings
from backlinks_assets.simulator.http.account import PRICE_USD
from backlinks_assets.simulator.http.server import Simulator
from backlinks_assets.tables.duckdb_sync import sync
from backlinks_assets.tables.parquet import write_day

BODIES = 48
ANYWHERE = "http://127.0.0.1:9"
"""An address that stands for the real API where nothing is asked."""


def settings_of(data_dir: Path) -> Settings:
    """Return the settings of a data folder that holds answers of a stand-in for the real API."""
    credentials = {"DATAFORSEO_LOGIN": "bench@example.com", "DATAFORSEO_PASSWORD": "bench"}
    return Settings.from_env({"BACKLINKS_DATA_DIR": str(data_dir), "DATAFORSEO_BASE_URL": ANYWHERE, **credentials})


def fill(data_dir: Path, names: list[str], days: int, last: dt.date | None = None) -> list[dt.date]:
    """Fill the store with `days` days up to `last` (today if left out) and return the days."""
    settings = settings_of(data_dir)
    with open_store(settings):
        pass  # its tables
    last = last or utc_now().date()
    dates = [last - dt.timedelta(days=back) for back in reversed(range(days))]
    bodies = _bodies()
    parameters = RequestParameters()
    connection = sqlite3.connect(settings.store_file, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    for number, date in enumerate(dates):
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO responses (date, target, status_type, request_key, parameters, task_id, cost_usd, captured_at,"
            " attempts, simulated, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, 0, ?)",
            _answers(names, number, date, parameters, bodies),
        )
        connection.executemany(
            "INSERT INTO api_calls (call_id, booked_on, date, target, status_type, owner, attempt, started_at, ended_at,"
            " outcome, status_code, task_id, reserved_microusd, cost_microusd)"
            " VALUES (?, ?, ?, ?, ?, 'bench', 1, ?, ?, 'data', 20000, ?, 24036, 24036)",
            _calls(names, number, date),
        )
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return dates


def fill_tables(data_dir: Path, names: list[str], days: int) -> None:
    """Write `backlinks_summary` of so many days before today, for which the store has no answers."""
    root, today = settings_of(data_dir).root, utc_now().date()
    targets = pa.array(np.repeat(names, 2))
    for back in reversed(range(1, days + 1)):
        date = today - dt.timedelta(days=back)
        table = summary_day((date - FIRST_DAY).days, len(names))
        at = table.schema.get_field_index("target")
        write_day(root, "backlinks_summary", date, table.set_column(at, table.schema.field(at), targets))
    sync(root)


def _answers(
    names: list[str], number: int, date: dt.date, parameters: RequestParameters, bodies: list[list[bytes]]
) -> Iterator[tuple[object, ...]]:
    key, text = parameters.key, '{"internal_list_limit":100}'
    at = f"{date}T06:01:00+00:00"
    for position, name in enumerate(names):
        body = bodies[(position + (position % 40 == number % 40)) % BODIES]
        for kind, status_type in enumerate(STATUS_TYPES):
            yield (str(date), name, status_type, key, text, f"{position:032x}", PRICE_USD, at, body[kind])


def _calls(names: list[str], number: int, date: dt.date) -> Iterator[tuple[object, ...]]:
    at = f"{date}T06:00:59+00:00"
    for position, name in enumerate(names):
        for kind, status_type in enumerate(STATUS_TYPES):
            call = f"{number:08x}{position:08x}{kind:016x}"
            yield (call, str(date), str(date), name, status_type, at, at, f"{position:032x}")


def _bodies() -> list[list[bytes]]:
    parameters = RequestParameters()
    with Simulator() as simulator, Client(simulator.url, "bench@example.com", "bench") as client:
        return [
            [
                zstandard.compress(client.send(SUMMARY, Request(name, parameters, status_type)).body, 3)
                for status_type in STATUS_TYPES
            ]
            for name in (f"body{number:03}.example" for number in range(BODIES))
        ]
