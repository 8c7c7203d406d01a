"""The shared database goes away in mid-run: nothing that was paid for is lost, and nothing is paid for twice."""

import datetime as dt
import threading
import time
from collections.abc import Callable

import collecting
import faults
import pytest
from collecting import asks_of, kept, rows, run, shops
from faults import Fault
from servers import Postgres
from simulated_api import PRICE_USD, SimulatedApi

from backlinks_assets.account import shared_limiter
from backlinks_assets.collect import factory
from backlinks_assets.collect.collector import StopError
from backlinks_assets.collect.factory import open_collector, open_store
from backlinks_assets.collect.outcome import Outcome
from backlinks_assets.paths import waiting_dir
from backlinks_assets.settings import Settings
from backlinks_assets.store import outage

TARGETS = 60
HELD = 15
"""Calls, of thirty at once, whose answers come when the database is away, however long its end takes."""
_HELD_S = 3600

pytestmark = [pytest.mark.slow, pytest.mark.ci, pytest.mark.timeout(600)]


@pytest.fixture(autouse=True)
def shared(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    collecting.be_quick(monkeypatch)
    monkeypatch.setenv("BACKLINKS_DATABASE_URL", postgres_url)
    # A slot is given up soon while the database is away, and not waited for as long as the slowest call could take.
    monkeypatch.setattr(shared_limiter, "RELEASE_PATIENCE_S", 0.5)
    monkeypatch.setattr(factory, "slot_held_s", lambda _settings: 45.0)


def held_from(call: int) -> Fault:
    """Some calls' answers, from this one on, wait for `let_go`."""
    return Fault(faults.silence(_HELD_S), calls=(call, call + HELD - 1))


def let_go_of(server: SimulatedApi) -> threading.Event:
    """Return what lets the held answers go."""
    let_go, pause = threading.Event(), server.api.pause

    def paused(seconds: float) -> None:
        if seconds != _HELD_S:
            pause(seconds)
        elif not let_go.wait(300):
            raise ConnectionAbortedError

    server.api.pause = paused  # type: ignore[method-assign]
    return let_go


def in_background(targets: list[str]) -> tuple[threading.Thread, dict[str, Outcome], list[str | None]]:
    outcomes: dict[str, Outcome] = {}
    stopped: list[str | None] = []

    def work() -> None:
        found, why = run(asks_of(*targets))
        outcomes.update(found)
        stopped.append(why)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, outcomes, stopped


def wait_for(is_so: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def waiting() -> list[str]:
    folder = waiting_dir(Settings.from_env().root)
    return sorted(file.name for file in folder.glob("*")) if folder.exists() else []


def each_was_paid_once_and_stored(server: SimulatedApi, targets: int) -> None:
    assert sorted(kept()) == sorted((target, status) for target in shops(targets) for status in ("live", "lost"))
    paid = [(call.target, call.status_type) for call in server.calls if call.target]
    assert len(paid) == len(set(paid)) == 2 * targets
    assert collecting.spent_usd() == pytest.approx(server.spent_usd) == pytest.approx(2 * targets * PRICE_USD)
    assert rows("SELECT count(*) FROM claims") == [(0,)]
    assert rows("SELECT count(*) FROM api_calls WHERE outcome = 'in_flight'") == [(0,)]
    assert waiting() == []


def test_where_no_file_can_be_written_the_answers_wait_in_memory(api, postgres: Postgres) -> None:
    server = api(held_from(6), latency_s=0.3)
    let_go = let_go_of(server)
    root = Settings.from_env().root
    root.mkdir(parents=True)
    waiting_dir(root).write_text("in the way")
    thread, _, stopped = in_background(shops(20))
    try:
        wait_for(lambda: len(server.calls) >= 5 + HELD)
        postgres.stop()
        let_go.set()
        wait_for(lambda: all(call.ended for call in server.calls))
        time.sleep(2)  # in which they are to be stored, in vain
    finally:
        postgres.start()
    thread.join(240)
    assert stopped == [None]
    waiting_dir(root).unlink()
    each_was_paid_once_and_stored(server, 20)


@pytest.mark.parametrize("mode", ["fast", pytest.param("immediate", marks=pytest.mark.ci)])
def test_a_run_goes_on_when_the_server_has_restarted(api, postgres: Postgres, mode: str) -> None:
    server = api(held_from(20), latency_s=0.15)
    let_go = let_go_of(server)
    thread, outcomes, stopped = in_background(shops(TARGETS))
    try:
        wait_for(lambda: len(server.calls) >= 20 + HELD)
        postgres.stop(mode)
        let_go.set()
        # What was in flight has come, and is on disk.
        wait_for(lambda: len(waiting()) >= HELD and all(call.ended for call in server.calls))
        time.sleep(1)  # for a thread that was slow to send what was entered before
        made = len(server.calls)
        time.sleep(1)
        assert len(server.calls) == made  # no call that isn't counted
        assert HELD <= len(waiting()) <= 30
    finally:
        postgres.start()
    thread.join(240)
    assert stopped == [None]
    assert {outcome.error for outcome in outcomes.values()} == {None}
    each_was_paid_once_and_stored(server, TARGETS)


def test_a_run_that_is_to_end_meanwhile_leaves_its_answers_to_the_next(api, postgres: Postgres, monkeypatch) -> None:
    monkeypatch.setattr(outage, "ENDING_S", 0.5)
    server = api(held_from(41), latency_s=0.15)
    let_go = let_go_of(server)
    outcomes: list[Outcome] = []
    try:
        with open_collector(Settings.from_env()) as collector:
            stream = collector.collect(asks_of(*shops(TARGETS)))
            outcomes.append(next(stream))
            wait_for(lambda: len(server.calls) >= 40 + HELD)
            postgres.stop()
            let_go.set()
            collector.stop("enough")
            with pytest.raises(StopError):
                outcomes.extend(stream)
        left = waiting()
        assert left
        assert any("waits in" in (outcome.error or "") for outcome in outcomes)
    finally:
        postgres.start()
    with open_store(Settings.from_env()) as store:
        assert len(store.stored_keys([dt.datetime.now(dt.UTC).date()])) == len(server.calls)
    assert waiting() == []
    _, stopped = run(asks_of(*shops(TARGETS)))
    assert stopped is None
    each_was_paid_once_and_stored(server, TARGETS)


def test_a_database_that_is_away_from_the_start_is_a_sentence_and_no_call(api, postgres: Postgres, monkeypatch) -> None:
    server = api()
    postgres.stop()
    try:
        with pytest.raises(Exception, match="could not be reached") as said:
            run(asks_of("shop.example"))
    finally:
        postgres.start()
    assert "The database test_" in str(said.value)
    assert server.calls == []


def test_an_answer_of_another_database_waits_on(api, postgres: Postgres, monkeypatch) -> None:
    api()
    run(asks_of("shop.example"))
    folder = waiting_dir(Settings.from_env().root)
    outage.Waiting(folder).put("elsewhere", {"place": "the database x on y:1", "origin": "loopback"})
    place = Settings.from_env().store
    outage.Waiting(folder).put(
        "restored", {"place": str(place), "origin": "loopback", "key": ["2026-11-26", "a", "live", "k", "e"],
                     "now": "2026-11-26T07:00:00+00:00", "answer": None, "message": "", "is_final": False}
    )  # fmt: skip
    (folder / "cut.json").write_bytes(b'{"place": ')
    with open_store(Settings.from_env()):
        pass
    assert waiting() == ["cut.json", "elsewhere.json", "restored.json"]
