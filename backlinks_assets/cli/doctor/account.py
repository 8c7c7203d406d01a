"""The doctor's checks of the account and of what is requested of it: credentials, balance, targets, schedule, limits."""

import contextlib
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Final

from backlinks_assets.cli.console import STOPPED, UNUSABLE, shown
from backlinks_assets.cli.doctor.finding import Finding
from backlinks_assets.collect.chunks import Calls, bulk_calls
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_limiter, watched_targets
from backlinks_assets.collect.prices import Prices
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoints.index import INDEX
from backlinks_assets.dataforseo.endpoints.summary import SUMMARY
from backlinks_assets.dataforseo.endpoints.user_data import USER_DATA, price_list
from backlinks_assets.dataforseo.errors import RequestError, TransientError
from backlinks_assets.formatting import counted
from backlinks_assets.settings import TARGETS_PER_SAMPLE, Settings
from backlinks_assets.simulator.http.server import Simulator
from backlinks_assets.targets.target import TargetsError
from backlinks_assets.targets.watch import DayWays, stay_full_said, ways_of_day

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
    day_calls, found = _day(settings), _price(data)
    calls, price = sum(each.calls for each in day_calls), settings.expected_price_usd if found is None else found
    prices = Prices({}, "built-in") if settings.simulated else Prices(price_list(data), "account")
    usd = sum(
        each.calls * price if each.endpoint == SUMMARY.name else each.price_usd(prices.of(each.endpoint))
        for each in day_calls
    )
    if settings.simulated:
        says = "no credentials are needed: the bundled simulator answers. For real answers put yours into .env"
        day = f"; a day of your {calls:,} calls would then cost ${usd:,.2f}"
        return Finding(says + (day if calls else ""))
    says = f"{settings.base_url} accepts the credentials and the account may make calls"
    balance = _dict(data.get("money")).get("balance")
    if isinstance(balance, int | float):
        says += f"; balance ${balance:,.2f}"
        if balance <= 0:
            return Finding(f"{says}: top it up in the vendor's dashboard before a run.", STOPPED)
    says += f"; a call costs ${price:,.6g}"
    if calls:
        says += f", a day of your {calls:,} calls ${usd:,.2f}"
        if isinstance(balance, int | float) and balance < usd:
            return Finding(f"{says}: the balance does not cover a day. Top it up.", STOPPED)
    budget = settings.budget_usd_per_day
    if budget is None:
        return Finding(f"{says}; no budget is set: BACKLINKS_BUDGET_USD_PER_DAY caps a UTC day", note=True)
    return Finding(f"{says}; the budget is ${budget:,.2f} a UTC day")


def _day(settings: Settings) -> list[Calls]:
    """Return the calls of a day: summaries, of the control sample too, and those in bulk."""
    try:
        ways = _ways(settings)
    except TargetsError:  # `targets` says so
        return []
    summaries = 2 * len(ways.full)
    return [Calls(SUMMARY.name, summaries, summaries), *bulk_calls(one.target for one in ways.bulk)]


def _ways(settings: Settings) -> DayWays:
    """Return how each target is read today; raises TargetsError."""
    day = utc_now().date()
    return ways_of_day(watched_targets(settings), day, settings.watch, settings.control_targets, TARGETS_PER_SAMPLE)


def _price(data: dict[str, Any]) -> float | None:
    """Return the account's own price of a summary, None where its data have none."""
    tariff = price_list(data).get(SUMMARY.name)
    return tariff.price_usd(1) if tariff else None


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
    calls = sum(each.calls for each in _day(settings))
    says = f"{active:,} active of {len(watched):,} in {shown(settings.targets_file)}: {calls:,} calls a day"
    if watched.bad_lines:
        bad = f"{counted(len(watched.bad_lines), 'line')} can't be used:\n{_first_problems(watched.refusal())}"
        return Finding(f"{says}; {bad}", UNUSABLE)
    kept = stay_full_said((one for one in watched if one.active_on(utc_now().date())), settings.watch)
    return Finding(f"{says}. {kept}" if kept else says, note=bool(kept))


def _first_problems(error: TargetsError) -> str:
    first, more = str(error).splitlines()[:MAX_PROBLEMS], len(error.problems) - MAX_PROBLEMS
    return "\n".join(first + ([f"and {more:,} more: `backlinks targets check` names all"] if more > 0 else []))


def schedule(settings: Settings) -> Finding:
    """Say when the daily schedules are due, and which are needed."""
    due = settings.schedule.next_after(utc_now())
    try:
        ways = _ways(settings)
    except TargetsError:  # `targets` says so
        needed = ["daily_collect_schedule"]
    else:
        needed = ["daily_collect_schedule"] if ways.full or not ways.bulk else []
        needed += ["daily_bulk_collect_schedule"] if ways.bulk else []
    named = f"{' and '.join(needed)} {'are' if len(needed) > 1 else 'is'}"
    return Finding(f"`{settings.schedule.text}` (UTC), next at {due:%Y-%m-%d %H:%M}, while {named} on and Dagster runs")


def limits(settings: Settings) -> Finding:
    """Read the account's limits and what lowers them now."""
    with open_limiter(settings) as limiter:
        state = limiter.state()
    says = f"{state.calls_per_minute:,} calls a minute, {state.calls_at_once} at once; {state.slots_held} are under way"
    if state.machines is not None:
        pace = f"paced at {state.paced_per_minute:,.0f} a minute"
        says += f", {pace}, for all machines together; {counted(state.machines, 'machine')} at work now"
    if state.slots_waiting:
        says += f", {state.slots_waiting} more slots wait for calls of a process that ended"
    if state.paused_s:
        says += f"; paused for {state.paused_s:.0f} s more, since the API said that the rate was exceeded"
    if state.lowered_to is not None:
        says += f"; lowered to {state.lowered_to} at once for {state.lowered_s:.0f} s more, since the API said so"
    return Finding(says, note=bool(state.paused_s) or state.lowered_to is not None)
