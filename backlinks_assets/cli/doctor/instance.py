"""The doctor's checks of Dagster: its instance, its daemon, and runs whose process is gone.

Reading only: no instance is made where there is none, and no run is changed.
"""

import os
import time
from typing import Final

from dagster._core.scheduler.instigation import InstigatorStatus

from backlinks_assets.anchor import Anchor
from backlinks_assets.cli.console import shown
from backlinks_assets.cli.doctor.finding import Finding
from backlinks_assets.dagster_instance.home import open_instance, server_of
from backlinks_assets.defs.dead_runs import dead_runs
from backlinks_assets.defs.partitions import first_target_day
from backlinks_assets.formatting import counted
from backlinks_assets.settings import Settings

SILENT_S: Final = 300.0
"""A daemon without a heartbeat for so long is not at work; it sends one every 30 s."""
MAX_NAMED: Final = 3


def instance(settings: Settings) -> Finding:
    """Count the runs, and see when the daemon was last heard of."""
    server = server_of(settings)
    says = f"runs are recorded in {shown(settings.dagster_dir)}"
    if server is not None:
        says = f"runs are recorded by Postgres {server.version} at {server.place}"
    if settings.dagster_dir.is_dir() if server is None else server.has_instance:
        runs, heard_s, waiting = _state(settings)
        says += f": {counted(runs, 'run')}"
        if heard_s is not None and heard_s < SILENT_S:
            says += "; the daemon is at work"
        elif waiting:
            since = "never" if heard_s is None else f"{heard_s / 3600:,.1f} h ago"
            says += f"; schedules or sensors are on ({waiting}), but the daemon that looks at them was last heard of {since}"
            return Finding(f"{says}. Start it: `make ui`, or docs/deploy.md.", note=True)
    says += f"; targets have partitions from {first_target_day(settings)} on"
    home = os.environ.get("DAGSTER_HOME")
    if not home:
        return Finding(f"{says}; `make ui` shows them")
    if Anchor.of(os.environ).is_dagster_home:
        return Finding(f"{says}; DAGSTER_HOME, {home}, leads there")
    return Finding(
        f"{says}, but DAGSTER_HOME is {home}, whose dagster.yaml is not this project's: a `dagster` command of your own "
        "does not see them. Unset it or use `make ui`.",
        note=True,
    )


def _state(settings: Settings) -> tuple[int, float | None, int]:
    """Return how many runs there are, seconds since a daemon was heard of, and how many schedules and sensors are on."""
    with open_instance(settings) as opened:
        beats = [status.last_heartbeat for status in opened.get_daemon_statuses().values()]
        heard = max((beat.timestamp for beat in beats if beat is not None), default=None)
        on = opened.all_instigator_state(instigator_statuses={InstigatorStatus.RUNNING})
        return opened.get_runs_count(), None if heard is None else time.time() - heard, len(on)


def runs(settings: Settings) -> Finding:
    """Count the runs whose process is gone."""
    server = server_of(settings)
    in_folder = (settings.dagster_dir / "history" / "runs.db").exists()
    if not (in_folder if server is None else server.has_instance):
        return Finding("no run is recorded yet")
    with open_instance(settings) as opened:
        dead = dead_runs(opened)
    if not dead:
        return Finding("no run has lost its process")
    names = ", ".join(run.run_id for run in dead[:MAX_NAMED]) + (" and others" if len(dead) > MAX_NAMED else "")
    return Finding(
        f"the process of {counted(len(dead), 'unfinished run')} is gone, killed or stopped with the machine ({names}). "
        "Dagster counts them as running: they fill its queue, and may hold a pool. `make ui` marks them failed within a "
        "minute, the next `backlinks run` at its start",
        note=True,
    )
