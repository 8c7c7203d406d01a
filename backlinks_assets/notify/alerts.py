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
from backlinks_assets.targets.target import BadLine, Target

if TYPE_CHECKING:
    from backlinks_assets.report.summary import Change

MAX_REASONS: Final = 5
MAX_NAMES: Final = 3
MAX_REASON_CHARACTERS: Final = 500
"""An exception's text may be pages long."""
MAX_NOTE_CHARACTERS: Final = 120
QUIET: Final = "quiet"
NO_LINES: Final[Mapping[str, Target]] = {}
INCOMPLETE: Final = "incomplete"
"""Key of all alerts that say that a day lacks answers: one of them is enough."""


class Kind(Enum):
    """What alerts are about, in the order of a message: the heading, and what the title says."""

    def __init__(self, heading: str, in_title: str) -> None:
        self.heading, self.in_title = heading, in_title

    STOPPED = "Collecting stopped", "collecting stopped"
    INCOMPLETE = "Targets without answers", "targets without answers"
    IN_BULK = "Targets watched in bulk were not evaluated", "not evaluated in bulk"
    LINES = "Lines of the targets file that can't be used", "bad lines in the targets file"
    UNPUBLISHED = "The tables could not be built", "tables not built"
    BALANCE = "The account's balance is low", "low balance"
    FAULT = "The vendor's fault", "vendor's fault"
    INDEX = "The vendor's index moved", "index move"
    FLAG = "Flags", ""  # a title counts them, and a message has a block for each severity
    AGAIN = "Critical, and nobody looks into it yet", "critical and not acknowledged"  # after two mornings, once
    WOKEN = "No longer snoozed", "a snooze is over"
    BACK = "Usual again", "usual again"
    LEVEL = "Closed, since the new level is usual by now", "a new level is usual"  # of what people work on
    QUIET = "", "nothing moved"  # for channels that want to know
    WEEK = "", ""  # stands for the digest of the seven days to its day

    def key(self, reason: str) -> str:
        """Return a key for a reason without the amounts, times and counts in it, which differ from run to run."""
        shape = re.sub(r"\d[\d.,:]*", "0", reason)
        return f"{self.name.lower()}|{_digest(shape)}"


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to announce. It is new to a channel that has not had `keys[0]`; one that gets it has had all its keys.

    `group` is its target's, `about` what stands behind its name: owner and note. `for_clients` is the text for channels of
    some groups only, where the other names no client but says how many there are, or a command. `when` is its day, in a
    message about several; `incident` its ID.
    """

    kind: Kind
    keys: tuple[str, ...]
    text: str
    name: str = ""
    severity: str = ""
    group: str = ""
    about: str = ""
    for_clients: str = ""
    in_title: str = ""
    when: str = ""
    incident: str = ""


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


def flag_alerts(flags: "Sequence[Change]", lines: Mapping[str, Target] = NO_LINES) -> list[Alert]:
    """Return a day's flags, index moves and vendor's faults as alerts, in their order.

    A warning that turns critical is new again. `lines` are the targets file's, by target.
    """
    alerts = []
    for flag in flags:
        key = f"flag|{flag.target}|{flag.metric}"
        severity = flag.severity or "warning"
        if flag.is_vendors:
            kind, key = (Kind.FAULT, f"fault|{key}") if flag.is_fault else (Kind.INDEX, key)
            said = FAULT_FOR_CLIENTS if flag.is_fault else INDEX_FOR_CLIENTS.format(what=flag.title.lower())
            alerts.append(Alert(kind, (key,), flag.reason or "", severity=severity, for_clients=said))
            continue
        keys = (f"{key}|critical", key) if severity == "critical" else (key,)
        about = whose(flag.target, lines) | {"incident": flag.incident or ""}
        alerts.append(Alert(Kind.FLAG, keys, flag.reason or "", flag.target, severity, **about))
    return alerts


def whose(target: str, lines: Mapping[str, Target]) -> dict[str, str]:
    """Return the group of a target and what stands behind its name, as an alert has them."""
    if (line := lines.get(target)) is None:
        return {}
    return {
        "group": line.group,
        "about": "; ".join(filter(None, (line.owner, shortened(line.note, MAX_NOTE_CHARACTERS)))),
    }


INDEX_FOR_CLIENTS: Final = (
    "The vendor's index moved: {what} changed for many targets at once. Targets that only moved along are not flagged."
)
FAULT_FOR_CLIENTS: Final = (
    "The vendor's fault, not your links: its numbers can't be right, so nothing is flagged by them."
)


def quiet_alert(watched: int, answered: int, *, counts: bool) -> Alert:
    """Return that nothing moved among some targets, or why nothing can be said; `counts`: the day's readings count."""
    if not watched:
        return Alert(Kind.QUIET, (QUIET,), "No target is watched.", in_title="nothing is watched")
    if not answered:
        return Alert(Kind.QUIET, (QUIET,), f"{watched:,} watched, none with answers.", in_title="no answers")
    if not counts:
        text = f"{watched:,} watched, and no reading of the day counts: the vendor's fault, or a day that was excluded."
        return Alert(Kind.QUIET, (QUIET,), text, in_title="no reading counts")
    left = f" {watched - answered:,} of them {_have(watched - answered)} no answers." if answered < watched else ""
    return Alert(Kind.QUIET, (QUIET,), f"{watched:,} watched, nothing moved.{left}")


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


def missing_in_bulk_alert(missing: int, targets: int, day: dt.date) -> Alert:
    """Return that too many targets lack a count for a day's bulk readings to be evaluated."""
    text = (
        f"{missing:,} of {counted(targets, 'target')} watched in bulk lack a count on {day} that was "
        "there the last time. With more than 5 % of them the day's bulk readings are not evaluated, and nothing is flagged by "
        "them. If calls failed, run bulk_responses for the day again before it ends (UTC): only what is missing is requested. If "
        "the vendor's answers lack it, nothing is to be done: the next day is compared with the days before."
    )
    return Alert(Kind.IN_BULK, (Kind.IN_BULK.name.lower(),), text)


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
    shown = [f" {shortened(reason).rstrip('.')}: {_names(reasons, reason)}." for reason, _ in counts]
    left = len(set(reasons.values())) - len(counts)
    return "".join(shown) + (f" And {counted(left, 'other reason')}." if left else "")


def _names(reasons: Mapping[str, str], reason: str) -> str:
    names = sorted(target for target, why in reasons.items() if why == reason)
    more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return ", ".join(names[:MAX_NAMES]) + more


def _sentence(reason: str) -> str:
    text = shortened(reason)
    return text if text.endswith((".", "…", "!")) else f"{text}."


def shortened(reason: str, most: int = MAX_REASON_CHARACTERS) -> str:
    """Return a text as one line of so many characters at most."""
    text = " ".join(reason.split())
    return text if len(text) <= most else text[: most - 1] + "…"
