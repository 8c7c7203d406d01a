"""What the page and the message say of the links that the day's flags are about, read from `flag_evidence`.

What the links mean is `evidence/`. Domains, addresses and anchors are strangers' text: they are shown as text, and no link is
made of them.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from backlinks_assets.evidence.files import TABLE, rows_of, unbought_of
from backlinks_assets.evidence.flags import flags_of
from backlinks_assets.evidence.questions import LOST_DOMAINS, LOST_SPAM, NEW_SPAM, questions
from backlinks_assets.evidence.sentences import Shared, explained, links_of_row, sentence, shared_domains
from backlinks_assets.paths import evidence_csv_path
from backlinks_assets.tables.parquet import days

SHOWN_ROWS: Final = 10
MAX_TEXT: Final = 80
TITLES: Final = {
    LOST_DOMAINS: "Links that went",
    NEW_SPAM: "New links with a high spam score",
    LOST_SPAM: "Spam links that went",
}

Key = tuple[str, str]
"""A target and a metric."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of one question of a flag: a sentence, how much it explains, its first rows; or why nothing is."""

    title: str
    sentence: str = ""
    explained: str = ""
    rows: Sequence[Mapping[str, Any]] = ()
    more: int = 0
    unbought: str = ""


@dataclass(frozen=True, slots=True)
class DayEvidence:
    """A day's evidence by target and metric, the domains that several targets share, and the name of the day's CSV."""

    answers: Mapping[Key, Sequence[Answer]] = field(default_factory=dict)
    shared: Sequence[Shared] = ()
    csv: str = ""

    def of(self, target: str, metric: str) -> Sequence[Answer]:
        return self.answers.get((target, metric), ())

    def sentence(self, target: str, metric: str) -> str:
        """Return what a message says of a flag, empty where nothing is known."""
        return " ".join(answer.sentence for answer in self.of(target, metric) if answer.sentence)

    def of_targets(self, names: Collection[str]) -> "DayEvidence":
        """Return it as if only these targets were watched: no other's name, and not the file of all."""
        answers = {key: found for key, found in self.answers.items() if key[0] in names}
        shared = [
            replace(one, targets=tuple(target for target in one.targets if target in names)) for one in self.shared
        ]
        return DayEvidence(answers, [one for one in shared if len(one.targets) > 1])


NO_EVIDENCE: Final = DayEvidence()


def read_evidence(root: Path, date: dt.date) -> DayEvidence:
    """Return a day's evidence, empty if there is no table of it.

    Raises:
        TablesError: a table can't be read; the message names it.
    """
    if date not in days(root, TABLE):
        return NO_EVIDENCE
    unbought = unbought_of(root, date)
    found: dict[Key, list[dict[str, Any]]] = {}
    for row in rows_of(root, date, date):
        found.setdefault((row["target"], row["question"]), []).append(row)
    answers: dict[Key, list[Answer]] = {}
    for flag in flags_of(root, date):
        for name in questions(flag):
            key = flag.target, name
            of_flag = answers.setdefault((flag.target, flag.metric), [])
            if key in found:
                listed, first = [row for row in found[key] if row["position"]], found[key][0]
                of_flag.append(
                    Answer(
                        TITLES[name],
                        sentence(name, listed, first["total_count"], first["since"]),
                        explained(flag, name, listed, date, first["since"]),
                        [_shown(row) for row in listed[:SHOWN_ROWS]],
                        max(0, len(listed) - SHOWN_ROWS),
                    )
                )
            elif key in unbought:
                of_flag.append(Answer(TITLES[name], unbought=unbought[key]))
    several = shared_domains(row for rows in found.values() for row in rows)
    csv = evidence_csv_path(root, date)
    return DayEvidence(answers, several, csv.name if csv.exists() else "")


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "domain": _cut(row["domain_from"]),
        "links": links_of_row(row),
        "score": row["backlink_spam_score"],
        "nofollow": row["dofollow"] is False,
        "anchor": _cut(row["anchor"]),
        "page": _cut(row["url_from"]),
        "to": _cut(row["url_to"]),
    }


def _cut(value: str | None) -> str:
    text = " ".join((value or "").split())
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
