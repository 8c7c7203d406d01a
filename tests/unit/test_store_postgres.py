"""The store that machines share: what two at once must not do, and what is said when it can't be used."""

import datetime as dt
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from backlinks_assets.account.shared_lease import SharedLease
from backlinks_assets.collect.factory import open_store
from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.postgres_url import PostgresUrl
from backlinks_assets.settings import Settings
from backlinks_assets.store import ledger
from backlinks_assets.store.answers import Key
from backlinks_assets.store.budget import Budget, BudgetError, PriceUnknownError
from backlinks_assets.store.columns import hold
from backlinks_assets.store.database import StoreError, UnreachableError, metadata
from backlinks_assets.store.opening import open_tables
from backlinks_assets.store.postgres import PostgresDatabase
from backlinks_assets.store.responses import ResponseStore

NOW = dt.datetime(2026, 11, 26, 7, tzinfo=dt.UTC)
PARAMETERS = RequestParameters()
PRICE = 0.02
ANSWER = Answer(b"{}", 20000, cost_usd=PRICE)


def key_of(number: int, status_type: str = "live") -> Key:
    return Key(NOW.date(), f"shop{number:03d}.example", status_type, PARAMETERS.key)


@contextmanager
def machine(url: str, origin: str = "api.example") -> Iterator[ResponseStore]:
    """The store as a machine of its own has it open."""
    with closing(PostgresDatabase(PostgresUrl.parse(url))) as database:
        open_tables(database, metadata)
        with closing(SharedLease(database.engine)) as lease:
            yield ResponseStore(database, lease, origin)


@pytest.fixture
def machines(postgres_url: str) -> Iterator[list[ResponseStore]]:
    with ExitStack() as stack:
        yield [stack.enter_context(machine(postgres_url)) for _ in range(2)]


def call(store: ResponseStore, name: str, at: dt.datetime = NOW, target: str = "shop.example") -> ledger.Call:
    return ledger.Call(name, at.date(), target, "live", store._lease.name, 1, at)


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """Begin all at the same instant; return their results, or the errors that they raised."""
    together = threading.Barrier(len(work))

    def one(do: Callable[[], Any]) -> Any:
        together.wait()
        try:
            return do()
        except Exception as error:  # noqa: BLE001 - looked at by the test
            return error

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(one, work))


def test_tables_are_made_once_however_many_machines_come_first(postgres) -> None:
    for _ in range(3):
        url = postgres.new_database()

        def open_one(url: str = url) -> None:
            with machine(url):
                pass

        assert at_once(*[open_one] * 4) == [None] * 4
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT value FROM facts WHERE name = 'version'").fetchone() == ("2",)


def test_of_two_machines_that_claim_the_same_calls_at_once_one_gets_them(machines) -> None:
    for number in range(60):
        keys = [key_of(number, status) for status in ("live", "lost")]
        orders = keys, keys[::-1]
        got = at_once(
            *[lambda store=store, of=of: store.claim(of, NOW) for store, of in zip(machines, orders, strict=True)]
        )
        assert sum(claim is not None for claim in got) == 1, got


def test_an_answer_that_is_stored_while_another_machine_claims_is_found_and_not_paid_for_again(machines) -> None:
    first, second = machines
    for number in range(60):
        key, name = key_of(number), f"call {number}"
        assert first.claim([key], NOW) is not None
        first.start_call(call(first, name), Budget(None, PRICE))

        def claim_when_free(key: Key = key) -> object:
            while (claim := second.claim([key], NOW)) is None:
                pass
            return claim.stored

        def store(key: Key = key, name: str = name) -> None:
            first.store_answer(key, name, ANSWER, PARAMETERS, 1, NOW)

        _, stored = at_once(store, claim_when_free)
        assert stored == {key}


def test_calls_of_all_machines_at_once_never_pass_the_days_budget(machines) -> None:
    budget = Budget(10 * PRICE, PRICE)
    machines[0].start_call(call(machines[0], "first"), budget)
    machines[0].store_answer(key_of(0), "first", ANSWER, PARAMETERS, 1, NOW)
    starts = [
        lambda number=number: machines[number % 2].start_call(call(machines[number % 2], str(number)), budget)
        for number in range(30)
    ]
    came = at_once(*starts)
    assert sum(error is None for error in came) == 9
    assert all(error is None or isinstance(error, BudgetError) for error in came)


