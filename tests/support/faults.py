"""How the simulated API can be told to misbehave: when (`Fault`), and what (the functions that make an `Effect`).

    Fault(http(503), first_of_each_target=1)             each target's first call fails, the retry works
    Fault(code(40202), calls=(10, 20))                   calls 10 to 20 are over the rate
    Fault(silence(30), target="*.example", status_type="lost", calls=(1, 1))

The first fault that matches a paid call decides. What an effect does to an answer is in `misbehaviour`.
"""

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True, slots=True)
class Effect:
    """What goes wrong. `number` and `text` mean what the function that makes the effect says."""

    kind: str
    number: float = 0
    text: str | None = None
    after_s: float | None = None
    level: str = "task"


@dataclass(frozen=True, slots=True)
class Fault:
    """When an effect happens: to paid calls that match all that is given.

    `target` is a pattern with `*` and `?`, which one of a bulk call's targets must match. `endpoint` is one too, for the
    function in the path, such as `summary` or `bulk_*`. `calls` are the first and the last of the calls that match target
    and status type, counted from 1; `(first, None)` has no end. `first_of_each_target` is how many first
    calls of each target are hit. `charged`: whether the call costs money though it goes wrong; by default an
    effect that still delivers an answer (silence, trickle, half, big, wrong_target) does, and a refusal does
    not.
    """

    effect: Effect
    target: str = "*"
    status_type: str | None = None
    calls: tuple[int, int | None] | None = None
    first_of_each_target: int | None = None
    charged: bool | None = None
    endpoint: str = "*"


def code(status_code: int, text: str | None = None, *, level: str = "task") -> Effect:
    """HTTP 200 and a status code: the task's, or with `level="envelope"` the envelope's as well."""
    return Effect("code", status_code, text, level=level)


def tasks_null(status_code: int = 40104, text: str | None = None) -> Effect:
    """HTTP 200, an account-level status code on the envelope, and `tasks` null."""
    return Effect("tasks_null", status_code, text)


def http(status: int, *, retry_after: float | None = None) -> Effect:
    """A bare HTTP error (429, 500, 502, 503) as a gateway sends it; `retry_after` in seconds."""
    return Effect("http", status, after_s=retry_after)


def http_402() -> Effect:
    """HTTP 402 whose JSON body holds one task with 40200."""
    return Effect("http_402")


def html() -> Effect:
    """HTTP 200 with a web page instead of JSON."""
    return Effect("html")


def not_json() -> Effect:
    """HTTP 200, declared as JSON, that is none."""
    return Effect("not_json")


def reset() -> Effect:
    """The connection is reset (RST) with no answer."""
    return Effect("reset")


def half() -> Effect:
    """Half of the answer, then the connection is closed."""
    return Effect("half")


def silence(seconds: float) -> Effect:
    """Nothing for so long, then the right answer."""
    return Effect("silence", seconds)


def trickle(bytes_per_s: float) -> Effect:
    """The right answer, at so many bytes a second."""
    return Effect("trickle", bytes_per_s)


def wrong_target() -> Effect:
    """A good answer about another target."""
    return Effect("wrong_target")


def no_result(shape: str = "null") -> Effect:
    """A good, charged answer without a result: `null`, `[]` or `[null]`, the three shapes that were seen."""
    return Effect("no_result", text=shape)


def strings(text: str) -> Effect:
    """The right answer with this text for every string of `info` and as a key of each breakdown."""
    return Effect("strings", text=text)


def redirect(url: str) -> Effect:
    """HTTP 302 to another address."""
    return Effect("redirect", text=url)


def big(megabytes: float) -> Effect:
    """The right answer with so many megabytes of an unknown field in it."""
    return Effect("big", megabytes)


DELIVERS = frozenset({"half", "silence", "trickle", "wrong_target", "big", "no_result", "strings"})


def is_charged(fault: Fault) -> bool:
    """Whether a call that this fault hits costs its price."""
    return fault.effect.kind in DELIVERS if fault.charged is None else fault.charged


class FaultPlan:
    """Which fault hits a call, counting calls as they come. Thread-safe."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults)
        self._lock = threading.Lock()
        self._seen: Counter[int] = Counter()
        self._of_target: Counter[tuple[int, str]] = Counter()

    def next(self, targets: str | Sequence[str], status_type: str, endpoint: str = "summary") -> Fault | None:
        """Count a paid call, and return the first fault that matches it. A bulk call counts as one of its first target."""
        targets = [targets] if isinstance(targets, str) else targets or [""]
        hit = None
        with self._lock:
            for number, fault in enumerate(self._faults):
                matches = any(isinstance(name, str) and fnmatchcase(name, fault.target) for name in targets)
                if not matches or fault.status_type not in (None, status_type):
                    continue
                if not fnmatchcase(endpoint, fault.endpoint):
                    continue
                self._seen[number] += 1
                self._of_target[number, targets[0]] += fault.first_of_each_target is not None
                if hit is None and self._now(number, fault, targets[0]):
                    hit = fault
        return hit

    def _now(self, number: int, fault: Fault, target: str) -> bool:
        if fault.calls is not None:
            first, last = fault.calls
            if self._seen[number] < first or (last is not None and self._seen[number] > last):
                return False
        each = fault.first_of_each_target
        return each is None or self._of_target[number, target] <= each
