"""Opens and closes the parts around a piece of work: simulator or API, client, account, store.

Used by Dagster's resources and the command alike. What the parts do is in their own rooms; the environment is
`settings.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from backlinks_assets.account.leases import Lease
from backlinks_assets.account.limiter import AccountLimiter
from backlinks_assets.collect.caller import Caller
from backlinks_assets.collect.collector import Collector, utc_now
from backlinks_assets.dataforseo.client import Client, max_seconds
from backlinks_assets.folder import next_step
from backlinks_assets.settings import Settings
from backlinks_assets.store.budget import Budget
from backlinks_assets.store.database import Database, StoreError
from backlinks_assets.store.responses import ResponseStore
from backlinks_assets.targets.file import load_targets
from backlinks_assets.targets.name import is_reserved_example
from backlinks_assets.targets.target import BadLine, Problem, WatchList


def slot_held_s(settings: Settings) -> float:
    """Return how long the slot of a killed or timed-out call stays taken, since the server may go on: 135 s for 120 s."""
    return max_seconds(settings.read_timeout_s) * 27 / 26


@contextmanager
def open_store(settings: Settings) -> Iterator[ResponseStore]:
    """Yield the response store of these settings, which is made where it is missing.

    Raises:
        StoreError: the folder could not be written, or the store is damaged or holds answers of another origin.
    """
    with _opened(settings) as (store, _):
        yield store


@contextmanager
def open_collector(
    settings: Settings, *, began: datetime | None = None, now: Callable[[], datetime] = utc_now
) -> Iterator[Collector]:
    """Yield a collector over the API, or over a simulator in this process where the settings have no base URL.

    `began` is when the run was requested, if earlier than now.
    """
    with ExitStack() as stack:
        store, lease = stack.enter_context(_opened(settings))
        if settings.base_url is None:
            from backlinks_assets.simulator.http.server import Simulator

            settings = replace(settings, base_url=stack.enter_context(Simulator()).url)
        assert settings.base_url is not None
        client = stack.enter_context(
            Client(
                settings.base_url,
                settings.login,
                settings.password,
                is_real=not settings.simulated,
                connections=settings.calls_at_once,
                read_timeout_s=settings.read_timeout_s,
            )
        )
        limiter = AccountLimiter(
            settings.limits_dir,
            calls_per_minute=settings.calls_per_minute,
            calls_at_once=settings.calls_at_once,
            call_timeout_s=slot_held_s(settings),
        )
        caller = Caller(
            client=client,
            limiter=limiter,
            store=store,
            owner=lease.name,
            budget=Budget(settings.budget_usd_per_day, settings.expected_price_usd),
            any_day=settings.simulated,
            space_in=settings.root,
            began=began or now(),
            now=now,
        )
        billed_after = timedelta(seconds=slot_held_s(settings))
        yield Collector(caller, at_once=settings.calls_at_once, billed_after=billed_after)


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[ResponseStore, Lease]]:
    database = Database(settings.store_file)
    try:
        try:
            lease = Lease(settings.limits_dir / "owners")
        except OSError as error:
            raise StoreError(
                f"{settings.limits_dir} could not be used ({error.strerror}). {next_step(error.errno)}"
            ) from None
        try:
            yield ResponseStore(database, lease, settings.origin), lease
        finally:
            lease.close()
    finally:
        database.close()


def watched_targets(settings: Settings) -> WatchList:
    """Return the targets of the file, retired ones too, with every column checked.

    Lines that can't be used are in the list's `bad_lines`. So are names that only the simulator knows, where the API is
    real.

    Raises:
        TargetsError: the file as a whole can't be used, or none of its lines can.
    """
    watched = load_targets(settings.targets_file)
    if settings.accepts_example_targets:
        return watched
    why = "is an example that exists only in the simulator: replace it by your own."
    examples = [
        BadLine(one.line, one.target, one.target, (Problem(one.line, one.target, why),), one.thresholds)
        for one in watched
        if is_reserved_example(one.target)
    ]
    real = [target for target in watched if not is_reserved_example(target.target)]
    watched = WatchList(watched.source, real, [*watched.bad_lines, *examples])
    if not watched:
        raise watched.refusal()
    return watched
