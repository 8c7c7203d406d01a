"""How `--help` is laid out: a line to a call, options in two columns, examples as they are typed.

The texts are beside the calls. Plain in a pipe, headings in bold on a terminal, and nothing of rich is imported.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from backlinks_assets.cli.console import no_colour

WIDEST = {"max_content_width": 100}
"""For `context_settings`: longer lines are hard to read, however wide the terminal is."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on the last line of stdout.")]


def examples(lines: Mapping[str, str], more: str = "") -> str:
    """Return an epilog of commands, each under a few words on what it does; `more` is a paragraph after them."""
    typed = "\n".join(f"  # {what}\n  {command}" for command, what in lines.items())
    return f"Examples:\n{typed}" + (f"\n\n{more}" if more else "")


class _Laid:
    """What group and command have in common; typer's own layout is asked for without its boxes."""

    epilog: str | None

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, options and calls in two columns; a name in capitals needs no type beside it."""
        for heading, kind in (("Arguments", "argument"), ("Options", "option")):
            kept = [one for one in self.get_params(ctx) if one.param_type_name == kind]  # type: ignore[attr-defined]
            records = [record for record in (one.get_help_record(ctx) for one in kept) if record]
            if records:
                with formatter.section(heading):
                    formatter.write_dl([(re.sub(r" <[^>]+>", "", name), said) for name, said in records])
        if isinstance(self, TyperGroup):
            self.format_commands(ctx, formatter)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line: TARGET, not {TARGET}."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]  # type: ignore[misc]

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        """Write the examples as they are, line by line, and what follows them as a paragraph."""
        typed, _, more = (self.epilog or "").partition("\n\n")
        if typed:
            formatter.write(f"\n{typed}\n")
        if more:
            formatter.write_paragraph()
            formatter.write_text(more)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, headings and the comments of examples set apart where there are colours."""
        super().format_help(ctx, formatter)  # type: ignore[misc]
        text = formatter.getvalue()
        if not no_colour():
            text = re.sub(r"^[A-Z][a-z]+:", lambda found: typer.style(found[0], bold=True), text, flags=re.MULTILINE)
            text = re.sub(r"^  # .*$", lambda found: typer.style(found[0], dim=True), text, flags=re.MULTILINE)
        formatter.buffer = [text]


class Command(_Laid, TyperCommand):
    """One call."""


class Group(_Laid, TyperGroup):
    """Several calls under one name."""
