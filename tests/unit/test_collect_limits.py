"""What a run does when the account's limits are passed all the same, judged at a server that refuses."""

import threading
import time

import collecting
import faults
import pytest
from collecting import asks_of, run, shops
from faults import Fault

from backlinks_assets.account.limiter import AccountLimiter, Limiter
from backlinks_assets.account.shared_limiter import SharedLimiter
from backlinks_assets.dataforseo import status_codes
from backlinks_assets.simulator.http.account import Call

pytestmark = pytest.mark.usefixtures("each_store")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting.be_quick(monkeypatch)


def test_over_the_rate_pauses_every_worker(api, monkeypatch) -> None:
    monkeypatch.setattr(status_codes, "RATE_PAUSE_S", 3.0)
    pauses: list[tuple[float, float]] = []
    for kind in (AccountLimiter, SharedLimiter):

        def pause(self: Limiter, seconds: float, pause=kind.pause) -> None:
            begins = time.monotonic()
            pause(self, seconds)
            pauses.append((time.monotonic(), begins + seconds))

        monkeypatch.setattr(kind, "pause", pause)
    server = api(Fault(faults.code(40202), calls=(11, 11)), latency_s=0.1)
    outcomes, _ = run(asks_of(*shops(100)))
    assert all(outcome.error is None for outcome in outcomes.values())
    ((begun, ends),) = pauses
    # What had a permit before may still arrive, on a busy machine at any time: one of each of the other 29 workers.
    assert len([call for call in server.calls if begun < call.started < ends]) < 30
    assert [call for call in server.calls if call.started > ends]


@pytest.mark.ci
def test_too_many_at_once_lowers_the_concurrency(api, monkeypatch) -> None:
    monkeypatch.setattr(status_codes, "CROWDED_WAIT_S", 0.3)
    server = api(calls_at_once=24)
    code_of, wait, crowded = server.account.over_a_limit, server.api.pause, threading.Event()

    def over_a_limit(call: Call, door: tuple[str, str]) -> int | None:
        code = code_of(call, door)
        if code == 40209:
            crowded.set()
        return code

    def until_crowded(_seconds: float) -> None:
        """Keep calls until there are too many, however long a slow machine needs for that, and then for a second."""
        crowded.wait(100)
        wait(1.0)

    monkeypatch.setattr(server.account, "over_a_limit", over_a_limit)
    monkeypatch.setattr(server.api, "pause", until_crowded)
    outcomes, _ = run(asks_of(*shops(60)))
    assert all(outcome.error is None for outcome in outcomes.values())
    refused = sum(call.status_code == 40209 for call in server.calls)
    assert 0 < refused
    last = [call.status_code for call in server.calls][-60:]
    assert 40209 not in last
