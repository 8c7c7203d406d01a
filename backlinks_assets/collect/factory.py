"""Puts the parts together for one process: simulator or API, client, account, store.

Here belongs what is opened and closed around a piece of work, by Dagster's resources and the command alike. What the
parts do is in their own packages; the environment is `settings.py`.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta

from backlinks_assets.account.leases import Owner
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
from backlinks_assets.targets.target import BadLine, Problem, Target, WatchList


def slot_kept_s(settings: Settings) -> float:
    """Return how long the slot of a call abandoned by a kill or a time-out is left alone: the server may go on.

    A little longer than the client waits: 135 s for 120 s.
    """
    return max_seconds(settings.read_timeout_s) * 27 / 26


@contextmanager
def open_store(settings: Settings) -> Iterator[ResponseStore]:
    """Yield the response store of these settings' kind of answers, made if it is not there.

    Raises:
        StoreError: the folder can't be written, or the store is damaged or holds other answers.
    """
    with _opened(settings) as (store, _):
        yield store


@contextmanager
def open_collector(
    settings: Settings, *, began: datetime | None = None, now: Callable[[], datetime] = utc_now
) -> Iterator[Collector]:
    """Yield a collector over the API, or over a simulator of this process where the settings ask for it.

    `began` is when the run was asked for, where that is not now.
    """
    with ExitStack() as stack:
        store, owner = stack.enter_context(_opened(settings))
        if settings.base_url is None:
            from backlinks_assets.simulator.http.server import Simulator

            settings = settings.at(stack.enter_context(Simulator()).url)
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
            call_timeout_s=slot_kept_s(settings),
        )
        caller = Caller(
            client=client,
            limiter=limiter,
            store=store,
            owner=owner.name,
            budget=Budget(settings.budget_usd_per_day, settings.expected_price_usd),
            any_day=settings.simulated,
            space_in=settings.root,
            began=began or now(),
            now=now,
        )
        billed_after = timedelta(seconds=slot_kept_s(settings))
        yield Collector(caller, at_once=settings.calls_at_once, billed_after=billed_after)


@contextmanager
def _opened(settings: Settings) -> Iterator[tuple[ResponseStore, Owner]]:
    database = Database(settings.store_file)
    try:
        try:
            owner = Owner(settings.limits_dir / "owners")
        except OSError as error:
            raise StoreError(
                f"{settings.limits_dir} can't be used ({error.strerror}). {next_step(error.errno)}"
            ) from None
        try:
            yield ResponseStore(database, owner, settings.origin), owner
        finally:
            owner.close()
    finally:
        database.close()


def watched_targets(settings: Settings) -> WatchList:
    """Return the targets of the file, retired ones too, with every column checked.

    Lines that can't be used are passed over and are in the list's `bad_lines`; also names that only the simulator
    knows, where the API is real.

    Raises:
        TargetsError: the file as a whole can't be used, or none of its lines can.
    """
    watched = load_targets(settings.targets_file)
    if settings.accepts_example_targets:
        return watched
    examples = [_example(target) for target in watched if is_reserved_example(target.target)]
    real = [target for target in watched if not is_reserved_example(target.target)]
    watched = WatchList(watched.source, real, [*watched.bad_lines, *examples])
    if not watched:
        raise watched.refusal()
    return watched


def _example(one: Target) -> BadLine:
    problem = Problem(one.line, one.target, "is an example that exists only in the simulator: replace it by your own.")
    return BadLine(one.line, one.target, one.target, (problem,), one.thresholds)
