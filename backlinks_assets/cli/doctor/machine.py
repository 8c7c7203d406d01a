"""The doctor's checks of this machine: folders, locks, store, tables, channels of announcements, versions.

Each tries what it calls fine: it writes, locks, opens, parses. Nothing is spent and nothing is sent.
"""

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from backlinks_assets.anchor import OWN_VARIABLES, Anchor, AnchorError, env_variables
from backlinks_assets.cli.console import STOPPED, UNUSABLE, describe, shown
from backlinks_assets.cli.doctor.finding import Finding
from backlinks_assets.collect.caller import MIN_FREE_BYTES
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.announce import saved_cursor
from backlinks_assets.folder import FolderError, next_step, try_folder
from backlinks_assets.formatting import counted
from backlinks_assets.notify.channels import channels_of
from backlinks_assets.notify.cursor import CursorError
from backlinks_assets.paths import parquet_path
from backlinks_assets.settings import Settings
from backlinks_assets.tables.client_logs import remove_client_logs
from backlinks_assets.tables.parquet import days
from backlinks_assets.tables.schemas import TABLES

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
    """Open the store, and count its days and today's calls."""
    with open_store(settings) as opened:
        dates = opened.dates()
        today = opened.day_costs(utc_now().date())
    stored = f"{counted(len(dates), 'day')} stored, {dates[0]} to {dates[-1]}" if dates else "nothing stored yet"
    return Finding(f"{stored}; today {today.calls:,} calls, ${today.cost_usd:,.6g}")


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
    """Have apprise parse each URL, and read what the sensor's last tick could not send. No URL is shown."""
    if not settings.notify_urls:
        return Finding("none are sent; BACKLINKS_NOTIFY_URLS names the channels")
    channels, unusable = channels_of(settings.notify_urls)
    if unusable:
        return Finding("\n".join(unusable), UNUSABLE)
    named = ", ".join(f"number {channel.number} {channel.scheme}" for channel in channels)
    says = f"{counted(len(channels), 'channel')} ({named}), served while Dagster's daemon runs"
    if problems := _not_sent(settings):
        return Finding(f"{says}. At the last look: {' '.join(problems)}", note=True)
    return Finding(says)


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
