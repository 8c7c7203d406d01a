"""A day in one sentence, for the page, the list of days and the run's log."""

from backlinks_assets.formatting import counted, dollars, long_day
from backlinks_assets.report.summary import Facts


def day_sentence(facts: Facts) -> str:
    """Return the day in one sentence: its date, flags, index moves, coverage, spend."""
    return f"{long_day(facts.date)}: {_said(facts)}"


def undated_sentence(facts: Facts) -> str:
    """Return the same sentence where the date stands above it."""
    said = _said(facts)
    return said[0].upper() + said[1:]


def _said(facts: Facts) -> str:
    parts = [part for part in (_flagged(facts), _index_moves(facts), _collected(facts), _spent(facts)) if part]
    return "; ".join(parts) + "."


def _flagged(facts: Facts) -> str:
    watched = facts.coverage.watched
    if not facts.coverage.answered:
        return "no answer was collected" if watched else "no target was watched"
    if not facts.judged:
        return "not judged yet"
    if not facts.target_flags:
        if not facts.earlier_days:
            return "the first day, with nothing before it to compare with"
        return f"nothing moved sharply among {counted(watched, 'target')}"
    critical = f", {facts.targets_critical:,} critical" if facts.targets_critical else ""
    return f"{facts.targets_flagged:,} of {counted(watched, 'target')} flagged{critical}"


def _index_moves(facts: Facts) -> str:
    return counted(len(facts.index_moves), "index move") if facts.index_moves else ""


def _collected(facts: Facts) -> str:
    coverage = facts.coverage
    if not coverage.watched:
        return ""
    unknown = f", {len(coverage.unknown):,} unknown to the API" if coverage.unknown else ""
    return f"{coverage.answered:,} of {coverage.watched:,} collected{unknown}"


def _spent(facts: Facts) -> str:
    return f"{dollars(facts.cost.cost_usd)} spent on {counted(facts.cost.calls, 'call')}" if facts.cost else ""
