"""What a place is sent: everything, or the flags of some groups, how severe ones, each day or once a week.

Pure. Where the rules are written is `channel_file.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backlinks_assets.notify.alerts import Alert, Kind
from backlinks_assets.targets.labels import group_key

NEWS: Final = frozenset({Kind.AGAIN, Kind.WOKEN, Kind.BACK, Kind.LEVEL})
"""What is new about an incident, beside its flags."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a place gets. `groups` None means all, with what failed, coverage and spend."""

    groups: tuple[str, ...] | None = None
    critical_only: bool = False
    weekly: bool = False
    quiet: bool = False

    def sends(self, alert: Alert, of_day: Sequence[Alert], *, groups_known: bool = True) -> bool:
        """Whether the place gets an alert; `of_day` are all that there are about its day.

        Where the groups are not known, since the targets file can't be read, a flag may be anyone's.
        """
        if alert.kind is Kind.WEEK:
            return self.weekly
        if self.weekly:
            return False
        if alert.kind is Kind.QUIET:
            return self.quiet and not any(self.wants_flag(one) or self._wants_news(one) for one in of_day)
        if alert.kind in {Kind.FLAG, Kind.INDEX, Kind.FAULT} | NEWS:
            return self._wants(alert, groups_known=groups_known)
        return self.groups is None

    def wants_flag(self, alert: Alert, *, groups_known: bool = True) -> bool:
        """Whether an alert is a flag, an index move or a vendor's fault that the place gets, today or in its week."""
        if alert.kind not in {Kind.FLAG, Kind.INDEX, Kind.FAULT}:
            return False
        return self._wants(alert, groups_known=groups_known)

    def _wants_news(self, alert: Alert) -> bool:
        return alert.kind in NEWS and self._wants(alert, groups_known=True)

    def _wants(self, alert: Alert, *, groups_known: bool) -> bool:
        if self.critical_only and alert.severity != "critical":
            return False
        return alert.kind in {Kind.INDEX, Kind.FAULT} or not groups_known or self.has(alert.group)

    def has(self, group: str) -> bool:
        """Whether a group's targets are the place's."""
        return self.groups is None or (bool(group) and group_key(group) in {group_key(one) for one in self.groups})


EVERYTHING = Rule()
"""What a place of BACKLINKS_NOTIFY_URLS gets."""