def start_at_once(stores: Sequence[ResponseStore], usd: float | None, at: dt.datetime = NOW) -> list[Any]:
    """Start a call of each store at the same instant; return what came of it."""

    def start(store: ResponseStore) -> None:
        store.start_call(call(store, f"{store._lease.name} {at}", at), Budget(usd, PRICE))

    return at_once(*[partial(start, store) for store in stores])


def test_of_a_days_first_calls_on_two_machines_one_goes_alone(machines) -> None:
    for number in range(20):
        came = start_at_once(machines, 1, NOW + dt.timedelta(days=number))
        assert {type(error) for error in came} == {PriceUnknownError, type(None)}


def test_of_two_origins_that_start_at_once_one_gets_the_store(postgres) -> None:
    for _ in range(5):
        url = postgres.new_database()
        with machine(url, "one.example") as one, machine(url, "other.example") as other:
            assert sum(isinstance(error, StoreError) for error in start_at_once([one, other], None)) == 1
            assert one.day_costs(NOW.date()).calls == 1


def test_a_call_that_may_be_entered_is_entered_once(machines) -> None:
    store, budget = machines[0], Budget(1.5 * PRICE, PRICE)
    store.start_call(call(store, "once"), budget)
    store._uncertain.add("once")  # as after a commit whose end was not heard of
    store.start_call(call(store, "once"), budget)
    assert store.day_costs(NOW.date()).calls == 1
    assert spent(store) == (0, 20_000, 1)


def spent(store: ResponseStore) -> tuple[int, int, int]:
    with store._database.read() as tx:
        row = tx.execute(sa.select(ledger.daily_spend)).one()
    return row.spent_microusd, row.in_flight_microusd, row.in_flight


def test_what_comes_of_a_call_may_be_stored_twice(machines) -> None:
    store, budget = machines[0], Budget(1, PRICE)
    store.start_call(call(store, "a"), budget)
    for _ in range(2):
        assert store.end_call("a", key_of(0), ANSWER, "no use", NOW, is_final=True, retry=("b", budget))
    store.start_call(call(store, "b"), budget)
    for _ in range(2):
        store.store_answer(key_of(0), "b", ANSWER, PARAMETERS, 1, NOW)
    assert spent(store) == (40_000, 0, 0)
    assert store.stored_keys([NOW.date()]) == {key_of(0)}


def test_an_answer_of_a_process_that_was_taken_for_dead_is_stored_and_its_cost_replaces_the_expected_one(
    machines,
) -> None:
    frozen, other = machines
    frozen.start_call(call(frozen, "slept"), Budget(None, 0.5))
    with frozen._database.alone() as tx:
        tx.exec_driver_sql("DELETE FROM account_leases WHERE name = %s", (frozen._lease.name,))
    assert other.close_dead_calls(NOW) == 1
    assert spent(other) == (500_000, 0, 0)
    frozen.store_answer(key_of(0), "slept", ANSWER, PARAMETERS, 1, NOW)
    assert spent(other) == (20_000, 0, 0)
    assert other.day_costs(NOW.date()) == ledger.DayCosts(1, 1, PRICE, 0)


def test_a_process_that_was_taken_for_dead_starts_no_call(machines) -> None:
    from backlinks_assets.account.leases import LeaseLostError

    frozen, other = machines
    with other._database.alone() as tx:
        tx.exec_driver_sql("DELETE FROM account_leases WHERE name = %s", (frozen._lease.name,))
    with pytest.raises(LeaseLostError):
        frozen.start_call(call(frozen, "late"), Budget(None, PRICE))
    assert other.day_costs(NOW.date()).calls == 0


