"""`backlinks days`: which days' readings stay out of baselines and flags. The calls and their options only.

What they do is `day_verdicts.py` and `day_list.py`, imported when they are needed.
"""

import datetime as dt
from typing import Annotated

import typer

from backlinks_assets.cli.options import WIDTH, JsonOption, date_argument, date_option, examples, watched

app = typer.Typer(
    name="days",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=WIDTH,
    help="Days whose readings are not right (the vendor's fault): out of every baseline and flag, until a person takes them "
    "back. Costs nothing, and no answer is changed.",
    epilog=examples(
        "backlinks days list  # what is out, by whom, and what detection found by itself",
        'backlinks days exclude 2026-11-20 --note "half the index was missing"  # the flags of the day go',
        "backlinks days include 2026-11-20  # they come back as they were",
    ),
)

Until = Annotated[dt.date | None, date_option("The last day of a span; DATE alone if left out.", "--until")]
OfMetric = Annotated[str | None, typer.Option("--metric", metavar="METRIC", help="This metric only.")]
OfTarget = Annotated[
    str | None, typer.Option("--target", metavar="TARGET", help="This target only.", autocompletion=watched)
]
Note = Annotated[str, typer.Option("--note", metavar="WORDS", help="Why, in a few words.")]
By = Annotated[str | None, typer.Option("--by", metavar="WHO", help="Who says so; your login name if left out.")]
NoRebuild = Annotated[
    bool, typer.Option("--no-rebuild", help="Do not evaluate the days again now: the automation does the last seven.")
]


@app.command("list", epilog=examples("backlinks days list --json  # for a program"))
def list_days(as_json: JsonOption = False) -> None:
    """List what was said of days and found by detection, and whether their readings are out now."""
    from backlinks_assets.cli.day_list import show_days

    raise typer.Exit(show_days(as_json=as_json))


@app.command(
    epilog=examples(
        "backlinks days exclude 2026-11-20  # all targets and metrics",
        "backlinks days exclude 2026-11-20 --until 2026-11-22 --metric spam_score  # a span, one metric",
        'backlinks days exclude 2026-11-20 --target example.com --note "the site moved" --by Ada  # one target',
    )
)
def exclude(
    date: Annotated[dt.date, date_argument("The day, or the first of a span.")],
    until: Until = None,
    metric: OfMetric = None,
    target: OfTarget = None,
    note: Note = "",
    by: By = None,
    no_rebuild: NoRebuild = False,
) -> None:
    """Take a day's readings out of baselines and flags, and evaluate that day and those after it again."""
    from backlinks_assets.cli.day_verdicts import Said, say

    raise typer.Exit(say(Said(False, date, until or date, metric, target, note, by), rebuild=not no_rebuild))


@app.command(
    epilog=examples(
        "backlinks days include 2026-11-20  # whoever took it out: a person, or detection itself",
        "backlinks days include 2026-11-20 --until 2026-11-22  # a span",
    )
)
def include(
    date: Annotated[dt.date, date_argument("The day, or the first of a span.")],
    until: Until = None,
    metric: OfMetric = None,
    target: OfTarget = None,
    note: Note = "",
    by: By = None,
    no_rebuild: NoRebuild = False,
) -> None:
    """Take a day's readings back into baselines and flags, and evaluate that day and those after it again.

    A day that detection itself found to be the vendor's fault comes back whole only: without --metric and --target.
    """
    from backlinks_assets.cli.day_verdicts import Said, say

    raise typer.Exit(say(Said(True, date, until or date, metric, target, note, by), rebuild=not no_rebuild))
