"""A backup of the store, taken in mid-day and restored into an empty place: a machine without anything else goes on with it."""

import datetime as dt
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import collecting
import commands
import pytest
from collecting import asks_of
from servers import Postgres
from simulated_api import PRICE_USD

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.outcome import CollectRequest
from backlinks_assets.load import load_table
from backlinks_assets.paths import store_path
from backlinks_assets.settings import Settings

pytestmark = pytest.mark.slow

NAMES = [f"shop{number}.example" for number in range(6)]
PAID = 4
"""Targets of today that the store holds when it is backed up."""
BEFORE = [utc_now().date() - dt.timedelta(days=back) for back in (5, 4, 3, 2, 1)]


@pytest.fixture
def server(api, write_targets, monkeypatch: pytest.MonkeyPatch):
    """The API; some days are stored, and of today a part, after which the budget was used up."""
    collecting.be_quick(monkeypatch)

    def collect():
        running = api()
        for day in BEFORE:
            noon = dt.datetime.combine(day, dt.time(12), dt.UTC)
            asks = [CollectRequest(day, ask.target, ask.parameters) for ask in asks_of(*NAMES)]
            assert collecting.run(asks, now=lambda noon=noon: noon)[1] is None
        write_targets(*NAMES)
        ended = commands.command("run", "--json", BACKLINKS_BUDGET_USD_PER_DAY=f"{(2 * PAID + 1) * PRICE_USD}")
        assert (ended.status, ended.summary["collected"]) == (1, PAID), ended.err
        return running

    return collect


def new_machine(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let the environment name a data folder that holds the targets file only."""
    targets = Settings.from_env().targets_file
    folder.mkdir()
    shutil.copy(targets, folder)
    monkeypatch.setenv("BACKLINKS_DATA_DIR", str(folder))


def goes_on_and_pays_nothing_twice(server) -> None:
    paid = len(server.calls)
    ended = commands.command("run", "--json")
    assert ended.status == 0, ended.err
    assert (ended.summary["reused"], ended.summary["collected"]) == (PAID, len(NAMES) - PAID)
    assert len(server.calls) - paid == ended.summary["calls"] == 2 * (len(NAMES) - PAID)
    costs = load_table("api_costs", utc_now().date())
    assert costs["cost_usd"].sum() == pytest.approx(2 * len(NAMES) * PRICE_USD)  # the ledger came with the answers
    changes = load_table("backlinks_changes", utc_now().date())
    assert {f"{day:%Y-%m-%d}" for day in changes["previous_date"]} == {str(BEFORE[-1])}
    assert changes["baseline"].notna().all()  # by the earlier days, whose tables were built from the store


@pytest.mark.ci
def test_the_file_is_backed_up_and_put_back(server, monkeypatch, tmp_path: Path) -> None:
    running = server()
    with (
        closing(sqlite3.connect(store_path(Settings.from_env().root))) as store,
        closing(sqlite3.connect(tmp_path / "responses-backup.sqlite")) as backup,
    ):
        store.backup(backup)  # as `sqlite3 … ".backup …"` does
    new_machine(monkeypatch, tmp_path / "new")
    shutil.move(tmp_path / "responses-backup.sqlite", store_path(tmp_path / "new"))
    goes_on_and_pays_nothing_twice(running)


@pytest.mark.ci
def test_the_database_is_dumped_and_restored(
    server, monkeypatch, tmp_path: Path, postgres: Postgres, postgres_url: str
) -> None:
    monkeypatch.setenv("BACKLINKS_DATABASE_URL", postgres_url)
    running = server()
    dump, empty = tmp_path / "backlinks.dump", postgres.new_database()
    for command in (
        ["pg_dump", "--format=custom", f"--file={dump}", postgres_url],
        ["pg_restore", "--no-owner", f"--dbname={empty}", str(dump)],
    ):
        done = subprocess.run(
            [postgres.programs / command[0], *command[1:]], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
    monkeypatch.setenv("BACKLINKS_DATABASE_URL", empty)
    new_machine(monkeypatch, tmp_path / "new")
    goes_on_and_pays_nothing_twice(running)
