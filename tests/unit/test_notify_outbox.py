"""What is announced: composed while the store of paid answers is free, kept once, and never less because of one bad table."""

import datetime as dt
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from backlinks_assets.collect.factory import open_store
from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.notify import announce as announcing
from backlinks_assets.notify.alerts import FLAG, FailedRun, News
from backlinks_assets.notify.announce import Announced, announce, opened
from backlinks_assets.notify.message import Message, compose, render
from backlinks_assets.notify.outbox import SECOND_MESSAGE_AFTER, Memory
from backlinks_assets.settings import Settings
from backlinks_assets.store.ledger import Budget, Call
from backlinks_assets.store.responses import Key
from backlinks_assets.tables.parquet import parquet_path, write_day
from backlinks_assets.tables.schemas import TABLES

DAY = dt.date(2026, 11, 24)
MORNING = dt.datetime(2026, 11, 24, 6, 30, tzinfo=dt.UTC)
LATER = SECOND_MESSAGE_AFTER + dt.timedelta(minutes=1)
NOWHERE = "json://127.0.0.1:9/hook"
"""A place that takes nothing: what is made is looked at before it is sent."""


def days(number: int) -> dt.timedelta:
    return dt.timedelta(days=number)


@pytest.fixture
def settings(write_targets, monkeypatch: pytest.MonkeyPatch) -> Settings:
    write_targets("a.example", "b.example")
    monkeypatch.setenv("BACKLINKS_NOTIFY_URLS", NOWHERE)
    return Settings.from_env()


@pytest.fixture
def memory(settings: Settings) -> Iterator[Memory]:
    with opened(settings) as memory:
        yield memory


@pytest.fixture
def look(settings: Settings) -> Callable[..., Announced]:
    """Look once, as a tick after a restart does."""

    def once(now: dt.datetime = MORNING) -> Announced:
        with opened(settings) as memory:
            return announce(settings, memory, (), now)

    return once


def flag(target: str) -> News:
    return News(FLAG, (f"flag|{target}",), "Lost backlinks rose.", target, "warning")


def composed(fresh: list[News], number: int, last_at: dt.datetime | None) -> Message:
    return compose(DAY, fresh, number=number, last_at=last_at, sentence=None, report=None, simulated=True)


def write_flags(settings: Settings, *targets: str, day: dt.date = DAY) -> Path:
    row = {
        "date": day,
        "simulated": True,
        "metric": "lost_backlinks",
        "severity": "warning",
        "score": 9.0,
        "reason": "Up.",
    }
    rows = [row | {"target": target} for target in targets]
    schema = TABLES["backlinks_flags"].arrow
    return write_day(settings.root, "backlinks_flags", day, pa.Table.from_pylist(rows, schema=schema))


def write_summary(settings: Settings, day: dt.date = DAY) -> Path:
    schema = TABLES["backlinks_summary"].arrow
    row = dict.fromkeys(schema.names) | {"date": day, "target": "a.example", "has_data": True, "request_key": "k"}
    rows = [row | {"status_type": status, "attempts": 1} for status in ("live", "lost")]
    return write_day(settings.root, "backlinks_summary", day, pa.Table.from_pylist(rows, schema=schema))


def land(settings: Settings, target: str, *statuses: str, day: dt.date = DAY) -> None:
    """Keep answers of a target, as collecting does."""
    at, parameters = dt.datetime.combine(day, dt.time(6), dt.UTC), RequestParameters()
    with open_store(settings) as store:
        for status in statuses:
            call = Call(f"{target} {status} {day}", day, target, status, "owner", 1, at)
            store.start_call(call, Budget(None, 0.02))
            answer = Answer(b"{}", 200, cost_usd=0.02)
            store.land(Key(day, target, status, parameters.key), call.call_id, answer, parameters, 1, at)


