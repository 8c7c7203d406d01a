"""The command `backlinks`: its calls, and how an error becomes a sentence and an exit status.

Each call is a module beside this one, imported when it is called, so that the quick ones stay quick.
"""

import signal
import sys
import warnings
from datetime import UTC, date, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from backlinks_assets.cli import targets
from backlinks_assets.cli.console import UsageError, complain, describe

app = typer.Typer(
    name="backlinks",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Keep DataForSEO backlinks summaries as a history and flag the targets that moved sharply.\n\n"
    "Try it without credentials: [bold]backlinks demo[/]. Then: [bold]backlinks targets add example.com[/], "
    "[bold]backlinks doctor[/], [bold]backlinks run[/].",
    epilog="Exit status: 0 all done; 1 stopped (account, budget, space); 2 unusable input; 3 done, but some targets "
    "have no data for the day.",
)
app.add_typer(targets.app, name="targets")

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line of stdout.")]


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--date is {text!r}; write a day as YYYY-MM-DD, for instance 2026-11-24.") from None


@app.command(epilog="Example: backlinks run --json | tail -1 | jq .cost_usd")
def run(
    date_text: Annotated[
        str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="The day; today (UTC) if left out.")
    ] = None,
    as_json: JsonOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the first paid day.")] = False,
) -> None:
    """Collect every active target's answers for a day, build the tables, flag what moved. Costs two calls a target.

    A second run of a day asks only for what is missing. A day that is over is built from what is kept.
    """
    from backlinks_assets.cli.run import run_day

    raise typer.Exit(run_day(_day(date_text) or datetime.now(UTC).date(), as_json=as_json, yes=yes))


@app.command(epilog="Example: backlinks demo")
def demo(
    days: Annotated[int, typer.Option(min=2, max=300, help="Days of simulated history to collect.")] = 60,
) -> None:
    """Run the whole project on the bundled simulator: no credentials, no cost; its numbers are simulated."""
    from backlinks_assets.cli.demo import run_demo

    raise typer.Exit(run_demo(days))


@app.command(epilog="Example: backlinks flags --date 2026-11-24")
def flags(
    date_text: Annotated[
        str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="The day; the latest judged one if left out.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the flags of a day, worst first, each with its reason."""
    from backlinks_assets.cli.flags import show_flags

    raise typer.Exit(show_flags(_day(date_text), as_json=as_json))


@app.command(epilog="Example: backlinks backtest history.csv --out flags.csv")
def backtest(
    history: Annotated[
        Path | None,
        typer.Argument(metavar="[HISTORY.csv]", help="A CSV of readings; the project's tables if left out."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FLAGS.csv", help="Where to write the flags.")] = None,
) -> None:
    """Show what would have been flagged, day by day and never looking ahead."""
    from backlinks_assets.cli.backtest import run_backtest

    raise typer.Exit(run_backtest(history, out))


@app.command(epilog="Example: backlinks doctor")
def doctor() -> None:
    """Check credentials, balance, folders, limits and versions. Costs nothing."""
    from backlinks_assets.cli.doctor import examine

    raise typer.Exit(examine())


class Stopped(BaseException):
    """A signal asks for the end. No KeyboardInterrupt, of which typer makes an exit without a word."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


def main() -> None:
    """Run the command; every expected error is a sentence on stderr and an exit status."""
    from dotenv import find_dotenv, load_dotenv

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    load_dotenv(find_dotenv(usecwd=True))
    # Dagster marks what it may still change by warnings; its version is locked, and a person can do nothing about them.
    warnings.filterwarnings("ignore", message=".*is currently in (beta|preview).*")
    try:
        app(standalone_mode=True)
    except Stopped:
        complain("Stopped. What was paid for is kept; run again to go on.")
        sys.exit(1)
    except Exception as error:
        sentence, status = describe(error)
        if sentence is None:
            raise
        complain(sentence)
        sys.exit(status)


if __name__ == "__main__":
    main()
