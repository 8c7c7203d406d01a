"""`backlinks days exclude` and `include`: what a person says of days is stored, and the days are evaluated again.

The options are `days.py`; which readings a verdict takes out is `detection/vendor_faults.py`.
"""

import datetime as dt
from typing import NamedTuple

from backlinks_assets.cli.console import UsageError, err, me, out, settings_and_notices
from backlinks_assets.cli.day_list import find_faults, span
from backlinks_assets.cli.login import login
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store
from backlinks_assets.detection.metrics import SERIES
from backlinks_assets.errors import BacklinksError
from backlinks_assets.formatting import counted
from backlinks_assets.published.publication import bring
from backlinks_assets.settings import Settings
from backlinks_assets.store.verdicts import StoredVerdict
from backlinks_assets.tables.history import targets_with_answers
from backlinks_assets.tables.parquet import days, read_days
from backlinks_assets.targets.file import load_targets
from backlinks_assets.targets.name import normalised_or_none
from backlinks_assets.targets.target import TargetsError


class Said(NamedTuple):
    """What was typed after `exclude` or `include`."""

    counts: bool
    first: dt.date
    last: dt.date
    metric: str | None
    target: str | None
    note: str
    by: str | None


def say(said: Said, *, rebuild: bool) -> int:
    """Store a verdict and, with `rebuild`, evaluate its days and those after them again; return the exit status.

    Raises:
        UsageError: a day, the metric or the target can't be used; nothing was stored.
        RunFailedError: the days could not be evaluated again; the verdict is stored.
    """
    settings = settings_and_notices()
    bring(settings)
    target = _checked(settings, said)
    verdict = StoredVerdict(
        said.first, said.last, said.counts, said.by or login(), utc_now(), target, said.metric, said.note or None
    )
    with open_store(settings) as store:
        store.add_verdict(verdict)
    whose = f"{_of(verdict.metric, 'metric')} of {_of(verdict.target, 'target')}"
    state = "count again in" if said.counts else "are out of"
    out().print(f"{span(said.first, said.last)}: the readings of {whose} {state} baselines and flags.", markup=False)
    if said.counts and (target or said.metric):
        for fault in (one for one in find_faults(settings) if one.first <= said.last and said.first <= one.last):
            err().print(
                f"[yellow]Note:[/] detection found {span(fault.first, fault.last)} to be the vendor's fault for all targets. "
                "Such days come back whole only: without --metric and --target."
            )
    evaluated = [day for day in days(settings.root, "backlinks_flags") if day >= said.first]
    if not evaluated:
        out().print(f"No day from {said.first} on has been evaluated yet; it holds when one is.")
    elif rebuild:
        _evaluate(settings, evaluated[0], evaluated[-1])
    else:
        out().print(
            f"The flags of {counted(len(evaluated), 'day')} from {evaluated[0]} to {evaluated[-1]} are still those of before. "
            "While Dagster's daemon runs, the automation evaluates the last seven days again by itself; the same call without "
            "--no-rebuild evaluates all."
        )
    return 0


def _checked(settings: Settings, said: Said) -> str | None:
    """Return the target in its normal form, None for all. Raises UsageError for what can't be used."""
    if said.last < said.first:
        raise UsageError(f"The span ends before it begins: {said.last} is before {said.first}.")
    if said.last > utc_now().date():
        raise UsageError(f"{said.last} has not begun (UTC): nothing is known of its readings yet.")
    if said.metric is not None and said.metric not in SERIES:
        raise UsageError(f"{said.metric!r} is not a valid metric. Write {' or '.join(SERIES)}, or leave --metric out.")
    dates = days(settings.root, "backlinks_summary")
    if not dates:
        raise UsageError(f"No table is in {settings.root} yet. Make the first with `{me()} run`.")
    if said.target is None:
        return None
    target = normalised_or_none(said.target)
    try:
        known = {one.target for one in load_targets(settings.targets_file, allow_none=True)}
    except TargetsError:
        known = set()
    if target in known or target in targets_with_answers(settings.root, dates[-1], (dates[-1] - dates[0]).days + 1):
        return target
    raise UsageError(
        f"{said.target!r} is not a known target: it is neither in {settings.targets_file} nor in the tables. "
        f"`{me()} targets list --all` names those that are."
    )


def _evaluate(settings: Settings, first: dt.date, last: dt.date) -> None:
    from backlinks_assets.cli.execution import opened  # Dagster: `days list` does without

    before = read_days(settings.root, "backlinks_flags", first, last).num_rows
    err().print(f"{span(first, last)}: evaluated again from the tables. This makes no calls.")
    try:
        with opened(settings) as pipeline:
            pipeline.evaluate(first, last)
    except BacklinksError as error:
        error.add_note("What was said of the days is stored, and holds when they are evaluated again.")
        raise
    after = read_days(settings.root, "backlinks_flags", first, last).num_rows
    out().print(f"{span(first, last)}: {counted(after, 'flag')}, {before:,} before.")


def _of(name: str | None, what: str) -> str:
    return name if name is not None else f"all {what}s"
