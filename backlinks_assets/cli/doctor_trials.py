"""The doctor's checks of this machine: folders, locks, tables, places of announcements and Dagster's instance.

Each tries what it calls fine: it writes, locks, opens, parses. The account and the targets are `doctor.py`. Nothing is
spent and nothing is sent.
"""

import os
import shutil
import time
from pathlib import Path

from backlinks_assets.anchor import OWN_VARIABLES, Anchor, AnchorError, env_variables
from backlinks_assets.cli.console import STOPPED, UNUSABLE, describe, shown
from backlinks_assets.cli.finding import Finding
from backlinks_assets.collect.caller import SPACE_KEPT_BYTES
from backlinks_assets.folder import FolderError, next_step, try_folder
from backlinks_assets.formatting import counted
from backlinks_assets.settings import Settings

SILENT_S = 300.0
"""A daemon that has not been heard of for so long is not at work; it speaks every 30 s."""


def anchor(_settings: Settings) -> Finding:
    """Say which folder relative paths start from and which `.env` is read."""
    found = Anchor.of(os.environ)
    read = "whose .env is read" if found.env_file.is_file() else "which has no .env"
    says = f"relative folders start from {found.folder} ({found.name}), {read}"
    differing = _set_otherwise(found)
    if not differing:
        return Finding("settings", says)
    return Finding(
        "settings",
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
    try:
        try_folder(settings.root)
        try_folder(settings.limits_dir)
        _open_for_writing(settings.limits_dir)
    except FolderError as error:
        return Finding("folder", str(error), STOPPED)
    free = shutil.disk_usage(settings.root).free
    if free < SPACE_KEPT_BYTES:
        return Finding(
            "folder", f"Only {free >> 20} MiB are free for {shown(settings.root)}. Free some space.", STOPPED
        )
    return Finding("folder", f"{shown(settings.root)} can be written and locked; {free / 2**30:,.1f} GiB free")


def _open_for_writing(limits: Path) -> None:
    """Open each file there as a run would: one run by root leaves files that others can't write."""
    for path in sorted(limits.iterdir()):
        try:
            if path.is_file():
                os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            raise FolderError(f"{path} can't be written ({error.strerror}). {next_step(error.errno)}") from None


def tables(settings: Settings) -> Finding:
    """Read the newest parquet file of each table as far as its footer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from backlinks_assets.tables.atomic import TablesError
    from backlinks_assets.tables.parquet import days, parquet_path
    from backlinks_assets.tables.schemas import TABLES

    newest = []
    for table in TABLES:
        try:
            if not (held := days(settings.root, table)):
                continue
            newest.append(held[-1])
            pq.read_metadata(path := parquet_path(settings.root, table, held[-1]))
        except TablesError as error:
            return Finding("tables", str(error), STOPPED)
        except (OSError, pa.ArrowException) as error:
            says = f"{shown(path)} can't be read ({str(error).splitlines()[0]}). Remove it and build {held[-1]} again"
            return Finding("tables", f"{says}: its answers are kept, so that costs nothing.", STOPPED)
    if not newest:
        return Finding("tables", "none are built yet")
    return Finding("tables", f"{counted(len(newest), 'table')} can be read, up to {max(newest)}")


def announcements(settings: Settings) -> Finding:
    """Have apprise parse each URL; none is shown."""
    if not settings.notify_urls:
        return Finding("announcements", "none are sent; BACKLINKS_NOTIFY_URLS names where to")
    from backlinks_assets.notify.channels import places_of

    places, refused = places_of(settings.notify_urls, b"")
    if refused:
        return Finding("announcements", "\n".join(refused), UNUSABLE)
    named = ", ".join(f"number {place.number} {place.scheme}" for place in places)
    return Finding("announcements", f"{counted(len(places), 'place')} ({named}), told while Dagster's daemon runs")


def instance(settings: Settings) -> Finding:
    """Ask Dagster's instance for its runs, and when its daemon was last heard of."""
    says = f"runs are recorded in {shown(settings.dagster_dir)}"
    if settings.dagster_dir.is_dir():
        try:
            runs, heard_s, waiting = _asked(settings)
        except Exception as error:
            sentence, status = describe(error)
            if sentence is None:
                raise
            return Finding("dagster", sentence, status)
        says += f": {counted(runs, 'run')}"
        if heard_s is not None and heard_s < SILENT_S:
            says += "; the daemon is at work"
        elif waiting:
            since = "never" if heard_s is None else f"{heard_s / 3600:,.1f} h ago"
            says += f"; schedules or sensors are on ({waiting}), but the daemon that looks at them was last heard of {since}"
            return Finding("dagster", f"{says}. Start it: `make ui`, or docs/deploy.md.", note=True)
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        return Finding("dagster", f"{says}; `make ui` shows them")
    if Anchor.of(os.environ).is_dagster_home:
        return Finding("dagster", f"{says}; DAGSTER_HOME, {shown(Path(home))}, leads there")
    return Finding(
        "dagster",
        f"{says}, but DAGSTER_HOME is {home}, whose dagster.yaml is not this project's: a `dagster` command of your own "
        "does not see them. Unset it or use `make ui`.",
        note=True,
    )


def _asked(settings: Settings) -> tuple[int, float | None, int]:
    """Return how many runs there are, seconds since a daemon was heard of, and how many schedules and sensors are on."""
    from dagster import DagsterInstance
    from dagster._core.scheduler.instigation import InstigatorStatus

    from backlinks_assets.dagster_instance.home import open_instance

    opened: DagsterInstance
    with open_instance(settings) as opened:
        beats = [status.last_heartbeat for status in opened.get_daemon_statuses().values()]
        heard = max((beat.timestamp for beat in beats if beat is not None), default=None)
        on = opened.all_instigator_state(instigator_statuses={InstigatorStatus.RUNNING})
        return opened.get_runs_count(), None if heard is None else time.time() - heard, len(on)
