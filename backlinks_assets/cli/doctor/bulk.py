"""The doctor's check of watching in bulk: whether somebody tried it on this account, by `backlinks probe`."""

from backlinks_assets.cli.doctor.finding import Finding
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import watched_targets
from backlinks_assets.formatting import counted
from backlinks_assets.probe.findings import find
from backlinks_assets.probe.trial import stored
from backlinks_assets.probe.verdict import code, verdict
from backlinks_assets.settings import Settings
from backlinks_assets.targets.target import TargetsError
from backlinks_assets.targets.watch import is_in_bulk


def bulk(settings: Settings) -> Finding:
    """Count the targets in bulk, and say what the probe found, or that none was run."""
    try:
        watched = watched_targets(settings)
    except TargetsError:  # `targets` says so
        return Finding("no target can be read")
    day = utc_now().date()
    many = sum(one.active_on(day) and is_in_bulk(one, settings.watch) for one in watched)
    if not many:
        return Finding("no target is watched in bulk")
    says = f"{counted(many, 'target')} {'is' if many == 1 else 'are'} watched in bulk"
    if settings.simulated:
        return Finding(f"{says}, by the simulator; with an account begin with `backlinks probe`")
    if not (days := stored(settings)):
        return Finding(
            f"{says}, which was never tried on this account nor by the makers of this program: nobody knows whether bulk numbers "
            "move with the summaries'. Run `backlinks probe`, on two days",
            note=True,
        )
    found = find(days)
    return Finding(
        f"{says}. Probe of {' and '.join(map(str, found.days))}: {verdict(found)}", note=code(found) != "bulk"
    )
