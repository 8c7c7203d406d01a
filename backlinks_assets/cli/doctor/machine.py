"""The doctor's checks of this machine: folders, locks, store, tables, channels of announcements, versions.

Each tries what it calls fine: it writes, locks, opens, parses. Nothing is spent and nothing is sent.
"""

import datetime as dt
import importlib.metadata
import os
import platform
import shutil
from contextlib import closing
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from backlinks_assets.anchor import OWN_VARIABLES, Anchor, AnchorError, env_variables
from backlinks_assets.cli.console import STOPPED, UNUSABLE, describe, shown
from backlinks_assets.cli.doctor.finding import Finding
from backlinks_assets.collect.caller import MIN_FREE_BYTES
from backlinks_assets.collect.factory import open_store
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.announce import saved_cursor
from backlinks_assets.folder import FolderError, next_step, try_folder
from backlinks_assets.formatting import counted
from backlinks_assets.notify.channels import has_places, places_of
from backlinks_assets.notify.cursor import CursorError
from backlinks_assets.paths import parquet_path, waiting_dir
from backlinks_assets.postgres_url import PostgresUrl
from backlinks_assets.settings import Settings
from backlinks_assets.tables.client_logs import remove_client_logs
from backlinks_assets.tables.parquet import days
from backlinks_assets.tables.schemas import TABLES
from backlinks_assets.targets.file import load_targets
from backlinks_assets.targets.target import TargetsError

CLOCKS_APART_S: Final = 60.0
_PACKAGES: Final = ("dagster", "duckdb", "pandas", "pyarrow", "requests")


def anchor(_settings: Settings) -> Finding:
    """Say which folder relative paths start from and which `.env` is read."""
    found = Anchor.of(os.environ)
    read = "whose .env is read" if found.env_file.is_file() else "which has no .env"
    says = f"relative folders start from {found.folder} ({found.name}), {read}"
    if not (differing := _set_otherwise(found)):
        return Finding(says)
    return Finding(
        f"{says}. The .env of {found.other} says otherwise of {', '.join(differing)}, and a Dagster process that is started "
        "there reads it first: start it elsewhere, or make both files the same.",
        note=True,
    )


def _set_otherwise(found: Anchor) -> list[str]:
    """Return the names of the variables that the other folder's `.env` sets to another value than is in use."""
    if not found.is_dagster_home or found.other is None:
        return []
    try:
        theirs = env_variables(found.other)
    except AnchorError:
        return []
    return sorted(
        name for name, value in theirs.items() if name.startswith(OWN_VARIABLES) and found.env.get(name, "") != value
    )


def folder(settings: Settings) -> Finding:
    """Write, lock and open a database in the folder of answers and in that of the limits."""
    try_folder(settings.root)
    try_folder(settings.limits_dir)
    _open_for_writing(settings.limits_dir)
    free = shutil.disk_usage(settings.root).free
    if free < MIN_FREE_BYTES:
        return Finding(f"Only {free >> 20} MiB are free for {shown(settings.root)}. Free some space.", STOPPED)
    return Finding(f"{shown(settings.root)} can be written and locked; {free / 2**30:,.1f} GiB free")


def _open_for_writing(limits: Path) -> None:
    """Open each file there as a run would: one run by root leaves files that others can't write."""
    for path in sorted(limits.iterdir()):
        try:
            if path.is_file():
                os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            raise FolderError(f"{path} can't be written ({error.strerror}). {next_step(error.errno)}") from None


def store(settings: Settings) -> Finding:
    """Open the store, and count its days and today's calls; of a shared one name the server."""
    with open_store(settings) as opened:
        dates = opened.dates()
        today = opened.day_costs(opened.now().date())
    stored = f"{counted(len(dates), 'day')} stored, {dates[0]} to {dates[-1]}" if dates else "nothing stored yet"
    says = f"{stored}; today {today.calls:,} calls, ${today.cost_usd:,.6g}"
    return Finding(says) if settings.database_url is None else _of_server(settings, settings.database_url, says)


