"""What `backlinks doctor` says of Dagster's runs: those whose process is gone are counted, and who ends them is told.

Reading only: no instance is made where there is none, and no run is changed.
"""

import sqlalchemy as sa

from backlinks_assets.formatting import counted
from backlinks_assets.settings import Settings


def dead_runs_said(settings: Settings) -> tuple[str, bool]:
    """Return a sentence about the runs of these settings' instance, and whether all is well."""
    if not (settings.dagster_dir / "history" / "runs.db").exists():
        return "no run is recorded yet", True
    from backlinks_assets.dagster_instance.home import open_instance
    from backlinks_assets.defs.dead_runs import dead_runs

    try:
        with open_instance(settings) as instance:
            dead = dead_runs(instance)
    except (OSError, sa.exc.SQLAlchemyError) as error:
        reason = getattr(error, "orig", None) or error  # without the statement and SQLAlchemy's own advice
        return f"the runs in {settings.dagster_dir / 'history'} could not be read ({reason})", False
    if not dead:
        return "no run has lost its process", True
    names = ", ".join(run.run_id for run in dead[:3]) + (" and others" if len(dead) > 3 else "")
    says = (
        f"the process of {counted(len(dead), 'unfinished run')} is gone, killed or stopped with the machine ({names}). "
        "Dagster counts them as running: they fill its queue, and may hold a pool. `make ui` marks them failed within a "
        "minute, the next `backlinks run` at its start"
    )
    return says, False
