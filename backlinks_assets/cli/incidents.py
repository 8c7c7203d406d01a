"""`backlinks incidents`: what is being done about what was flagged. The calls and their options only.

What they do is `incident_work.py` and `incident_csv.py`, imported when they are needed.
"""

import datetime as dt
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from backlinks_assets.cli.options import WIDTH, JsonOption, examples, future_option, group_option
from backlinks_assets.incidents.incident import REASONS, STATES

app = typer.Typer(
    name="incidents",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=WIDTH,
    help="What was flagged and what is being done about it. An incident is a target's metric that moved one way: a flag opens "
    "it, later ones join it, and it ends by itself when three readings in a row are usual. Costs nothing.",
    epilog=examples(
        "backlinks incidents list  # what is not resolved, worst first",
        'backlinks incidents ack kqwzrt4b --note "asked the client"  # somebody looks into it',
        "backlinks incidents resolve kqwz --reason expected  # the first letters are enough where no other ID has them",
        more="Exit status: 0 done; 2 the ID is unknown or that of several, or the file can't be used: nothing was changed.",
    ),
)


class Reason(StrEnum):
    """What an incident was, by a person."""

    REAL, EXPECTED, FALSE, VENDOR, DUPLICATE = REASONS


Id = Annotated[str, typer.Argument(metavar="ID", help="The incident's ID, or its first letters.")]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="What the others should know.")]
By = Annotated[str | None, typer.Option("--by", metavar="WHO", help="Who says so; your login name if left out.")]


@app.command(
    "list",
    epilog=examples(
        'backlinks incidents list --group "Acme"  # one client\'s, by the groups of the targets file',
        "backlinks incidents list --state open,acknowledged  # what nobody has put off",
        "backlinks incidents list --state resolved  # what was resolved within 90 days",
        "backlinks incidents list | cut -f 1,4,5  # in a pipe: a line an incident, separated by tabs",
        "backlinks incidents list --json  # for a program: all columns",
    ),
)
def list_incidents(
    group: Annotated[str | None, group_option("Only this group's targets.")] = None,
    state: Annotated[
        str | None,
        typer.Option(metavar="STATES", help=f"{', '.join(STATES)}, with commas between; all but resolved if left out."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the incidents as they stand now, worst first."""
    from backlinks_assets.cli.incident_work import show_incidents

    raise typer.Exit(show_incidents(group, state, as_json=as_json))


@app.command(epilog=examples('backlinks incidents ack kqwzrt4b --note "asked the client"  # somebody looks into it'))
def ack(incident: Id, note: Note = "", by: By = None) -> None:
    """Say that somebody looks into an incident. A critical one that nobody does is announced once more."""
    from backlinks_assets.cli.incident_work import act

    raise typer.Exit(act(incident, "ack", note=note, by=by))


@app.command(
    epilog=examples(
        'backlinks incidents snooze kqwzrt4b --until 2026-12-15 --note "the migration ends then"  # till then'
    )
)
def snooze(
    incident: Id,
    until: Annotated[dt.date, future_option("The day on which it is open again, in 90 days at most.", "--until")],
    note: Note = "",
    by: By = None,
) -> None:
    """Put an incident off. It is open again on that day, and earlier when it turns critical or doubles."""
    from backlinks_assets.cli.incident_work import act

    raise typer.Exit(act(incident, "snooze", until=until, note=note, by=by))


@app.command(
    epilog=examples(
        "backlinks incidents resolve kqwzrt4b --reason real  # it happened, and was dealt with",
        'backlinks incidents resolve kqwzrt4b --reason expected --note "our own clean-up"  # its readings leave the baselines',
    )
)
def resolve(
    incident: Id,
    reason: Annotated[
        Reason,
        typer.Option(
            help="What it was. Readings of `expected` and `vendor` stay out of baselines, until it is reopened."
        ),
    ],
    note: Note = "",
    by: By = None,
) -> None:
    """Close an incident. A later flag of the same opens another one."""
    from backlinks_assets.cli.incident_work import act

    raise typer.Exit(act(incident, "resolve", reason=str(reason), note=note, by=by))


@app.command(epilog=examples("backlinks incidents reopen kqwzrt4b  # a mistake, or it goes on"))
def reopen(incident: Id, note: Note = "", by: By = None) -> None:
    """Open an incident again that was resolved, acknowledged or put off. Its readings count in baselines again."""
    from backlinks_assets.cli.incident_work import act

    raise typer.Exit(act(incident, "reopen", note=note, by=by))


@app.command("export", epilog=examples("backlinks incidents export verdicts.csv  # all that was ever said"))
def export_csv(file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Where to write.")]) -> None:
    """Write all that was said of incidents to a CSV, in the order in which it was said."""
    from backlinks_assets.cli.incident_csv import export_to

    raise typer.Exit(export_to(file))


@app.command(
    "import",
    epilog=examples("backlinks incidents import verdicts.csv  # may be repeated: what is there is passed over"),
)
def import_csv(file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="What `export` wrote.")]) -> None:
    """Read what was said of incidents from a CSV: all of it, or nothing where a line can't be used."""
    from backlinks_assets.cli.incident_csv import import_from

    raise typer.Exit(import_from(file))