def _of_server(settings: Settings, url: PostgresUrl, says: str) -> Finding:
    from backlinks_assets.store.postgres import PostgresDatabase

    with closing(PostgresDatabase(url)) as database:
        version = database.version()
        apart_s = (dt.datetime.now(dt.UTC) - database.now()).total_seconds()
    says = f"{url}, Postgres {version}: {says}"
    if left := [file for file in waiting_dir(settings.root).glob("*.json") if file.is_file()]:
        says += (
            f"; {counted(len(left), 'answer')} in {shown(waiting_dir(settings.root))} belong to no call that it knows: "
            "was it restored to an earlier state, or is it another one?"
        )
    if abs(apart_s) > CLOCKS_APART_S:
        says += f"; this machine's clock is {apart_s:+,.0f} s off the server's, whose time counts. Set it"
    return Finding(says, note=bool(left) or abs(apart_s) > CLOCKS_APART_S)


def readers(settings: Settings) -> Finding:
    """Open the DuckDB file as a reader does, once what a client left beside it is gone."""
    file = settings.duckdb_file
    try:
        removed = ", ".join(remove_client_logs(file))
        if not file.exists():
            return Finding(f"{file.name} is made by the first day's tables")
        duckdb.connect(str(file), read_only=True).close()
    except (duckdb.Error, OSError) as error:
        first, *_ = str(error).splitlines()
        in_use, damaged = "Close the program that has it open for writing", "Run `backlinks run`, which makes it anew"
        return Finding(f"{shown(file)} can't be opened ({first}). {in_use if 'lock' in first else damaged}.", note=True)
    if removed:
        says = f"{removed} was removed, with which nobody could read {file.name}: a program has that open for writing. "
        return Finding(says + "Open it read-only there", note=True)
    return Finding(f"{shown(file)} can be opened")


def tables(settings: Settings) -> Finding:
    """Read the newest parquet file of each table as far as its footer."""
    newest = []
    for table in TABLES:
        if not (held := days(settings.root, table)):
            continue
        newest.append(held[-1])
        path = parquet_path(settings.root, table, held[-1])
        try:
            pq.read_metadata(path)
        except (OSError, pa.ArrowException) as error:
            says = (
                f"{shown(path)} could not be read ({str(error).splitlines()[0]}). Remove it and build {held[-1]} again"
            )
            return Finding(f"{says}: its answers are stored, so that costs nothing.", STOPPED)
    if not newest:
        return Finding("none are built yet")
    return Finding(f"{counted(len(newest), 'table')} can be read, up to {max(newest)}")


def announcements(settings: Settings) -> Finding:
    """Read `channels.toml`, have apprise parse each URL, and read what the sensor's last tick could not send.

    No URL is shown.
    """
    if not has_places(settings):
        return Finding(f"none are sent; BACKLINKS_NOTIFY_URLS or {settings.channels_file.name} name the channels")
    places = places_of(settings, _groups(settings))
    if places.problems:
        return Finding("\n".join([*places.problems, *places.warnings]), UNUSABLE)
    if not places.channels:
        return Finding(f"none are sent: {shown(settings.channels_file)} has no [[channel]]", note=True)
    named = ", ".join(str(channel) for channel in places.channels)
    says = f"{counted(len(places.channels), 'channel')} ({named}), served while Dagster's daemon runs"
    odd = [*places.warnings]
    if problems := _not_sent(settings):
        odd.append(f"At the last look: {' '.join(problems)}")
    return Finding(". ".join([says, *odd]), note=True) if odd else Finding(says)


def _groups(settings: Settings) -> list[str] | None:
    try:
        return load_targets(settings.targets_file, allow_none=True).groups
    except TargetsError:  # there is a finding of its own for it
        return None


def _not_sent(settings: Settings) -> list[str]:
    if not settings.dagster_dir.is_dir():
        return []
    try:
        with open_instance(settings) as opened:
            cursor = saved_cursor(opened)
    except CursorError as error:
        return [str(error)]
    except Exception as error:
        if describe(error)[0] is None:
            raise
        return []  # the instance has a finding of its own
    return cursor.problems if cursor else []


def versions(_settings: Settings) -> Finding:
    """Name the versions that a bug report needs."""
    named = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return Finding(f"Python {platform.python_version()}, {named}")
