"""`backlinks targets`: see, add, retire and check what is watched.

Here belong the command's words and how a list is shown; the file's rules are `targets.py`. Importing this is
cheap, so that `backlinks --help` is: what reads the file is imported when a command runs.
"""

import datetime as dt
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

if TYPE_CHECKING:
    from backlinks_assets.targets import Target, ThresholdCheck

UNUSABLE_INPUT = 2

app = typer.Typer(
    name="targets",
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The targets file: which domains and pages are watched. BACKLINKS_TARGETS_FILE says where it is.",
)

TargetArgument = Annotated[
    str, typer.Argument(metavar="TARGET", help="A domain (example.com) or a page (https://example.com/path).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON, for another program to read.")]


class _Rules(TypedDict):
    threshold_columns: dict[str, str]
    check_thresholds: "ThresholdCheck"


@app.command("list")
def list_targets(
    every: Annotated[bool, typer.Option("--all", help="Retired targets too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the targets watched today, in the file's order.

    In a pipe: a line a target, tab-separated: target, its own settings, retired, note.

    Example: backlinks targets list --all --json
    """
    with _sentences():
        from backlinks_assets.targets import load_targets

        today = _today()
        targets = load_targets(_path(), **_rules(), allow_none=True)
        if not every:
            targets = [target for target in targets if target.active_on(today)]
        if as_json:
            typer.echo(json.dumps([_record(target, today) for target in targets], ensure_ascii=False, indent=2))
        elif sys.stdout.isatty():
            _print_table(targets)
        else:
            for target in targets:
                typer.echo("\t".join(" ".join(cell.split()) for cell in _cells(target)))


@app.command()
def add(
    target: TargetArgument,
    note: Annotated[str, typer.Option(help="A few words on why it is watched.")] = "",
) -> None:
    """Watch a target from its next collection on. The file is made where there is none.

    A domain counts links to all its pages; https://example.com/ is its home page alone.

    Example: backlinks targets add example.com --note "our own shop"
    """
    with _sentences():
        from backlinks_assets.targets import add_target, is_reserved_example

        path = _path()
        added = add_target(path, target, note, **_rules())
        typer.echo(f"Added {added.target} to {path}, line {added.line}.")
        if "://" in added.target:
            typer.echo("It is watched as one page; a domain (no https://) counts the links to all its pages.")
        if is_reserved_example(added.target):
            typer.echo("Its name is reserved for examples: the bundled simulator knows it, the real API does not.")


@app.command()
def retire(
    target: TargetArgument,
    date: Annotated[
        str,
        typer.Option(metavar="YYYY-MM-DD", help="The first day it is not watched.", show_default="today, UTC"),
    ] = "",
) -> None:
    """Stop watching a target from a day on. Its line and its history are kept.

    Example: backlinks targets retire example.com --date 2026-12-01
    """
    with _sentences():
        from backlinks_assets.targets import iso_date, retire_target

        try:
            day = iso_date(date) if date else _today()
        except ValueError as error:
            raise typer.BadParameter(f"{date!r}: {error}", param_hint="--date") from None
        path = _path()
        retired = retire_target(path, target, day, **_rules())
        typer.echo(f"{retired.target} is retired from {retired.retired} on ({path}, line {retired.line}).")


@app.command()
def check() -> None:
    """Read the targets file and name every line that can't be used. Costs nothing.

    Example: backlinks targets check && backlinks run
    """
    with _sentences():
        from backlinks_assets.targets import load_targets

        path = _path()
        targets = load_targets(path, **_rules())
        today = _today()
        active = sum(target.active_on(today) for target in targets)
        typer.echo(f"{path}: {active} watched, {len(targets) - active} retired, no problems.")


@contextmanager
def _sentences() -> Iterator[None]:
    """End the command with what was refused as sentences on stderr, every bad line of the file among them."""
    from backlinks_assets.settings import SettingsError
    from backlinks_assets.targets import TargetsError

    try:
        yield
    except (SettingsError, TargetsError) as error:
        typer.echo(str(error), err=True)
        if isinstance(error, TargetsError) and (count := sum(problem.line > 0 for problem in error.problems)):
            typer.echo(f"{count} {'problem' if count == 1 else 'problems'} in the file.", err=True)
        raise typer.Exit(UNUSABLE_INPUT) from None


def _path() -> Path:
    from backlinks_assets.settings import Settings

    return Settings.from_env().targets_file


def _rules() -> _Rules:
    from backlinks_assets.detection.settings import THRESHOLD_COLUMNS, target_thresholds

    return {"threshold_columns": THRESHOLD_COLUMNS, "check_thresholds": target_thresholds}


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def _settings(target: "Target") -> dict[str, Any]:
    return {**target.overrides.model_dump(exclude_none=True), **target.thresholds}


def _record(target: "Target", today: dt.date) -> dict[str, Any]:
    return {
        "target": target.target,
        "active": target.active_on(today),
        "retired": target.retired.isoformat() if target.retired else None,
        "note": target.note,
        "parameters": target.overrides.model_dump(exclude_none=True),
        "thresholds": dict(target.thresholds),
        "line": target.line,
    }


def _cells(target: "Target") -> tuple[str, str, str, str]:
    settings = " ".join(
        f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in _settings(target).items()
    )
    return target.target, settings, str(target.retired or ""), target.note


def _print_table(targets: "list[Target]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not targets:
        console.print("No target is watched: add one with `backlinks targets add example.com`.", markup=False)
        return
    rows = [_cells(target) for target in targets]
    table = Table(show_edge=False, pad_edge=False)
    shown = [index for index in range(4) if index == 0 or any(row[index] for row in rows)]
    for index in shown:
        table.add_column(("target", "own settings", "retired", "note")[index], overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[index]) for index in shown))  # Text: a note's [brackets] are no markup
    console.print(table)
    console.print(f"{len(targets)} {'target' if len(targets) == 1 else 'targets'}", highlight=False)
