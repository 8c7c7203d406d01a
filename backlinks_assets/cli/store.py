"""`backlinks store`: the response store as a whole. The calls and their options only; what they do is `store_copy.py`."""

from typing import Annotated

import typer

from backlinks_assets.cli.options import WIDTH, examples

app = typer.Typer(
    name="store",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings=WIDTH,
    help="The response store: all answers that were paid for, and what each call cost.",
)


@app.callback()
def _store() -> None:
    """Let `copy` be a call of `store`, though it is the only one."""


@app.command(
    epilog=examples(
        "backlinks store copy --to postgresql://me:password@db.example/backlinks  # from one machine to many",
        "backlinks store copy  # to BACKLINKS_DATABASE_URL, which keeps the password out of the shell's history",
        more="Exit status: 0 all is there; 1 a run is at work, or the database could not be reached; 2 the URL can't be used.",
    )
)
def copy(
    to: Annotated[
        str | None, typer.Option(metavar="URL", help="The Postgres database; BACKLINKS_DATABASE_URL if left out.")
    ] = None,
) -> None:
    """Copy the embedded store into a Postgres database, and compare both.

    May be repeated, also after an interruption: what is there already is left alone. The embedded store stays as it is.
    """
    from backlinks_assets.cli.store_copy import copy_to

    raise typer.Exit(copy_to(to))
