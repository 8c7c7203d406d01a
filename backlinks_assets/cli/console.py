"""How the command speaks: the two consoles, errors as sentences with their exit status, notices.

No call's own words; those are in its module.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from backlinks_assets.settings import Settings, SettingsError
from backlinks_assets.targets import TargetsError

STOPPED, UNUSABLE, INCOMPLETE = 1, 2, 3
"""Exit statuses beside 0: stopped; unusable input or usage; done, but some targets have no data for the day."""


class UsageError(ValueError):
    """What was typed can't be used; the message says how to write it."""


def out() -> Console:
    """Return the console of stdout, looked up at each call since stdout may have been replaced."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def err() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


def complain(sentence: str) -> None:
    """Print an error's sentence on stderr."""
    err().print(f"[bold red]backlinks:[/] {escape(sentence)}")


def describe(error: Exception) -> tuple[str | None, int]:
    """Return an expected error's sentence and exit status; (None, 1) for one that is a bug."""
    if isinstance(error, UsageError | SettingsError | TargetsError):
        return str(error), UNUSABLE
    name = type(error).__name__
    expected = {"StoreError", "LimiterError", "TablesError", "AccountError", "RequestError", "TransientError"}
    if name in expected:  # by name, so that `--help` need not import them
        return str(error), STOPPED
    if type(error).__module__.startswith("sqlalchemy."):  # our own store speaks for itself, so that it is Dagster's
        said = str(getattr(error, "orig", None) or error)
        todo = "Free some space" if "full" in said or "disk" in said else "Check that BACKLINKS_DATA_DIR can be written"
        return (
            f"Dagster's records of runs can't be kept ({said}). {todo} and run again; what was paid for is kept.",
            STOPPED,
        )
    if isinstance(error, OSError):
        return f"{error.strerror or error} ({error.filename or 'no file named'}). Check BACKLINKS_DATA_DIR.", STOPPED
    return None, 1


def settings_and_notices(*, demo: bool = False) -> Settings:
    """Read the environment, say what of it has no effect yet, and on simulated numbers say so."""
    settings = Settings.from_env(demo=demo)
    for notice in settings.notices:
        err().print(f"[yellow]Note:[/] {escape(notice)}")
    if settings.simulated:
        err().print(
            "[yellow]Simulated numbers:[/] no credentials are in use; the bundled simulator answers, and what it "
            f"answers is kept under {escape(str(settings.root))}."
        )
    return settings


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Yield a function that moves a bar on by one; without a terminal nothing is drawn."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err(), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
