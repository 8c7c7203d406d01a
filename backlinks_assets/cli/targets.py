"""`backlinks targets`: see, add, retire and check what is watched.

Here belong the calls and how a list is shown; the file's rules are `targets/file.py` and `targets/edit.py`.
"""

import datetime as dt
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from backlinks_assets.cli.console import INCOMPLETE, UNUSABLE, cell, err, out, table
from backlinks_assets.cli.options import WIDTH, JsonOption, date_option, examples, group_of, group_option, watched
from backlinks_assets.env_values import SettingsError
from backlinks_assets.formatting import counted, visible, without_password
from backlinks_assets.settings import Settings
from backlinks_assets.targets.edit import add_target, retire_target
from backlinks_assets.targets.file import load_targets
from backlinks_assets.targets.name import is_reserved_example
from backlinks_assets.targets.target import Target, TargetsError
from backlinks_assets.targets.watch import WATCH_COLUMN, stay_full, stay_full_said

app = typer.Typer(
    name="targets",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=WIDTH,
    help="The targets file: which domains and pages are watched. It is targets.csv in the data folder, unless "
    "BACKLINKS_TARGETS_FILE names another; an editor or a spreadsheet may change it too.",
    epilog=examples(
        'backlinks targets add example.com --note "our own shop"  # watch a domain',
        "backlinks targets list  # what is watched today",
        "backlinks targets check && backlinks run  # after an edit by hand: is every line as it should be?",
    ),
)

_TARGET = "A domain (example.com) or a page (https://example.com/path)."


