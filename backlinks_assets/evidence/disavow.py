"""A proposal for Google's disavow file, made of stored evidence. Pure; a person decides, and uploads it or not.

Format: https://support.google.com/webmasters/answer/2648487 (text in UTF-8, `domain:` lines, `#` comments, 100,000 lines and
2 MB at most; an upload replaces the former list).
"""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from backlinks_assets.errors import BacklinksError
from backlinks_assets.evidence.questions import NEW_SPAM
from backlinks_assets.formatting import counted
from backlinks_assets.host import is_free_host, registered_name

MAX_LINES: Final = 100_000
MAX_BYTES: Final = 2_000_000
MARK: Final = "# PROPOSAL ONLY, made by backlinks evidence."

_CAUTION: Final = (
    "# Nobody has checked these sites. Google says that most sites need no such file: it is for manual actions, or links",
    "# that you bought, and used wrongly it can harm your site's place in the results. Read each line before you upload.",
    "# An upload replaces the former file: download that first, and give it with --merge.",
)
# Platforms on which anybody may write: a link from one says nothing of all the others.
_PLATFORMS: Final = frozenset({
    "amazon.com", "apple.com", "archive.org", "baidu.com", "bing.com", "bit.ly", "blogger.com", "cloudflare.com",
    "dropbox.com", "ebay.com", "etsy.com", "facebook.com", "flickr.com", "github.com", "gitlab.com", "google.com",
    "googleusercontent.com", "imgur.com", "instagram.com", "issuu.com", "linkedin.com", "live.com", "livejournal.com",
    "medium.com", "microsoft.com", "mozilla.org", "naver.com", "notion.so", "patreon.com", "pinterest.com",
    "quora.com", "reddit.com", "scribd.com", "slideshare.net", "soundcloud.com", "sourceforge.net", "spotify.com",
    "stackexchange.com", "stackoverflow.com", "substack.com", "t.co", "t.me", "telegram.org", "tiktok.com",
    "tumblr.com", "twitch.tv", "twitter.com", "vimeo.com", "vk.com", "weebly.com", "weibo.com", "whatsapp.com",
    "wikimedia.org", "wikipedia.org", "wix.com", "wordpress.com", "wordpress.org", "x.com", "yahoo.com", "yandex.ru",
    "youtu.be", "youtube.com",
})  # fmt: skip


class DisavowError(BacklinksError):
    """The proposal can't be made; the message says why."""

    exit_status = 2


@dataclass(slots=True)
class Domain:
    """A domain of the proposal. `score` is the worst of its links', `is_nofollow` says that all that were seen are nofollow."""

    name: str
    score: int
    first_seen: dt.date | None
    links: int
    is_nofollow: bool


@dataclass(frozen=True, slots=True)
class Proposal:
    """The text of the file, how many domains it adds, and those passed over, with the reason."""

    text: str
    domains: int
    passed_over: Mapping[str, str]


def proposal(
    target: str,
    rows: Iterable[Mapping[str, Any]],
    own: Collection[str],
    *,
    score: int,
    day: dt.date,
    old: str = "",
    simulated: bool = False,
) -> Proposal:
    """Return a proposal of the domains whose links to a target have at least this score, from rows of `flag_evidence`.

    Never a watched target's own domain (`own` are the targets), a large platform or a whole free host. The lines of `old`
    come first, as they are, and what they name is not named again.

    Raises:
        DisavowError: `old` leaves no room within Google's limits.
    """
    mine = {registered_name(name) for name in [target, *own]}
    found, passed_over = _domains(rows, mine, score)
    before = [line.rstrip() for line in old.removeprefix("\ufeff").splitlines()]
    known = {line[7:].strip().lower() for line in before if line.lower().startswith("domain:")}
    added = [one for name, one in sorted(found.items()) if not _is_named(name, known)]
    head = [f"{MARK} {day}, {target}: {counted(len(added), 'domain')} with a spam score of {score} or more.", *_CAUTION]
    if simulated:
        head.append("# Simulated numbers: no real site is meant.")
    lines = [*before, *head]
    size = sum(len(line.encode()) + 1 for line in lines)
    for one in added:
        entry = [_comment(one), f"domain:{one.name}"]
        size += sum(len(line.encode()) + 1 for line in entry)
        if len(lines) + 2 > MAX_LINES or size > MAX_BYTES:
            raise DisavowError(
                f"The file would be longer than Google takes ({MAX_LINES:,} lines, {MAX_BYTES // 1_000_000} MB). Raise --score."
            )
        lines += entry
    return Proposal("\n".join(lines) + "\n", len(added), passed_over)


def _domains(
    rows: Iterable[Mapping[str, Any]], mine: Collection[str], score: int
) -> tuple[dict[str, Domain], dict[str, str]]:
    found: dict[str, Domain] = {}
    passed_over: dict[str, str] = {}
    for row in rows:
        name, of = str(row.get("domain_from") or "").strip().lower(), row.get("backlink_spam_score")
        if row["question"] != NEW_SPAM or of is None or of < score or not name:
            continue
        registered = registered_name(name)
        if why := _why_never(name, registered, mine):
            passed_over[registered if why != _NO_NAME else name] = why
            continue
        seen = row["first_seen"].date() if row.get("first_seen") else None
        nofollow = row.get("dofollow") is False
        links = int(row.get("group_count") or 1)
        one = found.setdefault(registered, Domain(registered, of, seen, 0, True))
        one.score = max(one.score, of)
        one.first_seen = min(filter(None, (one.first_seen, seen)), default=None)
        one.links += links
        one.is_nofollow = one.is_nofollow and nofollow
    return found, passed_over


_NO_NAME: Final = "is no domain name"
MAX_NAME: Final = 253
_NAME: Final = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+(?!\d+$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def _why_never(name: str, registered: str, mine: Collection[str]) -> str:
    if not _is_plain(registered):
        return _NO_NAME
    if registered in mine:
        return "is a target of yours"
    if is_free_host(name):
        return "is a whole free host"
    return "is a large platform" if registered in _PLATFORMS else ""


def _is_plain(name: str) -> bool:
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None


def _is_named(name: str, known: Collection[str]) -> bool:
    labels = name.split(".")
    return any(".".join(labels[at:]) in known for at in range(len(labels)))


def _comment(one: Domain) -> str:
    seen = f", first seen {one.first_seen}" if one.first_seen else ""
    nofollow = "; nofollow only, which Google counts for little anyway" if one.is_nofollow else ""
    return f"# spam score {one.score}{seen}, {counted(one.links, 'link')}{nofollow}"