def is_free(file: Path) -> bool:
    """Whether another process could write a paid answer now, without waiting."""
    connection = sqlite3.connect(file, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return True


# --- composed outside the transaction ----------------------------------------------------------------------------------


def test_a_message_is_composed_while_the_store_is_free(settings: Settings, memory: Memory) -> None:
    free: list[bool] = []

    def slowly(*what: object) -> Message:
        free.append(is_free(settings.store_file))
        return composed(*what)

    assert memory.put_in_outbox(DAY, [flag("a.example")], ["place"], MORNING, slowly)
    assert free == [True]


@pytest.mark.parametrize("reads", ["read_facts", "_flags", "days"])
def test_no_table_is_read_while_the_store_is_locked(settings, look, monkeypatch, reads: str) -> None:
    free: list[bool] = []
    real = getattr(announcing, reads)

    def watched(*arguments: object, **named: object) -> object:
        free.append(is_free(settings.store_file))
        return real(*arguments, **named)

    monkeypatch.setattr(announcing, reads, watched)
    write_summary(settings)
    write_day(settings.root, "backlinks_changes", DAY, TABLES["backlinks_changes"].arrow.empty_table())
    write_flags(settings, "a.example")
    (message,) = look().messages
    assert "1 of 2 collected" in render(message, "text")
    assert free
    assert all(free)


# --- once each ---------------------------------------------------------------------------------------------------------


def test_of_two_who_compose_at_once_one_tells_and_the_other_nothing(settings: Settings, memory: Memory) -> None:
    news = [flag("a.example"), flag("b.example")]

    def while_another_tells(*what: object) -> Message:
        with opened(settings) as other:
            assert other.put_in_outbox(DAY, news, ["place"], MORNING, composed)
        return composed(*what)

    assert memory.put_in_outbox(DAY, news, ["place"], MORNING, while_another_tells) is None
    assert memory.put_in_outbox(DAY, news, ["place"], MORNING + LATER, composed) is None
    assert memory.claim(["place"], MORNING) is not None
    assert memory.claim(["place"], MORNING) is None


def test_what_another_has_told_half_of_is_told_to_its_end_later(settings: Settings, memory: Memory) -> None:
    def while_another_tells(*what: object) -> Message:
        with opened(settings) as other:
            assert other.put_in_outbox(DAY, [flag("a.example")], ["place"], MORNING, composed)
        return composed(*what)

    news = [flag("a.example"), flag("b.example")]
    assert memory.put_in_outbox(DAY, news, ["place"], MORNING, while_another_tells) is None
    message = memory.put_in_outbox(DAY, news, ["place"], MORNING + LATER, composed)
    assert message is not None
    assert (message.number, [line.name for part in message.parts for line in part.lines]) == (2, ["b.example"])


def test_what_could_not_be_composed_is_not_told_and_comes_again(memory: Memory) -> None:
    def fails(*_: object) -> Message:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        memory.put_in_outbox(DAY, [flag("a.example")], ["place"], MORNING, fails)
    assert memory.put_in_outbox(DAY, [flag("a.example")], ["place"], MORNING, composed)
    assert memory.put_in_outbox(DAY, [flag("a.example")], ["place"], MORNING + LATER, composed) is None


def test_a_day_with_nothing_to_tell_composes_nothing(memory: Memory) -> None:
    def fails(*_: object) -> Message:
        raise ZeroDivisionError

    assert memory.put_in_outbox(DAY, [], ["place"], MORNING, fails) is None


# --- half an answer ----------------------------------------------------------------------------------------------------


def failed_run(*targets: str, day: dt.date = DAY) -> FailedRun:
    at = dt.datetime.combine(day, dt.time(6, 10), dt.UTC)
    return FailedRun("run", day, True, at, targets=dict.fromkeys(targets, "the API does not answer."))


@pytest.mark.parametrize("half", ["live", "lost"])
def test_a_target_with_one_of_its_two_answers_has_no_answers(settings, memory, look, half: str) -> None:
    land(settings, "a.example", "live", "lost")
    land(settings, "b.example", half)
    memory.keep_runs([failed_run("b.example")])
    (message,) = look().messages
    said = render(message, "text")
    assert "1 of 2 targets has no answers for 2026-11-24." in said
    assert "the API does not answer: b.example." in said


@pytest.mark.parametrize("half", ["live", "lost"])
def test_two_targets_with_half_of_a_day_each_are_two_targets_without_it(settings, memory, look, half: str) -> None:
    land(settings, "a.example", half)
    land(settings, "b.example", "lost" if half == "live" else "live")
    memory.keep_runs([failed_run("a.example", "b.example")])
    (message,) = look().messages
    assert "2 of 2 targets have no answers for 2026-11-24." in render(message, "text")


def test_the_other_half_from_a_later_run_leaves_nothing_to_tell(settings, memory, look) -> None:
    land(settings, "a.example", "live", "lost")
    land(settings, "b.example", "live")
    memory.keep_runs([failed_run("b.example")])
    land(settings, "b.example", "lost")
    assert look().messages == []


@pytest.mark.parametrize("half", ["live", "lost"])
def test_a_day_that_ended_with_half_of_a_target_is_lost_for_it_and_told_once(settings, look, half: str) -> None:
    look(MORNING - days(3))  # announcing has begun
    for back in (1, 2):
        for target in ("a.example", "b.example"):
            land(settings, target, "live", "lost", day=DAY - days(back))
    land(settings, "a.example", "live", "lost")
    land(settings, "b.example", half)
    assert look(MORNING).messages == []
    (message,) = look(MORNING + days(1)).messages
    assert "1 target has no answers for 2026-11-24 (b.example)" in render(message, "text")
    assert look(MORNING + days(1) + LATER).messages == []


def test_a_target_that_had_only_halves_before_is_not_missed(settings, look) -> None:
    look(MORNING - days(3))
    for back in (1, 2):
        land(settings, "a.example", "live", "lost", day=DAY - days(back))
        land(settings, "b.example", "live", day=DAY - days(back))
    land(settings, "a.example", "live", "lost")
    assert [message.day for message in look(MORNING + days(1)).messages] == []


# --- one bad table -----------------------------------------------------------------------------------------------------


def test_a_damaged_days_flags_hide_no_other_day_and_no_failed_run(settings, memory, look) -> None:
    look(MORNING - days(1))
    damaged = write_flags(settings, "old.example", day=DAY - days(1))
    damaged.write_bytes(damaged.read_bytes()[:40])
    os.utime(damaged, (0, 0))  # built before the run that failed
    write_flags(settings, "new.example")
    at = dt.datetime.combine(DAY - days(1), dt.time(7), dt.UTC)
    memory.keep_runs([FailedRun("run", DAY - days(1), False, at, says="The disk is full.")])
    done = look()
    assert {message.day for message in done.messages} == {DAY - days(1), DAY}
    assert "The disk is full." in render(done.messages[0], "text")
    assert "new.example" in render(done.messages[1], "text")
    assert any(str(damaged) in trouble for trouble in done.troubles)
    write_flags(settings, "old.example", day=DAY - days(1))
    mended = look(MORNING + LATER)
    assert ["old.example" in render(message, "text") for message in mended.messages] == [True]
    assert look(MORNING + 4 * LATER).messages == []


@pytest.mark.parametrize("table", ["backlinks_summary", "backlinks_changes"])
def test_a_damaged_table_costs_a_message_its_sentence_and_no_more(settings, look, table: str) -> None:
    write_summary(settings)
    write_day(settings.root, "backlinks_changes", DAY, TABLES["backlinks_changes"].arrow.empty_table())
    write_flags(settings, "a.example")
    damaged = parquet_path(settings.root, table, DAY)
    damaged.write_bytes(b"PAR1")
    done = look()
    (message,) = done.messages
    assert "a.example" in render(message, "text")
    assert any(str(damaged) in trouble for trouble in done.troubles)
