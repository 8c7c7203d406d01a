"""A day in one sentence, for the page, the list of days and the run's log."""

from backlinks_assets.formatting import counted, dollars, long_day
from backlinks_assets.report.summary import Facts


def day_sentence(facts: Facts) -> str:
    """Return the day in one sentence: its date, flags, index moves, coverage, spend."""
    return f"{long_day(facts.date)}: {_undated(facts)}"


def undated_sentence(facts: Facts) -> str:
    """Return the same sentence where the date stands above it."""
    sentence = _undated(facts)
    return sentence[0].upper() + sentence[1:]


def _undated(facts: Facts) -> str:
    coverage, cost = facts.coverage, facts.cost
    unknown = f", {len(coverage.unknown):,} unknown to the API" if coverage.unknown else ""
    parts = [
        _flagged(facts),
        facts.index_moves and counted(len(facts.index_moves), "index move"),
        coverage.watched and f"{coverage.answered:,} of {coverage.watched:,} collected{unknown}",
        cost and f"{dollars(cost.cost_usd)} spent on {counted(cost.calls, 'call')}",
    ]
    return "; ".join(str(part) for part in parts if part) + "."


def _flagged(facts: Facts) -> str:
    watched = counted(facts.coverage.watched, "target")
    if not facts.coverage.answered:
        return "no answer was collected" if facts.coverage.watched else "no target was watched"
    if not facts.judged:
        return "not judged yet"
    if not facts.target_flags:
        first = "the first day, with nothing before it to compare with"
        return f"nothing moved sharply among {watched}" if facts.earlier_days else first
    flagged = {flag.target for flag in facts.target_flags}
    critical = {flag.target for flag in facts.target_flags if flag.severity == "critical"}
    return f"{len(flagged):,} of {watched} flagged" + (f", {len(critical):,} critical" if critical else "")
