"""What each channel's message about a day or a week says: by the tables, the targets file and the channel's rule.

A channel of some groups only is told of their targets only: no spend, no other name, and no page that has them. When a
message is due is `announce.py`; how it reads is `templates.py`; what it says of incidents is `standing.py`.
"""

import datetime as dt
import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final

from backlinks_assets.formatting import counted, dollars, long_day, short_day
from backlinks_assets.incidents.incident import Incident
from backlinks_assets.incidents.table import INCIDENTS, Row, read
from backlinks_assets.notify.alerts import Alert, Kind, flag_alerts, missing_in_bulk_alert, quiet_alert
from backlinks_assets.notify.rule import Rule
from backlinks_assets.notify.standing import incident_alerts, standing, standing_line
from backlinks_assets.notify.templates import Message, compose, counts, presented
from backlinks_assets.paths import page_path
from backlinks_assets.report.day_sentence import day_sentence
from backlinks_assets.report.evidence import NO_EVIDENCE, DayEvidence, read_evidence
from backlinks_assets.report.summary import Change, DayReport, of_targets, read_day_report, read_flags
from backlinks_assets.settings import Settings
from backlinks_assets.tables.bulk_rows import too_many_missing
from backlinks_assets.tables.parquet import days, read_days
from backlinks_assets.targets.target import WatchList

DAYS_OF_WEEK: Final = 7


