"""The page of all targets: a row each with its state and its numbers now, a week and four weeks ago, and the groups' sums.

Readings come from `series.py`, states from `target_state.py`; the layout is `templates/portfolio.html.j2`.
"""

import base64
import datetime as dt
import functools
import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from backlinks_assets.formatting import counted, long_day, number, signed
from backlinks_assets.incidents.incident import OPEN
from backlinks_assets.paths import group_page_name, target_page_name
from backlinks_assets.report.incidents import Standing, Standings, counts
from backlinks_assets.report.series import Floats, Series, last_known, or_none
from backlinks_assets.report.target_state import NAMES, Flags, State, state_of
from backlinks_assets.targets.target import Target

DRAWN_DAYS: Final = 60
NOW_WITHIN_DAYS: Final = 6
BEFORE_WITHIN_DAYS: Final = 3
"""A reading of a week ago may be up to three days older, where the day itself has none."""

BACK_DAYS: Final = (7, 28)
NOTABLE_POINTS, NOTABLE_SHARE = 3.0, 0.05
"""A change as large as this is marked as better or worse: points of a score, or a share of what was there before."""

SPARK_WIDTH, SPARK_HEIGHT = 96, 20
MAX_INCIDENTS: Final = 50


@dataclass(frozen=True, slots=True)
class Column:
    """A number of each row; `worse` is the direction that is bad news."""

    name: str
    title: str
    worse: int


