"""Each flag as a sentence: what changed, from what, by how much, how unusual, over how many days, what was corrected.

Only flagged rows come here. No rule is decided here.
"""

import datetime as dt
from collections.abc import Iterable

from backlinks_assets.detection.metrics import Metric

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
    index_move: tuple[dt.date, float] | None,
) -> str:
    """`companions` are words with a number before and now; `index_move` is a recent move and its size, percent or points."""
    change = value - baseline
    verb = "rose" if change > 0 else "fell"
    unit = "" if metric.scale.log else f" {metric.unit}"
    percent = f" ({change / baseline:+.0%})" if metric.scale.log and baseline >= 1 else ""
    parts = [f"{metric.subject} {verb} by {_n(abs(change))}{unit}{percent} to {_n(value)} against {_n(baseline)}"]
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
        day, size = index_move
        parts.append(f"; the index move of {day.isoformat()} ({size:+.0f}{metric.change_words}) is taken off")
    if readings < 14:
        parts.append(f"; judged on {readings} earlier readings only")
    return "".join(parts) + "."


def index_sentence(metric: Metric, moved: int, compared: int, usual_share: float, size: float) -> str:
    """`size` is the movers' median, in percent on a log scale, in points otherwise."""
    way = "rose" if size > 0 else "fell"
    return (
        f"The vendor's index moved: {metric.subject.lower()} {way} further than on any of their last 14 days for {moved:,} of "
        f"{compared:,} targets ({moved / compared:.0%}; usually {usual_share:.0%}), by "
        f"{abs(size):.0f}{metric.change_words} in the median. Targets that only moved along are not flagged."
    )


def _n(number: float) -> str:
    return f"{number:,.1f}".removesuffix(".0") if abs(number) < 100 else f"{number:,.0f}"


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"
