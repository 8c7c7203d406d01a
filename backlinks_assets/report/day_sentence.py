"""A day in one sentence, for the page, the list of days and the run's log."""

from backlinks_assets.formatting import counted, dollars, long_day
from backlinks_assets.report.summary import DayReport


def day_sentence(report: DayReport, *, dated: bool = True) -> str:
    """Return the day in one sentence: its date, flags, the vendor's moves and faults, coverage, spend."""
    coverage, cost = report.coverage, report.cost
    unknown = f", {len(coverage.unknown):,} unknown to the API" if coverage.unknown else ""
    parts = [
        _flagged(report),
        report.index_moves and counted(len(report.index_moves), "index move"),
        coverage.watched and f"{coverage.answered:,} of {coverage.watched:,} collected{unknown}",
        cost and f"{dollars(cost.cost_usd)} spent on {counted(cost.calls, 'call')}",
    ]
    sentence = "; ".join(str(part) for part in parts if part) + "."
    return f"{long_day(report.date)}: {sentence}" if dated else sentence[0].upper() + sentence[1:]


def _flagged(report: DayReport) -> str:
    watched = counted(report.coverage.watched, "target")
    if not report.coverage.answered:
        return "no answer was collected" if report.coverage.watched else "no target was watched"
    if not report.judged:
        return "not judged yet"
    if report.none_counts:
        return "the vendor's fault, not your links" if report.faults else "no reading of this day counts"
    if not report.target_flags:
        first = "the first day, with nothing before it to compare with"
        return f"nothing moved sharply among {watched}" if report.earlier_days else first
    flagged = {flag.target for flag in report.target_flags}
    critical = {flag.target for flag in report.target_flags if flag.severity == "critical"}
    return f"{len(flagged):,} of {watched} flagged" + (f", {len(critical):,} critical" if critical else "")
