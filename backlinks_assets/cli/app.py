"""The command `backlinks`: its calls, and how an error becomes a sentence and an exit status.

Each call is a module beside this one, imported when it is called, so that the quick ones stay quick.
"""

import datetime as dt
import signal
import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from backlinks_assets.anchor import export_other_variables
from backlinks_assets.cli import days, incidents, money, store, targets
from backlinks_assets.cli.console import complain, describe
from backlinks_assets.cli.options import WIDTH, JsonOption, Severity, date_option, examples, group_option, watched
from backlinks_assets.cli.without import Rule
from backlinks_assets.detection.metrics import NEEDED

app = typer.Typer(
    name="backlinks",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=WIDTH,
    help="Keep DataForSEO backlinks summaries as a history and flag the targets that moved sharply.",
    epilog=examples(
        "backlinks demo  # see it work, without credentials or cost",
        "backlinks targets add example.com  # with an account (credentials in .env): say what to watch",
        "backlinks doctor  # look before you spend",
        "backlinks run  # collect and judge today",
        "backlinks run --help  # each call has its own examples",
        more="Exit status: 0 all done; 1 stopped (account, budget, space); 2 unusable input or usage; 3 done, but some "
        "targets have no data for the day. Errors are on stderr. --json prints one object on the last line of stdout.",
    ),
)
app.add_typer(money.app)
app.add_typer(targets.app, name="targets", short_help="List, add, retire and check what is watched.")
app.add_typer(days.app, name="days", short_help="Take the vendor's faults out of baselines and flags, and back in.")
app.add_typer(incidents.app, name="incidents", short_help="What was flagged, and what is being done about it.")
app.add_typer(store.app, name="store", short_help="Copy the response store into a database that machines share.")


@app.command(
    epilog=examples(
        "backlinks run  # today; a second run requests only what is missing",
        "backlinks run --yes  # from a script on a terminal: no confirmation before the first paid day",
        "backlinks run --json | tail -1 > day.json  # for a program: what came of it, and what it cost",
        "backlinks run --date 2026-11-23  # build a past day again from the stored answers",
    ),
)
def run(
    date: Annotated[dt.date | None, date_option("The day; today (UTC) if left out.")] = None,
    as_json: JsonOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Need no confirmation before the first paid day.")] = False,
) -> None:
    """Collect a day's answers, build the tables, flag what moved.

    Costs two calls a target. A second run of a day requests only what is missing. A day that is over is built from
    the stored answers: the API answers for the present only.
    """
    from backlinks_assets.cli.run import run_day

    raise typer.Exit(run_day(date, as_json=as_json, yes=yes))


@app.command(
    epilog=examples(
        "backlinks demo  # sixty days, a minute or two",
        "backlinks demo --days 14  # a shorter history; the first flags need a few days to compare with",
        "BACKLINKS_DATA_DIR=/tmp/try backlinks demo  # leave nothing in this project's own data folder",
    ),
)
def demo(
    days: Annotated[int, typer.Option(metavar="DAYS", help="Days of simulated history, 2 to 300.")] = 60,
    as_json: JsonOption = False,
) -> None:
    """See it all on the bundled simulator, free.

    The whole project runs over a simulated history up to today, without credentials. Its numbers say that they are
    simulated, and are stored apart from real ones, under demo/ of the data folder. So are its targets: your targets file
    is neither read nor changed.
    """
    from backlinks_assets.cli.demo import run_demo

    raise typer.Exit(run_demo(days, as_json=as_json))


