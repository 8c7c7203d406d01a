"""One message about a day: its title, its parts, and how they read as plain text, Markdown and HTML.

Words only. Names and reasons are data: whatever they hold comes out as text. What is worth telling is `alerts.py`.
"""

import datetime as dt
import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from backlinks_assets.formatting import counted, long_day, markdown_name, markdown_text, visible
from backlinks_assets.notify import alerts as kinds
from backlinks_assets.notify.alerts import News

MOST_FLAGS: Final = 10
MOST_CHARACTERS: Final = 3800
"""Of a body where a service names no smaller limit: Telegram's is 4096, and nobody reads more in a message."""

_HEADINGS: Final = {
    kinds.STOPPED: "Collecting stopped",
    kinds.INCOMPLETE: "Targets without answers",
    kinds.LINES: "Lines of the targets file that can't be used",
    kinds.UNPUBLISHED: "The tables could not be built",
    kinds.BALANCE: "The account's balance is low",
    kinds.INDEX: "The vendor's index moved",
    kinds.FLAG: "Flags, worst first",
}
_IN_TITLE: Final = {
    kinds.STOPPED: "collecting stopped",
    kinds.INCOMPLETE: "targets without answers",
    kinds.LINES: "bad lines in the targets file",
    kinds.UNPUBLISHED: "tables not built",
    kinds.BALANCE: "low balance",
    kinds.INDEX: "index move",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One piece of news; `mark` and `name` may be empty."""

    text: str
    name: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A heading with its lines; `total` counts those that are not listed too."""

    heading: str
    lines: tuple[Line, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent about a day. `title` is the project's own words, without any name from outside.

    `report` is the address of the day's page, a path or a web address; empty where it is not written.
    """

    day: dt.date
    number: int
    title: str
    opening: str
    parts: tuple[Part, ...]
    closing: tuple[str, ...]
    report: str = ""

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "day": self.day.isoformat()}

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> "Message":
        """Return the message that `as_json` gave."""
        parts = tuple(
            Part(part["heading"], tuple(Line(**line) for line in part["lines"]), part["total"])
            for part in kept["parts"]
        )
        day, closing = dt.date.fromisoformat(kept["day"]), tuple(kept["closing"])
        # What waits since before there was an address has it in its closing.
        return cls(day, kept["number"], kept["title"], kept["opening"], parts, closing, kept.get("report", ""))


def compose(
    day: dt.date,
    news: Sequence[News],
    *,
    number: int,
    last_at: dt.datetime | None,
    sentence: str | None,
    report: str | None,
    simulated: bool,
) -> Message:
    """Return the message number `number` of a day; the one before it went out at `last_at`.

    `sentence` is the day's, with coverage and spend, where its tables are built; `report` the address of its page, where
    it is written.
    """
    title = f"{'Simulated backlinks' if simulated else 'Backlinks'}, {long_day(day)}: {_title(news)}"
    opening = ""
    if number > 1 and last_at is not None:
        opening = f"Message {number} of the day: only what is new since {last_at:%d %b %H:%M} UTC."
    closing = [sentence] if sentence else []
    if report is None and any(piece.kind == kinds.FLAG for piece in news):
        closing.append(f"All flags of the day: backlinks flags --date {day}")
    if simulated:
        closing.append("Simulated numbers: no real target is meant.")
    return Message(day, number, title, opening, _parts(news), tuple(closing), report or "")


def _title(news: Sequence[News]) -> str:
    found = {piece.kind for piece in news}
    said = [words for kind, words in _IN_TITLE.items() if kind in found]
    flags = [piece for piece in news if piece.kind == kinds.FLAG]
    if flags:
        critical = sum(piece.severity == "critical" for piece in flags)
        said.append(counted(len(flags), "flag") + (f", {critical:,} critical" if critical else ""))
    return "; ".join(said)


def _parts(news: Sequence[News]) -> tuple[Part, ...]:
    parts = []
    for kind, heading in _HEADINGS.items():
        found = [piece for piece in news if piece.kind == kind]
        if found:
            lines = tuple(Line(piece.text, piece.name, piece.severity) for piece in found[:MOST_FLAGS])
            parts.append(Part(heading, lines, len(found)))
    return tuple(parts)


def render(message: Message, style: str, most_characters: int = MOST_CHARACTERS) -> str:
    """Return the body in a style (`text`, `markdown`, `html`), with as many lines of each part as fit.

    Where not even the headings fit, as in a text message to a phone, it is empty: the title has the counts.
    """
    writer = _STYLES[style]()
    for most_lines in (MOST_FLAGS, 5, 3, 1, 0):
        body = writer.body(message, most_lines)
        if len(body) <= most_characters:
            return body
    return ""


class _Text:
    """Plain text. The other styles change how a piece is written, not what is said."""

    bullet, next_line, after_heading, line_break, gap = "- ", "\n", "\n", "\n", "\n\n"

    def plain(self, text: str) -> str:
        return visible(" ".join(text.split()))

    def strong(self, text: str) -> str:
        return self.plain(text)

    def name(self, text: str) -> str:
        return self.plain(text)

    def address(self, address: str) -> str:
        return self.plain(address)

    def body(self, message: Message, most_lines: int) -> str:
        blocks = [self.plain(message.opening)] if message.opening else []
        blocks += [self.part(part, most_lines) for part in message.parts]
        last = ["Report: " + self.address(message.report)] if message.report else []
        blocks.append(self.line_break.join([*last, *map(self.plain, message.closing)]))
        return self.gap.join(blocks)

    def part(self, part: Part, most_lines: int) -> str:
        counts = f" ({part.total:,})" if part.total > 1 else ""
        lines = [self.line(line) for line in part.lines[:most_lines]]
        if lines and part.total > len(lines):
            lines.append(self.bullet + self.plain(f"and {part.total - len(lines):,} more"))
        head = self.strong(part.heading) + counts
        return head + self.after_heading + self.next_line.join(lines) if lines else head

    def line(self, line: Line) -> str:
        before = [self.strong(line.mark)] if line.mark else []
        before += [self.name(line.name)] if line.name else []
        return self.bullet + (f"{' '.join(before)}: " if before else "") + self.plain(line.text)


class _Markdown(_Text):
    """CommonMark, from which apprise makes each service's own."""

    after_heading, line_break = "\n\n", "  \n"

    def plain(self, text: str) -> str:
        return markdown_text(text)

    def strong(self, text: str) -> str:
        return f"**{markdown_text(text)}**"

    def name(self, text: str) -> str:
        return markdown_name(text)

    def address(self, address: str) -> str:
        return f"[{self.plain(address)}]({address})" if _is_web(address) else self.plain(address)


class _Html(_Text):
    """The few tags that mail and Telegram both know, and that apprise makes readable text of for a mail's plain part."""

    bullet, next_line, after_heading, line_break, gap = "• ", "<br>\n", "<br>\n", "<br>\n", "<br><br>\n"

    def plain(self, text: str) -> str:
        return html.escape(super().plain(text), quote=False)

    def strong(self, text: str) -> str:
        return f"<b>{self.plain(text)}</b>"

    def address(self, address: str) -> str:
        shown = self.plain(address)
        return f'<a href="{html.escape(address)}">{shown}</a>' if _is_web(address) else shown


def _is_web(address: str) -> bool:
    return address.lower().startswith(("http://", "https://"))


_STYLES: Final = {"text": _Text, "markdown": _Markdown, "html": _Html}
