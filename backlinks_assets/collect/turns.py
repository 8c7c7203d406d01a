"""Who works on what: many threads take one answer each in turn, and the two of a target are begun together or not at all.

Half a reading is worth nothing, so that nothing is paid for one answer of a target while the other can't be had. Here
belongs what two threads must know of each other for that; what they do is `collector.py`.
"""

import datetime as dt
import math
import threading
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from backlinks_assets.collect.outcome import STATUS_TYPES, Ask
from backlinks_assets.dataforseo.endpoints.summary import StatusType
from backlinks_assets.store.budget import BudgetError
from backlinks_assets.store.responses import Key, ResponseStore


def new_call_id() -> str:
    """Return a name for a call that no other has."""
    return uuid.uuid4().hex


@dataclass(slots=True, eq=False)
class Turn:
    """One answer to be got by one thread. `call_id` is that of its next call.

    `is_kept`: its answer is in the store. `is_claimed`: this run alone may call for it. `has_room`: room in the budget
    is set aside for its next call. `is_over`: its thread is done with it.
    """

    number: int
    ask: Ask
    status_type: StatusType
    pair: "Pair"
    is_kept: bool
    is_claimed: bool = False
    has_room: bool = False
    is_over: bool = False
    call_id: str = field(default_factory=new_call_id)

    @property
    def key(self) -> Key:
        return self.ask.key(self.status_type)


class NotCalledError(Exception):
    """A call is not made: its day is over, or the answer to the target's other call can't be had."""


@dataclass(slots=True)
class Room:
    """What the day's budget has refused in one round of turns: for how many calls there was no room, and in which words.

    `has_called`: some call was made in it, which may have left room since.
    """

    refused: str | None = None
    refused_calls: float = math.inf
    has_called: bool = False


class Pair:
    """The turns of one target. `has_begun` once a call was made; until then `why_not`, where there is one, forbids it,
    for now only if it `is_put_off`: the budget has no room, and calls under way may leave some.

    Whoever looks at a pair and acts on it holds its lock meanwhile.
    """

    def __init__(self, number: int, ask: Ask, kept: Collection[Key], room: Room) -> None:
        self.lock = threading.Lock()
        self._room = room
        self.has_begun = False
        self.why_not: str | None = None
        self.is_put_off = False
        self.turns = tuple(Turn(number, ask, each, self, ask.key(each) in kept) for each in STATUS_TYPES)

    @property
    def to_call(self) -> list[Turn]:
        """The turns whose answers must still be called for."""
        return [turn for turn in self.turns if not turn.is_kept and not turn.is_over]

    def hold_back(self) -> None:
        """Put it off if it is not begun and the budget has refused as many calls as it needs.

        Raises:
            NotCalledError: it is put off.
        """
        with self.lock:
            if self.why_not is None and len(self.to_call) >= self._room.refused_calls and not self.has_begun:
                self.why_not, self.is_put_off = f"not asked: {self._room.refused}", True
            self.check()

    @contextmanager
    def beginning(self) -> Iterator[None]:
        """Begin it by the call that the block enters; put it off where the budget has no room, which is raised again."""
        room = self._room
        try:
            yield
        except BudgetError as error:
            room.refused, room.refused_calls = room.refused or str(error), min(room.refused_calls, error.calls)
            if not self.has_begun:
                self.why_not, self.is_put_off = str(error), True
            raise
        self.has_begun = room.has_called = True

    def claim(self, turn: Turn, store: ResponseStore, now: dt.datetime) -> bool:
        """Claim the calls that must still be made, all of them or none; False while another run is at one.

        Raises:
            NotCalledError: one of them is not to be made, so that none is.
        """
        if not turn.is_claimed and not turn.is_kept and self.why_not is None:
            keys = {each.key: each for each in self.to_call}
            if (claim := store.claim(keys, now)) is None:
                return False
            for key, each in keys.items():
                each.is_kept = key in claim.landed
                each.is_claimed = not each.is_kept and key not in claim.refused
            self.why_not = next(iter(claim.refused.values()), None)
        self.check()
        return True

    def check(self) -> None:
        """Raise NotCalledError where the calls are not to be begun."""
        if self.why_not is not None and not self.has_begun:
            raise NotCalledError(self.why_not)

    def end(self, turn: Turn, error: str | None) -> None:
        """Note that a turn is over; if it ended without its answer before a call was made, the other makes none."""
        with self.lock:
            turn.is_over = True
            self.why_not = self.why_not or error


class Turns:
    """What is to be done, taken by many threads, one turn each. What is not yet taken takes no memory."""

    def __init__(self, asks: Sequence[Ask], kept: Collection[Key]) -> None:
        self.room = Room()
        self._pairs = (Pair(number, ask, kept, self.room) for number, ask in enumerate(asks))
        self._rest: Iterator[Turn] = iter(())
        self._lock = threading.Lock()
        self._closed = False

    def __iter__(self) -> Iterator[Turn]:
        return self

    def __next__(self) -> Turn:
        with self._lock:
            if (turn := next(self._rest, None)) is not None:
                return turn
            if self._closed:
                raise StopIteration
            self._rest = iter(next(self._pairs).turns)
            return next(self._rest)

    def close(self) -> None:
        """Begin no other target. The second turn of one that was begun is still given, so that it is ended."""
        with self._lock:
            self._closed = True