@app.command(
    epilog=examples(
        "backlinks flags  # the latest day that was judged",
        "backlinks flags --date 2026-11-24  # another day",
        'backlinks flags --group "Acme" --severity critical  # one client\'s, by the groups of the targets file',
        "backlinks flags | cut -f 2,3,5  # in a pipe: a line a flag, separated by tabs",
        "backlinks flags --json  # for a program: all columns",
    ),
)
def flags(
    date: Annotated[dt.date | None, date_option("The day; the latest judged one if left out.")] = None,
    group: Annotated[str | None, group_option("Only this group's targets, and what is about all targets.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="Only flags of this severity.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the flags of a day, worst first, each with its reason. Reads only, costs nothing."""
    from backlinks_assets.cli.flags import show_flags

    raise typer.Exit(show_flags(date, group=group, severity=severity, as_json=as_json))


@app.command(
    epilog=examples(
        "backlinks history example.com  # its whole history drawn, the last readings and all flags",
        "backlinks history example.com --days 30  # the last 30 days, each listed",
        "backlinks history example.com --csv > history.csv  # for a spreadsheet: a line a reading",
        "backlinks history example.com --json  # for a program: readings and flags with their reasons",
    ),
)
def history(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="The target, in any spelling.", autocompletion=watched)
    ],
    days: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, metavar="N", help="The N days up to its last reading; all if left out."),
    ] = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a CSV.")] = False,
) -> None:
    """Show one target's readings and flags. Reads only, costs nothing."""
    from backlinks_assets.cli.history import show_history

    raise typer.Exit(show_history(target, days=days, as_json=as_json, as_csv=as_csv))


@app.command(
    epilog=examples(
        "backlinks evidence  # the flags of the latest judged day",
        "backlinks evidence example.com --rows 500 --yes  # one target's, with more rows; from a script",
        "backlinks evidence --date 2026-11-23 --json  # for a program, with all rows",
        "backlinks evidence example.com --disavow proposal.txt --merge disavow.txt  # a proposal; spends nothing",
        more="Evidence costs one call a question, within BACKLINKS_EVIDENCE_USD_PER_DAY and the day's budget. On a terminal "
        "it asks once; a program says --yes. What was bought once is shown again for nothing.",
    ),
)
def evidence(
    target: Annotated[
        str | None, typer.Argument(metavar="TARGET", help="Only this target's flags.", autocompletion=watched)
    ] = None,
    *,
    date: Annotated[dt.date | None, date_option("The day; the latest judged one if left out.")] = None,
    rows: Annotated[
        int | None,
        typer.Option(metavar="N", min=10, max=1000, help="Rows a question; BACKLINKS_EVIDENCE_ROWS if left out."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Buy what is missing without asking.")] = False,
    as_json: JsonOption = False,
    disavow: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a proposal for Google's disavow file; spends nothing.")
    ] = None,
    merge: Annotated[
        Path | None,
        typer.Option(metavar="OLD", help="The disavow file in use: its lines come first."),
    ] = None,
    score: Annotated[int, typer.Option(min=1, max=100, help="Spam score from which a domain is proposed.")] = 60,
) -> None:
    """Show which links and domains a day's flags are about."""
    if disavow is not None:
        from backlinks_assets.cli.disavow import write_proposal

        raise typer.Exit(write_proposal(target, date, disavow, merge, score))
    if merge is not None:
        raise typer.BadParameter("--merge belongs to --disavow FILE.")
    from backlinks_assets.cli.evidence import show_evidence

    raise typer.Exit(show_evidence(target, date, rows, yes=yes, as_json=as_json))


@app.command(
    epilog=examples(
        "backlinks backtest  # the project's own tables, with the thresholds of the targets file",
        "backlinks backtest --out flags.csv  # and each flag as a line of a CSV",
        "backlinks backtest history.csv --out flags.csv  # a history from elsewhere",
        "backlinks backtest --without half --without index  # what these rules do to one's own past",
        "backlinks backtest --json  # for a program: the counts by kind, day and target",
        more=f"HISTORY.csv has a row for each target and day, with the columns date (YYYY-MM-DD), target, {', '.join(NEEDED)} "
        "and, where there, live_backlinks and lost_date (the vendor's, or empty), without which no target is found to be down.",
    ),
)
def backtest(
    history: Annotated[
        Path | None,
        typer.Argument(metavar="HISTORY.csv", help="A CSV of readings; the project's tables if left out."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FLAGS.csv", help="Where to write the flags.")] = None,
    without: Annotated[
        list[Rule] | None,
        typer.Option(
            metavar="RULE",
            help=f"Compare with the flags without a rule: {', '.join(Rule)}. May be given several times.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what would have been flagged, never looking ahead. Costs nothing."""
    from backlinks_assets.cli.backtest import run_backtest

    raise typer.Exit(run_backtest(history, out, without or (), as_json=as_json))


@app.command(
    epilog=examples(
        "backlinks serve  # then open http://127.0.0.1:8787/ in a browser; Ctrl-C ends it",
        "backlinks serve --port 9000  # where another program has that port",
        "BACKLINKS_SERVE_USER_HEADER=X-Forwarded-User backlinks serve  # behind a proxy that authenticates",
        more="Exit status: 0 it was ended; 1 the port is taken; 2 the host can't be used.",
    ),
)
def serve(
    host: Annotated[str, typer.Option(metavar="HOST", help="An address of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="PORT", help="0 is any free one.")] = 8787,
) -> None:
    """Show the pages with buttons for incidents. Costs nothing.

    The buttons acknowledge, snooze, resolve and reopen. Other machines can't reach it, unless a proxy that authenticates
    says who is there.
    """
    from backlinks_assets.cli.serve import serve_pages

    raise typer.Exit(serve_pages(host, port))


@app.command(
    epilog=examples(
        "backlinks announce --test  # after a change of BACKLINKS_NOTIFY_URLS or channels.toml",
        "backlinks doctor  # reads both without sending anything",
        more="Exit status: 0 all got it; 1 a place did not; 2 there is no place to send to.",
    ),
)
def announce(
    test: Annotated[bool, typer.Option("--test", help="Send one test message to each place.")] = False,
) -> None:
    """Try the places that announcements go to.

    Each is sent a message, and what came of it is said. Announcing itself is done by Dagster's daemon, without a call.
    """
    from backlinks_assets.cli.announce import send_test
    from backlinks_assets.cli.console import UsageError

    if not test:
        raise UsageError("Dagster's daemon announces by itself. To try each place, write `backlinks announce --test`.")
    raise typer.Exit(send_test())


@app.command(
    epilog=examples(
        "backlinks doctor  # before the first paid day, and when something is odd",
        "backlinks doctor && backlinks run  # run only where nothing is to be done first",
        "backlinks doctor --json  # for a program",
        more="Exit status: 0 all is fine, or has a note; 1 a run would be stopped; 2 the settings or the targets file can't "
        "be used.",
    ),
)
def doctor(as_json: JsonOption = False) -> None:
    """Check what a run needs, and say what to do. Costs nothing."""
    from backlinks_assets.cli.doctor.examine import examine

    raise typer.Exit(examine(as_json=as_json))


class Stopped(BaseException):
    """A signal to end. Not a KeyboardInterrupt, which Typer turns into a silent exit."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise Stopped


def main() -> None:
    """Run the command; every expected error is a sentence on stderr and an exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    # Dagster marks what it may still change by warnings; its version is locked, and a person can do nothing about them.
    warnings.filterwarnings("ignore", message=".*is currently in (beta|preview).*")
    try:
        export_other_variables()
        app(standalone_mode=True)
    except Stopped:
        complain("Stopped. What was paid for is stored; run again to go on.")
        sys.exit(1)
    except Exception as error:
        sentence, status = describe(error)
        if sentence is None:
            raise
        complain(sentence)
        sys.exit(status)


if __name__ == "__main__":
    main()
