"""A program of version 1 that is under way while the file is migrated, in the statements that it sends."""

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import zstandard
from store_files import bring_up, put_version_0, rows

from backlinks_assets.collect.factory import open_store
from backlinks_assets.dataforseo.endpoints.summary import NAME as SUMMARY
from backlinks_assets.settings import Settings
from backlinks_assets.store.answers import Key


@pytest.fixture
def file(clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return put_version_0(clean_environment, monkeypatch)


def test_a_running_program_of_version_1_keeps_what_it_has_paid_for(file: Path) -> None:
    """In the statements of that version, which knows of no endpoint."""
    key = ("2026-11-26", "new.example", "live", "key")
    claim = (
        "INSERT INTO claims (date, target, status_type, request_key, owner, claimed_at) VALUES (?, ?, ?, ?, 'me', 'now') "
        "ON CONFLICT (date, target, status_type, request_key) DO UPDATE SET owner = excluded.owner"
    )
    with closing(sqlite3.connect(file, isolation_level=None)) as running:
        running.execute(claim, key)
        running.execute(
            "INSERT INTO api_calls (call_id, booked_on, date, target, status_type, owner, attempt, started_at, outcome, "
            "reserved_microusd) VALUES ('call', '2026-11-26', '2026-11-26', 'new.example', 'live', 'me', 1, 'now', "
            "'in_flight', 24036)"
        )
        running.execute(
            "UPDATE daily_spend SET in_flight = 1, in_flight_microusd = 24036 WHERE booked_on = '2026-11-26'"
        )
        bring_up(file)
        running.execute("BEGIN IMMEDIATE")
        running.execute(
            "INSERT INTO responses (date, target, status_type, request_key, parameters, task_id, cost_usd, captured_at, "
            "attempts, simulated, body) VALUES (?, ?, ?, ?, '{}', 'task', 0.024036, '2026-11-26T07:00:00+00:00', 1, 0, ?) "
            "ON CONFLICT DO NOTHING",
            (*key, zstandard.compress(b"{}")),
        )
        running.execute("UPDATE api_calls SET outcome = 'data', cost_microusd = 24036 WHERE call_id = 'call'")
        running.execute(
            "UPDATE daily_spend SET spent_microusd = spent_microusd + 24036, in_flight_microusd = in_flight_microusd - "
            "24036, in_flight = in_flight - 1 WHERE booked_on = '2026-11-26'"
        )
        running.execute(
            "DELETE FROM claims WHERE date = ? AND target = ? AND status_type = ? AND request_key = ? AND owner = 'me'",
            key,
        )
        running.execute("COMMIT")
        with pytest.raises(sqlite3.OperationalError, match="ON CONFLICT"):  # before its next call is made
            running.execute(claim, ("2026-11-26", "next.example", "live", "key"))
    with open_store(Settings.from_env()) as store:
        answer = store.answer(Key(dt.date(2026, 11, 26), "new.example", "live", "key"))
        assert answer is not None
        assert (answer.body, answer.endpoint) == (b"{}", SUMMARY)
    assert [row[2:4] for row in rows(file)["daily_spend"] if row[0] == "2026-11-26"] == [(0, 0)]
