"""Writes the page of all targets, the groups' pages, and the pages of the targets that changed.

A target's page is written anew if what it says beside readings is another (flags, incidents, state, labels, days left
out). Of the others those with the oldest readings are written too, some each time, so that none grows old. What the pages say is
`portfolio.py`, `target_page.py` and `group_page.py`.
"""

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from backlinks_assets.paths import group_page_path, portfolio_path, target_page_path
from backlinks_assets.report import portfolio
from backlinks_assets.report.group_page import group_page
from backlinks_assets.report.incidents import Standings, read_incidents
from backlinks_assets.report.index import page_dates
from backlinks_assets.report.left_out import LeftOut, faults
from backlinks_assets.report.marks import ALL_TARGETS
from backlinks_assets.report.portfolio import COLUMNS, DRAWN_DAYS, Portfolio, portfolio_of
from backlinks_assets.report.series import Series, read_series, read_usual
from backlinks_assets.report.summary import NO_LABELS
from backlinks_assets.report.target_page import TargetFacts, target_page
from backlinks_assets.report.target_state import RETIRED, Flags, read_target_flags
from backlinks_assets.report.templating import render, write_pages
from backlinks_assets.report.then_and_now import read_then_and_now
from backlinks_assets.tables.history import targets_with_answers
from backlinks_assets.tables.parquet import days
from backlinks_assets.targets.target import Target

REFRESHED: Final = 100
"""Pages of unchanged targets that are written each time, those with the oldest readings first."""

TARGETS_PER_READ: Final = 500
_HEAD_BYTES: Final = 400
_HEAD: Final = re.compile(r'<meta name="made-from" content="(\w+)">\s*<meta name="until" content="([\d-]{10})">')


@dataclass(frozen=True)
class Written:
    """What was written: the page of all targets with what it says, and of how many groups and targets."""

    path: Path
    portfolio: Portfolio
    groups: int
    targets: int


def write_targets_report(
    root: Path,
    *,
    simulated: bool,
    expected_targets: Collection[str] = (),
    labels: Mapping[str, Target] = NO_LABELS,
    left_out: Sequence[LeftOut] = (),
) -> Written | None:
    """Write the pages up to the last day that is judged; None if none is. A target is on them if it was expected or answered for.

    The same tables, labels and spans that are left out give the same bytes of the page of all targets and of the groups'.

    Raises:
        TablesError: a table can't be read or a page can't be written; the message names the path and what to do.
    """
    judged = days(root, "backlinks_changes")
    if not judged:
        return None
    first, last = judged[0], judged[-1]
    names = {*expected_targets, *targets_with_answers(root, last, 1)}
    series = read_series(
        root, names, last - dt.timedelta(days=DRAWN_DAYS - 1), last, [column.name for column in COLUMNS]
    )
    flags = read_target_flags(root, first, last)
    incidents = read_incidents(root, last)
    found = portfolio_of(series, flags, labels, last, incidents, simulated=simulated)
    path = portfolio_path(root)
    write_pages([(path, render("portfolio.html.j2", **portfolio.content(found)))])
    dates = set(page_dates(root))
    groups = [group.name for group in found.groups if group.name]
    write_pages(
        (group_page_path(root, group), group_page(found, group, series, flags, incidents, dates)) for group in groups
    )
    spans = [*left_out, *faults(root, flags.get(ALL_TARGETS, ()), last)]
    facts = _facts(found, flags, incidents, labels, spans)
    chosen = _to_write(root, facts, last)
    _write(root, [facts[name] for name in chosen], first, last, dates)
    return Written(path, found, len(groups), len(chosen))


def _facts(
    found: Portfolio,
    flags: Flags,
    incidents: Standings,
    labels: Mapping[str, Target],
    spans: Sequence[LeftOut],
) -> dict[str, TargetFacts]:
    """Return the facts of the targets on the page of all, and of those flagged earlier, whom the days' pages link to."""
    states = dict.fromkeys(sorted(flags.keys() - {ALL_TARGETS}), RETIRED) | {
        row.target: row.state for row in found.rows
    }
    return {
        target: TargetFacts(
            target,
            labels.get(target),
            state,
            flags.get(target, ()),
            [span for span in spans if span.is_of(target)],
            found.simulated,
            incidents.get(target, ()),
        )
        for target, state in states.items()
    }


def _to_write(root: Path, facts: Mapping[str, TargetFacts], last: dt.date) -> list[str]:
    """Return the targets to write, sorted: those that changed or have no page, and some of the others."""
    changed, older = [], []
    for name, one in facts.items():
        digest, until = _head(target_page_path(root, name))
        if digest != one.digest:
            changed.append(name)
        elif until < str(last):
            older.append((until, name))
    return sorted([*changed, *(name for _, name in sorted(older)[:REFRESHED])])


def _head(path: Path) -> tuple[str, str]:
    """Return what a page was made from and its last day; empty without a page."""
    try:
        with path.open("rb") as file:
            found = _HEAD.search(file.read(_HEAD_BYTES).decode(errors="replace"))
    except OSError:
        return "", ""
    return (found[1], found[2]) if found else ("", "")


def _write(root: Path, facts: Sequence[TargetFacts], first: dt.date, last: dt.date, dates: Collection[dt.date]) -> None:
    """Write the pages of some targets, sorted; their readings are read some hundred targets at a time."""
    known = days(root, "backlinks_summary")
    first = min(first, known[0]) if known else first
    for start in range(0, len(facts), TARGETS_PER_READ):
        some = facts[start : start + TARGETS_PER_READ]
        names = [one.target for one in some]
        series = _trimmed(read_series(root, names, first, last))
        usual = read_usual(root, names, series.first, last)
        breakdowns = read_then_and_now(root, last, names)
        write_pages(
            (target_page_path(root, one.target), target_page(one, series, at, usual, breakdowns, dates))
            for at, one in enumerate(some)
        )


def _trimmed(series: Series) -> Series:
    """Return the series from the first day on which any of its targets has an answer."""
    known = np.flatnonzero(np.isfinite(series.has_data).any(axis=0))
    begin = int(known[0]) if len(known) else series.has_data.shape[1] - 1
    values = {name: matrix[:, begin:] for name, matrix in series.values.items()}
    first = series.first + dt.timedelta(days=begin)
    return Series(series.targets, first, series.last, values, series.has_data[:, begin:])
