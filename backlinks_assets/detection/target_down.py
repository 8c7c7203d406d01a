"""The state of a target: down when the vendor calls it lost, or when none of its live links is left where there were some.

Told once when it begins, with when links were last seen, and once when it ends.
"""

from dataclasses import dataclass

import numpy as np

from backlinks_assets.detection.matrices import Floats, Ints


@dataclass(frozen=True)
class Turn:
    """A target that went down, or came back: live links now, those last seen and the day of that, -1 if never."""

    row: int
    is_down: bool
    live: float
    seen: float
    seen_day: int


class Downs:
    """Which targets are down, as the days go by."""

    def __init__(self, live: Floats, lost: Floats) -> None:
        """Both (targets, days): live links, and 1 where the vendor has a date on which the target was lost."""
        self._live, self._lost = live, lost
        self._down = np.zeros(len(live), dtype=np.bool_)
        self._seen_day = np.full(len(live), -1)

    def forget(self, rows: Ints) -> None:
        """Their request changed: what was read before is another series."""
        self._down[rows], self._seen_day[rows] = False, -1

    def turns(self, day: int) -> list[Turn]:
        """Take in a day, and return the targets whose state changed."""
        live, read = self._live[:, day], np.isfinite(self._live[:, day])
        lost = read & (self._lost[:, day] > 0)
        down = np.where(read, lost | ((live == 0) & (self._down | (self._seen_day >= 0))), self._down)
        turned = np.flatnonzero(down != self._down)
        found = []
        for row in turned.tolist():
            seen_day = int(self._seen_day[row])
            seen = float(self._live[row, seen_day]) if seen_day >= 0 else float("nan")
            found.append(Turn(row, bool(down[row]), float(live[row]), seen, seen_day))
        self._down = down
        self._seen_day[read & (live > 0)] = day
        return found
