"""Days on which the vendor's index moved: found by how many targets move, and taken off each target's level.

An index move is one message for the day. What a target moved beyond the others stays in its level, for the rules.
"""

from dataclasses import dataclass, field

import numpy as np

from backlinks_assets.detection.matrices import Bools, Floats, Ints
from backlinks_assets.detection.series import Series, median, quantiles
from backlinks_assets.detection.settings import DetectionSettings

VOTE_READINGS = 14  # a target votes by moving further than at any of these readings
VOTE_CHANGES_MIN = 2  # and can vote once it has this many earlier changes, which is when it can be flagged
VOTES_BEYOND, VOTES_ENOUGH = 3, 8  # so many more than the share are needed of a handful of targets, or so many at all
ROLL_OUT_READINGS = 2
USUAL_READINGS = 28
USUAL_TIMES = 3.0
LOSER_SHARE = 0.02  # of its live links lost: such a target is among those that the index took links from


@dataclass(frozen=True)
class IndexMove:
    """`median` and `spread` are in levels; `usual_share` is that of the last 28 reading days, by chance on the first."""

    day: int
    first: int  # day of its roll-out
    sign: int
    moved: int
    compared: int
    median: float
    spread: float
    usual_share: float


@dataclass
class IndexWatch:
    """What is remembered of one metric's index from day to day.

    `taken` is what the latest move, over all days of its roll-out, was for each target, in levels.
    """

    shares: list[tuple[float, float]] = field(default_factory=list)  # of each day: moving up, moving down
    moves: list[IndexMove] = field(default_factory=list)
    taken: Floats | None = None

    def move_of(self, day: int) -> IndexMove | None:
        """The last move, if it was on this day."""
        return self.moves[-1] if self.moves and self.moves[-1].day == day else None


def follow_index(
    series: Series, watch: IndexWatch, day: int, settings: DetectionSettings, live: Series | None = None
) -> None:
    """Take today's index move, if there is one, off the levels; then record today's changes.

    `live` are the live links that confirm the series. A loss that they confirm, far beyond what the others lost of theirs,
    is the target's own: only the share that all lost in the median is taken off.
    """
    rows = series.compared(day)
    change = series.level[rows, day] - series.level[rows, series.last[rows]]
    move = _move_of(series, watch, day, settings, change) if settings.index_rule else None
    if move:
        taken = _explained(change, move, settings.index_spread)
        if live is not None and move.sign > 0:
            taken = _without_own_losses(taken, series, live, rows, day, settings)
        unread = np.isnan(series.raw[:, day]) & (series.last >= 0)
        series.pending[unread] += move.median
        if watch.taken is None or watch.moves[-1].first != move.first:
            watch.taken = np.zeros(len(series.raw))
        watch.taken[rows] += taken
        watch.moves.append(move)
    else:
        pending = series.pending[rows]
        along = (pending != 0) & (np.sign(change) == np.sign(pending))
        taken = np.where(along, np.where(np.abs(change) <= 2 * np.abs(pending), change, pending), 0.0)
    series.pending[rows] = 0.0
    moved = np.flatnonzero(taken)  # few on most days, and all days to come are shifted
    series.level[rows[moved], day:] -= taken[moved, None]
    series.change.record(rows, day, (change - taken) / np.sqrt(series.gap(rows, day)))


def confirmed_losses(series: Series, live: Series, rows: Ints, day: int) -> tuple[Floats, Floats]:
    """The live links before, and how many of them joined the lost ones: the smaller of rise and fall. NaN if not known.

    Before is the last day by which both had been read.
    """
    then = np.minimum(series.last[rows], live.last[rows])
    there = np.where(then >= 0, live.raw[rows, then], np.nan)
    rise = series.raw[rows, day] - np.where(then >= 0, series.raw[rows, then], np.nan)
    return there, np.minimum(rise, there - live.raw[rows, day])


