"""`backlinks evidence`: which links and domains a day's flags are about, as they are stored, or bought after one question.

What is asked and bought is `evidence/`; a disavow proposal made of it is `disavow.py`.
"""

import datetime as dt
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from rich.markup import escape
from rich.padding import Padding

from backlinks_assets.cli.console import (
    INCOMPLETE,
    STOPPED,
    UsageError,
    agrees,
    cell,
    complain,
    err,
    out,
    settings_and_notices,
    table,
)
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import watched_targets
from backlinks_assets.collect.prices import read_prices
from backlinks_assets.dataforseo.endpoints.single_links import NAME
from backlinks_assets.evidence.flags import flags_of
from backlinks_assets.evidence.kept import Kept, Key
from backlinks_assets.evidence.purchase import Purchase, buy, missing, stored
from backlinks_assets.evidence.questions import Flagged, Question, in_order
from backlinks_assets.evidence.sentences import explained, links_of_row, sentence
from backlinks_assets.formatting import counted, dollars, visible
from backlinks_assets.paths import evidence_csv_path
from backlinks_assets.published.publication import bring
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import days

SHOWN_ROWS: Final = 10
MAX_TEXT: Final = 60
_NAMES: Final = {"lost_domains": "lost links", "new_spam": "new spam", "lost_spam": "lost spam"}
_PIPED: Final = (
    "target", "question", "position", "domain_from", "group_count", "backlink_spam_score", "dofollow", "anchor", "url_from",
    "url_to", "first_seen", "last_seen",
)  # fmt: skip


@dataclass(slots=True)
class _Day:
    """A day's questions with what is stored of them, and what came of buying the rest."""

    date: dt.date
    questions: list[Question]
    found: dict[Key, Kept]
    done: Purchase = field(default_factory=Purchase)

    @property
    def unanswered(self) -> list[Question]:
        return [one for one in self.questions if one.key not in self.found]


def show_evidence(target: str | None, date: dt.date | None, rows: int | None, *, yes: bool, as_json: bool) -> int:
    """Print what is stored of a day's flags, and buy what is not once a person agrees; return the exit status.

    Raises:
        UsageError: no day is judged, or no flag of the day raises a question.
    """
    settings = settings_and_notices()
    bring(settings)
    date = _judged(settings, date)
    flags = _flags(settings, date, target)
    day = _Day(date, in_order(date, flags), stored(settings, date))
    if (wanted := missing(date, flags, day.found, rows)) and agrees(
        "Buy?", lambda: _cost_said(settings, wanted, rows), unasked=yes or settings.simulated
    ):
        _buy(settings, day, flags, rows)
    if as_json:
        print(json.dumps(_as_json(day, settings), default=str))
    else:
        _print(day, settings)
    left = day.unanswered
    if left and not day.done.failed and not as_json:
        err().print(
            f"{counted(len(left), 'question')} without an answer: `--yes` buys {'it' if len(left) == 1 else 'them'}."
        )
    for (name, question), why in day.done.failed.items():
        complain(f"{visible(name)}, {_NAMES[question]}: {why}")
    if day.done.stopped:
        return STOPPED
    return INCOMPLETE if left else 0


def _judged(settings: Settings, date: dt.date | None) -> dt.date:
    judged = days(settings.root, "backlinks_flags")
    if not judged:
        raise UsageError("No day is judged yet. Judge today with `backlinks run`.")
    if date is not None and date not in judged:
        raise UsageError(f"{date} is not judged; the days from {judged[0]} to {judged[-1]} are.")
    return date or judged[-1]


def _flags(settings: Settings, date: dt.date, target: str | None) -> list[Flagged]:
    found = [flag for flag in flags_of(settings.root, date) if flag.is_wanted]
    name = (target or "").strip().lower().removeprefix("www.")
    chosen = [flag for flag in found if not name or flag.target.lower() == name]
    if not chosen:
        whose = f" of {visible(name)}" if name else ""
        raise UsageError(
            f"No flag{whose} on {date} is about links that came or went. `backlinks flags --date {date}` shows the day's flags."
        )
    return chosen


def _cost_said(settings: Settings, wanted: Sequence[Question], rows: int | None) -> str:
    price = read_prices(settings).of(NAME).price_usd(rows or settings.evidence_rows) * len(wanted)
    said = (
        f"{counted(len(wanted), 'question')} to buy, {dollars(price)} at most; evidence may cost "
        f"{dollars(settings.evidence_usd_per_day)} a day (BACKLINKS_EVIDENCE_USD_PER_DAY)."
    )
    if wanted[0].date < utc_now().date():
        said += "\nThe day is over: what came or went since is among the answers."
    return said


