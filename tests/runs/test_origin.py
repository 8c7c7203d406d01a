"""Whose answers a folder holds: decided by the first answer that is kept, not by whoever looked or tried first."""

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import faults
import pytest
from faults import Fault

from backlinks_assets.account.leases import FileLease, Lease
from backlinks_assets.account.shared_lease import SharedLease
from backlinks_assets.cli.doctor.examine import examine
from backlinks_assets.cli.run import run_day
from backlinks_assets.collect.collector import StopError, utc_now
from backlinks_assets.collect.factory import open_collector, open_store
from backlinks_assets.collect.outcome import CollectRequest, Outcome
from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.defs.metadata.tables import check_instance, record_origin
from backlinks_assets.postgres_url import PostgresUrl
from backlinks_assets.settings import Settings
from backlinks_assets.store import ledger
from backlinks_assets.store.answers import Key
from backlinks_assets.store.budget import Budget
from backlinks_assets.store.database import StoreError, metadata
from backlinks_assets.store.opening import open_database, open_tables
from backlinks_assets.store.responses import ResponseStore

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]

NOW = dt.datetime(2026, 11, 26, 7, tzinfo=dt.UTC)
PARAMETERS = RequestParameters()
REFUSED_ACCOUNT = Fault(faults.tasks_null(40104))
REFUSED_TARGET = Fault(faults.code(40501), charged=True)


@pytest.fixture(autouse=True)
def each_server_is_a_host_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """All servers of tests are on loopback, which is one origin: here each port is another."""
    monkeypatch.setattr(Settings, "origin", property(lambda settings: urlsplit(settings.base_url or "").netloc))
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def collect(*targets: str) -> tuple[list[Outcome], str | None]:
    asks = [CollectRequest(utc_now().date(), target, PARAMETERS) for target in targets]
    outcomes = []
    try:
        with open_collector(Settings.from_env()) as collector:
            outcomes.extend(collector.collect(asks))
    except StopError as error:
        return outcomes, str(error)
    return outcomes, None


def answers() -> int:
    with open_store(Settings.from_env()) as store:
        return len(store.stored_keys([utc_now().date()]))


def test_looking_at_an_empty_store_decides_nothing(api, write_targets, capsys) -> None:
    write_targets("shop.example")
    api()
    examine(as_json=True)  # another host's credentials were set that day
    capsys.readouterr()
    with open_store(Settings.from_env()) as store:
        assert store.dates() == []
    api()
    assert run_day(utc_now().date(), as_json=True, yes=True) == 0
    assert answers() == 2


@pytest.mark.first
@pytest.mark.parametrize("fault", [REFUSED_ACCOUNT, REFUSED_TARGET], ids=["the account", "the target"])
def test_a_host_that_only_refused_does_not_lock_out_the_next(api, write_targets, fault: Fault) -> None:
    write_targets("shop.example")
    sandbox = api(fault)
    assert run_day(utc_now().date(), as_json=True, yes=True) in (1, 3)
    assert sandbox.calls
    real = api()
    assert run_day(utc_now().date(), as_json=True, yes=True) == 0
    assert sum(call.target is not None for call in real.calls) == 2
    assert answers() == 2


def test_once_an_answer_is_kept_another_host_is_refused_before_any_call(api, write_targets, capsys) -> None:
    write_targets("shop.example")
    api()
    assert run_day(utc_now().date(), as_json=True, yes=True) == 0
    other = api()
    with pytest.raises(StoreError, match=r"holds answers from 127\.0\.0\.1:.*BACKLINKS_DATA_DIR"):
        collect("other.example")
    assert other.calls == []


def test_a_store_of_before_that_a_look_had_given_away_is_free_again(api, clean_environment: Path) -> None:
    api()
    with open_store(Settings.from_env()):
        pass
    with closing(sqlite3.connect(Settings.from_env().store_file)) as sql:
        sql.execute("INSERT INTO facts VALUES ('origin', 'sandbox.dataforseo.com')")
        sql.commit()
    outcomes, stopped = collect("shop.example")
    assert (stopped, [outcome.error for outcome in outcomes]) == (None, [None])
    assert answers() == 2


