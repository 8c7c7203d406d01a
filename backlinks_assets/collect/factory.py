"""Opens and closes the parts around a piece of work: simulator or API, client, account, store.

Used by Dagster's resources and the command alike. What the parts do is in their own rooms; the environment is
`settings.py`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from backlinks_assets import paths
from backlinks_assets.account.leases import FileLease, Lease
from backlinks_assets.account.limiter import AccountLimiter, Limiter
from backlinks_assets.collect.bulk import BulkCollector
from backlinks_assets.collect.caller import Caller
from backlinks_assets.dataforseo.client import Client, max_seconds
from backlinks_assets.dataforseo.endpoint import Tariff
from backlinks_assets.folder import next_step
from backlinks_assets.settings import Settings
from backlinks_assets.store.budget import Budget
from backlinks_assets.store.bulk import BulkStore
from backlinks_assets.store.database import StoreDatabase, StoreError, metadata
from backlinks_assets.store.opening import open_database, open_tables
from backlinks_assets.store.outage import Patience
from backlinks_assets.targets.file import load_targets
from backlinks_assets.targets.name import is_reserved_example
from backlinks_assets.targets.target import BadLine, Problem, WatchList


def slot_held_s(settings: Settings) -> float:
    """Return how long the slot of a killed or timed-out call stays taken, since the server may go on: 135 s for 120 s."""
    return max_seconds(settings.read_timeout_s) * 27 / 26


@contextmanager
def open_store(settings: Settings) -> Iterator[BulkStore]:
    """Yield the response store of these settings, which is made where it is missing.

    Raises:
        StoreError: the folder could not be written, the database could not be reached, or the store is damaged or holds
            answers of another origin.
    """
    with closing(open_database(settings.store)) as database, _opened(settings, database, Patience(0)) as (store, _):
        yield store


@contextmanager
def open_collector(
    settings: Settings,
    *,
    began: datetime | None = None,
    now: Callable[[], datetime] | None = None,
    any_day: bool = False,
    evidence_usd: float | None = None,
    tariffs: Mapping[str, Tariff] | None = None,
) -> Iterator[BulkCollector]:
    """Yield a collector over the API, or over a simulator in this process where the settings have no base URL.

    `began` is when the run was requested, if earlier than now. `now` is the store's clock, if no other is given. `any_day`:
    calls about days that are over are made too. `evidence_usd`: it buys evidence, one call at a time, under this cap. `tariffs`
    are the account's own prices by endpoint: room in the budget is reserved by them, and by the built-in ones else.
    """
    with ExitStack() as stack:
        patience = Patience()
        database = stack.enter_context(closing(open_database(settings.store)))
        store, lease = stack.enter_context(_opened(settings, database, patience))
        now = now or store.now
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
        caller = Caller(
            client=client,
            limiter=_limiter(settings, database),
            store=store,
            owner=lease.name,
            budget=Budget(
                settings.budget_usd_per_day,
                settings.expected_price_usd,
                evidence_usd,
                "BACKLINKS_EVIDENCE_USD_PER_DAY",
            ),
            any_day=settings.simulated or any_day,
            space_in=settings.root,
            began=began or now(),
            now=now,
            stop=patience.stop,
            tariffs=tariffs or {},
        )
        billed_after = timedelta(seconds=slot_held_s(settings))
        at_once = settings.calls_at_once if evidence_usd is None else 1
        yield BulkCollector(caller, store, at_once=at_once, billed_after=billed_after)


@contextmanager
def open_limiter(settings: Settings) -> Iterator[Limiter]:
    """Yield the account's limits, to look at: nothing is made or connected to yet."""
    if settings.database_url is None:
        yield _limiter(settings, None)
        return
    with closing(open_database(settings.database_url)) as database:
        yield _limiter(settings, database)


def _limiter(settings: Settings, database: StoreDatabase | None) -> Limiter:
    """Return the account's limits: of this machine, or of all that share a database."""
    limits = settings.calls_per_minute, settings.calls_at_once, slot_held_s(settings)
    if settings.database_url is None or database is None:
        return AccountLimiter(settings.limits_dir, *limits)
    from backlinks_assets.account.shared_limiter import SharedLimiter

    return SharedLimiter(database.engine, *limits)


@contextmanager
def _opened(settings: Settings, database: StoreDatabase, patience: Patience) -> Iterator[tuple[BulkStore, Lease]]:
    waiting = None if settings.database_url is None else paths.waiting_dir(settings.root)
    with _lease(settings, database) as lease:
        yield BulkStore(database, lease, settings.origin, patience, waiting), lease


@contextmanager
def _lease(settings: Settings, database: StoreDatabase) -> Iterator[Lease]:
    try:
        settings.root.mkdir(parents=True, exist_ok=True)
        lease = FileLease(settings.limits_dir / "owners") if settings.database_url is None else _shared_lease(database)
    except OSError as error:
        raise StoreError(
            f"{settings.limits_dir} could not be used ({error.strerror}). {next_step(error.errno)}"
        ) from None
    with closing(lease):
        yield lease


def _shared_lease(database: StoreDatabase) -> Lease:
    from backlinks_assets.account.shared import metadata as account_metadata
    from backlinks_assets.account.shared_lease import SharedLease

    open_tables(database, metadata, account_metadata)
    return SharedLease(database.engine)


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
