"""What a day owes to be told, as pieces of news that are known again by their keys.

Judging only: flags, failed runs and answers in, news out. When a message goes out is `announce.py`; how it reads is
`message.py`.
"""

import datetime as dt
import hashlib
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from backlinks_assets.formatting import counted

if TYPE_CHECKING:
    from backlinks_assets.report.summary import Change

STOPPED: Final = "stopped"
INCOMPLETE: Final = "incomplete"
UNPUBLISHED: Final = "unpublished"
LINES: Final = "lines"
BALANCE: Final = "balance"
INDEX: Final = "index"
FLAG: Final = "flag"

MOST_REASONS: Final = 5
MOST_NAMES: Final = 3
MOST_CHARACTERS: Final = 500
"""Of one reason: an exception's text may be pages long."""


@dataclass(frozen=True, slots=True)
class News:
    """One thing to be told. It is new if `keys[0]` has not been told of the day; telling it tells all its keys."""

    kind: str
    keys: tuple[str, ...]
    text: str
    name: str = ""
    severity: str = ""


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run of this project that failed: of which day, and what it says.

    `collects`: it asked the API; otherwise it built tables. `stopped` is why it ended before its end, for the account's
    sake or the budget's; `targets` gives the reason by target; `says` is all that is known where neither is.
    """

    run_id: str
    day: dt.date
    collects: bool
    ended_at: dt.datetime
    says: str = ""
    stopped: str | None = None
    targets: Mapping[str, str] = field(default_factory=dict)


def flag_news(flags: "Sequence[Change]") -> list[News]:
    """Return a day's flags and index moves as news, in their order. A warning that turns critical is new again."""
    news = []
    for flag in flags:
        key = f"{FLAG}|{flag.target}|{flag.metric}"
        if flag.is_index_move:
            news.append(News(INDEX, (key,), flag.reason or ""))
            continue
        severity = flag.severity or "warning"
        keys = (f"{key}|critical", key) if severity == "critical" else (key,)
        news.append(News(FLAG, keys, flag.reason or "", flag.target, severity))
    return news


def collecting_news(
    runs: Sequence[FailedRun], watched: Collection[str], answered: Collection[str], day: dt.date
) -> list[News]:
    """Return what failed runs left behind: why the day stopped, and which watched targets have no answers.

    Nothing, where a later run has brought the answers.
    """
    missing = set(watched) - set(answered)
    failed = [run for run in runs if run.collects]
    if not failed or not missing:
        return []
    left = f"{len(missing):,} of {counted(len(watched), 'target')} {_have(len(missing))} no answers for {day}."
    stops = dict.fromkeys(run.stopped or run.says for run in failed if run.stopped or not run.targets)
    if stops:
        keys = [(_key(STOPPED, reason), INCOMPLETE) for reason in stops]
        return [News(STOPPED, key, f"{_sentence(reason)} {left}") for key, reason in zip(keys, stops, strict=True)]
    reasons = {target: reason for run in failed for target, reason in run.targets.items() if target in missing}
    return [News(INCOMPLETE, (INCOMPLETE,), f"{left}{_by_reason(reasons)} {RUN_AGAIN}")]


RUN_AGAIN: Final = "Run summary_responses for the day again before it ends (UTC): only what is missing is asked for."


def lost_day_news(expected: Collection[str], answered: Collection[str], day: dt.date) -> list[News]:
    """Return the news that a day has ended without answers that it should have; it can't be filled in any more.

    `expected` are the targets that had answers on the days before.
    """
    missing = sorted(set(expected) - set(answered))
    if not missing:
        return []
    if not answered:
        what = f"Nothing was collected on {day}"
    else:
        names = ", ".join(missing[:MOST_NAMES]) + (" and others" if len(missing) > MOST_NAMES else "")
        what = f"{counted(len(missing), 'target')} {_have(len(missing))} no answers for {day} ({names})"
    text = f"{what}, and the day is over: the API answers for the present only. Check the schedule, or what starts the run."
    return [News(INCOMPLETE, (INCOMPLETE,), text)]


def publishing_news(runs: Sequence[FailedRun], flags_built_at: dt.datetime | None) -> list[News]:
    """Return why a day's tables could not be built, unless they have been since."""
    failed = [run for run in runs if not run.collects and (flags_built_at is None or run.ended_at > flags_built_at)]
    return [
        News(
            UNPUBLISHED,
            (_key(UNPUBLISHED, reason),),
            f"{_sentence(reason)} The answers are kept; a rebuild costs nothing.",
        )
        for reason in dict.fromkeys(run.says for run in failed)
    ]


def account_news(reason: str) -> News:
    """Return the news that the account is refused, as the free look at it says."""
    return News(STOPPED, (_key(STOPPED, reason),), _sentence(reason))


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _key(kind: str, reason: str) -> str:
    """Return a key for a reason whatever amounts, times and counts it names: they differ from run to run."""
    shape = re.sub(r"\d[\d.,:]*", "0", reason)
    return f"{kind}|{hashlib.sha256(shape.encode()).hexdigest()[:16]}"


def _by_reason(reasons: Mapping[str, str]) -> str:
    counts = Counter(reasons.values()).most_common(MOST_REASONS)
    shown = [f" {_shortened(reason).rstrip('.')}: {_names(reasons, reason)}." for reason, _ in counts]
    left = len(set(reasons.values())) - len(counts)
    return "".join(shown) + (f" And {counted(left, 'other reason')}." if left else "")


def _names(reasons: Mapping[str, str], reason: str) -> str:
    names = sorted(target for target, why in reasons.items() if why == reason)
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _sentence(reason: str) -> str:
    text = _shortened(reason)
    return text if text.endswith((".", "…", "!")) else f"{text}."


def _shortened(reason: str) -> str:
    text = " ".join(reason.split())
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"
