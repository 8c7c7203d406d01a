"""Each flag as a sentence: what changed, from what, by how much, how unusual, over how many days, what was corrected.

Only flagged rows come here. No rule is decided here.
"""

import datetime as dt
from collections.abc import Iterable

from backlinks_assets.detection.metrics import LOG, Metric, Scale
from backlinks_assets.detection.vendor_faults import UNCHANGED_READINGS

BeforeAndNow = tuple[float, float]


def flag_sentence(  # noqa: PLR0913  a sentence has that many parts
    metric: Metric,
    *,
    kind: str,
    value: float,
    baseline: float,
    score: float,
    over_days: int,
    readings: int,
    gap_days: int,
    companions: Iterable[tuple[str, BeforeAndNow]],
    index_move: tuple[dt.date, float, float] | None,
    flapped: dt.date | None = None,
) -> str:
    """`companions` are words with a number before and now.

    `index_move` is a recent move, its size, percent or points, and what of it was taken off this reading, links or points;
    `flapped` the day on which the same links were gone before.
    """
    change = value - baseline
    verb = "rose" if change > 0 else "fell"
    unit = "" if metric.scale.log else f" {metric.unit}"
    percent = f" ({change / baseline:+.0%})" if metric.scale.log and baseline >= 1 else ""
    by, to, against = (_n(number, metric.scale) for number in (abs(change), value, baseline))
    parts = [f"{metric.subject} {verb} by {by}{unit}{percent} to {to} against {against}"]
    if kind == "step":
        parts.append(f", the median of the last {min(readings, 7)} readings")
    else:
        parts.append(f" {_days(over_days)} before")
    if abs(score) >= 1:
        parts.append(f"{':' if kind == 'step' else ','} {abs(score):.0f} times this target's usual swing")
    if gap_days > 1:
        parts.append(f", after {gap_days - 1} day{'s' if gap_days > 2 else ''} without a reading")
    for words, (before, now) in companions:
        if before != now:
            parts.append(f"; {words} from {_n(before)} to {_n(now)}")
    if index_move:
        day, size, taken = index_move
        links = f": {_n(abs(taken), metric.scale)} {metric.unit}" if abs(taken) >= 0.5 else ""
        parts.append(f"; the index move of {day.isoformat()} ({size:+.0f}{metric.change_words}) is taken off{links}")
    if flapped:
        parts.append(
            f"; as many were gone on {flapped.isoformat()} and came back, so this may be a page that comes and goes"
        )
    if readings < 14:
        parts.append(f"; judged on {readings} earlier readings only")
    return "".join(parts) + "."


def index_sentence(metric: Metric, moved: int, compared: int, usual_share: float, size: float) -> str:
    """`size` is the movers' median, in percent on a log scale, in points otherwise."""
    way = "rose" if size > 0 else "fell"
    return (
        f"The vendor's index moved: {metric.subject.lower()} {way} further than at any of their last 14 readings for "
        f"{moved:,} of {compared:,} targets ({moved / compared:.0%}; usually {usual_share:.0%}), by "
        f"{abs(size):.0f}{metric.change_words} in the median. Targets that only moved along are not flagged."
    )


def fault_sentence(kind: str, targets: int, compared: int) -> str:
    """The message of the vendor's fault."""
    what = (
        "read near zero" if kind == "near zero" else f"have not changed in any number for {UNCHANGED_READINGS} readings"
    )
    return (
        f"The vendor's fault, not your links: {targets:,} of {compared:,} targets {what}. Nothing is flagged by these "
        "readings and they are no part of what is usual, until `backlinks days include` says that they are right."
    )


def down_sentence(is_down: bool, live: float, seen: float, seen_on: dt.date | None) -> str:
    """`seen` are the live links last seen and `seen_on` the day of that."""
    last = f"the last {_n(seen)} were seen on {seen_on.isoformat()}" if seen_on else "none was seen before"
    if is_down:
        left = "no live link is left" if live == 0 else "the vendor calls it lost"
        return f"The target is down: {left}; {last}."
    return f"The target is back: {_n(live)} live links; {last}."


def _n(number: float, scale: Scale = LOG) -> str:
    """Links are whole; points below 100 may have a half."""
    return f"{number:,.0f}" if scale.log or abs(number) >= 100 else f"{number:,.1f}".removesuffix(".0")


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"
