"""How the command speaks: the two consoles, errors as sentences with their exit status, notices.

No call's own words; those are in its module.
"""

import sys

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
