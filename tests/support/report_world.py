"""A small world of tables for the report, written as the pipeline writes them."""

import datetime as dt
import zlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from backlinks_assets.report.index import write_index
from backlinks_assets.report.page import write_report
from backlinks_assets.report.summary import read_day_report
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES
from backlinks_assets.targets.target import Target

DAY = dt.date(2026, 11, 24)


NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)


def days_before(count: int) -> dt.date:
    return DAY - dt.timedelta(days=count)


def write_rows(root: Path, table: str, date: dt.date, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as a table's day; columns that are not given are NULL, `simulated` is false."""
    schema = TABLES[table].arrow
    full = [dict.fromkeys(schema.names) | {"date": date, "simulated": False} | dict(row) for row in rows]
    write_day(root, table, date, pa.Table.from_pylist(full, schema=schema))


def answers(target: str, spam: int | None, lost: int | None, *, known: bool = True) -> list[dict[str, Any]]:
    same = {"target": target, "has_data": known, "request_key": "k"}
    return [
        {**same, "status_type": "live", "backlinks_spam_score": spam, "backlinks": 10_000},
        {**same, "status_type": "lost", "backlinks": lost},
    ]


def a_flag(target: str = "shop.example", **changes: Any) -> dict[str, Any]:
    return {
        "target": target,
        "metric": "lost_backlinks",
        "value": 1500.0,
        "previous": 1003.0,
        "previous_date": days_before(1),
        "baseline": 1000.0,
        "usual_low": 970.0,
        "usual_high": 1030.0,
        "change": 500.0,
        "score": 20.0,
        "direction": "up",
        "kind": "step",
        "severity": "warning",
        "reason": f"Lost backlinks of {target} rose by 500 to 1,500 against 1,000.",
    } | changes


def an_incident(target: str = "shop.example", **changes: Any) -> dict[str, Any]:
    """Return an incident that the flag of `a_flag` has opened on DAY; its ID is made of the target's name."""
    return {
        "incident": f"i{zlib.crc32(target.encode(errors='surrogatepass')):08x}"[:8],
        "target": target,
        "metric": "lost_backlinks",
        "direction": "up",
        "severity": "warning",
        "state": "open",
        "opened": DAY,
        "last_flag": DAY,
    } | changes


def a_history(root: Path, targets: Iterable[str], days: int = 60, gap: range = range(0)) -> None:
    """Write `days` days of answers and changes up to DAY; on the days of `gap`, counted back, nothing is written."""
    targets = list(targets)
    for back in range(days):
        if back in gap:
            continue
        date, lost = days_before(back), 1000 + (back * 7) % 11
        write_rows(
            root, "backlinks_summary", date, [r for t in targets for r in answers(t, 20, 1500 if back == 0 else lost)]
        )
        rows = [
            a_flag(t, value=float(lost), change=lost - 1000.0, score=(lost - 1000) / 5, severity=None, kind=None)
            for t in targets
        ]
        if back:
            write_rows(root, "backlinks_changes", date, rows)


def a_day(root: Path, flags: Iterable[Mapping[str, Any]], *, unflagged: Iterable[Mapping[str, Any]] = ()) -> None:
    """Write DAY's changes, flags and costs."""
    flags = list(flags)
    write_rows(root, "backlinks_changes", DAY, [*flags, *unflagged])
    write_rows(root, "backlinks_flags", DAY, flags)
    write_rows(
        root, "api_costs", DAY, [{"calls": 62, "answers": 62, "cost_usd": 1.490232, "charged_without_answer": 0}]
    )


def links(target: str, counts: Mapping[str, int], dimension: str = "referring_links_tld") -> list[dict[str, Any]]:
    return [
        {"target": target, "status_type": "live", "dimension": dimension, "key": key, "links": count}
        for key, count in counts.items()
    ]


def a_page(
    root: Path,
    date: dt.date = DAY,
    *,
    simulated: bool = False,
    expected: Collection[str] = (),
    lines: Iterable[Target] = (),
) -> Path:
    """Write a day's page and the list of days; return the page. `lines` are the targets file's."""
    labels = {one.target: one for one in lines}
    report = read_day_report(root, date, simulated=simulated, expected_targets=expected, labels=labels)
    path = write_report(root, report)
    write_index(root)
    return path


INDEX_MOVE = a_flag(
    "*", value=11.0, previous=None, previous_date=None, baseline=None, change=-11.2, score=None, kind="index_move",
    reason="The vendor's index moved.",
)  # fmt: skip


FAULT = INDEX_MOVE | {
    "change": None, "direction": None, "kind": "vendor_fault", "severity": "critical",
    "reason": "The vendor's fault, not your links: 11 of 12 targets read near zero.",
}  # fmt: skip


def a_turn(target: str, *, back: bool = False) -> dict[str, Any]:
    """Return the flag of a target that went down, or came back, with 10,000 live links before."""
    row = a_flag(target, metric="target_down", value=0.0, previous=10_000.0, kind="down", severity="critical")
    row |= dict.fromkeys(("baseline", "usual_low", "usual_high", "change", "score"))
    row |= {
        "direction": "down",
        "reason": "The target is down: no live link is left; the last 10,000 were seen yesterday.",
    }
    if back:
        row |= {"value": 10_000.0, "previous_date": days_before(5), "direction": "up", "severity": "warning"}
    return row


HOSTILE = [
    "<img src=x onerror=alert(1)>.example",
    '"><script>alert(1)</script>',
    "</title></desc></svg></style><iframe src=javascript:alert(1)>",
    "[click](javascript:alert(1))",
    "=cmd|' /C calc'!A0",
    "`code` $x$ **bold** | cell",
    "{{ 7 * 7 }}{% raw %}",
    "turned\u202egnp.example",
]


def a_hostile_day(root: Path) -> None:
    a_history(root, HOSTILE, days=5)
    a_day(root, [a_flag(name) for name in HOSTILE])
    for date, count in ((days_before(1), 10), (DAY, 40)):
        write_rows(
            root, "referring_links", date, [row for t in HOSTILE for row in links(t, dict.fromkeys(HOSTILE, count))]
        )
