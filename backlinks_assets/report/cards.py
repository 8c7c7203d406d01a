"""What the page says of each flag, ready for the template: texts, chart, breakdown, readings.

Which flags there are is `summary.py`; how they are laid out is `templates/`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backlinks_assets.detection.metrics import METRICS
from backlinks_assets.formatting import counted, long_day, number, percent, short_day, signed
from backlinks_assets.report.breakdowns import Breakdown, Breakdowns
from backlinks_assets.report.charts import Chart, history_chart, shares_chart
from backlinks_assets.report.readings import MOVED_READINGS, SHOWN_DAYS, Histories, History, drawn_title
from backlinks_assets.report.summary import Change, DayReport


@dataclass(frozen=True, slots=True)
class Card:
    """One flag on the page. `readings` are (day, value, usual range), the latest first.

    `series` names what is drawn, and `has_usual` says whether there can be a usual range of it.
    """

    flag: Change
    move: str
    caption: str
    chart: Chart
    readings: Sequence[tuple[str, str, str]]
    series: str
    has_usual: bool
    breakdown: Breakdown | None


def anchor(target: str, metric: str) -> str:
    """Return the fragment of a flag's address in its page, the same on every day."""
    digest = hashlib.blake2b(f"{metric} {target}".encode(errors="surrogatepass"), digest_size=5).hexdigest()
    return f"{'index' if target == '*' else 'flag'}-{digest}"


def cards(root: Path, report: DayReport, flags: Sequence[Change]) -> list[Card]:
    """Return the cards of some of the day's flags, in their order.

    Raises:
        TablesError: a parquet file can't be read; the message names it.
    """
    histories = Histories(root, report.date, flags)
    breakdowns = Breakdowns(root, report.date, {flag.target for flag in flags if not flag.is_vendors})
    return [_card(report, flag, histories.of(flag), breakdowns) for flag in flags]


def _card(report: DayReport, flag: Change, history: History, breakdowns: Breakdowns) -> Card:
    key = anchor(flag.target, flag.metric)
    is_move = flag.is_vendors and not flag.is_fault
    series = drawn_title(flag)
    title = (
        f"{series} of {'all targets' if flag.is_vendors else flag.target}, {SHOWN_DAYS} days to {long_day(report.date)}"
    )
    draw = shares_chart if is_move else history_chart
    return Card(
        flag=flag,
        move=moved(flag),
        caption=_caption(flag, history),
        chart=draw(history, key=key, title=title, description=_described(history, "%" if is_move else "")),
        readings=[(short_day(day), number(value), _usual(low, high)) for day, value, low, high in history.readings()],
        series="Share of targets, %" if is_move else series,
        has_usual=not flag.is_vendors and not METRICS[flag.metric].is_state,
        breakdown=breakdowns.of(flag, history),
    )


def _usual(low: float | None, high: float | None) -> str:
    return "–" if low is None else f"{number(_whole(low))} – {number(_whole(high))}"


def _whole(edge: float | None) -> float | None:
    return edge if edge is None or edge < 100 else round(edge)


def moved(flag: Change) -> str:
    """Return from what to what, as `20 → 43`."""
    if flag.is_vendors:
        return counted(int(flag.value or 0), "target") + (" at once" if flag.is_fault else " moved together")
    before = flag.previous if METRICS[flag.metric].is_state else flag.baseline
    return f"{number(before)} → {number(flag.value)}"


def size(flag: Change) -> str:
    """Return a flag's change in the unit it is judged by: points, or links and percent; of a state when it was last seen."""
    metric = METRICS[flag.metric]
    if flag.is_fault:
        return "not counted"
    if metric.is_state:
        return f"links last seen on {short_day(flag.previous_date)}" if flag.previous_date else "no links seen before"
    change = round(flag.change or 0) if metric.scale.log else flag.change
    if flag.is_vendors:
        return f"{signed(change)}{metric.change_words} in the median"
    if not metric.scale.log:
        return f"{signed(change)} {metric.unit}"
    share = percent(flag.change, flag.baseline)
    return f"{signed(change)}{f' ({share})' if share else ''}"


def _caption(flag: Change, history: History) -> str:
    name = drawn_title(flag)
    if flag.is_vendors and not flag.is_fault:
        way = "rose" if (flag.change or 0) > 0 else "fell"
        return (
            f"Share of targets whose {name.lower()} {way} further than at any of their last {MOVED_READINGS} readings"
        )
    band = "; shaded: the usual range" if any(low is not None for _, _, low, _ in history.readings()) else ""
    return f"{name}{' of all targets together' if flag.is_fault else ''}, the last {SHOWN_DAYS} days{band}"


def _described(history: History, unit: str) -> str:
    """Return in words what the chart shows."""
    readings = history.readings()
    if not readings:
        return "No reading of these days is stored."
    of = unit and f" {unit}"
    last, values = readings[0], [value for _, value, _, _ in readings]
    text = (
        f"{counted(len(readings), 'reading')}, from {number(readings[-1][1])}{of} on {short_day(readings[-1][0])} to "
        f"{number(last[1])}{of} on {short_day(last[0])}, which is flagged. Lowest {number(min(values))}{of}, highest "
        f"{number(max(values))}{of}."
    )
    if last[2] is not None:
        text += f" Usual on the last day: {number(_whole(last[2]))} to {number(_whole(last[3]))}."
    return text
