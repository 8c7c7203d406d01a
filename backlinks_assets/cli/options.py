"""What the calls' options and help texts share: `--json`, examples, and what the shell offers at the Tab key.

Completion is quick and silent: nothing is made or printed, and nothing is offered if nothing can be read.
"""

import datetime as dt
import difflib
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from backlinks_assets.dates import iso_date
from backlinks_assets.env_values import SettingsError
from backlinks_assets.formatting import visible
from backlinks_assets.paths import parquet_dir
from backlinks_assets.settings import Settings
from backlinks_assets.targets.file import load_targets
from backlinks_assets.targets.target import Target, TargetsError, WatchList

MAX_DAYS: Final = 31
WIDTH: Final = {"max_content_width": 100}
"""For `context_settings`: longer lines are hard to read, however wide the terminal is."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line of stdout.")]


class Severity(StrEnum):
    """How severe a flag is."""

    CRITICAL = "critical"
    WARNING = "warning"


def date_option(text: str, name: str = "--date") -> Any:
    return typer.Option(name, metavar="YYYY-MM-DD", help=text, parser=_day, autocompletion=judged_days)


def date_argument(text: str) -> Any:
    return typer.Argument(metavar="DATE", help=text, parser=_day, autocompletion=judged_days)


def future_option(text: str, name: str) -> Any:
    """Return an option for a day to come: the Tab key offers none."""
    return typer.Option(name, metavar="YYYY-MM-DD", help=text, parser=_day)


def _day(text: str) -> dt.date:
    try:
        return iso_date(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: {error}") from None


def examples(*lines: str, more: str = "") -> str:
    """Return an epilog of `command  # what it does` lines; `more` is a paragraph after them."""
    typed = "\n".join(f"  # {what}\n  {command}" for command, _, what in (line.partition("  # ") for line in lines))
    return f"\b\nExamples:\n{typed}\n\n{more}"


def group_option(text: str) -> Any:
    return typer.Option("--group", metavar="GROUP", help=text, autocompletion=groups)


def group_of(targets: WatchList, group: str) -> list[Target]:
    """Return the targets of a group; raises TargetsError, which names the groups there are, where none has it."""
    found = targets.in_group(group)
    if found or not group.strip():
        return found
    near = difflib.get_close_matches(group, targets.groups, 1)
    known = f"did you mean {near[0]!r}?" if near else f"the groups are {', '.join(map(visible, targets.groups))}."
    if not targets.groups:
        known = "no line has one yet. Name each target's client in the column `group`."
    raise TargetsError.of(targets.source, f"is no target's group in {targets.source}: {known}", group)


def groups(incomplete: str) -> list[str]:
    """Return the groups of the targets file that begin so."""
    return [name for name in _targets().groups if name.casefold().startswith(incomplete.casefold())]


def _targets() -> WatchList:
    try:
        return load_targets(Settings.from_env().targets_file, allow_none=True)
    except (SettingsError, TargetsError):
        return WatchList("", [])


def watched(incomplete: str) -> list[str]:
    """Return the watched targets that begin so, in the file's order."""
    today = dt.datetime.now(dt.UTC).date()
    return [one.target for one in _targets() if one.active_on(today) and one.target.startswith(incomplete)]


def judged_days(incomplete: str) -> list[str]:
    """Return the newest days that flags were looked for on and that begin so, the newest first."""
    try:
        folder = parquet_dir(Settings.from_env().root) / "backlinks_flags"
        found = sorted((path.name.removeprefix("date=") for path in folder.glob("date=*")), reverse=True)
    except (SettingsError, OSError):
        return []
    return [day for day in found if day.startswith(incomplete)][:MAX_DAYS]
