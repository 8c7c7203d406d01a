"""The pace, the slots' marks and the lowering, over a clock turned by hand and real files."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from backlinks_assets.account import concurrency, rate_limiter
from backlinks_assets.account.clock import Clock
from backlinks_assets.account.limiter import AccountLimiter


class HandClock:
    """Moves only when told to, or when somebody sleeps."""

    def __init__(self, now_s: float = 5000.0, boot_id: str = "first-boot") -> None:
        self.boot_id = boot_id
        self.now = now_s

    def now_s(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def reservations(pace: rate_limiter.Pacer, clock: HandClock, count: int) -> list[float]:
    """Instants reserved by asking `count` times, sleeping only where nothing was reserved."""
    starts: list[float] = []
    while len(starts) < count:
        wait_s = pace.reserve()
        if wait_s <= rate_limiter.HORIZON_S:
            starts.append(clock.now + wait_s)
        else:
            clock.sleep(wait_s)
    return starts


def test_the_machine_tells_one_boot_and_a_clock_that_goes_forward() -> None:
    clock, other = Clock(), Clock()
    assert clock.boot_id == other.boot_id
    assert clock.boot_id
    assert " " not in clock.boot_id
    assert clock.now_s() <= other.now_s()


def test_two_thousand_a_minute_is_paced_at_1960_with_no_burst(tmp_path: Path) -> None:
    clock = HandClock()
    starts = reservations(rate_limiter.Pacer(tmp_path, 2000, clock), clock, 900)
    assert starts[0] == clock.now, "the first call waits for nothing"
    gaps = [later - earlier for earlier, later in itertools.pairwise(starts)]
    assert min(gaps) > 60 / 1960 - 1e-6
    assert max(gaps) < 60 / 1960 + 1e-6


@given(
    calls_per_minute=st.sampled_from([1, 7, 10, 600, 2000]),
    steps=st.lists(
        st.tuples(st.sampled_from(["reserve", "reserve", "pass", "pause"]), st.floats(0.01, 90.0)),
        max_size=60,
    ),
)
@settings(max_examples=60, deadline=None)
def test_no_two_calls_are_nearer_than_the_interval_nor_in_a_pause(
    calls_per_minute: int, steps: list[tuple[str, float]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = HandClock()
        pace = rate_limiter.Pacer(Path(folder), calls_per_minute, clock)
        last, paused_until = -1e9, -1e9
        for action, seconds in steps:
            if action == "pass":
                clock.sleep(seconds)
            elif action == "pause":
                pace.pause(seconds)
                paused_until = max(paused_until, clock.now + seconds)
            elif (wait_s := pace.reserve()) <= rate_limiter.HORIZON_S:
                start = clock.now + wait_s
                assert start - last > 60 / (0.98 * calls_per_minute) - 1e-6
                assert start > paused_until - 1e-6
                last = start


def test_thirty_who_wait_at_a_slow_rate_never_make_a_schedule_that_is_distrusted(tmp_path: Path) -> None:
    clock = HandClock()
    pace = rate_limiter.Pacer(tmp_path, 6, clock)
    starts = reservations(pace, clock, 30)  # 306 s of schedule, more than is ever believed
    assert min(later - earlier for earlier, later in itertools.pairwise(starts)) > 10.2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 200,
        b"first-boot 00000",
        b"nonsense\n" * 100,
        b"first-boot 5090.0 5090.0 00000000\n",
        b"\xff\xfe \x80\n",
    ],
    ids=["empty", "zeros after a power cut", "truncated", "another program's", "wrong checksum", "not text"],
)
def test_a_damaged_pace_file_is_a_fresh_one_and_lets_no_burst_through(tmp_path: Path, content: bytes) -> None:
    clock = HandClock()
    pace = rate_limiter.Pacer(tmp_path, 60, clock)
    reservations(pace, clock, 3)
    (tmp_path / "pace").write_bytes(content)
    waits = [pace.reserve() for _ in range(3)]
    assert waits == pytest.approx([0.0, 1 / 0.98, 2 / 0.98])


def test_an_instant_too_far_ahead_to_be_true_is_ignored(tmp_path: Path) -> None:
    late, early = (
        HandClock(now_s=50_000.0),
        HandClock(now_s=100.0),
    )  # the same boot's id, as where there is none
    rate_limiter.Pacer(tmp_path, 60, late).reserve()
    rate_limiter.Pacer(tmp_path, 60, late).pause(60)
    assert rate_limiter.Pacer(tmp_path, 60, early).reserve() == 0.0
    assert rate_limiter.Pacer(tmp_path, 60, early).reserve() == pytest.approx(1 / 0.98)


def test_a_reboot_frees_slots_pause_pace_and_lowering(tmp_path: Path) -> None:
    before = AccountLimiter(tmp_path, 60, calls_at_once=3, clock=HandClock())
    for _ in range(3):
        with before.permit() as permit:
            permit.keep_slot()
    before.lower_concurrency()
    before.pause(600)
    assert before.state().slots_waiting == 3

    rebooted = HandClock(now_s=4990.0, boot_id="second-boot")
    after = AccountLimiter(tmp_path, 60, calls_at_once=3, clock=rebooted)
    state = after.state()
    assert (state.slots_waiting, state.paused_s, state.lowered_to) == (0, 0.0, None)
    with after.permit():
        assert rebooted.now == 4990.0, "nothing was waited for"


@pytest.mark.parametrize("name", ["slot-0000", "lowered"])
def test_a_damaged_slot_or_lowering_file_is_a_fresh_one(tmp_path: Path, name: str) -> None:
    pool = concurrency.SlotPool(tmp_path, 1, HandClock())
    (tmp_path / name).write_bytes(b"first-boot 0000999999.0 garbage\n")
    assert pool.acquire(lambda: False) is not None
    assert pool.lowered() == (1, 0.0)
