"""A day's flags by the groups of the targets file: the sections of its page, and the filter above them.

A page whose flagged targets have no group has one section without a name and no filter. Which group a target is in is
the targets file's, as it is when the page is written.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from backlinks_assets.formatting import counted
from backlinks_assets.report.cards import Card
from backlinks_assets.report.summary import Change, DayReport

NO_GROUP = "No group"


@dataclass(slots=True)
class Section:
    """The flags of a group, worst first: those that are drawn, then those that are only listed.

    `name` is empty for the vendor's moves, and for all flags where no target has a group; `number` is the group's in the
    filter, None where the section is always shown.
    """

    name: str = ""
    number: int | None = None
    cards: list[Card] = field(default_factory=list)
    listed: list[Change] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The fragment of its address in the page, the same on every day."""
        return f"group-{hashlib.blake2b(self.name.encode(errors='surrogatepass'), digest_size=5).hexdigest()}"

    @property
    def is_group(self) -> bool:
        """Whether it is a group's: the first in the filter are the targets without one."""
        return bool(self.number)

    @property
    def counts(self) -> str:
        """For instance `3 flags, 1 critical`."""
        flags = [*(card.flag for card in self.cards), *self.listed]
        critical = sum(flag.severity == "critical" for flag in flags)
        return counted(len(flags), "flag") + (f", {critical:,} critical" if critical else "")


def sections(report: DayReport, cards: Sequence[Card], listed: Sequence[Change]) -> list[Section]:
    """Return the page's sections: what is about all targets, then the groups in the order of their worst flags."""
    found: dict[int | None, Section] = {}
    for flag, card in (*((card.flag, card) for card in cards), *((flag, None) for flag in listed)):
        number = None if flag.is_vendors or not report.is_grouped else report.group_number(flag.target)
        name = "" if number is None else report.group_of(flag.target) or NO_GROUP
        section = found.setdefault(number, Section(name, number))
        if card is None:
            section.listed.append(flag)
        else:
            section.cards.append(card)
    return sorted(found.values(), key=lambda section: section.number is not None)