def _without_own_losses(
    taken: Floats, series: Series, live: Series, rows: Ints, day: int, settings: DetectionSettings
) -> Floats:
    """Of a loss that is the target's own, leave to the index only the share of live links that all lost in the median.

    It is the target's own where the share lies far beyond those of the targets that the index took links from.
    """
    there, gone = confirmed_losses(series, live, rows, day)
    share = np.where((there > 0) & series.owns(rows, day), np.maximum(gone, 0) / np.maximum(there, 1), np.nan)
    known = share[np.isfinite(share)]
    losers = known[known > LOSER_SHARE]
    if not len(losers):
        return taken
    middle = float(np.median(losers))
    reach = settings.index_spread * float(np.median(np.abs(losers - middle)))
    own = share > max(middle + reach, settings.critical_live_percent / 100)
    before = series.raw[rows, series.last[rows]]
    links = np.nan_to_num(float(np.median(known)) * there)
    all_lost = series.scale.level(before + links) - series.scale.level(before)
    return np.where(own, np.minimum(taken, all_lost), taken)


def _move_of(
    series: Series, watch: IndexWatch, day: int, settings: DetectionSettings, change: Floats
) -> IndexMove | None:
    """Today's move, if enough targets vote for it: a share of them, and three times the usual share or so much beyond it.

    Of n + 1 changes that are alike today's is the largest in one of n + 1 targets: after two weeks of a weekly watch a third
    vote by chance. So the usual share is no more than that, and that on the first days, of which none was learnt.
    """
    rows = series.compared(day)
    past = series.change.before(rows, day, VOTE_READINGS)
    known_changes = np.isfinite(past).sum(axis=1)
    votes = (known_changes >= VOTE_CHANGES_MIN) & series.owns(rows, day)
    votes &= series.raw[rows, day] >= series.scale.min_to_vote
    compared = int(votes.sum())
    if compared < settings.index_targets_min:
        return None
    gap = series.gap(rows, day)
    step = (change - np.nan_to_num(median(past)) * (gap - 1)) / np.sqrt(gap)  # as after one interval
    known = np.where(np.isfinite(past), past, 0.0)
    up = votes & (step > np.maximum(known.max(axis=1), series.scale.smallest_move))
    down = votes & (step < np.minimum(known.min(axis=1), -series.scale.smallest_move))
    by_chance = float(np.mean(1 / (1 + known_changes[votes])))
    recent = watch.moves[-1] if watch.moves and day - watch.moves[-1].first <= ROLL_OUT_READINGS else None
    earlier = watch.shares[-USUAL_READINGS:]
    watch.shares.append((float(up.sum()) / compared, float(down.sum()) / compared))
    for sign, movers in ((1, up), (-1, down)):
        usual = float(np.median([shares[(1 - sign) // 2] for shares in earlier])) if earlier else by_chance
        usual = min(usual, by_chance)
        rolling = recent is not None and recent.sign == sign
        share = settings.index_share_roll_out if rolling else settings.index_share
        share = max(share, min(USUAL_TIMES * usual, share + usual))
        if movers.sum() >= max(share * compared, min(VOTES_ENOUGH, share * compared + VOTES_BEYOND)):
            first = recent.first if recent is not None and rolling else day
            middle, spread = _middle_and_spread(series, change[movers])
            return IndexMove(day, first, sign, int(movers.sum()), compared, middle, spread, usual)
    return None


def _middle_and_spread(series: Series, moves: Floats) -> tuple[float, float]:
    middle = float(np.median(moves))
    deviation = np.abs(moves - middle)[None, :]
    (typical, high), _ = quantiles(deviation, 0.5, 0.9)
    return middle, max(1.4826 * float(typical[0]), float(high[0]) / 1.645, series.scale.spread_min)


def _explained(change: Floats, move: IndexMove, spreads: float) -> Floats:
    """What of each change is the index's: all of it up to the far end of the others' moves, their median beyond."""
    along: Bools = np.sign(change) == move.sign
    beyond = np.abs(change) > abs(move.median) + spreads * move.spread
    return np.where(along, np.where(beyond, move.median, change), 0.0)
