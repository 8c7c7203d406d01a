"""What there is to announce about a day, as alerts that their keys identify.

Pure: flags, failed runs, answers and bad lines in, alerts out. When they are sent is `announce.py`; how they read
is `templates.py`.
"""

import datetime as dt
import hashlib
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from backlinks_assets.formatting import counted
from backlinks_assets.targets.target import BadLine

if TYPE_CHECKING:
    from backlinks_assets.report.summary import Change

MAX_REASONS: Final = 5
MAX_NAMES: Final = 3
MAX_REASON_CHARACTERS: Final = 500
"""An exception's text may be pages long."""
INCOMPLETE: Final = "incomplete"
"""Key of all alerts that say that a day lacks answers: one of them is enough."""


class Kind(Enum):
    """What alerts are about, in the order of a message: the heading, and what the title says."""

    def __init__(self, heading: str, in_title: str) -> None:
        self.heading, self.in_title = heading, in_title

    STOPPED = "Collecting stopped", "collecting stopped"
    INCOMPLETE = "Targets without answers", "targets without answers"
    LINES = "Lines of the targets file that can't be used", "bad lines in the targets file"
    UNPUBLISHED = "The tables could not be built", "tables not built"
    BALANCE = "The account's balance is low", "low balance"
    FAULT = "The vendor's fault", "vendor's fault"
    INDEX = "The vendor's index moved", "index move"
    FLAG = "Flags, worst first", ""  # a title counts them

    def key(self, reason: str) -> str:
        """Return a key for a reason without the amounts, times and counts in it, which differ from run to run."""
        shape = re.sub(r"\d[\d.,:]*", "0", reason)
        return f"{self.name.lower()}|{_digest(shape)}"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to announce. It is new to a channel that has not had `keys[0]`; one that gets it has had all its keys."""

    kind: Kind
    keys: tuple[str, ...]
    text: str
    name: str = ""
    severity: str = ""


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run of this project that failed: of which day, and why.

    `collects`: it called the API; otherwise it built tables. `stopped` is why it ended early, for the account's sake or
    the budget's; `targets` gives the reason by target; `says` is all that is known where neither is.
    """

    run_id: str
    day: dt.date
    collects: bool
    ended_at: dt.datetime
    says: str = ""
    stopped: str | None = None
    targets: Mapping[str, str] = field(default_factory=dict)


def flag_alerts(flags: "Sequence[Change]") -> list[Alert]:
    """Return a day's flags, index moves and vendor's faults as alerts, in their order.

    A warning that turns critical is new again.
    """
    alerts = []
    for flag in flags:
        key = f"flag|{flag.target}|{flag.metric}"
        if flag.is_vendors:
            kind, key = (Kind.FAULT, f"fault|{key}") if flag.is_fault else (Kind.INDEX, key)
            alerts.append(Alert(kind, (key,), flag.reason or ""))
            continue
        severity = flag.severity or "warning"
        keys = (f"{key}|critical", key) if severity == "critical" else (key,)
        alerts.append(Alert(Kind.FLAG, keys, flag.reason or "", flag.target, severity))
    return alerts


def collecting_alerts(
    runs: Sequence[FailedRun], watched: Collection[str], answered: Collection[str], day: dt.date, *, over: bool = False
) -> list[Alert]:
    """Return why failed runs stopped, and which watched targets have no answers; nothing if a later run has brought them."""
    missing = set(watched) - set(answered)
    failed = [run for run in runs if run.collects]
    if not failed or not missing:
        return []
    left = f"{len(missing):,} of {counted(len(watched), 'target')} {_have(len(missing))} no answers for {day}."
    stops = dict.fromkeys(run.stopped or run.says for run in failed if run.stopped or not run.targets)
    if stops:
        return [
            Alert(Kind.STOPPED, (Kind.STOPPED.key(reason), INCOMPLETE), f"{_sentence(reason)} {left}")
            for reason in stops
        ]
    reasons = {target: reason for run in failed for target, reason in run.targets.items() if target in missing}
    next_step = DAY_IS_OVER if over else RUN_AGAIN
    return [Alert(Kind.INCOMPLETE, (INCOMPLETE,), f"{left}{_by_reason(reasons)} {next_step}")]


RUN_AGAIN: Final = "Run summary_responses for the day again before it ends (UTC): only what is missing is requested."
DAY_IS_OVER: Final = "The day is over: the API answers for the present only."


def lost_day_alerts(expected: Collection[str], answered: Collection[str], day: dt.date) -> list[Alert]:
    """Return that a day has ended without answers, which can't be collected any more.

    `expected` are the targets that had answers on the days before.
    """
    missing = sorted(set(expected) - set(answered))
    if not missing:
        return []
    if not answered:
        what = f"Nothing was collected on {day}"
    else:
        names = ", ".join(missing[:MAX_NAMES]) + (" and others" if len(missing) > MAX_NAMES else "")
        what = f"{counted(len(missing), 'target')} {_have(len(missing))} no answers for {day} ({names})"
    return [Alert(Kind.INCOMPLETE, (INCOMPLETE,), f"{what}. {DAY_IS_OVER} Check the schedule, or what starts the run.")]


def publishing_alerts(runs: Sequence[FailedRun], flags_built_at: dt.datetime | None) -> list[Alert]:
    """Return why a day's tables could not be built, unless they have been since."""
    failed = [run for run in runs if not run.collects and (flags_built_at is None or run.ended_at > flags_built_at)]
    stored = "The answers are stored; a rebuild costs nothing."
    return [
        Alert(Kind.UNPUBLISHED, (Kind.UNPUBLISHED.key(reason),), f"{_sentence(reason)} {stored}")
        for reason in dict.fromkeys(run.says for run in failed)
    ]


def stopped_alert(reason: str) -> Alert:
    """Return that nothing can be collected: the account is refused, or the targets file can't be used as a whole."""
    return Alert(Kind.STOPPED, (Kind.STOPPED.key(reason),), _sentence(reason))


def bad_line_alerts(bad_lines: Sequence[BadLine]) -> list[Alert]:
    """Return an alert for each bad line. All have one key, that of the set, which does not depend on the lines' numbers."""
    said = sorted(f"{bad.cell}\0{re.sub(r'line [0-9]+', 'line', bad.why)}" for bad in bad_lines)
    key = f"lines|{_digest(chr(10).join(said))}"
    return [Alert(Kind.LINES, (key,), bad.reason, bad.shown_cell) for bad in bad_lines]


def _have(count: int) -> str:
    return "has" if count == 1 else "have"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _by_reason(reasons: Mapping[str, str]) -> str:
    counts = Counter(reasons.values()).most_common(MAX_REASONS)
    shown = [f" {_shortened(reason).rstrip('.')}: {_names(reasons, reason)}." for reason, _ in counts]
    left = len(set(reasons.values())) - len(counts)
    return "".join(shown) + (f" And {counted(left, 'other reason')}." if left else "")


def _names(reasons: Mapping[str, str], reason: str) -> str:
    names = sorted(target for target, why in reasons.items() if why == reason)
    more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def _sentence(reason: str) -> str:
    text = _shortened(reason)
    return text if text.endswith((".", "…", "!")) else f"{text}."


def _shortened(reason: str) -> str:
    text = " ".join(reason.split())
    return text if len(text) <= MAX_REASON_CHARACTERS else text[: MAX_REASON_CHARACTERS - 1] + "…"
