"""A target's page: its numbers then and now, flags, and each of its series over the whole history.

Which targets get a new page is `targets_report.py`; the layout is `templates/target.html.j2`.
"""

import datetime as dt
import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from backlinks_assets.formatting import long_day, number, signed
from backlinks_assets.paths import group_page_name
from backlinks_assets.report.cards import anchor
from backlinks_assets.report.charts import Chart
from backlinks_assets.report.incidents import Standing
from backlinks_assets.report.left_out import LeftOut, spans_of
from backlinks_assets.report.series import Floats, Series, or_none
from backlinks_assets.report.target_charts import long_chart
from backlinks_assets.report.target_state import State, TargetFlag
from backlinks_assets.report.templating import render, templates_digest
from backlinks_assets.report.then_and_now import ThenAndNow
from backlinks_assets.targets.target import Target

VERSION: Final = "3"
"""Raised when the same readings give another page by other code: every target's is then written anew."""

TITLES: Final = {
    "spam_score": "Spam score of its links",
    "lost_backlinks": "Lost backlinks",
    "live_backlinks": "Live backlinks",
    "main_domains": "Referring main domains",
    "referring_domains": "Referring domains",
    "rank": "Rank",
    "broken_backlinks": "Broken backlinks",
    "target_spam_score": "Spam score of the target",
}
WATCHED: Final = {"spam_score": "spam_score", "lost_backlinks": "lost_backlinks", "live_backlinks": "target_down"}
"""The series that are judged, each with the metric of its flags: a target that is down is marked on its live links."""

BEFORE_WITHIN_DAYS: Final = 3
LISTED_DAYS: Final = 60
DRAWN_FROM: Final = 2
"""Readings of a series; one alone is among the numbers already."""

MAX_FLAGS: Final = 100
MAX_INCIDENTS: Final = 20
BACK_DAYS: Final = (7, 28, 365)


@dataclass(frozen=True)
class TargetFacts:
    """What a page says beside readings; if it is the same, the page is still right. `flags` are the newest first."""

    target: str
    line: Target | None
    state: State
    flags: Sequence[TargetFlag]
    left_out: Sequence[LeftOut]
    simulated: bool
    incidents: Sequence[Standing] = ()

    @property
    def digest(self) -> str:
        """A short text that is another if any of it is."""
        line = self.line
        labels = (line.group, line.owner, line.tags, line.note) if line else ()
        said = (
            VERSION, templates_digest(), self.target, labels, self.state, self.flags, self.left_out, self.simulated,
            self.incidents,
        )  # fmt: skip
        return hashlib.sha256(repr(said).encode(errors="surrogatepass")).hexdigest()[:32]


def target_page(
    facts: TargetFacts,
    series: Series,
    at: int,
    usual: dict[str, tuple[Floats, Floats]],
    breakdowns: ThenAndNow,
    page_days: Collection[dt.date],
) -> str:
    """Return the HTML of the target in row `at`; `page_days` are the days that have a page to link to."""
    known = np.flatnonzero(np.isfinite(series.has_data[at]))
    begin = int(known[0]) if len(known) else 0
    first = series.first + dt.timedelta(days=begin)
    values = {name: series.values[name][at, begin:] for name in TITLES}
    counts = {name: int(np.isfinite(values[name]).sum()) for name in TITLES}
    has_readings = any(counts.values())
    backs = [back for back in BACK_DAYS if has_readings and back < len(values["live_backlinks"])]
    return render(
        "target.html.j2",
        facts=facts,
        digest=facts.digest,
        until=series.last,
        readings=len(known),
        first=first,
        numbers=_numbers(values, backs),
        back_days=backs,
        charts=[
            _drawn(facts, name, first, values[name], usual, at, begin) for name in TITLES if counts[name] >= DRAWN_FROM
        ],
        has_readings=has_readings,
        flags=[(flag, flag_address(flag, page_days)) for flag in facts.flags[:MAX_FLAGS]],
        more_flags=len(facts.flags) - MAX_FLAGS,
        incidents=facts.incidents[:MAX_INCIDENTS],
        more_incidents=len(facts.incidents) - MAX_INCIDENTS,
        breakdowns=breakdowns,
        rows=breakdowns.rows.get(facts.target, {}),
        listed=_listed(values, first),
        titles=TITLES,
        group_page=quote(group_page_name(facts.line.group)) if facts.line and facts.line.group else "",
    )


def _drawn(
    facts: TargetFacts,
    name: str,
    first: dt.date,
    values: Floats,
    usual: dict[str, tuple[Floats, Floats]],
    at: int,
    begin: int,
) -> tuple[str, Chart]:
    metric = WATCHED.get(name)
    ends = usual.get(name)
    chart = long_chart(
        first,
        values,
        key=name.replace("_", "-"),
        name=TITLES[name],
        target=facts.target,
        usual=(ends[0][at, begin:], ends[1][at, begin:]) if ends else None,
        flags=[flag for flag in facts.flags if flag.metric == metric],
        outs=spans_of(facts.left_out, facts.target, metric) if metric else (),
    )
    return TITLES[name], chart


def _numbers(values: dict[str, Floats], backs: Sequence[int]) -> list[tuple[str, str, list[str]]]:
    """Return of each series its title, its last reading and its change since so many days ago."""
    rows = []
    for name, title in TITLES.items():
        row = values[name]
        now = _last(row)
        before = [
            _last(row[max(0, len(row) - back - 1 - BEFORE_WITHIN_DAYS) : max(0, len(row) - back)]) for back in backs
        ]
        texts = [signed(or_none(now - old)) for old in before]
        rows.append((title, number(or_none(now)), texts))
    return rows


def _last(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else math.nan


def _listed(values: dict[str, Floats], first: dt.date) -> Markup:
    """Return the rows of the last readings, newest first. Numbers and days only: nothing in it comes from outside."""
    count = len(values["live_backlinks"])
    shown = range(count - 1, max(count - 1 - LISTED_DAYS, -1), -1)
    columns = [values[name].tolist() for name in TITLES]
    rows = []
    for day in shown:
        readings = [column[day] for column in columns]
        if all(map(math.isnan, readings)):
            continue
        cells = "".join("<td>–" if math.isnan(value) else f"<td>{value:,.0f}" for value in readings)
        rows.append(f'<tr><th scope="row">{long_day(first + dt.timedelta(days=day))}{cells}\n')
    return Markup("".join(rows))  # noqa: S704 - see above


def flag_address(flag: TargetFlag, page_days: Collection[dt.date]) -> str:
    """Return the address of a flag in its day's page; empty if the day has none."""
    return f"../flags-{flag.date}.html#{anchor(flag.target, flag.metric)}" if flag.date in page_days else ""
