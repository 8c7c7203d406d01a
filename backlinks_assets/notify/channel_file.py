"""Reads `channels.toml`: which place gets which groups, how severe flags, each day or once a week.

Every mistake is a sentence with the channel's name and the next step, and stops no other channel. A URL stands in a
variable, so that the file may live in git; a value that may be a URL is in no sentence. Sending is `channels.py`.
"""

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from backlinks_assets.env_values import is_url
from backlinks_assets.formatting import shown, visible
from backlinks_assets.notify.rule import Rule
from backlinks_assets.settings import Settings
from backlinks_assets.targets.labels import group_key

CHANNELS_VARIABLE: Final = "BACKLINKS_CHANNELS_FILE"
MAX_NAME_CHARACTERS: Final = 60
_KEYS: Final = ("name", "url_env", "groups", "severity", "when", "quiet")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXAMPLE: Final = 'Write it as:  [[channel]]  name = "acme"  url_env = "ACME_URL"  groups = ["Acme"]'


@dataclass(frozen=True, slots=True)
class ChannelEntry:
    """A channel of the file that can be used: its name, its URL, and what it gets."""

    name: str
    url: str = field(repr=False)
    rule: Rule


@dataclass(slots=True)
class ChannelFile:
    """What the file holds: the channels that can be used, and a sentence for each mistake.

    `warnings` are sentences about what is odd and stops nothing, such as a group that no target has.
    """

    entries: list[ChannelEntry] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class _MistakeError(Exception):
    """A channel can't be used; the text is the rest of a sentence about it."""


def read_channels(settings: Settings, groups: Collection[str] | None = None) -> ChannelFile:
    """Return what the settings' `channels.toml` holds; nothing where there is no such file.

    `groups` are those of the targets file, None where it can't be read: then no group is called unknown.
    """
    path, read = settings.channels_file, ChannelFile()
    try:
        data = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        if settings.env.get(CHANNELS_VARIABLE, "").strip():
            read.problems.append(f"{path} is not there: make it, or unset BACKLINKS_CHANNELS_FILE.")
        return read
    except OSError as error:
        read.problems.append(f"{path} could not be read ({error.strerror}): see who may read it. {_NOBODY}")
        return read
    except UnicodeDecodeError:
        read.problems.append(f"{path} could not be read, since it is not UTF-8 text: save it as UTF-8. {_NOBODY}")
        return read
    except tomllib.TOMLDecodeError as error:
        read.problems.append(f"{path} is not valid TOML: {_where(error)}. Mend that line. {_NOBODY}")
        return read
    found = data.pop("channel", [])
    read.problems += [
        f"{path}: {shown(key)} is not a key of this file.{_near(key, ['channel'])} {_EXAMPLE}" for key in data
    ]
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        read.problems.append(f"{path}: each channel begins with [[channel]], in two brackets. {_EXAMPLE}")
        return read
    names: set[str] = set()
    for number, table in enumerate(found, start=1):
        called = _called(table, number)
        try:
            entry = _entry(table, names, settings.env)
        except _MistakeError as mistake:
            read.problems.append(f"{path}, {called}: {mistake} Nothing is sent there until then.")
        else:
            read.entries.append(entry)
            read.warnings += [f"{path}, {called}: {said}" for said in _unknown_groups(entry.rule, groups)]
    return read


_NOBODY: Final = "None of its channels gets anything until then; what is announced waits for them."


def _where(error: tomllib.TOMLDecodeError) -> str:
    """Return what is wrong and where, without the text of the line, which may hold a URL."""
    place = re.search(r"\(at (line \d+, column \d+|end of document)\)$", str(error))
    what = re.sub(r"\s*\(at [^()]*\)$|: .*| '.*", "", str(error))
    return f"{place[1] if place else 'somewhere'}: {what[:1].lower()}{what[1:]}"


def _called(table: Mapping[str, Any], number: int) -> str:
    name = table.get("name")
    return (
        f"channel {shown(name)}" if isinstance(name, str) and name.strip() and not is_url(name) else f"channel {number}"
    )