def test_what_a_machine_holds_in_a_transaction_is_free_when_it_freezes(machines) -> None:
    first, second = (store._database for store in machines)

    def freeze() -> None:
        with first.write() as tx:
            tx.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '300ms'")
            hold(tx, "budget")
            with second.write() as other:
                hold(other, "budget")  # once the first is given up
            tx.execute(sa.select(1))

    with pytest.raises(UnreachableError, match="could not be reached"):
        freeze()


def test_text_that_postgres_does_not_store_loses_no_answer(machines) -> None:
    store = machines[0]
    store.start_call(call(store, "nul"), Budget(None, PRICE))
    answer = Answer(b"{\x00}", 20000, cost_usd=PRICE, status_code=20000)
    store.end_call("nul", key_of(0), answer, "it holds a \x00", NOW, is_final=True)
    claim = store.claim([key_of(0)], NOW)
    assert claim is not None
    assert "it holds a \ufffd" in claim.refused[key_of(0)]


def test_the_time_is_the_servers_also_while_it_is_away(postgres, postgres_url, monkeypatch) -> None:
    from backlinks_assets.store import postgres as module

    with machine(postgres_url) as store:
        with store._database.read() as tx:
            server = tx.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        assert abs(store.now() - server) < dt.timedelta(seconds=60)
        boot = module._boot_s
        monkeypatch.setattr(module, "_boot_s", lambda: boot() + 3600)
        monkeypatch.setattr(module._ServerClock, "_ask", lambda _: (_ for _ in ()).throw(sa.exc.TimeoutError()))
        assert abs(store.now() - server - dt.timedelta(hours=1)) < dt.timedelta(seconds=60)
        assert abs(store.now() - server - dt.timedelta(hours=1)) < dt.timedelta(seconds=60)


def test_answers_come_in_the_order_of_bytes_whatever_the_servers_language(machines) -> None:
    store = machines[0]
    names = ["a-b.example", "a.b.example", "ab.example", "B.example", "a_b.example"]
    for name in names:
        store.start_call(call(store, name, target=name), Budget(None, PRICE))
        store.store_answer(key_of(0)._replace(target=name), name, ANSWER, PARAMETERS, 1, NOW)
    assert [answer.target for answer in store.answers(NOW.date())] == sorted(names)
    with store._database.read() as tx:
        found = tx.exec_driver_sql(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
            "AND data_type = 'character varying' AND collation_name IS DISTINCT FROM 'C'"
        ).all()
    assert found == []


# --- what is refused -----------------------------------------------------------------------------------------------


def opened(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("BACKLINKS_DATABASE_URL", url)
    monkeypatch.setenv("DATAFORSEO_BASE_URL", "http://127.0.0.1:9")
    with open_store(Settings.from_env()):
        pass


@pytest.mark.parametrize("change", ["port", "database", "host"])
def test_what_could_not_be_reached_is_named_without_its_password(postgres_url: str, monkeypatch, change: str) -> None:
    url = postgres_url.replace("backlinks@", "backlinks:s3cret-passphrase@")
    if change == "port":
        url = url.replace(url.split(":")[-1].partition("/")[0], "1")
    elif change == "database":
        url += "_missing"
    else:
        url = url.replace("127.0.0.1", "db.invalid")
    words = r"The database test_\w+ on [\w.]+:\d+ could not be reached \(.*BACKLINKS_DATABASE_URL"
    with pytest.raises(StoreError, match=words) as said:
        opened(monkeypatch, url)
    assert "s3cret" not in str(said.value)
    assert said.value.__cause__ is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE facts SET value = '7' WHERE name = 'version'", "has version 7; this program knows versions up to 2"),
        ("ALTER TABLE responses DROP COLUMN attempts", "it has no column attempts"),
        ("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE runs (x int)", r"another program's \(it holds runs\)"),
    ],
)  # fmt: skip
def test_a_database_that_does_not_fit_is_refused_and_left_alone(
    postgres_url, monkeypatch, change: str, words: str
) -> None:
    opened(monkeypatch, postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(change)
        query = (
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
        )
        before = connection.execute(query).fetchall()
        with pytest.raises(StoreError, match=words):
            opened(monkeypatch, postgres_url)
        assert connection.execute(query).fetchall() == before
