"""What the command prints with: the two consoles, tables, errors as sentences with their exit status, notices.

What a call says is in its own module.
"""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from backlinks_assets.errors import BacklinksError
from backlinks_assets.folder import next_step, next_step_of_sqlite
from backlinks_assets.formatting import cell as cell  # noqa: PLC0414 - the calls import it from here
from backlinks_assets.settings import Settings

STOPPED, UNUSABLE, INCOMPLETE = 1, 2, 3
"""Exit statuses beside 0: stopped; unusable input or usage; done, but some targets have no data for the day."""


class UsageError(BacklinksError):
    """What was typed can't be used; the message says how to write it."""

    exit_status = 2


def is_interactive() -> bool:
    """Whether a person can be asked: what is typed comes from a terminal, and the question is read on one."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def agrees(question: str, says: Callable[[], str], *, unasked: bool) -> bool:
    """Have a person confirm what `says` tells of the cost; without a terminal nobody does.

    `unasked`: nobody needs to, since `--yes` was said, or since the simulator answers for nothing.
    """
    if unasked:
        return True
    if not is_interactive():
        return False
    err().print(says())
    return typer.confirm(question, default=False, err=True)


def out() -> Console:
    """Return the console of stdout, looked up at each call since stdout may have been replaced."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def err() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def table(title: str | None = None, *, lines: bool = False) -> Table:
    """Return an empty table in the command's one style; `lines` draws one between rows."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=box.HORIZONTALS if lines else box.SIMPLE_HEAD,
        show_lines=lines,
        show_edge=False,
        pad_edge=False,
    )


def shown(path: Path) -> str:
    """Return a path as a person types it here: short where it lies under the working folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def me() -> str:
    """Return how this command is called here: its name, or its path where the shell would not find it by name."""
    if shutil.which("backlinks") or not sys.argv[0].endswith("backlinks"):
        return "backlinks"
    return shown(Path(sys.argv[0]).absolute())


def complain(sentence: str) -> None:
    err().print(f"[bold red]backlinks:[/] {escape(sentence)}")


def describe(error: Exception) -> tuple[str | None, int]:
    """Return an expected error's sentence and exit status; (None, 1) for one that is a bug.

    What failed after it is a note of the error and follows it.
    """
    sentence, status = _of_files(error), STOPPED
    if isinstance(error, BacklinksError):
        sentence, status = str(error), error.exit_status
    return (None if sentence is None else "\n".join([sentence, *getattr(error, "__notes__", [])])), status


def _of_files(error: Exception) -> str | None:
    """Return the sentence of an error that a file below the data folder is the cause of; None for any other."""
    library = type(error).__module__.partition(".")[0]
    if library == "sqlalchemy":  # our own store has errors of its own: this is Dagster's
        said = str(getattr(error, "orig", None) or error)
        return f"Dagster's records of runs can't be written ({said}). {next_step_of_sqlite(said)} What was paid for is stored."
    if library in {"duckdb", "_duckdb"}:
        return (
            f"The DuckDB file can't be read ({str(error).splitlines()[0]}). `backlinks doctor` says why and frees it if "
            "it can; `backlinks run` makes it anew from the parquet files."
        )
    if isinstance(error, OSError):
        return f"{error.strerror or error} ({error.filename or 'no file named'}). {next_step(error.errno)}"
    return None


def settings_and_notices(*, demo: bool = False, only_reads: bool = False) -> Settings:
    """Return the settings; print which of them have no effect yet, and that numbers are simulated if they are."""
    settings = Settings.from_env(demo=demo, only_reads=only_reads)
    for notice in settings.notices:
        err().print(f"[yellow]Note:[/] {escape(notice)}")
    if settings.simulated:
        why = "no credentials are in use" if settings.login is None else "DATAFORSEO_BASE_URL is the simulator's"
        err().print(
            f"[yellow]Simulated numbers:[/] {why}; the bundled simulator answers, and what it answers is stored under "
            f"{escape(shown(settings.root))}."
        )
    return settings


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Yield a function that moves a bar on by one; it is gone at the end. Without a terminal nothing is drawn."""
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    if shutil.get_terminal_size().columns >= len(what) + 70:
        columns += [TextColumn("left"), TimeRemainingColumn()]
    with Progress(*columns, console=err(), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
