"""`backlinks doctor`: free checks of everything a run needs, each fine or with what to do."""

import contextlib
import importlib.metadata
import json
import platform
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from rich.markup import escape

from backlinks_assets.account.limiter import AccountLimiter, LimiterError
from backlinks_assets.cli.console import STOPPED, UNUSABLE, me, out, settings_and_notices, shown, table
from backlinks_assets.cli.doctor_runs import dead_runs_said
from backlinks_assets.cli.doctor_trials import anchor, announcements, folder, instance, tables
from backlinks_assets.cli.finding import Finding
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store, watched_targets
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoints.index import INDEX
from backlinks_assets.dataforseo.endpoints.user_data import USER_DATA
from backlinks_assets.dataforseo.errors import ApiError, RequestError, TransientError
from backlinks_assets.formatting import counted
from backlinks_assets.settings import Settings
from backlinks_assets.store.database import StoreError
from backlinks_assets.tables.client_logs import remove_client_logs
from backlinks_assets.targets.file import TargetsError

_PACKAGES = ("dagster", "duckdb", "pandas", "pyarrow", "requests")
_PROBLEMS_TOLD = 3
_STYLES = {"fine": "green", "note": "yellow", "to do": "bold red"}


def examine(*, as_json: bool = False) -> int:
    """Tell of each thing looked at; return 0 where nothing is to be done, else the gravest exit status."""
    settings = settings_and_notices()
    checks: list[Callable[[Settings], Finding]]
    checks = [
        anchor, _account, folder, _store, _readers, _targets, _schedule, _limits, tables, announcements, instance, _runs,
        _versions,
    ]  # fmt: skip
    findings = [check(settings) for check in checks]
    status = max(finding.status for finding in findings)
    if as_json:
        told = [{"check": one.what, "state": one.mark, "status": one.status, "says": one.says} for one in findings]
        print(json.dumps({"status": status, "simulated": settings.simulated, "checks": told}))
    elif sys.stdout.isatty():
        _print_table(findings)
    else:
        for finding in findings:
            print(finding.mark, finding.what, " ".join(finding.says.split()), sep="\t")
    return status


def _print_table(findings: list[Finding]) -> None:
    listed = table("What a run needs")
    listed.show_header = False
    listed.add_column(no_wrap=True)
    listed.add_column(no_wrap=True)
    listed.add_column(overflow="fold", ratio=1)
    for finding in findings:
        listed.add_row(f"[{_STYLES[finding.mark]}]{finding.mark}[/]", finding.what, escape(finding.says))
    out().print(listed)
    todo = [finding.what for finding in findings if finding.status]
    if todo:
        out().print(f"\n[bold red]To do before a run:[/] {', '.join(todo)}.")
    else:
        out().print(f"\n[green]All that a run needs is there.[/] Next: [bold]{escape(me())} run[/]")


def _account(settings: Settings) -> Finding:
    with ExitStack() as stack:
        if settings.base_url is None:
            from backlinks_assets.simulator.http.server import Simulator

            settings = settings.at(stack.enter_context(Simulator()).url)
        assert settings.base_url is not None
        client = stack.enter_context(Client(settings.base_url, settings.login, settings.password))
        try:
            data = client.send(USER_DATA, None)
            # An account that is not verified passes the first and not the second. A server that does not have the
            # second says nothing about the account.
            with contextlib.suppress(RequestError, TransientError):
                client.send(INDEX, None)
        except ApiError as error:
            return Finding("account", error.message, STOPPED)
    if settings.simulated:
        says = "no credentials are needed: the bundled simulator answers. For real answers put yours into .env"
        return Finding("account", says + _first_day(settings))
    says = f"{settings.base_url} accepts the credentials and the account may make calls"
    balance, price = _dict(data.get("money")).get("balance"), _price(data)
    if isinstance(balance, int | float):
        says += f"; balance ${balance:,.2f}"
        if balance <= 0:
            return Finding("account", f"{says}: top it up in the vendor's dashboard before a run.", STOPPED)
    price = settings.expected_price_usd if price is None else price
    says += f"; a call costs ${price:,.6g}"
    if calls := _calls_a_day(settings):
        day = calls * price
        says += f", a day of your {calls:,} calls ${day:,.2f}"
        if isinstance(balance, int | float) and balance < day:
            return Finding("account", f"{says}: the balance does not cover a day. Top it up.", STOPPED)
    budget = settings.budget_usd_per_day
    if budget is None:
        return Finding("account", f"{says}; no budget is set: BACKLINKS_BUDGET_USD_PER_DAY caps a UTC day", note=True)
    return Finding("account", f"{says}; the budget is ${budget:,.2f} a UTC day")


def _first_day(settings: Settings) -> str:
    calls = _calls_a_day(settings)
    return (
        f"; a day of your {calls:,} calls would then cost ${calls * settings.expected_price_usd:,.2f}" if calls else ""
    )