class Messages:
    """The messages of one look. `going_on` is entered around each reading of a table, and notes one that can't be read."""

    def __init__(
        self, settings: Settings, watched: WatchList, going_on: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self.settings, self.watched, self._going_on = settings, watched, going_on
        self._lines = watched.by_name()
        self._changes = functools.cache(self._read_changes)
        self._report = functools.cache(self._read_report)
        self._evidence = functools.cache(self._read_evidence)
        self._incidents = functools.cache(self._read_incidents)

    def flags(self, day: dt.date) -> list[Alert]:
        """Return a day's flags, index moves and faults; none where its table can't be read, which is noted."""
        alerts = flag_alerts(self._changes(day), self._lines)
        evidence = self._evidence(day)
        pairs = zip(self._changes(day), alerts, strict=True)
        said = [(alert, evidence.sentence(change.target, change.metric)) for change, alert in pairs]
        return [replace(alert, text=f"{alert.text} {text}") if text else alert for alert, text in said]

    def incidents(self, day: dt.date) -> list[Alert]:
        """Return what is new about a day's incidents, beside their flags."""
        return incident_alerts(self._incidents, day, days(self.settings.root, INCIDENTS), self._lines)

    def in_bulk(self, day: dt.date) -> list[Alert]:
        """Return that a day was not evaluated in bulk, since too many targets lack a count; none where that can't be read."""
        found: list[Alert] = []
        with self._going_on():
            if (too_many := too_many_missing(self.settings.root, day)) is not None:
                found.append(missing_in_bulk_alert(*too_many, day))
        return found

    def of_day(
        self, day: dt.date, due: Sequence[Alert], rule: Rule, earlier: tuple[int, dt.datetime] | None
    ) -> Message | None:
        """Return the message with these alerts of a day; None where the day's tables can't be read to say that it is quiet."""
        report = self._theirs(day, rule)
        quiet = [alert for alert in due if alert.kind is Kind.QUIET]
        if quiet and report is None:
            return None
        if quiet and report is not None:
            of = report.coverage
            due = [one for one in due if one.kind is not Kind.QUIET]
            due.append(quiet_alert(of.watched, of.answered, counts=report.judged and not report.none_counts))
        page = page_path(self.settings.root, day)
        whole = rule.groups is None and page.exists()
        return compose(
            day,
            due,
            earlier=earlier,
            sentence=day_sentence(report) if report else None,
            report=self.settings.report_address(page) if whole else None,
            simulated=self.settings.simulated,
            rule=rule,
            standing=standing_line(self._incidents(day), self._lines, rule),
        )

    def moved_in_week(self, last: dt.date, rule: Rule) -> list[Alert]:
        """Return what a channel of a rule is told of the seven days to `last`: worst first, each with its day."""
        found: list[tuple[tuple[bool, bool, float, str, str], Alert]] = []
        states = {one.incident: standing(one) for one in self._incidents(last)}
        for day in _week(last):
            for change, alert in zip(self._changes(day), self.flags(day), strict=True):
                if rule.wants_flag(alert):
                    found.append((change.rank, _dated(alert, day, states.get(alert.incident, ""))))
        found.sort(key=lambda one: one[0])
        return presented([alert for _, alert in found], rule)

    def of_week(self, last: dt.date, rule: Rule) -> Message | None:
        """Return the digest of the seven days to `last`; None where nothing moved and the channel is not to be told so."""
        alerts = self.moved_in_week(last, rule)
        if not alerts and not rule.quiet:
            return None
        first = _week(last)[0]
        watched = [one for one in self.watched if one.active_on(last) and rule.has(one.group)]
        if not alerts:
            alerts = [quiet_alert(len(watched), len(watched), counts=True)]
        evaluated = set(_week(last)) & set(days(self.settings.root, "backlinks_changes"))
        says = [
            f"{short_day(first)} to {long_day(last)}",
            f"{len(evaluated)} of {DAYS_OF_WEEK} days evaluated",
            f"{counted(len(watched), 'target')} watched",
        ]
        if rule.groups is None:
            says.append(f"{dollars(self._spent(last))} spent")
        standing = standing_line(self._incidents(last), self._lines, rule)
        closing = [*([standing] if standing else []), "; ".join(says) + "."]
        if self.settings.simulated:
            closing.append("Simulated numbers: no real target is meant.")
        name = "Simulated backlinks" if self.settings.simulated else "Backlinks"
        return Message(f"{name}, week to {long_day(last)}: {counts(alerts)}", tuple(alerts), closing=tuple(closing))

    def _theirs(self, day: dt.date, rule: Rule) -> DayReport | None:
        report = self._report(day)
        if report is None or rule.groups is None:
            return report
        return of_targets(report, [one.target for one in self.watched if one.active_on(day) and rule.has(one.group)])

    def _read_report(self, day: dt.date) -> DayReport | None:
        settings, report = self.settings, None
        with self._going_on():
            if day in days(settings.root, "backlinks_summary"):
                expected = self.watched.expected_on(day)
                report = read_day_report(
                    settings.root, day, simulated=settings.simulated, expected_targets=expected, labels=self._lines
                )
        return report

    def _read_changes(self, day: dt.date) -> Sequence[Change]:
        changes: list[Change] = []
        with self._going_on():
            changes += read_flags(self.settings.root, day)
        return changes

    def _read_evidence(self, day: dt.date) -> DayEvidence:
        found = [NO_EVIDENCE]
        with self._going_on():
            found.append(read_evidence(self.settings.root, day))
        return found[-1]

    def _read_incidents(self, day: dt.date) -> Sequence[Incident]:
        rows: list[Row] = []
        with self._going_on():
            rows += read(self.settings.root, day)
        return [row.of for row in rows]

    def _spent(self, last: dt.date) -> float:
        amounts: list[float | None] = []
        with self._going_on():
            amounts = read_days(self.settings.root, "api_costs", _week(last)[0], last, ["cost_usd"])[
                "cost_usd"
            ].to_pylist()
        return sum(amount or 0.0 for amount in amounts)


def _week(last: dt.date) -> list[dt.date]:
    return [last - dt.timedelta(days=back) for back in reversed(range(DAYS_OF_WEEK))]


def _dated(alert: Alert, day: dt.date, state: str) -> Alert:
    if not alert.name:
        return replace(
            alert, text=f"{short_day(day)}: {alert.text}", for_clients=f"{short_day(day)}: {alert.for_clients}"
        )
    return replace(alert, when=short_day(day), incident=", ".join(filter(None, (alert.incident, state))))
