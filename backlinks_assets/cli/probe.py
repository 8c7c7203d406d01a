"""`backlinks probe`: a few targets read in full and in bulk, on two days, and whether bulk moves with the summary.

What is requested and what the answers say is `probe/`.
"""

import json
import sys
from dataclasses import asdict
from typing import Any, Final

from rich.markup import escape

from backlinks_assets.cli.console import (
    INCOMPLETE,
    STOPPED,
    UsageError,
    agrees,
    complain,
    err,
    is_interactive,
    out,
    progress,
    settings_and_notices,
    shown,
)
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import watched_targets
from backlinks_assets.collect.outcome import Bought
from backlinks_assets.collect.prices import read_prices
from backlinks_assets.formatting import counted, visible
from backlinks_assets.probe.calls import Plan, price_usd
from backlinks_assets.probe.findings import Findings, find
from backlinks_assets.probe.trial import Now, buy, check_budget, missing, plan_of, stored
from backlinks_assets.probe.verdict import NO_ANSWER, code, sentences, verdict

MAX_NAMED: Final = 5
"""Calls that are named for each reason; `--json` names all."""
_HEADS: Final = {"equal": "Equal?", "moves": "Moves?", "unknown": "Unknown name", "losses": "Lost links"}


def show_probe(many: int, *, yes: bool, as_json: bool, now: Now | None = None) -> int:
    """Make the day's calls that are missing, once a person agrees, and print what all stored answers say.

    Returns the exit status. `now` is the clock, if not this machine's.

    Raises:
        StopError: the day's budget has no room for all calls; none was made.
        UsageError: nothing can be probed, or nothing is stored and a program did not say `--yes`.
    """
    settings = settings_and_notices()
    plan = plan_of(settings, (now or utc_now)().date(), watched_targets(settings), many)
    if not plan.targets:
        raise UsageError(
            f"No target of {shown(settings.targets_file)} can be watched in bulk, so there is nothing to probe. Add one with "
            "`backlinks targets add example.com`."
        )
    done = Bought[str]()
    agreed = True
    if requests := missing(plan):
        prices = read_prices(settings).tariffs
        price = price_usd(requests, prices)
        unasked = yes or settings.simulated
        if unasked or is_interactive():
            check_budget(settings, plan, requests, prices)
        agreed = agrees("Go on?", lambda: _cost_said(plan, len(requests), price), unasked=unasked)
        if agreed:
            steps = len(plan.summaries()) + len(plan.in_bulk(plan.targets)) + 1
            with progress(f"Probing {plan.day}", steps) as on_outcome:
                done = buy(settings, plan, now, on_outcome)
        elif not stored(settings):
            if not is_interactive():
                raise UsageError(
                    f"Nothing was probed yet: {counted(len(requests), 'call')} of ${price:,.2f} at most. Say --yes."
                )
            complain("Stopped before the first call: nothing was requested and nothing was paid.")
            return STOPPED
    days = stored(settings)
    if as_json:
        print(json.dumps(_as_json(find(days) if days else None, done), default=str))
    elif days:
        _print(find(days), done)
    _complain(done)
    if not agreed:
        err().print("Nothing was requested: this is what is stored. `--yes` reads again.")
    if done.stopped:
        return STOPPED
    return INCOMPLETE if done.failed else 0


def _complain(done: Bought[str]) -> None:
    """Name what failed, those with one reason together, and why the rest was not begun."""
    reasons: dict[str, list[str]] = {}
    for what, why in done.failed.items():
        reasons.setdefault(why.replace(done.stopped or "\0", "the reason below"), []).append(visible(what))
    for why, names in reasons.items():
        more = f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else ""
        complain(f"{', '.join(names[:MAX_NAMED])}{more}: {why}")
    if done.stopped:
        complain(done.stopped)


def _cost_said(plan: Plan, calls: int, price: float) -> str:
    return (
        f"The probe reads {counted(len(plan.targets), 'target')} and one made-up name in full and in bulk: "
        f"{counted(calls, 'call')}, ${price:,.2f} at most."
    )


def _print(found: Findings, done: Bought[str]) -> None:
    said = sentences(found)
    if not sys.stdout.isatty():
        for name, sentence in {**said, "verdict": verdict(found)}.items():
            print(name, visible(sentence), sep="\t")
        return
    console = out()
    when = " and ".join(map(str, found.days))
    simulated = " (simulated)" if found.simulated else ""
    console.print(f"[bold]Probe of {counted(found.targets, 'target')}, {when}{simulated}[/]")
    for name, sentence in said.items():
        console.print(f"\n[bold]{_HEADS[name]}[/] {escape(visible(sentence))}")
    console.print(f"\n[bold]Verdict:[/] {escape(verdict(found))}")
    console.print(f"\n{counted(done.calls, 'call')}, ${done.cost_usd:,.6g} now; ${found.cost_usd:,.6g} in all.")


def _as_json(found: Findings | None, done: Bought[str]) -> dict[str, Any]:
    bought = {
        "calls": done.calls,
        "cost_usd": round(done.cost_usd, 6),
        "failed": [{"what": what, "reason": why} for what, why in done.failed.items()],
    }
    if found is None:
        return {"days": [], **bought, "verdict": NO_ANSWER}
    in_all = {"cost_usd_in_all": round(found.cost_usd, 6)}
    words = {"sentences": sentences(found), "verdict": code(found), "says": verdict(found)}
    return {**asdict(found), **bought, **in_all, **words}