def _calls_a_day(settings: Settings) -> int:
    try:
        return 2 * sum(target.active_on(utc_now().date()) for target in watched_targets(settings))
    except TargetsError:  # told by its own line
        return 0


def _price(data: dict[str, Any]) -> float | None:
    """Return `price.backlinks.summary.live`: a number, or the tariffs' cost of a request and of a row added up."""
    node: Any = data.get("price")
    for name in ("backlinks", "summary", "live"):
        node = _dict(node).get(name)
    parts: list[float] = []

    def walk(part: Any) -> None:
        if isinstance(part, int | float) and not isinstance(part, bool):
            parts.append(float(part))
        elif isinstance(part, list):
            for one in part:
                walk(_dict(one).get("cost") if isinstance(one, dict) and "cost" in one else one)
        elif isinstance(part, dict):
            for one in part.values():
                walk(one)

    walk(node)
    return sum(parts) if parts else None


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _store(settings: Settings) -> Finding:
    try:
        with open_store(settings) as store:
            dates = store.dates()
            today = store.day_costs(utc_now().date())
    except StoreError as error:
        return Finding("store", str(error), STOPPED)
    kept = f"{counted(len(dates), 'day')} kept, {dates[0]} to {dates[-1]}" if dates else "nothing kept yet"
    return Finding("store", f"{kept}; today {today.calls:,} calls, ${today.cost_usd:,.6g}")


def _readers(settings: Settings) -> Finding:
    """Open the DuckDB file as a reader does, once what a client left beside it is gone."""
    import duckdb

    file = settings.duckdb_file
    try:
        removed = ", ".join(remove_client_logs(file))
        if not file.exists():
            return Finding("readers", f"{file.name} is made by the first day's tables")
        duckdb.connect(str(file), read_only=True).close()
    except (duckdb.Error, OSError) as error:
        first, *_ = str(error).splitlines()
        todo = (
            "Close the program that has it open for writing"
            if "lock" in first
            else "Run `backlinks run`, which makes it anew"
        )
        return Finding("readers", f"{shown(file)} can't be opened ({first}). {todo}.", note=True)
    if removed:
        says = f"{removed} was removed, with which nobody could read {file.name}: a program has that open for writing. "
        return Finding("readers", says + "Open it read-only there", note=True)
    return Finding("readers", f"{shown(file)} can be opened")


def _targets(settings: Settings) -> Finding:
    try:
        targets = watched_targets(settings)
    except TargetsError as error:
        return Finding("targets", _first_problems(error), UNUSABLE)
    active = sum(target.active_on(utc_now().date()) for target in targets)
    if not active:
        return Finding(
            "targets", f"None of {shown(settings.targets_file)} is active: `backlinks targets add`.", UNUSABLE
        )
    says = f"{active:,} active of {len(targets):,} in {shown(settings.targets_file)}: {2 * active:,} calls a day"
    if targets.bad_lines:
        bad = f"{counted(len(targets.bad_lines), 'line')} can't be used:\n{_first_problems(targets.refusal())}"
        return Finding("targets", f"{says}; {bad}", UNUSABLE)
    return Finding("targets", says)


def _first_problems(error: TargetsError) -> str:
    first, more = str(error).splitlines()[:_PROBLEMS_TOLD], len(error.problems) - _PROBLEMS_TOLD
    return "\n".join(first + ([f"and {more:,} more: `backlinks targets check` names all"] if more > 0 else []))


def _schedule(settings: Settings) -> Finding:
    due = settings.schedule.next_after(utc_now())
    return Finding(
        "schedule",
        f"`{settings.schedule.text}` (UTC), next at {due:%Y-%m-%d %H:%M}, while daily_collect_schedule is on and Dagster runs",
    )


def _limits(settings: Settings) -> Finding:
    limiter = AccountLimiter(
        settings.limits_dir, calls_per_minute=settings.calls_per_minute, calls_at_once=settings.calls_at_once
    )
    try:
        state = limiter.state()
    except LimiterError as error:
        return Finding("limits", str(error), STOPPED)
    says = f"{state.calls_per_minute:,} calls a minute, {state.calls_at_once} at once; {state.slots_held} are under way"
    if state.slots_kept:
        says += f", {state.slots_kept} more places wait for calls of a process that ended"
    if state.paused_s:
        says += f"; paused for {state.paused_s:.0f} s more, since the API said that the rate was exceeded"
    if state.lowered_to is not None:
        says += f"; lowered to {state.lowered_to} at once for {state.lowered_s:.0f} s more, since the API said so"
    return Finding("limits", says, note=bool(state.paused_s) or state.lowered_to is not None)


def _runs(settings: Settings) -> Finding:
    says, well = dead_runs_said(settings)
    return Finding("runs", says, note=not well)


def _versions(_settings: Settings) -> Finding:
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    return Finding("versions", f"Python {platform.python_version()}, {versions}")
