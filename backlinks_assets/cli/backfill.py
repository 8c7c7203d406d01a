"""`backlinks backfill`: the lost links of the days before targets' first readings, bought after one question.

Here belong what is typed and printed. What is bought, and the table made of it, is `backfill/`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from backlinks_assets.backfill.purchase import countable, planned
from backlinks_assets.backfill.windows import Plan
from backlinks_assets.cli.console import INCOMPLETE, UsageError, agrees, complain, err, out, settings_and_notices
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import watched_targets
from backlinks_assets.formatting import counted, dollars, visible
from backlinks_assets.published.publication import bring
from backlinks_assets.settings import Settings
from backlinks_assets.targets.name import normalised_or_none
from backlinks_assets.targets.target import WatchList


def back_fill(names: Sequence[str], days: int, *, yes: bool, as_json: bool) -> int:
    """Buy what is missing once a person agrees, and build `lost_history`; print what came of it, return the exit status.

    Raises:
        UsageError: a name is that of no watched target.
        RunFailedError: the run was stopped, by the budget for instance; what was paid for is stored.
    """
    settings, today = settings_and_notices(), utc_now().date()
    bring(settings)
    watched = watched_targets(settings)
    chosen = _chosen(watched, names)
    targets, passed_over = countable((one for one in watched if not chosen or one.target in chosen), today)
    plan = planned(settings, today, targets, days)
    if plan.calls and not agrees(
        "Buy?",
        lambda: f"Lost links of the days before the first reading: {_price_said(plan)}.",
        unasked=yes or settings.simulated,
    ):
        err().print(f"Nothing was bought: {_price_said(plan)}. `--yes` buys without a question.")
        return INCOMPLETE
    from backlinks_assets.cli.execution import opened

    with opened(settings, day=today) as pipeline:
        done = pipeline.back_fill(sorted(chosen), days, len(targets))
    without = {**passed_over, **done["failed"], **done["refused"]}
    without = {target: why for target, why in sorted(without.items()) if not chosen or target in chosen}
    if as_json:
        print(json.dumps(_as_json(str(today), settings, done, without)))
    else:
        out().print(_said(done))
        for target, why in without.items():
            complain(f"{visible(target)}: {why}.")
    return INCOMPLETE if without else 0


def _chosen(watched: WatchList, names: Sequence[str]) -> set[str]:
    chosen = {normalised_or_none(name) or name for name in names}
    if unknown := sorted(chosen - {one.target for one in watched}):
        raise UsageError(
            f"The targets file has no {', '.join(map(visible, unknown))}. `backlinks targets list` names all that it has."
        )
    return chosen


def _price_said(plan: Plan) -> str:
    return f"{counted(plan.targets, 'target')}, {counted(len(plan.calls), 'call')}, {dollars(plan.price_usd())} at most"


def _said(done: Mapping[str, Any]) -> str:
    bought = f"{counted(done['calls'], 'call')}, {dollars(done['cost_usd'])}."
    if not done["dagster/row_count"]:
        return (
            f"{bought} lost_history has no row yet: which days are before a target's first reading is known once it has one. "
            "Read today with `backlinks run`, then run this again: it costs nothing more."
        )
    return (
        f"{bought} lost_history has {counted(done['dagster/row_count'], 'row')} of {counted(done['targets'], 'target')}, "
        f"{done['first_day']} to {done['last_day']}."
    )


def _as_json(today: str, settings: Settings, done: Mapping[str, Any], without: Mapping[str, str]) -> dict[str, Any]:
    return {
        "date": today,
        "simulated": settings.simulated,
        "targets": done["targets"],
        "rows": done["dagster/row_count"],
        "first_day": done["first_day"] or None,
        "last_day": done["last_day"] or None,
        "failed": [{"target": target, "reason": why} for target, why in without.items()],
        "calls": done["calls"],
        "cost_usd": done["cost_usd"],
    }
