"""Random numbers that are a function of their name: the same on every machine, in any order of calls.

Only hashing and the four IEEE operations are used, no library generator and no transcendental function, so
that no version of Python, NumPy or libm can move a simulated number.
"""

from __future__ import annotations

import struct
from hashlib import blake2b

_UNIT = 1 / 4294967296
_SIXTEEN = struct.Struct("<16I")


def draws(*name: object) -> tuple[float, ...]:
    """Sixteen numbers in [0, 1) that belong to this name."""
    digest = blake2b("\x1f".join(map(str, name)).encode()).digest()
    return tuple([word * _UNIT for word in _SIXTEEN.unpack(digest)])


def wave(key: str, day: int, step_days: int) -> tuple[float, ...]:
    """Sixteen smooth series in [-1, 1], read on `day`: value noise with a knot each `step_days` days."""
    knot, rest = divmod(day, step_days)
    part = rest / step_days
    part = part * part * (3 - 2 * part)
    return tuple(
        2 * (a + (b - a) * part) - 1
        for a, b in zip(draws(key, step_days, knot), draws(key, step_days, knot + 1), strict=True)
    )


def ramp(age_days: float, start: float, end: float) -> float:
    """0 until `start`, 1 from `end`, a straight line between; a step when the two are the same."""
    if age_days >= end:
        return 1.0
    return 0.0 if age_days <= start else (age_days - start) / (end - start)
