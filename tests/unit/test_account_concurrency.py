"""Slots and the marks in them: a mark is believed only as far as a call can last."""

from pathlib import Path

import pytest

from backlinks_assets.account import clock as instants, lockfile
from backlinks_assets.account.clock import Clock
from backlinks_assets.account.concurrency import MAX_CALL_S, SlotPool


def never() -> bool:
    return False


class AnotherBoot(Clock):
    boot_id = "another-boot"


def marked(directory: Path, ahead_s: float, is_of_another_boot: bool = False) -> SlotPool:
    """A pool of one slot, whose file says that a call may be under way for so many seconds yet."""
    clock = Clock()
    with lockfile.lock(directory / "slot-0000") as lock:
        instants.write(lock, AnotherBoot() if is_of_another_boot else clock, clock.now_s() + ahead_s)
    return SlotPool(directory, 1, clock)


@pytest.mark.parametrize("ahead_s", [MAX_CALL_S + 60, 1e9, float("inf"), -5.0, float("nan")])
def test_a_mark_further_ahead_than_a_call_can_last_is_damage_and_keeps_nobody_out(
    tmp_path: Path, ahead_s: float
) -> None:
    pool = marked(tmp_path, ahead_s)
    assert pool.census() == (0, 0)
    slot = pool.acquire(never)
    assert slot is not None
    slot.release()


@pytest.mark.parametrize("ahead_s", [60.0, MAX_CALL_S - 5])
def test_a_mark_that_can_be_true_keeps_the_slot(tmp_path: Path, ahead_s: float) -> None:
    looks = iter([False] * 5)
    pool = marked(tmp_path, ahead_s)
    assert pool.census() == (0, 1)
    assert pool.acquire(lambda: next(looks, True)) is None


def test_a_mark_of_another_boot_keeps_nobody_out(tmp_path: Path) -> None:
    pool = marked(tmp_path, 60.0, is_of_another_boot=True)
    assert pool.acquire(never) is not None
