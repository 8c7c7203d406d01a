"""What two threads must know of each other: a target's two calls are begun together or not at all."""

import datetime as dt

import pytest

from backlinks_assets.collect.outcome import Ask
from backlinks_assets.collect.turns import NotCalledError, Pair, Room, Turns
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.store.budget import BudgetError

DAY = dt.date(2026, 11, 24)


def ask(target: str = "shop.example") -> Ask:
    return Ask(DAY, target, RequestParameters())


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def pair(room: Room) -> Pair:
    return Pair(0, ask(), set(), room)


def refuse(pair: Pair, calls: int = 2) -> None:
    with pytest.raises(BudgetError), pair.beginning():
        raise BudgetError("no room", calls)


def test_what_the_budget_refuses_to_one_the_other_does_not_begin(pair: Pair) -> None:
    refuse(pair)
    with pytest.raises(NotCalledError, match="no room"):
        pair.check()
    assert pair.is_put_off


def test_what_is_begun_is_gone_on_with_whatever_becomes_of_the_other(pair: Pair) -> None:
    with pair.beginning():
        pass
    pair.end(pair.turns[0], "failed")
    refuse(pair, 1)
    pair.check()
    pair.hold_back()
    assert not pair.is_put_off


def test_where_one_ends_without_its_answer_before_a_call_the_other_makes_none(pair: Pair) -> None:
    pair.end(pair.turns[0], "the kept answer is gone from the store")
    with pytest.raises(NotCalledError, match="gone"):
        pair.check()
    assert not pair.is_put_off


def test_where_one_ends_with_its_answer_the_other_is_called_alone(pair: Pair) -> None:
    pair.end(pair.turns[0], None)
    pair.check()
    assert pair.to_call == [pair.turns[1]]


def test_a_refusal_of_two_calls_holds_back_those_who_need_two(pair: Pair, room: Room) -> None:
    refuse(pair, 2)
    half = Pair(1, ask("half.example"), {ask("half.example").key("live")}, room)
    half.hold_back()
    whole = Pair(2, ask("whole.example"), set(), room)
    with pytest.raises(NotCalledError, match="not asked: no room"):
        whole.hold_back()
    refuse(half, 1)
    another = Pair(3, ask("another.example"), {ask("another.example").key("live")}, room)
    with pytest.raises(NotCalledError):
        another.hold_back()


def test_a_target_that_was_begun_is_given_whole_when_the_turns_are_closed() -> None:
    turns = Turns([ask("a.example"), ask("b.example")], set())
    first = next(turns)
    turns.close()
    assert [(turn.ask.target, turn.status_type) for turn in turns] == [("a.example", "lost")]
    assert first.status_type == "live"
