"""Reads a probe's stored answers, chooses its targets, and makes the calls that are missing, within the day's budget.

Which calls these are is `calls.py`. They go through the same collector, limits, ledger and store as every call.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from backlinks_assets.collect.collector import StopError, refuse_beyond_budget
from backlinks_assets.collect.factory import open_collector, open_store
from backlinks_assets.collect.outcome import Bought, CollectRequest, Outcome
from backlinks_assets.dataforseo.endpoint import Tariff
from backlinks_assets.formatting import counted
from backlinks_assets.probe.calls import ENDPOINTS, LOSSES, SUMMARIES, UNKNOWN, Answers, Plan, price_usd, spread
from backlinks_assets.probe.findings import most_lost
from backlinks_assets.settings import Settings
from backlinks_assets.store.answers import StoredAnswers
from backlinks_assets.store.budget import Budget
from backlinks_assets.tables.live_links import LIVE_TABLES, live_links
from backlinks_assets.tables.parquet import days
from backlinks_assets.targets.target import Target
from backlinks_assets.targets.watch import only_full_because

MAX_DAYS: Final = 14
"""A probe's days are compared for so long; after them it begins anew."""

Now = Callable[[], dt.datetime]


def stored(settings: Settings) -> dict[dt.date, Answers]:
    """Return the answers of the latest probe by day, oldest first; raises StoreError."""
    with open_store(settings) as store:
        return _latest(store)


def _latest(store: StoredAnswers) -> dict[dt.date, Answers]:
    held = store.dates(ENDPOINTS)
    return {
        day: {name: list(store.answers(day, name)) for name in ENDPOINTS}
        for day in held
        if held[-1] - day <= dt.timedelta(days=MAX_DAYS)
    }


def plan_of(settings: Settings, day: dt.date, watched: Sequence[Target], many: int) -> Plan:
    """Return a day's plan: the targets that the probe has read before, or some of all sizes.

    A target that bulk calls can't count, or were refused for, is not chosen. Without one the plan has no targets.
    """
    with open_store(settings) as store:
        left_out = store.left_out()
        found = {at: of for at, of in _latest(store).items() if day - at <= dt.timedelta(days=MAX_DAYS)}
    names = [
        one.target
        for one in watched
        if one.active_on(day) and only_full_because(one.overrides) is None and one.target not in left_out
    ]
    read = dict.fromkeys(one.target for of in found.values() for one in of[SUMMARIES.name])
    before = [name for name in read if name in names and name != UNKNOWN]
    if any(at < day for at in found) and before:
        return Plan(day, tuple(before), found)
    more = [name for name in spread(names, _sizes(settings.root), many) if name not in before]
    return Plan(day, tuple([*before, *more][: max(many, len(before))]), found)


def _sizes(root: Path) -> dict[str, int]:
    """Return the live links of each target in the newest day of each way of watching."""
    found: dict[str, int] = {}
    for table in LIVE_TABLES:
        if held := days(root, table):
            found |= live_links(root, table, held[-1])
    return found


def missing(plan: Plan) -> list[CollectRequest]:
    """Return what is still to be requested, one for each call: whose lost links are listed is known after the counts."""
    found = plan.missing()
    is_counted = not any(one.endpoint is LOSSES for one in found)
    return [*found, *plan.links(_to_list(plan) if is_counted else plan.targets[0])]


def _to_list(plan: Plan) -> str | None:
    losses = plan.days.get(plan.day, {}).get(LOSSES.name, ())
    return most_lost(losses, plan.since.month, plan.targets)


def check_budget(
    settings: Settings, plan: Plan, requests: Sequence[CollectRequest], tariffs: Mapping[str, Tariff]
) -> None:
    """Raise StopError where the day's budget has no room for all calls together: a part of them answers nothing."""
    budget = Budget(settings.budget_usd_per_day, settings.expected_price_usd)
    needs = f"The probe needs {counted(len(requests), 'call')}"
    price, fewer = price_usd(requests, tariffs), "probe fewer with --targets, "
    with open_store(settings) as store:
        refuse_beyond_budget(store, plan.day, budget, price, needs, otherwise=fewer)


def buy(settings: Settings, plan: Plan, now: Now | None, on_outcome: Callable[[], None]) -> Bought[str]:
    """Make the calls of a plan that are missing: summaries first, then bulk calls for the targets that these accept.

    One call's refusal stops no other, but for a refusal of the account. `on_outcome` is called after each request.
    """
    done = Bought[str]()
    good = {one.target for one in _collect(settings, plan.summaries(), now, done, on_outcome) if one.error is None}
    readable = [name for name in plan.targets if name in good]
    if done.stopped is None and readable:
        _collect(settings, plan.in_bulk(readable), now, done, on_outcome)
    if done.stopped is None:
        plan = replace(plan, days={**plan.days, **stored(settings)})
        _collect(settings, plan.links(_to_list(plan)), now, done, on_outcome)
    return done


def _collect(
    settings: Settings,
    requests: Sequence[CollectRequest],
    now: Now | None,
    done: Bought[str],
    on_outcome: Callable[[], None],
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    if not requests:
        return outcomes
    together = requests[0].endpoint is SUMMARIES  # all others are few, and an outcome does not name its endpoint
    with open_collector(settings, now=now) as collector:
        try:
            for part in [list(requests)] if together else [[one] for one in requests]:
                for outcome in collector.collect(part):
                    outcomes.append(outcome)
                    done.calls += outcome.calls
                    done.cost_usd += outcome.cost_usd
                    if outcome.error is not None:
                        done.failed[_named(part, outcome)] = outcome.error
                    on_outcome()
        except StopError as error:
            done.stopped = str(error)
    return outcomes


def _named(part: Sequence[CollectRequest], outcome: Outcome) -> str:
    one = part[0]
    since = one.parameters.options.get("date_from")
    of = f" since {since}" if since else ""
    about = "" if "targets" in one.parameters.options else f" of {outcome.target}"
    made_up = " with the made-up name" if UNKNOWN in one.parameters.options.get("targets", ()) else ""
    return f"{(one.endpoint.route or '').split('/')[-2]}{about}{of}{made_up}"
