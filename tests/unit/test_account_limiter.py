"""The limiter in one process, on the machine's clock: settings, turns, unusable folders, wall clock."""

import inspect
import re
import time
from pathlib import Path

import pytest

from backlinks_assets.account import clock, concurrency, limiter, lockfile, rate_limiter
from backlinks_assets.account.limiter import AccountLimiter, LimiterError


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
