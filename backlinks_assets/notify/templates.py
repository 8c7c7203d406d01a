"""A message about a day, and how it reads as plain text, Markdown and HTML.

Names and reasons are data: whatever they hold comes out as text. What is announced is `alerts.py`.
"""

import datetime as dt
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from backlinks_assets.formatting import counted, long_day, markdown_name, markdown_text, visible
from backlinks_assets.notify.alerts import Alert, Kind

MAX_LINES: Final = 10
"""Of one kind of alert."""
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
) -> Message:
    """Return the message with these alerts of a day.

    `earlier` is how many messages there were before it, and when the last one was sent. `sentence` is the day's, with
    coverage and spend, where its tables are built; `report` the address of its page, where it is written.
    """
    opening = ""
    if earlier:
        opening = f"Message {earlier[0] + 1} of the day: only what is new since {earlier[1]:%d %b %H:%M} UTC."
    closing = [sentence] if sentence else []
    if report is None and any(alert.kind is Kind.FLAG for alert in alerts):
        closing.append(f"All flags of the day: backlinks flags --date {day}")
    if simulated:
        closing.append("Simulated numbers: no real target is meant.")
    title = f"{'Simulated backlinks' if simulated else 'Backlinks'}, {long_day(day)}: {_counts(alerts)}"
    return Message(title, tuple(alerts), opening, tuple(closing), report or "")


def _counts(alerts: Sequence[Alert]) -> str:
    found = {alert.kind for alert in alerts}
    parts = [kind.in_title for kind in Kind if kind in found and kind is not Kind.FLAG]
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
        if found:
            lines = [style.bullet + _line(alert, style) for alert in found[:max_lines]]
            if lines and len(found) > max_lines:
                lines.append(style.bullet + style.plain(f"and {len(found) - max_lines:,} more"))
            counts = f" ({len(found):,})" if len(found) > 1 else ""
            head = style.strong(kind.heading) + counts
            blocks.append(head + style.after_heading + style.next_line.join(lines) if lines else head)
    write = style.link if message.report.lower().startswith(("http://", "https://")) else style.plain
    report = ["Report: " + write(message.report)] if message.report else []
    blocks.append(style.line_break.join([*report, *map(style.plain, message.closing)]))
    return style.gap.join(blocks)


def _line(alert: Alert, style: "_Style") -> str:
    before = [style.strong(alert.severity)] if alert.severity else []
    before += [style.name(alert.name)] if alert.name else []
    return (f"{' '.join(before)}: " if before else "") + style.plain(alert.text)


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
