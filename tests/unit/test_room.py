"""Whether the budget has room for another target, as the threads of a run see it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from backlinks_assets.account.limiter import Cancelled
from backlinks_assets.collect.room import Room
from backlinks_assets.store.budget import BudgetError


@pytest.fixture
def room() -> Room:
    return Room(threading.Event())


def refuse(room: Room, calls: int) -> None:
    room.leave(room.enter(calls), BudgetError("no room", calls))


def test_what_was_refused_to_one_is_refused_to_all_who_need_as_much_and_not_to_who_needs_less(room: Room) -> None:
    refuse(room, 2)
    with pytest.raises(BudgetError, match="no room") as refused:
        room.enter(2)
    assert refused.value.calls == 2
    refuse(room, 1)  # it is tried
    with pytest.raises(BudgetError):
        room.enter(1)


def test_a_target_waits_while_another_is_at_work_that_may_leave_room(room: Room) -> None:
    at_work = room.enter(2)
    refuse(room, 2)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(room.enter, 2)
        assert not threading.Event().wait(0.6)
        assert not waits.done()
        room.leave(at_work, None)
        assert waits.result(timeout=120) == 1


def test_a_refusal_from_before_a_target_ended_says_nothing_of_the_room_after_it(room: Room) -> None:
    at_work, late = room.enter(2), room.enter(2)
    room.leave(at_work, None)
    room.leave(late, BudgetError("no room", 2))
    room.enter(2)


def test_who_waits_is_woken_when_the_run_stops() -> None:
    stop = threading.Event()
    room = Room(stop)
    room.enter(2)
    refuse(room, 2)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(room.enter, 2)
        stop.set()
        with pytest.raises(Cancelled):
            waits.result(timeout=120)
