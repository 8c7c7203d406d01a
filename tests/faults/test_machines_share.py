"""Machines with data folders of their own and one database: each answer is charged once, whichever of them asks or dies."""

from collections.abc import Callable
from pathlib import Path

import collecting
import commands
import pytest
from collecting import kept, rows
from simulated_api import PRICE_USD, SimulatedApi

from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import days

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PASSWORD = "s3cret-passphrase"


def names(first: int, last: int) -> list[str]:
    return [f"shop{number:03d}.example" for number in range(first, last)]


Machine = Callable[..., commands.Process]


@pytest.fixture
def machine(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Start a command on the machine of that name, with a list of its own."""
    url = postgres_url.replace("backlinks@", f"backlinks:{PASSWORD}@")
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")
    monkeypatch.setenv("BACKLINKS_DATABASE_URL", url)

    def start(name: str, *targets: str) -> commands.Process:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "targets.csv").write_text("\n".join(["target", *targets]) + "\n", encoding="utf-8")
        return commands.start("run", "--json", environment={"BACKLINKS_DATA_DIR": str(folder)})

    return start


def each_was_charged_once(server: SimulatedApi, targets: int) -> None:
    asked = [(call.target, call.status_type) for call in server.calls if call.target]
    assert len(asked) == len(set(asked)) == len(kept()) == 2 * targets
    assert collecting.spent_usd() == pytest.approx(server.spent_usd) == pytest.approx(2 * targets * PRICE_USD)
    assert server.peak_at_once <= 30


def the_password_is_nowhere(folder: Path, *ended: commands.Ended) -> None:
    assert not any(PASSWORD in run.out + run.err for run in ended)
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert len(files) > 20
    assert [str(file) for file in files if PASSWORD.encode() in file.read_bytes()] == []


@pytest.mark.ci
def test_two_machines_with_lists_that_overlap_pay_once_and_each_has_its_tables(api, machine: Machine, tmp_path) -> None:
    server = api(latency_s=0.1)
    runs = [machine("one", *names(0, 40)), machine("two", *names(20, 60))]
    ended = [run.end() for run in runs]
    assert [(run.status, run.err) for run in ended] == [(0, "")] * 2
    assert sum(run.summary["calls"] for run in ended) == 120
    each_was_charged_once(server, 60)
    for name in ("one", "two"):
        assert days(tmp_path / name, "backlinks_summary") == [commands.today()]
    assert not Settings.from_env().store_file.exists()
    the_password_is_nowhere(tmp_path, *ended)


@pytest.mark.ci
def test_what_a_dead_machine_had_claimed_is_taken_over_by_another_and_only_that_is_paid_twice(
    api, machine: Machine, monkeypatch
) -> None:
    """A minute after its last sign of life, and as long again after the server's last start."""
    # A dead call's slot is free soon after it, within that minute; and no stall is so long that a call is made again.
    monkeypatch.setenv("BACKLINKS_READ_TIMEOUT_S", "40")
    server = api(latency_s=2.0)
    dead = machine("one", *names(0, 60))
    commands.wait_for(lambda: len(server.calls) > 40, commands.PATIENCE_S)
    dead.kill()
    (in_flight,) = rows("SELECT count(*) FROM api_calls WHERE outcome = 'in_flight'")[0]
    assert 0 < in_flight <= 30
    other = machine("two", *names(0, 60)).end()
    assert (other.status, other.summary["failed"]) == (0, [])
    assert len(kept()) == 120
    asked = [(call.target, call.status_type) for call in server.calls if call.target]
    assert len(set(asked)) == 120
    assert len(asked) - 120 <= in_flight
    assert server.peak_at_once <= 30
