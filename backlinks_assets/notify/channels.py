"""Sending through apprise: the channels that the settings and `channels.toml` name, and one message to one of them.

A channel's URL holds secrets: no error, log, table or cursor has any part of it but its scheme.
"""

import hashlib
import logging
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from backlinks_assets.errors import BacklinksError
from backlinks_assets.formatting import shown
from backlinks_assets.notify.channel_file import CHANNELS_VARIABLE, read_channels
from backlinks_assets.notify.rule import EVERYTHING, Rule
from backlinks_assets.notify.templates import MAX_CHARACTERS, Message, render
from backlinks_assets.settings import Settings

SEND_TIMEOUT_S: Final = 20.0
"""For one channel; Dagster gives a sensor's tick 60 s."""

_HTTP_STATUS: Final = re.compile(r"\berror=(\d{3})\b")


class SendError(BacklinksError):
    """A message did not arrive; the message says why, as far as can be said without quoting the service."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One place: a URL of BACKLINKS_NOTIFY_URLS, or a channel of the file.

    The cursor knows it by `key`: the salted hash of the URL, or the hash of the channel's name, so that it stays the same
    channel when its URL is corrected.
    """

    label: str
    scheme: str
    key: str
    service: Any = field(repr=False)
    rule: Rule = EVERYTHING

    def __str__(self) -> str:
        return f"{self.label} ({self.scheme})"


@dataclass(frozen=True, slots=True)
class Places:
    """Where messages go. `problems` are sentences about places that can't be used, `warnings` about what is odd.

    `is_file_whole` is false if a channel of the file may be missing here: what is announced then waits for it.
    """

    channels: list[Channel]
    problems: list[str]
    warnings: list[str]
    is_file_whole: bool


OF_FILE: Final = "c:"
"""How the cursor's keys of the file's channels begin."""


def places_of(settings: Settings, groups: Collection[str] | None, salt: bytes = b"") -> Places:
    """Return all places. `groups` are those of the targets file, None where they are not known."""
    channels, problems = channels_of(settings.notify_urls, salt)
    read = read_channels(settings, groups)
    refused = list(read.problems)
    for entry in read.entries:
        label = f"the channel {shown(entry.name)}"
        if (service := _service(entry.url)) is None:
            refused.append(
                f"{settings.channels_file}, channel {shown(entry.name)}: its variable holds no valid URL for apprise, so "
                f"nothing is sent there.{_webhook(entry.url)} docs/announcements.md says how to try a URL by hand."
            )
            continue
        digest = hashlib.sha256(entry.name.casefold().encode()).hexdigest()[:16]
        channels.append(Channel(label, _scheme(entry.url), OF_FILE + digest, service, entry.rule))
    return Places(channels, problems + refused, read.warnings, not refused)


def has_places(settings: Settings) -> bool:
    """Whether anything is to be announced anywhere, as far as is known without reading the file of channels."""
    return bool(settings.notify_urls or settings.channels_file.exists() or settings.env.get(CHANNELS_VARIABLE))


def channels_of(urls: Sequence[str], salt: bytes = b"") -> tuple[list[Channel], list[str]]:
    """Return the channels, and a sentence for each URL that apprise can't use; it stops no other."""
    found: dict[str, Channel] = {}
    refused = []
    for number, url in enumerate(urls, start=1):
        key = hashlib.scrypt(url.encode(), salt=salt, n=2**12, r=8, p=1, dklen=12).hex()
        if (service := _service(url)) is None:
            refused.append(
                f"Number {number} of BACKLINKS_NOTIFY_URLS is not a valid URL for apprise, so nothing is sent there."
                f"{_webhook(url)} docs/announcements.md says how to try a URL by hand."
            )
        elif key not in found:
            found[key] = Channel(f"number {number} of BACKLINKS_NOTIFY_URLS", _scheme(url), key, service)
    return list(found.values()), refused


def _service(url: str) -> Any:
    """Return apprise's service of a URL, None for one that it can't use."""
    from apprise import Apprise

    with _hushed():
        return Apprise.instantiate(url, suppress_exceptions=True)


def _webhook(url: str) -> str:
    return " A webhook is written as jsons://host/path." if url.lower().startswith("http") else ""


def _scheme(url: str) -> str:
    return url.partition("://")[0].lower()


def send(channel: Channel, message: Message) -> None:
    """Send a message, in the style and within the length of its service.

    Raises:
        SendError: it was refused, or the service could not be reached.
    """
    from apprise import Apprise, NotifyFormat

    service = channel.service
    style = _style(service)
    titled = service.title_maxlen > 0  # otherwise apprise puts the title above the body
    body = render(message, style, min(MAX_CHARACTERS, service.body_maxlen - (0 if titled else len(message.title) + 20)))
    title, body = (message.title, body) if body else ("", message.title)
    sender = Apprise()
    sender.add(service)
    with _hushed():
        result = sender.notify(body=body, title=title, body_format=NotifyFormat(style), timeout=SEND_TIMEOUT_S)
        said = " ".join(entry.message for entry in result.logs())
    if not result:
        raise SendError(_why(str(result.status.name), said))


def _style(service: Any) -> str:
    """Return the style that a service takes first, so that apprise need not convert it; text before Markdown.

    Slack's own Markdown knows no escapes: names would show their backslashes there.
    """
    from apprise import NotifyFormat

    style = service.resolve_format()
    if style == NotifyFormat.MARKDOWN:
        style = service.resolve_format(NotifyFormat.TEXT)
    return str(style.value)


def _why(status: str, said: str) -> str:
    """Return a reason without the service's own text, which may quote the URL."""
    if status == "TIMEOUT":
        return f"no answer within {SEND_TIMEOUT_S:.0f} s"
    if found := _HTTP_STATUS.search(said):
        return f"it answered with HTTP {found[1]}"
    return "it could not be reached, or refused the message"


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep apprise's own log, which may quote a URL, from being printed or stored."""
    log = logging.getLogger("apprise")
    before, silence = log.propagate, logging.NullHandler()
    log.propagate = False
    log.addHandler(silence)
    try:
        yield
    finally:
        log.removeHandler(silence)
        log.propagate = before