COLUMNS: Final = (
    Column("spam_score", "Spam score", 1),
    Column("lost_backlinks", "Lost backlinks", 1),
    Column("live_backlinks", "Live backlinks", -1),
    Column("main_domains", "Main domains", -1),
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number now and how it changed, as text, each change with `better`, `worse` or nothing."""

    now: str
    changes: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Row:
    """A target's row. `spark` is the path of its live links over 60 days.

    `incident` says what is done about its incidents that are not resolved.
    """

    target: str
    page: str
    state: State
    group: str
    owner: str
    note: str
    numbers: Sequence[Number]
    spark: str
    incident: str


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group's row; of the spam score the average, of the others the sum."""

    name: str
    page: str
    targets: int
    states: Mapping[str, int]
    numbers: Sequence[Number]


@dataclass(frozen=True)
class Portfolio:
    """What the page says: rows, worst first, of those first what nobody looks into, then by group and name.

    `incidents` are those that are not resolved.
    """

    last: dt.date
    simulated: bool
    rows: Sequence[Row]
    groups: Sequence[GroupRow]
    states: Mapping[str, int]
    incidents: Sequence[Standing]


def portfolio_of(
    series: Series,
    flags: Flags,
    labels: Mapping[str, Target],
    last: dt.date,
    incidents: Standings,
    *,
    simulated: bool,
) -> Portfolio:
    """Return the page's content; `series` ends on `last` and has the portfolio's columns over 60 days."""
    numbers = {column.name: _now_and_before(series.values[column.name]) for column in COLUMNS}
    shown = [_numbers(column, *numbers[column.name]) for column in COLUMNS]
    has_data = series.has_data[:, -1]
    rows = []
    for at, target in enumerate(series.targets):
        line = labels.get(target)
        rows.append(
            Row(
                target=target,
                page=quote(target_page_name(target)),
                state=state_of(flags.get(target, ()), last, answered=bool(np.isfinite(has_data[at])), known=has_data[at] == 1),
                group=line.group if line else "",
                owner=line.owner if line else "",
                note=line.note if line else "",
                numbers=[column[at] for column in shown],
                spark=spark(series.values["live_backlinks"][at]),
                incident=counts(one for one in incidents.get(target, ()) if not one.is_resolved),
            )
        )  # fmt: skip
    groups = list(_groups(rows, numbers))
    nobodys = {target for target, of_target in incidents.items() if of_target[0].state == OPEN}
    rows.sort(key=lambda row: (row.state.rank, row.target not in nobodys, row.group.casefold(), row.target))
    shown_here = {row.target for row in rows}
    unresolved = [one for target in shown_here & incidents.keys() for one in incidents[target] if not one.is_resolved]
    unresolved.sort(key=lambda one: one.rank)
    return Portfolio(last, simulated, rows, groups, Counter(row.state.key for row in rows), unresolved)


def content(portfolio: Portfolio) -> dict[str, Any]:
    """Return what the template is given."""
    states = portfolio.states
    said = [
        f"{counted(len(portfolio.rows), 'target')}" + (f" in {_groups_said(portfolio)}" if portfolio.groups else "")
    ]
    said += [f"{states[key]:,} {words}" for key, words in _SAID.items() if states.get(key)]
    flagged = len(said) > 1
    return {
        "portfolio": portfolio,
        "sentence": "; ".join(said) + ("" if flagged else "; nothing flagged in the last seven days") + ".",
        "until": long_day(portfolio.last),
        "columns": COLUMNS,
        "group_numbers": {group.name: at for at, group in enumerate(portfolio.groups)},
        "back_days": BACK_DAYS,
        "state_names": {key: name for key, name in NAMES.items() if states.get(key)},
        "spark": (SPARK_WIDTH, SPARK_HEIGHT),
        "incident_counts": counts(portfolio.incidents),
        "max_incidents": MAX_INCIDENTS,
        "script": Markup(script()),  # noqa: S704 - a file of the project
        "script_hash": base64.b64encode(hashlib.sha256(script().encode()).digest()).decode(),
    }  # fmt: skip


_SAID: Final = {"down": "down", "critical": "critical", "warning": "with a warning", "missing": "without an answer"}


@functools.cache
def script() -> str:
    """Return the page's script: sorting and filters."""
    return (Path(__file__).parent / "templates" / "portfolio.js").read_text(encoding="utf-8")


def _groups_said(portfolio: Portfolio) -> str:
    return counted(sum(1 for group in portfolio.groups if group.name), "group")


def _now_and_before(values: Floats) -> tuple[Floats, list[Floats]]:
    """Return each row's reading now, and those a week and four weeks ago."""
    last = values.shape[1] - 1
    return last_known(values, last, NOW_WITHIN_DAYS), [
        last_known(values, last - back, BEFORE_WITHIN_DAYS) for back in BACK_DAYS
    ]


def _numbers(column: Column, now: Floats, before: Sequence[Floats]) -> list[Number]:
    texts = [number(or_none(value)) for value in now.tolist()]
    changes = [
        [_change(column, value, value - old) for value, old in zip(now.tolist(), earlier.tolist(), strict=True)]
        for earlier in before
    ]
    return [Number(text, list(of_row)) for text, *of_row in zip(texts, *changes, strict=True)]


def _change(column: Column, now: float, change: float) -> tuple[str, str]:
    """Return a change as text, and whether it is better or worse where it is large."""
    if math.isnan(change):  # one of the two is not known
        return "–", ""
    notable = NOTABLE_POINTS if column.name == "spam_score" else max(1.0, NOTABLE_SHARE * (now - change))
    if abs(change) < notable:
        return signed(change), ""
    return signed(change), "worse" if change * column.worse > 0 else "better"


def _groups(rows: Sequence[Row], numbers: Mapping[str, tuple[Floats, list[Floats]]]) -> Iterator[GroupRow]:
    """Yield a row for each group by name, the targets without one last; nothing if no target has a group."""
    members: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        members.setdefault(row.group, []).append(at)
    if not any(members):
        return
    for name in sorted(members, key=lambda name: (not name, name.casefold(), name)):
        of_group = members[name]
        sums = []
        for column in COLUMNS:
            now, before = numbers[column.name]
            total = np.nanmean if column.name == "spam_score" else np.nansum
            sums.append(_total(column, total, now[of_group], [earlier[of_group] for earlier in before]))
        states = Counter(rows[at].state.key for at in of_group)
        yield GroupRow(name, quote(group_page_name(name)), len(of_group), states, sums)


def _total(column: Column, total: Any, now: Floats, before: Sequence[Floats]) -> Number:
    """Return a group's number; its changes are those of the targets that have both readings."""
    known = np.isfinite(now)
    changes = []
    for earlier in before:
        both = known & np.isfinite(earlier)
        changes.append(
            _change(column, float(total(now[both])), float(total(now[both]) - total(earlier[both])))
            if both.any()
            else ("–", "")
        )
    return Number(number(round(float(total(now[known])), 1)) if known.any() else "–", changes)


def spark(values: Floats) -> str:
    """Return the path of a small line over the days, in whole units; empty without two readings."""
    known = np.flatnonzero(np.isfinite(values))
    if len(known) < 2:
        return ""
    low, high = values[known].min(), values[known].max()
    room = max(high - low, 0.02 * high, 1.0)  # a quiet line must not look like mountains
    foot = (low + high - room) / 2
    x = np.rint(known * (SPARK_WIDTH - 2) / (len(values) - 1)).astype(int) + 1
    y = np.rint(SPARK_HEIGHT - 1 - (values[known] - foot) / room * (SPARK_HEIGHT - 2)).astype(int)
    steps = zip(np.diff(x).tolist(), np.diff(y).tolist(), strict=True)
    return f"M{x[0]} {y[0]}l" + " ".join(f"{right} {down}" for right, down in steps)
