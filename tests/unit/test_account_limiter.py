"""The limiter in one process, on the machine's clock: settings, turns, unusable folders, wall clock."""

import inspect
import re
import threading
import time
from pathlib import Path

import pytest

from backlinks_assets.account import clock, concurrency, limiter, lockfile, rate_limiter
from backlinks_assets.account.limiter import AccountLimiter, LimiterError


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"calls_per_minute": 0}, "Calls per minute"),
        ({"calls_per_minute": -5}, "Calls per minute"),
        ({"calls_at_once": 0}, "Calls at once"),
        ({"calls_at_once": 10_001}, "Calls at once"),
        ({"call_timeout_s": 0.0}, "timeout"),
        ({"call_timeout_s": float("nan")}, "timeout"),
        ({"call_timeout_s": 3600.0}, "timeout"),
    ],
    ids=str,
)
def test_limits_that_cannot_be_are_refused_by_name(tmp_path: Path, wrong: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        AccountLimiter(tmp_path, **wrong)  # type: ignore[arg-type]


def test_nothing_is_made_before_the_first_permit(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "account"
    account = AccountLimiter(folder, 2000, 30)
    state = account.state()
    assert not folder.exists()
    assert (state.calls_per_minute, state.paced_per_minute, state.calls_at_once) == (2000, 1960.0, 30)
    assert (state.slots_held, state.slots_waiting, state.paused_s, state.lowered_to) == (0, 0, 0.0, None)
    with account.permit():
        assert account.state().slots_held == 1
    assert folder.is_dir()
    assert account.state().slots_held == 0


def test_a_folder_that_cannot_be_made_stops_every_call_with_the_next_step(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    account = AccountLimiter(tmp_path / "data" / "account")
    for ask in (account.permit().__enter__, account.pause, account.lower_concurrency):
        with pytest.raises(LimiterError, match=r"which can't be written: .*BACKLINKS_DATA_DIR") as raised:
            ask()
        assert str(tmp_path / "data" / "account") in str(raised.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device that is always full is Linux's")
@pytest.mark.parametrize("full", ["pace", "slot-0000"])
def test_a_full_disk_stops_every_call(tmp_path: Path, full: str) -> None:
    (tmp_path / full).symlink_to("/dev/full")
    account = AccountLimiter(tmp_path, calls_at_once=1)
    with pytest.raises(LimiterError, match="No space left on device"), account.permit():
        pytest.fail("a call was started outside the limits")
    assert account.state().slots_held == 0


def test_what_the_call_itself_raises_passes_unchanged(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), AccountLimiter(tmp_path).permit():
        raise ConnectionResetError


def test_threads_get_slots_in_the_order_in_which_they_asked(tmp_path: Path) -> None:
    account = AccountLimiter(tmp_path, 60_000, calls_at_once=1)
    order: list[int] = []

    def call(number: int, queued: threading.Event) -> None:
        def is_cancelled() -> bool:
            queued.set()  # asked only of those who queue
            return False

        with account.permit(is_cancelled):
            order.append(number)

    threads = []
    with account.permit():
        for number in range(4):
            queued = threading.Event()
            threads.append(threading.Thread(target=call, args=(number, queued)))
            threads[-1].start()
            assert queued.wait(30)
    for thread in threads:
        thread.join(30)
    assert order == [0, 1, 2, 3]


def test_the_wall_clock_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def step() -> float:
        pytest.fail("the wall clock was read")

    for name in ("time", "time_ns", "localtime", "gmtime"):
        monkeypatch.setattr(time, name, step)
    account = AccountLimiter(tmp_path, 6000, 2)
    for _ in range(3):
        with account.permit() as permit:
            pass
    account.pause(0.05)
    account.lower_concurrency()
    with account.permit() as permit:
        permit.keep_slot()
    assert account.state().slots_waiting == 1
    for module in (lockfile, clock, limiter, rate_limiter, concurrency):
        assert not re.search(r"datetime|CLOCK_REALTIME|st_[acm]time|utime", inspect.getsource(module))
