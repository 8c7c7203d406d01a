"""Each flag as a sentence: what changed, from what, by how much, how unusual, over how many days, what was corrected.

Only flagged rows come here. No rule is decided here.
"""

import datetime as dt

NAMES = {"lost_backlinks": "Lost backlinks", "spam_score": "The spam score"}


def flag_sentence(  # noqa: PLR0913  a sentence has that many parts
    *,
    metric: str,
    kind: str,
    value: float,
    baseline: float,
    score: float,
    over_days: int,
    readings: int,
    gap_days: int,
    live: tuple[float, float] | None,
    domains: tuple[float, float] | None,
    index_move: tuple[dt.date, float] | None,
) -> str:
    """`live` and `domains` are before and now; `index_move` is a recent move and its size, percent or points."""
    change = value - baseline
    verb = "rose" if change > 0 else "fell"
    unit = "" if metric == "lost_backlinks" else " points"
    percent = f" ({change / baseline:+.0%})" if metric == "lost_backlinks" and baseline >= 1 else ""
    parts = [f"{NAMES[metric]} {verb} by {_n(abs(change))}{unit}{percent} to {_n(value)} against {_n(baseline)}"]
    if kind == "step":
        parts.append(f", the median of the last {min(readings, 7)} readings")
    else:
        parts.append(f" {_days(over_days)} before")
    if abs(score) >= 1:
        parts.append(f"{':' if kind == 'step' else ','} {abs(score):.0f} times this target's usual swing")
    if gap_days > 1:
        parts.append(f", after {gap_days - 1} day{'s' if gap_days > 2 else ''} without a reading")
    if live and live[0] != live[1]:
        together = " with them" if kind == "confirmed_loss" else ""
        parts.append(f"; live backlinks went{together} from {_n(live[0])} to {_n(live[1])}")
    if domains and domains[0] != domains[1]:
        parts.append(f"; referring main domains from {_n(domains[0])} to {_n(domains[1])}")
    if index_move:
        day, size = index_move
        shown = f"{size:+.0f} %" if metric == "lost_backlinks" else f"{size:+.0f} points"
        parts.append(f"; the index move of {day.isoformat()} ({shown}) is taken off")
    if readings < 14:
        parts.append(f"; judged on {readings} earlier readings only")
    return "".join(parts) + "."


def index_sentence(metric: str, moved: int, compared: int, usual_share: float, size: float) -> str:
    """`size` is the movers' median, percent of lost backlinks or points of spam score."""
    shown = f"{abs(size):.0f} %" if metric == "lost_backlinks" else f"{abs(size):.0f} points"
    way = "rose" if size > 0 else "fell"
    return (
        f"The vendor's index moved: {NAMES[metric].lower()} {way} further than on any of their last 14 days for {moved:,} of "
        f"{compared:,} targets ({moved / compared:.0%}; usually {usual_share:.0%}), by {shown} in the median. Targets that "
        f"only moved along are not flagged."
    )


def _n(number: float) -> str:
    return f"{number:,.1f}".removesuffix(".0") if abs(number) < 100 else f"{number:,.0f}"


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"