def _buy(settings: Settings, day: _Day, flags: Sequence[Flagged], rows: int | None) -> None:
    """Buy, and have the table, the CSV and the day's page made of it."""
    from backlinks_assets.cli.execution import opened

    own = {one.target: one.overrides.model_dump(exclude_none=True) for one in watched_targets(settings)}
    day.done = buy(settings, day.date, flags, own, rows=rows, any_day=True)
    day.found = stored(settings, day.date)
    if day.done.calls:
        with opened(settings, day=day.date) as pipeline:
            pipeline.evidence(day.date, "off")  # only the files: what was wanted is bought
            pipeline.write_page(day.date)


def _said(day: _Day, one: Question) -> tuple[Kept, str, str]:
    answer = day.found[one.key]
    said = sentence(one.name, answer.rows, answer.total_count, answer.since)
    return answer, said, explained(one.flags[0], one.name, answer.rows, day.date, answer.since)


def _as_json(day: _Day, settings: Settings) -> dict[str, Any]:
    evidence = []
    for one in day.questions:
        if one.key in day.found:
            answer, said, share = _said(day, one)
            evidence.append(
                {
                    "target": one.target,
                    "question": one.name,
                    "since": answer.since,
                    "sentence": said,
                    "explained": share,
                    "total_count": answer.total_count,
                    "cost_usd": round(answer.cost_usd, 6),
                    "rows": answer.rows,
                }
            )
    reasons = day.done.failed
    return {
        "date": day.date,
        "simulated": settings.simulated,
        "evidence": evidence,
        "missing": [
            {"target": one.target, "question": one.name, "reason": reasons.get(one.key, "not bought")}
            for one in day.unanswered
        ],
        "calls": day.done.calls,
        "cost_usd": round(day.done.cost_usd, 6),
    }


def _print(day: _Day, settings: Settings) -> None:
    answered = [one for one in day.questions if one.key in day.found]
    if not sys.stdout.isatty():
        print("\t".join(_PIPED))
        for one in answered:
            for at, row in enumerate(day.found[one.key].rows, start=1):
                known = {**row, "target": one.target, "question": one.name, "position": at}
                print("\t".join(cell(known.get(name)) for name in _PIPED))
        return
    console = out()
    for one in answered:
        answer, said, share = _said(day, one)
        simulated = " (simulated)" if settings.simulated else ""
        console.print(f"\n[bold]{escape(visible(one.target))}[/]  {_NAMES[one.name]}, {day.date}{simulated}")
        console.print(Padding(escape(" ".join(filter(None, (said, share)))), (0, 0, 1, 2)))
        if answer.rows:
            listed = table()
            listed.add_column("Links", justify="right", no_wrap=True)
            listed.add_column("Score", justify="right", no_wrap=True)
            listed.add_column("Domain", overflow="fold", ratio=3)
            listed.add_column("Anchor", overflow="fold", ratio=2)
            listed.add_column("To", overflow="fold", ratio=2)
            for row in answer.rows[:SHOWN_ROWS]:
                listed.add_row(*_cells(row))
            console.print(listed)
        if len(answer.rows) > SHOWN_ROWS:
            console.print(f"  and {len(answer.rows) - SHOWN_ROWS:,} more rows")
    csv_file = evidence_csv_path(settings.root, day.date)
    if answered and csv_file.exists():
        console.print(f"\nAll rows: {escape(str(csv_file))}")


def _cells(row: Mapping[str, Any]) -> list[str]:
    score = row.get("backlink_spam_score")
    nofollow = " (nofollow)" if row.get("dofollow") is False else ""
    texts = [_text(row.get("domain_from")) + nofollow, _text(row.get("anchor")), _text(_page(row.get("url_to")))]
    return [f"{links_of_row(row):,}", "–" if score is None else str(score), *map(escape, texts)]


def _page(url: object) -> str:
    """Return a page's address without scheme and host, which are the target's."""
    _, found, rest = str(url or "").partition("://")
    return "/" + rest.partition("/")[2] if found else str(url or "")


def _text(value: object) -> str:
    """Return a stranger's text for a cell: one line, cut, without what commands a terminal."""
    text = visible(" ".join(str(value or "").split()))
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