@contextmanager
def at(place: Path | PostgresUrl, origin: str) -> Iterator[tuple[ResponseStore, Lease]]:
    with closing(open_database(place)) as database:
        if isinstance(place, PostgresUrl):
            open_tables(database, metadata)
        with closing(
            SharedLease(database.engine) if isinstance(place, PostgresUrl) else FileLease(place.parent / "owners")
        ) as lease:
            yield ResponseStore(database, lease, origin), lease


def call(lease: Lease, name: str) -> ledger.Call:
    return ledger.Call(name, NOW.date(), "shop.example", "live", lease.name, 1, NOW)


KEY = Key(NOW.date(), "shop.example", "live", PARAMETERS.key)
OTHER_KEY = KEY._replace(target="other.example")
BUDGET = Budget(None, 0.02)
ANSWER = Answer(b"{}", 20000, cost_usd=0.02)


def test_of_two_hosts_on_an_empty_store_the_second_is_refused_before_it_pays(store_place) -> None:
    with at(store_place, "first") as (first, lease), at(store_place, "second") as (second, other):
        assert first.claim([KEY], NOW) is not None
        first.start_call(call(lease, "1"), BUDGET)
        for attempt in (lambda: second.claim([OTHER_KEY], NOW), lambda: second.start_call(call(other, "2"), BUDGET)):
            with pytest.raises(StoreError, match="is about to get answers from first"):
                attempt()
        with pytest.raises(StoreError, match="first"), at(store_place, "third"):
            pass
        first.store_answer(KEY, "1", ANSWER, PARAMETERS, 1, NOW)
        with pytest.raises(StoreError, match="holds answers from first"):
            second.claim([OTHER_KEY], NOW)
        assert second.day_costs(NOW.date()).calls == 1


def test_a_call_that_came_to_nothing_gives_the_store_free_and_whoever_called_first_then_has_it(store_place) -> None:
    with at(store_place, "first") as (first, lease), at(store_place, "second") as (second, other):
        first.start_call(call(lease, "1"), BUDGET)
        first.end_call("1", KEY, None, "no answer", NOW, is_final=False)
        second.start_call(call(other, "2"), BUDGET)
        with pytest.raises(StoreError, match="from second"):
            first.start_call(call(lease, "3"), BUDGET)
        second.store_answer(KEY, "2", ANSWER, PARAMETERS, 1, NOW)
        with pytest.raises(StoreError, match="from second"):
            first.claim([OTHER_KEY], NOW)


def test_a_call_of_a_dead_process_holds_nothing(store_place) -> None:
    with at(store_place, "first") as (first, lease):
        first.start_call(call(lease, "1"), BUDGET)
    with at(store_place, "second") as (second, other):
        second.start_call(call(other, "2"), BUDGET)
        second.store_answer(KEY, "2", ANSWER, PARAMETERS, 1, NOW)


# --- Dagster's instance ------------------------------------------------------------------------------------------------


def report(instance: dg.DagsterInstance, asset: str) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition="2026-11-24"))


@pytest.mark.parametrize("asset", ["summary_responses", "backlinks_summary"])
def test_an_instance_is_the_first_recorded_answers_and_not_the_first_runs(
    instance: dg.DagsterInstance, api: Callable[..., object], asset: str
) -> None:
    api()
    sandbox = Settings.from_env()
    api()
    real = Settings.from_env()
    record_origin(instance, sandbox)  # also what an older version did with a run that then collected nothing
    check_instance(instance, real)
    record_origin(instance, real)
    report(instance, asset)
    check_instance(instance, real)
    for use in (check_instance, record_origin):
        with pytest.raises(dg.Failure, match="holds runs over answers from"):
            use(instance, sandbox)
