"""What the account's limits are, in files and in Postgres alike."""

import threading

import pytest
from accounts import Place, soon

from backlinks_assets.account.limiter import Cancelled


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ((0,), "Calls per minute"),
        ((-5,), "Calls per minute"),
        ((2000, 0), "Calls at once"),
        ((2000, 10_001), "Calls at once"),
        ((2000, 30, 0.0), "timeout"),
        ((2000, 30, float("nan")), "timeout"),
        ((2000, 30, 3600.0), "timeout"),
    ],
    ids=str,
)
def test_limits_that_cannot_be_are_refused_by_name(account: Place, wrong: tuple, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        account.limiter(*wrong[:2], **dict(zip(["call_timeout_s"], wrong[2:], strict=False)))


def test_the_state_counts_what_is_under_way(account: Place) -> None:
    limiter = account.limiter()
    state = limiter.state()
    assert (state.calls_per_minute, state.paced_per_minute, state.calls_at_once) == (2000, 1960.0, 30)
    assert (state.slots_held, state.slots_waiting, state.paused_s, state.lowered_to) == (0, 0, 0.0, None)
    with limiter.permit(), limiter.permit():
        assert limiter.state().slots_held == account.limiter().state().slots_held == 2
    assert limiter.state().slots_held == 0


def test_a_permit_in_hand_is_one_fewer_for_everybody(account: Place) -> None:
    with account.limiter(60_000, 2).permit(), account.limiter(60_000, 2).permit():
        with pytest.raises(Cancelled, match="wait for a free slot"), account.limiter(60_000, 2).permit(soon()):
            pytest.fail("a third of two")
    with account.limiter(60_000, 2).permit(soon(100)):
        pass


def test_a_call_without_an_answer_keeps_its_slot_until_its_timeout(account: Place) -> None:
    limiter = account.limiter(60_000, 1)
    with limiter.permit() as permit:
        permit.keep_slot()
    assert (limiter.state().slots_held, limiter.state().slots_waiting) == (0, 1)
    account.pass_time(100)
    with pytest.raises(Cancelled), limiter.permit(soon()):
        pytest.fail("the server may still be at work")
    account.pass_time(36)
    assert limiter.state().slots_waiting == 0
    with limiter.permit(soon(100)):
        pass


def test_an_interruption_keeps_the_slot_and_an_error_frees_it(account: Place) -> None:
    limiter = account.limiter()
    with pytest.raises(RuntimeError), limiter.permit():
        raise RuntimeError("the server answered with an error")
    assert (limiter.state().slots_held, limiter.state().slots_waiting) == (0, 0)
    with pytest.raises(KeyboardInterrupt), limiter.permit():
        raise KeyboardInterrupt
    assert (limiter.state().slots_held, limiter.state().slots_waiting) == (0, 1)


def test_lowering_is_seen_by_others_counts_once_for_refusals_that_come_together_and_ends(account: Place) -> None:
    here, there = account.limiter(60_000, 30), account.limiter(60_000, 30)
    assert [here.lower_concurrency() for _ in range(5)] == [20] * 5
    assert there.state().lowered_to == 20
    account.pass_time(10)
    assert there.lower_concurrency() == 13
    assert 290 < here.state().lowered_s <= 300
    account.pass_time(301)
    assert (there.state().lowered_to, there.state().lowered_s) == (None, 0.0)


def test_lowering_never_leaves_less_than_one_and_counts(account: Place) -> None:
    limiter, left = account.limiter(60_000, 5), []
    for _ in range(6):
        left.append(limiter.lower_concurrency())
        account.pass_time(10)
    assert left == [3, 2, 1, 1, 1, 1]
    with limiter.permit():
        with pytest.raises(Cancelled), limiter.permit(soon()):
            pytest.fail("two at once, though one is allowed now")


def test_a_longer_pause_is_not_cut_short_and_none_outlasts_ten_minutes(account: Place) -> None:
    limiter = account.limiter()
    limiter.pause(300)
    account.limiter().pause(60)
    assert 290 < limiter.state().paused_s <= 300
    with pytest.raises(Cancelled, match="wait for the account's pace"), limiter.permit(soon(2)):
        pytest.fail("a call in the pause")
    limiter.pause(86_400)
    assert 590 < limiter.state().paused_s <= 600
    account.pass_time(601)
    assert limiter.state().paused_s == 0
    with limiter.permit(soon(100)):
        pass
    with pytest.raises(ValueError, match="A pause must be longer than 0 s"):
        limiter.pause(float("nan"))


@pytest.mark.medium
def test_a_pause_that_comes_while_a_call_waits_for_its_instant_holds_it_back(account: Place) -> None:
    limiter, other, looks = account.limiter(60), account.limiter(60), []
    with limiter.permit():
        pass

    def pause_once() -> bool:  # looked at before the slot is taken, then while the call waits for its second
        looks.append(None)
        if len(looks) == 3:
            other.pause(60)
        return len(looks) > 12

    def call() -> None:
        while len(looks) < 3:  # its second may be over before it has looked: then there is a next one
            looks.clear()
            with limiter.permit(pause_once):
                pass
        pytest.fail("the pause was not seen")

    with pytest.raises(Cancelled, match="pace"):
        call()
    assert (limiter.state().slots_held, limiter.state().slots_waiting) == (0, 0)


def test_one_with_fewer_slots_and_one_with_more_share_the_first_ones(account: Place) -> None:
    few, many = account.limiter(60_000, 2), account.limiter(60_000, 5)
    with many.permit(), many.permit(), many.permit(), many.permit(), many.permit():
        for limiter in (few, many):
            with pytest.raises(Cancelled), limiter.permit(soon()):
                pytest.fail("the larger number is the bound")
    with few.permit(), few.permit():
        with pytest.raises(Cancelled), few.permit(soon()):
            pytest.fail("a third of two")
        with many.permit(), many.permit(), many.permit():
            assert few.state().slots_held == 5


def test_what_the_call_itself_raises_passes_unchanged(account: Place) -> None:
    with pytest.raises(ConnectionResetError), account.limiter().permit():
        raise ConnectionResetError


@pytest.mark.medium
def test_threads_get_slots_in_the_order_in_which_they_asked(account: Place) -> None:
    limiter = account.limiter(60_000, 1)
    order: list[int] = []

    def call(number: int, queued: threading.Event) -> None:
        def is_cancelled() -> bool:
            queued.set()  # looked at only by those who queue
            return False

        with limiter.permit(is_cancelled):
            order.append(number)

    threads = []
    with limiter.permit():
        for number in range(4):
            queued = threading.Event()
            threads.append(threading.Thread(target=call, args=(number, queued)))
            threads[-1].start()
            assert queued.wait(120)
    for thread in threads:
        thread.join(120)
    assert order == [0, 1, 2, 3]
