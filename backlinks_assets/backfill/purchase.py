"""Buys the windows that are still missing, through the same collector, limits, ledger and store as every bulk call.

Here belong which targets are back-filled, and what came of it. Which windows is `windows.py`; the table is `files.py`.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, closing

from backlinks_assets.backfill.first_readings import first_readings
from backlinks_assets.backfill.windows import Plan, plan_of
from backlinks_assets.collect.bulk import BulkCollector
from backlinks_assets.collect.bulk_day import BulkTarget
from backlinks_assets.collect.collector import StopError
from backlinks_assets.collect.factory import open_store
from backlinks_assets.collect.outcome import Bought
from backlinks_assets.settings import Settings
from backlinks_assets.targets.target import Target
from backlinks_assets.targets.watch import line_of, only_full_because


def countable(targets: Iterable[Target], today: dt.date) -> tuple[list[Target], dict[str, str]]:
    """Return the active targets that bulk calls can count, and why others can't be: their own parameters."""
    active = [one for one in targets if one.active_on(today)]
    whys = {one.target: why for one in active if (why := only_full_because(one.overrides))}
    return [one for one in active if one.target not in whys], {
        target: f"it has {why}, which bulk calls do not know" for target, why in whys.items()
    }


def planned(settings: Settings, today: dt.date, targets: Sequence[Target], days: int) -> Plan:
    """Return what is still to be bought. A target without a reading is taken to have its first one today.

    Raises:
        StoreError, TablesError: the store or a table can't be read.
    """
    names = [one.target for one in targets]
    with open_store(settings) as store:
        first = dict.fromkeys(names, today) | first_readings(settings.root, store, names)
        return plan_of(store, today, first, days)


def buy(collector: AbstractContextManager[BulkCollector], plan: Plan, targets: Sequence[Target]) -> Bought[str]:
    """Make the calls of a plan; what fails is in the result, by target. The collector is opened only where there are any.

    Raises:
        StoreError: the store can't be used.
    """
    done = Bought[str]()
    if not plan.calls:
        return done
    lines = [BulkTarget(one.target, line=line_of(one)) for one in targets]
    with collector as opened, closing(opened.collect_calls(plan.calls, lines, plan.known)) as outcomes:
        try:
            for outcome in outcomes:
                done.calls += outcome.calls
                done.cost_usd += outcome.cost_usd
                done.failed = outcome.failed | done.failed
        except StopError as error:
            done.stopped = str(error)
    return done
