"""What the links of an answer say: one sentence, how much of the flag they explain, domains that several targets share. Pure.

Domains are strangers' text: where a sentence is shown, it is shown as text.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from backlinks_assets.evidence.questions import LOST_DOMAINS, LOST_SPAM, MIN_SPAM_SCORE, NEW_SPAM, Flagged, first_day
from backlinks_assets.formatting import counted, long_day, visible

Row = Mapping[str, Any]

NAMED: Final = 3
"""Domains that a sentence names."""
STRONGEST: Final = 10
MAX_NAME: Final = 60
NOT_CHECKED: Final = "The vendor says so; it was not checked on the pages."


@dataclass(frozen=True, slots=True)
class Shared:
    """A domain that dropped several targets, or links to several in new spam."""

    domain: str
    is_lost: bool
    targets: tuple[str, ...]


def links_of_row(row: Row) -> int:
    """Return the links that a row stands for: all of its domain, in an answer of one row a domain."""
    return int(row.get("group_count") or 1)


def sentence(name: str, rows: Sequence[Row], total: int | None, since: Any = None) -> str:
    """Return what the rows of a question say; `total` is how many domains there are in all."""
    if not rows:
        what = f"No new link with a spam score of {MIN_SPAM_SCORE} or more" if name == NEW_SPAM else "No lost link"
        return f"{what} was found{f' since {long_day(since)}' if since else ''}."
    links = sum(map(links_of_row, rows))
    which = "worst" if name != LOST_DOMAINS else "strongest"
    spam = f" with a spam score of {MIN_SPAM_SCORE} or more" if name == NEW_SPAM else ""
    of = f"{counted(links, 'link')} of {counted(len(rows), 'domain')}{spam} {'came' if name == NEW_SPAM else 'went'}"
    if total is not None and total > len(rows):
        these = f"the {len(rows):,} {which} domains" if len(rows) > 1 else f"the {which} domain"
        all_of, had = ("Links{} came from {}", "sent") if name == NEW_SPAM else ("Links{} from {} went", "had")
        of = f"{all_of.format(spam, counted(total, 'domain'))}; {these} {had} {links:,} of these links"
    first = sorted(rows, key=links_of_row, reverse=True) if name == LOST_DOMAINS else rows
    more = f" and {len(rows) - NAMED:,} more" if len(rows) > NAMED else ""
    said = f"{of}: {', '.join(_named(name, row) for row in first[:NAMED])}{more}"
    strongest = rows[:STRONGEST]
    nofollow = sum(row.get("dofollow") is False for row in strongest)
    if nofollow:
        them = f"the {len(strongest)} {which}" if len(rows) > STRONGEST else "them"
        said += f"; {nofollow} of {them} {'was' if nofollow == 1 else 'were'} nofollow"
    return said + "."


def _named(name: str, row: Row) -> str:
    domain = visible(" ".join(str(row.get("domain_from") or "(unknown)").split()))
    domain = domain if len(domain) <= MAX_NAME else domain[:MAX_NAME] + "…"
    if name in (NEW_SPAM, LOST_SPAM):
        score = row.get("backlink_spam_score")
        return f"{domain} {links_of_row(row):,} (score {'unknown' if score is None else score})"
    why = why_lost(row)
    return f"{domain} {links_of_row(row):,}{f' ({why})' if why else ''}"


def why_lost(row: Row) -> str:
    """Return why a link went, as far as the status codes say; a page that answers 200 no longer has the link."""
    page, target = row.get("page_from_status_code"), row.get("url_to_status_code")
    if isinstance(page, int) and page >= 400:
        return "page gone" if page < 500 else f"page answers {page}"
    if isinstance(target, int) and target >= 400:
        return f"your page answers {target}"
    return "link taken out" if page == 200 else ""


def share(flag: Flagged, name: str, rows: Iterable[Row]) -> float | None:
    """Return the part of a flag's change since the reading before that the rows explain, 1.0 for all; None if not known.

    Of lost links it is their number. Of a spam score, the average over all live links, each link counts with its distance
    from the average before.
    """
    if flag.value is None or flag.previous is None or flag.value == flag.previous:
        return None
    change = flag.value - flag.previous
    if flag.metric != "spam_score":
        return sum(map(links_of_row, rows)) / abs(change) if name == LOST_DOMAINS else None
    if not flag.live:
        return None
    moved = sum(
        links_of_row(row) * ((row.get("backlink_spam_score") or 0) - flag.previous)
        for row in rows
        if row.get("backlink_spam_score") is not None
    )
    return (moved if name == NEW_SPAM else -moved) / flag.live / change


def explained(flag: Flagged, name: str, rows: Sequence[Row], date: Any, since: Any) -> str:
    """Return how much of the flag's change the rows explain, and where they are from more days than it, in sentences."""
    said = []
    part = share(flag, name, rows) if rows else None
    if part is not None and part > 0:
        percent = f"{min(100, max(1, round(100 * part)))} %"
        what = "what changed since the reading before" if flag.metric == "spam_score" else "the links lost since then"
        if flag.previous_date:
            what = f"the change since {long_day(flag.previous_date)}"
        said.append(f"{'All' if part >= 0.995 else percent} of {what} is explained by these rows.")
    if since is not None and since < first_day(date, flag.previous_date):
        said.append(
            f"Nothing was found for the days just before the flag, so these are of the time since {long_day(since)}."
        )
    if name != NEW_SPAM and rows:
        said.append(NOT_CHECKED)
    return " ".join(said)


def shared_domains(rows: Iterable[Row], most: int = 10) -> list[Shared]:
    """Return the domains that several targets lost, or got in new spam, those of the most targets first."""
    found: dict[tuple[str, bool], set[str]] = {}
    for row in rows:
        if row.get("domain_from"):
            found.setdefault((str(row["domain_from"]), row["question"] != NEW_SPAM), set()).add(row["target"])
    several = [Shared(domain, lost, tuple(sorted(of))) for (domain, lost), of in found.items() if len(of) > 1]
    return sorted(several, key=lambda one: (-len(one.targets), not one.is_lost, one.domain))[:most]
