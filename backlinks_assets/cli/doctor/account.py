"""The doctor's checks of the account and of what is requested of it: credentials, balance, targets, schedule, limits."""

import contextlib
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

from backlinks_assets.account.limiter import AccountLimiter
from backlinks_assets.cli.console import STOPPED, UNUSABLE, shown
from backlinks_assets.cli.doctor.finding import Finding
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import watched_targets
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoints.index import INDEX
from backlinks_assets.dataforseo.endpoints.user_data import USER_DATA
from backlinks_assets.dataforseo.errors import RequestError, TransientError
from backlinks_assets.formatting import counted
from backlinks_assets.settings import Settings
from backlinks_assets.simulator.http.server import Simulator
from backlinks_assets.targets.target import TargetsError

MAX_PROBLEMS: Final = 3


def account(settings: Settings) -> Finding:
    """Log in, and compare the balance with what a day costs."""
    with ExitStack() as stack:
        if settings.base_url is None:
            settings = replace(settings, base_url=stack.enter_context(Simulator()).url)
        assert settings.base_url is not None
        client = stack.enter_context(Client(settings.base_url, settings.login, settings.password))
        data = client.send(USER_DATA, None)
        # An account that is not verified passes the first and not the second. A server that does not have the
        # second says nothing about the account.
        with contextlib.suppress(RequestError, TransientError):
            client.send(INDEX, None)
    calls = _calls_per_day(settings)
    if settings.simulated:
        says = "no credentials are needed: the bundled simulator answers. For real answers put yours into .env"
        day = f"; a day of your {calls:,} calls would then cost ${calls * settings.expected_price_usd:,.2f}"
        return Finding(says + (day if calls else ""))
    says = f"{settings.base_url} accepts the credentials and the account may make calls"
    balance, price = _dict(data.get("money")).get("balance"), _price(data)
    if isinstance(balance, int | float):
        says += f"; balance ${balance:,.2f}"
        if balance <= 0:
            return Finding(f"{says}: top it up in the vendor's dashboard before a run.", STOPPED)
    price = settings.expected_price_usd if price is None else price
    says += f"; a call costs ${price:,.6g}"
    if calls:
        says += f", a day of your {calls:,} calls ${calls * price:,.2f}"
        if isinstance(balance, int | float) and balance < calls * price:
            return Finding(f"{says}: the balance does not cover a day. Top it up.", STOPPED)
    budget = settings.budget_usd_per_day
    if budget is None:
        return Finding(f"{says}; no budget is set: BACKLINKS_BUDGET_USD_PER_DAY caps a UTC day", note=True)
    return Finding(f"{says}; the budget is ${budget:,.2f} a UTC day")


def _calls_per_day(settings: Settings) -> int:
    try:
        return 2 * sum(target.active_on(utc_now().date()) for target in watched_targets(settings))
    except TargetsError:  # `targets` says so
        return 0


def _price(data: dict[str, Any]) -> float | None:
    """Return `price.backlinks.summary.live` in dollars a call, None where the account's data have none."""
    node: Any = data.get("price")
    for name in ("backlinks", "summary", "live"):
        node = _dict(node).get(name)
    return _cost(node)


def _cost(node: object) -> float | None:
    """Return a number as it is, and of tariffs the costs of a request and of a row added up."""
    if isinstance(node, int | float) and not isinstance(node, bool):
        return float(node)
    inner = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
    if isinstance(node, list):
        inner = [one["cost"] if isinstance(one, dict) and "cost" in one else one for one in inner]
    costs = [cost for one in inner if (cost := _cost(one)) is not None]
    return sum(costs) if costs else None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def targets(settings: Settings) -> Finding:
    """Read the targets file as a run does."""
    try:
        watched = watched_targets(settings)
    except TargetsError as error:
        return Finding(_first_problems(error), UNUSABLE)
    active = sum(target.active_on(utc_now().date()) for target in watched)
    if not active:
        return Finding(f"None of {shown(settings.targets_file)} is active: `backlinks targets add`.", UNUSABLE)
    says = f"{active:,} active of {len(watched):,} in {shown(settings.targets_file)}: {2 * active:,} calls a day"
    if watched.bad_lines:
        bad = f"{counted(len(watched.bad_lines), 'line')} can't be used:\n{_first_problems(watched.refusal())}"
        return Finding(f"{says}; {bad}", UNUSABLE)
    return Finding(says)


def _first_problems(error: TargetsError) -> str:
    first, more = str(error).splitlines()[:MAX_PROBLEMS], len(error.problems) - MAX_PROBLEMS
    return "\n".join(first + ([f"and {more:,} more: `backlinks targets check` names all"] if more > 0 else []))


def schedule(settings: Settings) -> Finding:
    """Say when the daily schedule is due."""
    due = settings.schedule.next_after(utc_now())
    return Finding(
        f"`{settings.schedule.text}` (UTC), next at {due:%Y-%m-%d %H:%M}, while daily_collect_schedule is on and Dagster runs"
    )


def limits(settings: Settings) -> Finding:
    """Read the account's limits and what lowers them now."""
    state = AccountLimiter(
        settings.limits_dir, calls_per_minute=settings.calls_per_minute, calls_at_once=settings.calls_at_once
    ).state()
    says = f"{state.calls_per_minute:,} calls a minute, {state.calls_at_once} at once; {state.slots_held} are under way"
    if state.slots_waiting:
        says += f", {state.slots_waiting} more slots wait for calls of a process that ended"
    if state.paused_s:
        says += f"; paused for {state.paused_s:.0f} s more, since the API said that the rate was exceeded"
    if state.lowered_to is not None:
        says += f"; lowered to {state.lowered_to} at once for {state.lowered_s:.0f} s more, since the API said so"
    return Finding(says, note=bool(state.paused_s) or state.lowered_to is not None)
