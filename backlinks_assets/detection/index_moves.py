"""Days on which the vendor's index moved: found by how many targets move, and taken off each target's level.

An index move is one message for the day. What a target moved beyond the others stays in its level, for the rules.
"""

from dataclasses import dataclass, field

import numpy as np

from backlinks_assets.detection.matrices import Bools, Floats
from backlinks_assets.detection.series import Series, quantiles
from backlinks_assets.detection.settings import DetectionSettings

VOTE_DAYS = 14  # a target votes by moving further than on any of these days
VOTE_CHANGES_MIN = 3  # and can vote once it has this many earlier changes
VOTE_GAP_DAYS = 3  # a change over more days than this says nothing of today
VOTES_MIN = 5
ROLL_OUT_DAYS = 2
USUAL_DAYS = 28
USUAL_TIMES, USUAL_TIMES_ROLL_OUT = 4.0, 2.0


@dataclass(frozen=True)
class IndexMove:
    """`median` and `spread` are in levels, `usual_share` is that of the last four weeks."""

    day: int
    sign: int
    moved: int
    compared: int
    median: float
    spread: float
    usual_share: float


@dataclass
class IndexWatch:
    """What is remembered of one metric's index from day to day."""

    shares: list[tuple[float, float]] = field(default_factory=list)  # of quiet days: moving up, moving down
    moves: list[IndexMove] = field(default_factory=list)

    def moving(self, day: int, within: int = 0) -> IndexMove | None:
        """The last move, if it was today or at most `within` days ago."""
        return self.moves[-1] if self.moves and day - self.moves[-1].day <= within else None


def follow_index(series: Series, watch: IndexWatch, day: int, settings: DetectionSettings) -> None:
    """Take today's index move, if there is one, off the levels; then record today's changes."""
    rows = series.compared(day)
    gap = day - series.last[rows]
    change = series.level[rows, day] - series.level[rows, series.last[rows]]
    move = _move_of(series, watch, day, settings, change) if settings.index_rule else None
    if move:
        watch.moves.append(move)
        taken = _explained(change, move, settings.index_spread)
        unread = np.isnan(series.raw[:, day]) & (series.last >= 0)
        series.pending[unread] += move.median
    else:
        pending = series.pending[rows]
        along = (pending != 0) & (np.sign(change) == np.sign(pending))
        taken = np.where(along, np.where(np.abs(change) <= 2 * np.abs(pending), change, pending), 0.0)
    series.pending[rows] = 0.0
    moved = np.flatnonzero(taken)  # few on most days, and all days to come are shifted
    series.level[rows[moved], day:] -= taken[moved, None]
    series.change[rows, day] = (change - taken) / np.sqrt(gap)


def _move_of(
    series: Series, watch: IndexWatch, day: int, settings: DetectionSettings, change: Floats
) -> IndexMove | None:
    rows = series.compared(day)
    past = series.change[rows, max(0, day - VOTE_DAYS) : day]
    smallest = series.scale.smallest_move
    votes = (np.isfinite(past).sum(axis=1) >= VOTE_CHANGES_MIN) & (day - series.last[rows] <= VOTE_GAP_DAYS)
    votes &= series.raw[rows, day] >= series.scale.min_to_vote
    compared = int(votes.sum())
    if compared < settings.index_targets_min:
        return None
    known = np.where(np.isfinite(past), past, 0.0)
    up = votes & (change > np.maximum(known.max(axis=1), smallest))
    down = votes & (change < np.minimum(known.min(axis=1), -smallest))
    recent = watch.moving(day, ROLL_OUT_DAYS)
    for sign, movers in ((1, up), (-1, down)):
        usual = float(np.median([s[(1 - sign) // 2] for s in watch.shares[-USUAL_DAYS:]])) if watch.shares else 0.0
        rolling = recent is not None and recent.sign == sign
        share = settings.index_share_roll_out if rolling else settings.index_share
        share = max(share, (USUAL_TIMES_ROLL_OUT if rolling else USUAL_TIMES) * usual)
        if movers.sum() >= max(VOTES_MIN, share * compared):
            return _measured(series, day, sign, change[movers], compared, usual)
    watch.shares.append((float(up.sum()) / compared, float(down.sum()) / compared))
    return None


def _measured(series: Series, day: int, sign: int, moves: Floats, compared: int, usual: float) -> IndexMove:
    middle = float(np.median(moves))
    deviation = np.abs(moves - middle)[None, :]
    (typical, high), _ = quantiles(deviation, 0.5, 0.9)
    spread = max(1.4826 * float(typical[0]), float(high[0]) / 1.645, series.scale.spread_min)
    return IndexMove(day, sign, len(moves), compared, middle, spread, usual)


def _explained(change: Floats, move: IndexMove, spreads: float) -> Floats:
    """What of each change is the index's: all of it up to the far end of the others' moves, their median beyond."""
    along: Bools = np.sign(change) == move.sign
    beyond = np.abs(change) > abs(move.median) + spreads * move.spread
    return np.where(along, np.where(beyond, move.median, change), 0.0)
