"""`backlinks store copy`: moves the embedded store into a database that machines share, and says what was counted."""

import sys
from collections.abc import Callable
from contextlib import ExitStack, closing

from backlinks_assets.account.lockfile import is_locked
from backlinks_assets.cli.console import (
    STOPPED,
    UsageError,
    complain,
    out,
    progress,
    settings_and_notices,
    shown,
    table,
)
from backlinks_assets.postgres_url import PostgresUrl
from backlinks_assets.settings import Settings
from backlinks_assets.store.copying import Copied, copy_store
from backlinks_assets.store.database import Database
from backlinks_assets.store.postgres import PostgresDatabase

_NAMES = {
    "responses": "answers",
    "api_calls": "calls",
    "evidence": "answers that could not be used",
    "verdicts": "verdicts about days",
    "incident_verdicts": "verdicts about incidents",
}


def copy_to(text: str | None) -> int:
    """Copy the store; return the exit status."""
    settings = settings_and_notices()
    place = _target(text, settings)
    if settings.base_url is None:
        raise UsageError(
            "The store here has what the simulator inside this process answers, which machines don't share. Set "
            "DATAFORSEO_LOGIN and DATAFORSEO_PASSWORD, and copy your own."
        )
    if not settings.store_file.exists():
        raise UsageError(
            f"{shown(settings.store_file)} is not there: there is nothing to copy. See BACKLINKS_DATA_DIR."
        )
    with (
        closing(Database(settings.store_file)) as source,
        closing(PostgresDatabase(place)) as target,
        ExitStack() as stack,
    ):

        def step(days: int) -> Callable[[], None]:
            return stack.enter_context(progress("Copying days", days))

        copied = copy_store(source, target, lambda: _at_work(settings), step)
    _say(copied, place)
    if any(one.there < one.rows for one in copied):
        complain(
            f"Not all of it is in {place} as it is here: that has other answers under the same keys, and they stay. Nothing "
            f"is lost: {shown(settings.store_file)} stays too. Compare both before you go on."
        )
        return STOPPED
    out().print(
        f"\nAll of it is in {place}. Next: set BACKLINKS_DATABASE_URL to it in the .env of each machine, restart Dagster, and "
        f"let `backlinks doctor` look. {shown(settings.store_file)} is not read any more then: move it to your backups."
    )
    return 0


def _target(text: str | None, settings: Settings) -> PostgresUrl:
    if text is None:
        if settings.database_url is None:
            raise UsageError("Say where to: `backlinks store copy --to URL`, or set BACKLINKS_DATABASE_URL.")
        return settings.database_url
    try:
        return PostgresUrl.parse(text)
    except ValueError as error:
        raise UsageError(f"The URL after --to {error}") from None


def _at_work(settings: Settings) -> list[str]:
    """Return the numbers of the processes that have the embedded store open."""
    owners = sorted((settings.limits_dir / "owners").glob("*.lock"))
    return [file.name.partition("-")[0] for file in owners if is_locked(file)]


def _say(copied: list[Copied], place: PostgresUrl) -> None:
    if not sys.stdout.isatty():
        for one in copied:
            print(one.table, one.rows, one.there, one.written, sep="\t")
        return
    listed = table(f"Copied to {place}")
    for title in ("", "here", "there, the same", "written now"):
        listed.add_column(title, justify="right" if title else "left")
    for one in copied:
        listed.add_row(_NAMES[one.table], *(f"{number:,}" for number in (one.rows, one.there, one.written)))
    out().print(listed)
