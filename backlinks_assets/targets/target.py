"""The targets that a targets file lists, and its lines that can't be used.

Plain records and their sentences. Reading the file is `file.py`; a target's name is `name.py`.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from backlinks_assets.dataforseo.endpoints.summary import ParameterOverrides
from backlinks_assets.errors import BacklinksError
from backlinks_assets.formatting import MAX_SHOWN_CHARACTERS, shown
from backlinks_assets.targets.labels import group_key
from backlinks_assets.targets.name import partition_key

NO_OVERRIDES = ParameterOverrides.model_validate({})
NO_THRESHOLDS: Mapping[str, str] = {}


@dataclass(frozen=True)
class Target:
    """One watched target as on its line. `thresholds` are its own, as text, for detection to read.

    `group` is the client or family of sites that messages and filters go by; empty for none. `watch` is its own way of being
    watched, before BACKLINKS_WATCH (`watch.py`).
    """

    target: str
    overrides: ParameterOverrides = field(default_factory=lambda: NO_OVERRIDES, hash=False)
    retired: dt.date | None = None
    note: str = ""
    thresholds: Mapping[str, str] = field(default_factory=dict, hash=False)
    line: int = 0
    group: str = ""
    owner: str = ""
    tags: tuple[str, ...] = ()
    watch: Literal["full", "bulk"] | None = None

    @property
    def partition_key(self) -> str:
        """The target's key in the dynamic partitions `targets`."""
        return partition_key(self.target)

    def active_on(self, day: dt.date) -> bool:
        """Whether the target is watched on a day: it is not from the day on which it is retired."""
        return self.retired is None or day < self.retired


@dataclass(frozen=True)
class Problem:
    """What is wrong with a line, counted from 1 (0: the file as a whole, or a command's text).

    `text`, where there is one, and `message` make one sentence.
    """

    line: int
    text: str
    message: str

    @property
    def sentence(self) -> str:
        """The problem without the line it is on."""
        return f"{shown(self.text)} {self.message}" if self.text else self.message


class TargetsError(BacklinksError, ValueError):
    """The targets file, or a change of it, can't be used: `problems` holds all that was found."""

    exit_status = 2

    def __init__(self, source: str, problems: list[Problem]) -> None:
        super().__init__(source, problems)
        self.source = source
        self.problems = problems

    @classmethod
    def of(cls, source: str, message: str, text: str = "") -> "TargetsError":
        """Return the error of one problem of the file as a whole, or of a text that a command was given."""
        return cls(source, [Problem(0, text, message)])

    def __str__(self) -> str:
        return "\n".join(self._sentence(problem) for problem in self.problems)

    def _sentence(self, problem: Problem) -> str:
        if problem.line:
            return f"{self.source}, line {problem.line}: {problem.sentence}"
        return problem.sentence if problem.text else f"{self.source} {problem.sentence}"


@dataclass(frozen=True)
class BadLine:
    """A line that can't be used, with all that is wrong with it.

    `cell` is its cell `target` as written, without a password. `target` is its name, if it is a valid one. `thresholds` are
    those of its own that can be used: stored days are evaluated by them.
    """

    line: int
    cell: str
    target: str | None
    problems: tuple[Problem, ...]
    thresholds: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def shown_cell(self) -> str:
        """The cell, safe for a page or a message."""
        return self.cell if self.cell.isprintable() and len(self.cell) <= MAX_SHOWN_CHARACTERS else shown(self.cell)

    @property
    def why(self) -> str:
        """What is wrong with the line, without its number."""
        return " ".join(problem.sentence for problem in self.problems)

    @property
    def reason(self) -> str:
        """`line 7: …`, as the target's reason for having no answers."""
        return f"line {self.line}: {self.why}"


class WatchList(list[Target]):
    """The targets of a file in its order, retired ones too, each once. `bad_lines` are those that can't be used.

    `thresholds` are targets' own, as text, also of a target that is only on a bad line.
    """

    def __init__(self, source: str, targets: Iterable[Target], bad_lines: Iterable[BadLine] = ()) -> None:
        super().__init__(targets)
        self.source = source
        self.bad_lines: Sequence[BadLine] = sorted(bad_lines, key=lambda bad: bad.line)
        listed = {target.target for target in self}
        unread = [bad for bad in self.bad_lines if bad.target not in listed]
        self._missing = list(dict.fromkeys(bad.target or bad.shown_cell for bad in unread if bad.cell))
        self._bad_line_of = {bad.target: bad for bad in reversed(unread)}
        own = [(one.target, one.thresholds) for one in (*reversed(unread), *self)]
        self.thresholds = {target: thresholds for target, thresholds in own if target and thresholds}

    @property
    def groups(self) -> list[str]:
        """The names of all groups, sorted; a retired target's too."""
        return sorted({one.group for one in self if one.group}, key=group_key)

    def in_group(self, group: str) -> list[Target]:
        """Return the targets of a group in any spelling; those without one for an empty text."""
        return [one for one in self if group_key(one.group) == group_key(group)]

    def by_name(self) -> dict[str, Target]:
        return {one.target: one for one in self}

    def find(self, target: str) -> Target | None:
        return next((one for one in self if one.target == target), None)

    def refusal(self) -> TargetsError:
        """Return the error that names all that is wrong with the bad lines."""
        return TargetsError(self.source, [problem for bad in self.bad_lines for problem in bad.problems])

    def expected_on(self, day: dt.date) -> list[str]:
        """Return the names that should have answers of a day.

        These are the active targets and, for each line that can't be used, its target or else its cell: it may still be
        watched, so a day without it is not complete.
        """
        return [target.target for target in self if target.active_on(day)] + self._missing

    def bad_line_of(self, target: str) -> BadLine | None:
        """Return the line that names a target and can't be used, unless another line has the target."""
        return self._bad_line_of.get(target)

    def bad_line_of_key(self, key: str) -> BadLine | None:
        """Return the same by a target's partition key, which may be of no target."""
        return next((bad for target, bad in self._bad_line_of.items() if target and partition_key(target) == key), None)
