"""`backlinks announce --test`: one message to each place, and what came of it. Announcing itself is a sensor's."""

import os

from rich.markup import escape

from backlinks_assets.cli.console import STOPPED, UNUSABLE, UsageError, complain, err, out, settings_and_notices, shown
from backlinks_assets.formatting import counted
from backlinks_assets.notify.channel_file import described
from backlinks_assets.notify.channels import SendError, has_places, places_of, send
from backlinks_assets.notify.templates import Message
from backlinks_assets.settings import Settings
from backlinks_assets.targets.file import load_targets
from backlinks_assets.targets.target import TargetsError


def send_test() -> int:
    """Send a test message to each place, print what came of each, and return the exit status.

    Raises:
        UsageError: there is no place to send to.
    """
    settings = settings_and_notices()
    if not has_places(settings):
        raise UsageError(
            f"There is no place to send to. Set BACKLINKS_NOTIFY_URLS in .env, or name channels in "
            f"{shown(settings.channels_file)}; docs/announcements.md says how."
        )
    places = places_of(settings, _groups(settings), os.urandom(16))
    for warning in places.warnings:
        err().print(f"[yellow]Note:[/] {escape(warning)}")
    failed = len(places.problems)
    for channel in places.channels:
        says = f"This place gets: {described(channel.rule)}."
        message = Message(
            "Backlinks: a test message", (), "It works: this was sent by `backlinks announce --test`.", (says,)
        )
        try:
            send(channel, message)
        except SendError as error:
            failed += 1
            out().print(f"[bold red]failed[/]  {escape(f'{channel}: {error}.')}")
        else:
            out().print(f"[green]sent[/]    {escape(f'{channel}: {described(channel.rule)}.')}")
    for problem in places.problems:
        complain(problem)
    if not places.channels:
        return UNUSABLE
    if failed:
        complain(f"{counted(failed, 'place')} got nothing. Correct the URL, and send again.")
    return STOPPED if failed else 0


def _groups(settings: Settings) -> list[str] | None:
    try:
        return load_targets(settings.targets_file, allow_none=True).groups
    except TargetsError:  # `backlinks targets check` says why
        return None