@app.command(
    "list",
    epilog=examples(
        "backlinks targets list  # those watched today",
        "backlinks targets list --all  # retired ones too",
        'backlinks targets list --group "Acme"  # one client\'s; --group "" for those without a group',
        "backlinks targets list | cut -f 1  # in a pipe, separated by tabs: target, its own settings, retired, note, "
        "group, owner, tags",
        "backlinks targets list --all --json  # for a program",
    ),
)
def list_targets(
    every: Annotated[bool, typer.Option("--all", help="Retired targets too.")] = False,
    group: Annotated[str | None, group_option("Only this group's targets.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the targets watched today, in the file's order."""
    with _sentences():
        path, today = Settings.from_env().targets_file, _today()
        found = load_targets(path, allow_none=True)
        shown = found if group is None else group_of(found, group)
        targets = [target for target in shown if every or target.active_on(today)]
        if as_json:
            bad = {"problems": _problems(found.refusal())} if found.bad_lines else {}
            _print_json({"file": str(path), "targets": [_record(target, today) for target in targets], **bad})
        elif sys.stdout.isatty():
            _print_table(targets, left_out=len(shown) - len(targets))
        else:
            for target in targets:
                typer.echo("\t".join(map(cell, _cells(target))))
        if found.bad_lines:
            _complain(found.refusal())
            raise typer.Exit(INCOMPLETE)


@app.command(
    epilog=examples(
        "backlinks targets add example.com  # a domain, links to all its pages",
        "backlinks targets add shop.example.com --note 'the German shop'  # a subdomain, and why",
        "backlinks targets add https://example.com/guide  # one page",
        'backlinks targets add example.com --group "Acme" --owner ann@example.com --tags "shop de"  # whose it is',
    ),
)
def add(
    target: Annotated[str, typer.Argument(metavar="TARGET", help=_TARGET)],
    note: Annotated[str, typer.Option(metavar="WORDS", help="A few words on why it is watched.")] = "",
    group: Annotated[str, typer.Option(metavar="GROUP", help="The client or family of sites it belongs to.")] = "",
    owner: Annotated[str, typer.Option(metavar="WHO", help="Who looks after it: a name or mail address.")] = "",
    tags: Annotated[str, typer.Option(metavar="TAGS", help="Tags, separated by spaces.")] = "",
) -> None:
    """Watch a target from its next collection on. The file is made where there is none.

    A domain counts links to all its pages; https://example.com/ is its home page alone.
    """
    with _sentences():
        path = Settings.from_env().own_targets_file
        added = add_target(path, target, note, {"group": group, "owner": owner, "tags": tags})
        typer.echo(f"Added {added.target} to {path}, line {added.line}.")
        if "://" in added.target:
            typer.echo("It is watched as one page; a domain (no https://) counts the links to all its pages.")
        if is_reserved_example(added.target):
            typer.echo("Its name is reserved for examples: the bundled simulator knows it, the real API does not.")


@app.command(
    epilog=examples(
        "backlinks targets retire example.com  # from today on",
        "backlinks targets retire example.com --date 2026-12-01  # from a day on",
    ),
)
def retire(
    target: Annotated[str, typer.Argument(metavar="TARGET", help=_TARGET, autocompletion=watched)],
    date: Annotated[dt.date | None, date_option("The first day it is not watched; today (UTC) if left out.")] = None,
) -> None:
    """Stop watching a target from a day on. Its line and its history stay."""
    with _sentences():
        path = Settings.from_env().own_targets_file
        retired = retire_target(path, target, date or _today())
        typer.echo(f"{retired.target} is retired from {retired.retired} on ({path}, line {retired.line}).")


@app.command(
    epilog=examples(
        "backlinks targets check  # after an edit by hand",
        "backlinks targets check && backlinks run  # run only where all is well (a run checks it too)",
        "backlinks targets check --json  # for a program: each problem with its line",
    ),
)
def check(as_json: JsonOption = False) -> None:
    """Read the targets file and name every line that can't be used. Costs nothing."""
    with _sentences(as_json=as_json):
        settings, today = Settings.from_env(), _today()
        path = settings.targets_file
        targets = load_targets(path)
        watched = [target for target in targets if target.active_on(today)]
        active = len(watched)
        if targets.bad_lines:
            _complain(targets.refusal())
        if as_json:
            problems = _problems(targets.refusal())
            found = {"file": str(path), "watched": active, "retired": len(targets) - active, "problems": problems}
            stay = [{"target": one.target, "because": why} for one, why in stay_full(watched, settings.watch)]
            _print_json(found | {"stay_full": stay})
        elif not targets.bad_lines:
            typer.echo(f"{path}: {active} watched, {len(targets) - active} retired, no problems.")
        if not as_json and (said := stay_full_said(watched, settings.watch)):
            typer.echo(said)
        if targets.bad_lines:
            raise typer.Exit(UNUSABLE)


@contextmanager
def _sentences(*, as_json: bool = False) -> Iterator[None]:
    """End the command with what was refused as sentences on stderr, every bad line of the file among them.

    With `as_json` the problems are on stdout too, as an object.
    """
    try:
        yield
    except (SettingsError, TargetsError) as error:
        _complain(error)
        if as_json and isinstance(error, TargetsError):
            _print_json({"file": error.source, "watched": None, "retired": None, "problems": _problems(error)})
        raise typer.Exit(UNUSABLE) from None


def _complain(error: Exception) -> None:
    err().print(str(error), markup=False)
    if isinstance(error, TargetsError) and (count := sum(problem.line > 0 for problem in error.problems)):
        err().print(f"{counted(count, 'problem')} in the file.")


def _problems(error: TargetsError) -> list[dict[str, Any]]:
    return [{"line": one.line, "text": without_password(one.text), "message": one.message} for one in error.problems]


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def _record(target: Target, today: dt.date) -> dict[str, Any]:
    return {
        "target": target.target,
        "active": target.active_on(today),
        "retired": target.retired.isoformat() if target.retired else None,
        "note": target.note,
        "parameters": target.overrides.model_dump(exclude_none=True),
        "thresholds": dict(target.thresholds),
        "line": target.line,
        "group": target.group,
        "owner": target.owner,
        "tags": list(target.tags),
        "watch": target.watch,
    }


_CELLS: Final = ("target", "own settings", "retired", "note", "group", "owner", "tags")


def _cells(target: Target) -> tuple[str, ...]:
    watch = {WATCH_COLUMN: target.watch} if target.watch else {}
    own = {**watch, **target.overrides.model_dump(exclude_none=True), **target.thresholds}
    settings = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in own.items()]
    labels = (target.note, target.group, target.owner, " ".join(target.tags))
    return target.target, " ".join(settings), str(target.retired or ""), *labels


def _print_json(found: dict[str, Any]) -> None:
    typer.echo(json.dumps(found, ensure_ascii=False))


def _print_table(targets: list[Target], *, left_out: int) -> None:
    rows = [_cells(target) for target in targets]
    listed = table()
    filled = [index for index in range(len(_CELLS)) if index == 0 or any(row[index] for row in rows)]
    for index in filled:
        listed.add_column(_CELLS[index], overflow="fold", no_wrap=_CELLS[index] == "retired")
    for row in rows:
        # Text: a note's [brackets] are not markup; visible: nor are its control characters the terminal's commands.
        listed.add_row(*(Text("\n".join(map(visible, row[index].splitlines()))) for index in filled))
    says = "No target is watched: add one with `backlinks targets add example.com`"
    if targets:
        out().print(listed)
        says = counted(len(targets), "target")
    retired = f"; {left_out} retired, shown by --all" if left_out else ""
    out().print(f"{says}{retired}.", markup=False)