def _near(key: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    return f" Did you mean {near[0]}?" if near else ""


def _entry(table: Mapping[str, Any], names: set[str], env: Mapping[str, str]) -> ChannelEntry:
    name = _name(table, names)
    for key in table:
        if key not in _KEYS:
            if key.lower() in {"url", "urls", "webhook"}:
                raise _MistakeError(
                    "a URL is a secret. Put it into .env under a name of yours, and write that name as url_env."
                )
            known = _near(key, _KEYS) or f" The keys are {', '.join(_KEYS)}."
            raise _MistakeError(f"{shown(key)} is not a key of a channel.{known} Correct it or take it out.")
    groups = _groups(table)
    severity = _one_of(table, "severity", ("critical", "warning"), "warning")
    when = _one_of(table, "when", ("day", "week"), "day")
    quiet = table.get("quiet", False)
    if not isinstance(quiet, bool):
        raise _MistakeError("quiet must be true or false, without quotes.")
    return ChannelEntry(
        name,
        _url(table, env),
        Rule(groups=groups, critical_only=severity == "critical", weekly=when == "week", quiet=quiet),
    )


def _name(table: Mapping[str, Any], names: set[str]) -> str:
    name = table.get("name")
    if not isinstance(name, str) or not name.strip():
        raise _MistakeError('it has no name: write a short one of yours, such as name = "acme".')
    name = " ".join(name.split())
    if len(name) > MAX_NAME_CHARACTERS or not name.isprintable() or "://" in name:
        raise _MistakeError(
            f"its name can't be used: write up to {MAX_NAME_CHARACTERS} visible characters, and no URL, since names are shown."
        )
    if name.casefold() in names:
        raise _MistakeError("another channel above has this name: give each its own.")
    names.add(name.casefold())
    return name


def _groups(table: Mapping[str, Any]) -> tuple[str, ...] | None:
    if "groups" not in table:
        return None
    groups = table["groups"]
    if not isinstance(groups, list) or not all(isinstance(one, str) for one in groups):
        raise _MistakeError('groups must be a list of names: write groups = ["Acme"].')
    if not groups or not all(one.strip() for one in groups):
        raise _MistakeError(
            "groups names no group, so nothing would be sent: name one, or take the line out for all targets."
        )
    return tuple(dict.fromkeys(" ".join(one.split()) for one in groups))


def _one_of(table: Mapping[str, Any], key: str, values: tuple[str, str], default: str) -> str:
    value = table.get(key, default)
    if value not in values:
        one, other = (f'{key} = "{value}"' for value in values)
        raise _MistakeError(f"{key} can't be read: write {one} or {other}.")
    return str(value)


def _url(table: Mapping[str, Any], env: Mapping[str, str]) -> str:
    variable = table.get("url_env")
    if variable is None:
        raise _MistakeError('it has no url_env: name the variable that holds its URL, such as url_env = "ACME_URL".')
    if not isinstance(variable, str) or not _VARIABLE.fullmatch(variable):
        raise _MistakeError(
            "url_env is not the name of a variable (it is not shown here, since it may be a URL, which is a secret). Put the "
            'URL into .env as ACME_URL=…, and write url_env = "ACME_URL".'
        )
    url = env.get(variable, "").strip()
    if not url:
        raise _MistakeError(f"the variable {variable} is not set: put the channel's URL into .env as {variable}=….")
    if not is_url(url):
        raise _MistakeError(
            f"the variable {variable} holds no single URL with a scheme, such as mailto:// or slack:// (it is not shown here, "
            "since it may be a secret). Write one URL; several places are several channels."
        )
    return url


def _unknown_groups(rule: Rule, groups: Collection[str] | None) -> list[str]:
    if groups is None or rule.groups is None:
        return []
    known = {group_key(group) for group in groups}
    return [
        f"no target of the targets file is in the group {shown(group)}, so nothing is sent for it."
        f"{_near(group, groups) or ' Write it as in the column `group`.'}"
        for group in rule.groups
        if group_key(group) not in known
    ]


def described(rule: Rule) -> str:
    """Return in words what a channel gets, for instance `critical flags of Acme, each day`."""
    flags = "critical flags" if rule.critical_only else "flags"
    whose = f" of {', '.join(map(visible, rule.groups))}" if rule.groups is not None else ""
    when = "once a week, on Mondays" if rule.weekly else "each day"
    failures = ", and what failed" if rule.groups is None and not rule.weekly else ""
    quiet = "; also that nothing moved" if rule.quiet else ""
    return f"{flags}{whose}{failures}, {when}{quiet}"
