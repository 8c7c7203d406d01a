"""A message about a day, and how it reads as plain text, Markdown and HTML.

Names and reasons are data: whatever they hold comes out as text. What is announced is `alerts.py`.
"""

import datetime as dt
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from backlinks_assets.formatting import counted, long_day, markdown_name, markdown_text, visible
from backlinks_assets.notify.alerts import Alert, Kind
from backlinks_assets.notify.rule import EVERYTHING, Rule

MAX_LINES: Final = 10
"""Of one kind of alert, and of flags of one severity."""
MAX_CHARACTERS: Final = 3800
"""Of a body where a service names no smaller limit: Telegram's is 4096, and nobody reads more in a message."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent about a day. `title` is the project's own words, without any name from outside.

    `report` is the address of the day's page, a path or a web address; empty where it is not written.
    """

    title: str
    alerts: tuple[Alert, ...]
    opening: str = ""
    closing: tuple[str, ...] = ()
    report: str = ""


def compose(
    day: dt.date,
    alerts: Sequence[Alert],
    *,
    earlier: tuple[int, dt.datetime] | None,
    sentence: str | None,
    report: str | None,
    simulated: bool,
    rule: Rule = EVERYTHING,
    standing: str = "",
) -> Message:
    """Return the message with these alerts of a day, for a channel of this rule.

    `earlier` is how many messages there were before it, and when the last one was sent. `standing` says what is open;
    `sentence` is the day's, with coverage and spend, where its tables are built; `report` the address of its page, where it is
    written. A channel of some groups only must be given neither of these two for all targets.
    """
    opening = ""
    if earlier:
        opening = f"Message {earlier[0] + 1} of the day: only what is new since {earlier[1]:%d %b %H:%M} UTC."
    closing = [text for text in (standing, sentence) if text]
    if report is None and rule.groups is None and any(alert.kind is Kind.FLAG for alert in alerts):
        closing.append(f"All flags of the day: backlinks flags --date {day}")
    if simulated:
        closing.append("Simulated numbers: no real target is meant.")
    title = f"{'Simulated backlinks' if simulated else 'Backlinks'}, {long_day(day)}: {counts(alerts)}"
    return Message(title, tuple(presented(alerts, rule)), opening, tuple(closing), report or "")


def presented(alerts: Sequence[Alert], rule: Rule) -> list[Alert]:
    """Return alerts as a channel of the rule may see them: one of some groups only sees no note or number of others."""
    if rule.groups is None:
        return list(alerts)
    return [replace(alert, text=alert.for_clients or alert.text, about="") for alert in alerts]


def counts(alerts: Sequence[Alert]) -> str:
    """Return what a title says of alerts: their kinds, and how many flags."""
    found = {alert.kind: alert.in_title or alert.kind.in_title for alert in alerts}
    parts = [found[kind] for kind in Kind if kind in found and kind is not Kind.FLAG]
    flags = [alert for alert in alerts if alert.kind is Kind.FLAG]
    if flags:
        critical = sum(flag.severity == "critical" for flag in flags)
        parts.append(counted(len(flags), "flag") + (f", {critical:,} critical" if critical else ""))
    return "; ".join(parts)


def render(message: Message, style: str, max_characters: int = MAX_CHARACTERS) -> str:
    """Return the body in a style (`text`, `markdown`, `html`), with as many lines of each kind as fit.

    Where not even the headings fit, as in a text message to a phone, it is empty: the title has the counts.
    """
    bodies = (_body(message, _STYLES[style], max_lines) for max_lines in (MAX_LINES, 5, 3, 1, 0))
    return next((body for body in bodies if len(body) <= max_characters), "")


def _body(message: Message, style: "_Style", max_lines: int) -> str:
    blocks = [style.plain(message.opening)] if message.opening else []
    for kind in Kind:
        found = [alert for alert in message.alerts if alert.kind is kind]
        if kind is Kind.FLAG:
            for severity, heading in _SEVERITIES.items():
                blocks += _block(heading, [one for one in found if one.severity == severity], style, max_lines)
        elif kind is Kind.QUIET:
            blocks += [style.plain(alert.text) for alert in found]
        else:
            blocks += _block(kind.heading, found, style, max_lines)
    write = style.link if message.report.lower().startswith(("http://", "https://")) else style.plain
    report = ["Report: " + write(message.report)] if message.report else []
    blocks.append(style.line_break.join([*report, *map(style.plain, message.closing)]))
    return style.gap.join(blocks)


_SEVERITIES: Final = {"critical": "Critical flags", "warning": "Warnings"}
NO_GROUP: Final = "No group"


def _block(heading: str, found: Sequence[Alert], style: "_Style", max_lines: int) -> list[str]:
    """Return the block of some alerts under their heading, by group where one of them has a group; none for none."""
    if not found:
        return []
    head = style.strong(heading) + (f" ({len(found):,})" if len(found) > 1 else "")
    shown = found[:max_lines]
    if not shown:
        return [head]
    more = [style.bullet + style.plain(f"and {len(found) - max_lines:,} more")] if len(found) > max_lines else []
    if not any(alert.group for alert in found):
        return [head + style.after_heading + style.next_line.join([*(_line(alert, style) for alert in shown), *more])]
    parts = []
    for group in dict.fromkeys(alert.group for alert in shown):
        lines = [_line(alert, style) for alert in shown if alert.group == group]
        parts.append(style.strong(group or NO_GROUP) + style.after_heading + style.next_line.join(lines))
    return [head + style.after_heading + style.gap.join([*parts, *more])]


def _line(alert: Alert, style: "_Style") -> str:
    said = "; ".join(filter(None, (alert.when, alert.about, f"incident {alert.incident}" if alert.incident else "")))
    about = f" ({style.plain(said)})" if said else ""
    return style.bullet + (f"{style.name(alert.name)}{about}: " if alert.name else "") + style.plain(alert.text)


def _plain(text: str) -> str:
    return visible(" ".join(text.split()))


def _html(text: str) -> str:
    return html.escape(_plain(text), quote=False)


@dataclass(frozen=True, slots=True)
class _Style:
    """How one style writes text, emphasis, names and links, and what it puts between them."""

    plain: Callable[[str], str]
    strong: Callable[[str], str]
    name: Callable[[str], str]
    link: Callable[[str], str]
    bullet: str = "- "
    next_line: str = "\n"
    after_heading: str = "\n"
    line_break: str = "\n"
    gap: str = "\n\n"


_STYLES: Final = {
    "text": _Style(_plain, _plain, _plain, _plain),
    # CommonMark, from which apprise makes each service's own.
    "markdown": _Style(
        markdown_text,
        lambda text: f"**{markdown_text(text)}**",
        markdown_name,
        lambda url: f"[{markdown_text(url)}]({url})",
        after_heading="\n\n",
        line_break="  \n",
    ),
    # The few tags that mail and Telegram both know, and that apprise makes readable text of for a mail's plain part.
    "html": _Style(
        _html,
        lambda text: f"<b>{_html(text)}</b>",
        _html,
        lambda url: f'<a href="{html.escape(url)}">{_html(url)}</a>',
        bullet="• ",
        next_line="<br>\n",
        after_heading="<br>\n",
        line_break="<br>\n",
        gap="<br><br>\n",
    ),
}
