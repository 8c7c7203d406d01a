"""Calls of `backlinks` before and beside the daily run: what it costs, whether bulk can be relied on, the days before the first.

Definitions only, as in `app.py`, which takes them in: each call is a module beside this one.
"""

from typing import Annotated

import typer

from backlinks_assets.cli.options import WIDTH, JsonOption, examples, watched

app = typer.Typer(context_settings=WIDTH)


@app.command(
    epilog=examples(
        "backlinks backfill  # all targets of the file",
        "backlinks backfill example.com --days 90 --yes  # one target's, further back; from a script",
        "backlinks backfill --yes --json  # for a program",
        more="A call counts up to 1,000 targets since one day: 61 calls and $3.66 for 1,000 targets and 60 days, within the "
        "day's budget. On a terminal it asks once; a program says --yes. What was bought once is not bought again. The spam "
        "score's past can't be bought: the API has none.",
    ),
)
def backfill(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TARGET]...", help="Only these; all of the file if left out.", autocompletion=watched),
    ] = None,
    *,
    days: Annotated[int, typer.Option(metavar="N", min=1, max=365, help="Days before a target's first reading.")] = 60,
    yes: Annotated[bool, typer.Option("--yes", help="Buy what is missing without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Buy the lost links of the days before a target's first reading."""
    from backlinks_assets.cli.backfill import back_fill

    raise typer.Exit(back_fill(targets or [], days, yes=yes, as_json=as_json))


@app.command(
    epilog=examples(
        "backlinks cost  # what a day of the targets file costs, in each way of watching",
        "backlinks cost --targets 10000  # the same for so many domains",
        "backlinks cost --json  # for a program: calls and dollars of each way, and the prices they go by",
    ),
)
def cost(
    targets: Annotated[
        int | None,
        typer.Option(min=1, max=1_000_000, metavar="N", help="For N domains; the targets file's if left out."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a day costs in full, in bulk and with evidence.

    Costs nothing: the account's own price list is free to read. Where it could not be read, the built-in prices count, and
    the answer says so.
    """
    from backlinks_assets.cli.cost import show_cost

    raise typer.Exit(show_cost(targets, as_json=as_json))


@app.command(
    epilog=examples(
        "backlinks probe  # some 20 of your targets, on a terminal after one question; the next day again",
        "backlinks probe --targets 8 --yes  # fewer, from a script",
        "backlinks probe --json  # for a program: what is stored, or with --yes what is missing too",
        more="Some $1.2 a day for 20 targets, inside the day's budget. A second call of a day pays for nothing twice. Answers "
        "are stored apart from the days of the tables.",
    ),
)
def probe(
    targets: Annotated[
        int, typer.Option(min=2, max=100, metavar="N", help="So many targets, of all sizes that are known.")
    ] = 20,
    yes: Annotated[bool, typer.Option("--yes", help="Spend without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find out on two days whether bulk can be relied on.

    It is whether bulk numbers are equal to the summaries' and move with them.
    Nobody of this project has tried bulk against the live API: run this before you watch in bulk.
    """
    from backlinks_assets.cli.probe import show_probe

    raise typer.Exit(show_probe(targets, yes=yes, as_json=as_json))
