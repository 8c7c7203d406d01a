"""What a day owes to be announced: targets without both answers, days that are over, and never less because of a bad table."""

import datetime as dt
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from notify_places import DAY, LATER, MORNING, Looks, Webhook, flag, webhook, write_flags

from backlinks_assets.collect.factory import open_store
from backlinks_assets.dataforseo.answer import Answer
from backlinks_assets.dataforseo.endpoints.summary import RequestParameters
from backlinks_assets.notify.alerts import FailedRun
from backlinks_assets.paths import parquet_path
from backlinks_assets.settings import Settings
from backlinks_assets.store.answers import Key
from backlinks_assets.store.budget import Budget
from backlinks_assets.store.ledger import Call
from backlinks_assets.tables.parquet import write_day
from backlinks_assets.tables.schemas import TABLES


def days(number: int) -> dt.timedelta:
    return dt.timedelta(days=number)


@pytest.fixture
def settings(write_targets) -> Settings:
    write_targets("a.example", "b.example")
    return Settings.from_env()


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as server:
        yield server


@pytest.fixture
def looks() -> Looks:
    return Looks()


Look = Callable[..., list[str]]


@pytest.fixture
def look(hook: Webhook, looks: Looks) -> Look:
    """Look once, and return the texts of what was sent."""

    def once(now: dt.datetime = MORNING) -> list[str]:
        before = len(hook.posts)
        looks(hook.url(), now)
        return [f"{post['title']}\n{post['message']}" for post in hook.posts[before:]]

    return once


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
            store.store_answer(Key(day, target, status, parameters.key), call.call_id, answer, parameters, 1, at)


# --- half an answer ----------------------------------------------------------------------------------------------------


def failed_run(*targets: str, day: dt.date = DAY) -> FailedRun:
    at = dt.datetime.combine(day, dt.time(6, 10), dt.UTC)
    return FailedRun("run", day, True, at, targets=dict.fromkeys(targets, "the API does not answer."))


@pytest.mark.parametrize("half", ["live", "lost"])
def test_a_target_with_one_of_its_two_answers_has_no_answers(settings, looks, look, half: str) -> None:
    land(settings, "a.example", "live", "lost")
    land(settings, "b.example", half)
    looks.runs += [failed_run("b.example")]
    (said,) = look()
    assert "1 of 2 targets has no answers for 2026-11-24." in said
    assert "the API does not answer: b.example." in said


@pytest.mark.parametrize("half", ["live", "lost"])
def test_two_targets_with_half_of_a_day_each_are_two_targets_without_it(settings, looks, look, half: str) -> None:
    land(settings, "a.example", half)
    land(settings, "b.example", "lost" if half == "live" else "live")
    looks.runs += [failed_run("a.example", "b.example")]
    (said,) = look()
    assert "2 of 2 targets have no answers for 2026-11-24." in said


def test_the_other_half_from_a_later_run_leaves_nothing_to_tell(settings, looks, look) -> None:
    land(settings, "a.example", "live", "lost")
    land(settings, "b.example", "live")
    looks.runs += [failed_run("b.example")]
    land(settings, "b.example", "lost")
    assert look() == []


@pytest.mark.parametrize("half", ["live", "lost"])
def test_a_day_that_ended_with_half_of_a_target_is_lost_for_it_and_told_once(settings, look, half: str) -> None:
    look(MORNING - days(3))  # announcing has begun
    for back in (1, 2):
        for target in ("a.example", "b.example"):
            land(settings, target, "live", "lost", day=DAY - days(back))
    land(settings, "a.example", "live", "lost")
    land(settings, "b.example", half)
    assert look(MORNING) == []
    (said,) = look(MORNING + days(1))
    assert "1 target has no answers for 2026-11-24 (b.example)" in said
    assert look(MORNING + days(1) + LATER) == []


def test_a_day_that_ended_without_answers_is_told_to_a_channel_that_was_down_then(settings, looks, land_days) -> None:
    with webhook(500, 500) as hook:
        for minute in (0, 1, 3, 20, 60):
            looks(hook.url(), MORNING + days(1) + dt.timedelta(minutes=minute))
        (post,) = hook.posts
        assert "Nothing was collected on 2026-11-24. The day is over" in post["message"]
    assert '"problems"' not in looks.cursor


@pytest.fixture
def land_days(settings, look) -> None:
    """The two days before have all answers, and announcing has begun."""
    look(MORNING - days(3))
    for back in (1, 2):
        for target in ("a.example", "b.example"):
            land(settings, target, "live", "lost", day=DAY - days(back))


def test_a_failed_run_that_is_told_after_its_day_says_that_the_day_is_over(settings, looks, look, land_days) -> None:
    land(settings, "a.example", "live", "lost")
    looks.runs += [failed_run("b.example")]
    (said,) = look(MORNING + days(1))
    assert said.count("no answers for 2026-11-24") == 1
    assert "The day is over" in said
    assert "again before it ends" not in said


def test_a_target_that_had_only_halves_before_is_not_missed(settings, look) -> None:
    look(MORNING - days(3))
    for back in (1, 2):
        land(settings, "a.example", "live", "lost", day=DAY - days(back))
        land(settings, "b.example", "live", day=DAY - days(back))
    land(settings, "a.example", "live", "lost")
    assert look(MORNING + days(1)) == []


# --- one bad table -----------------------------------------------------------------------------------------------------


def test_a_damaged_days_flags_hide_no_other_day_and_no_failed_run(settings, hook, looks, look) -> None:
    look(MORNING - days(1))
    damaged = write_flags(flag("old.example"), day=DAY - days(1))
    damaged.write_bytes(damaged.read_bytes()[:40])
    os.utime(damaged, (0, 0))  # built before the run that failed
    write_flags(flag("new.example"))
    at = dt.datetime.combine(DAY - days(1), dt.time(7), dt.UTC)
    looks.runs += [FailedRun("run", DAY - days(1), False, at, says="The disk is full.")]
    problems = looks(hook.url()).problems
    assert [title.split(", ")[1].split(":")[0] for title in hook.titles] == ["23 November 2026", "24 November 2026"]
    assert "The disk is full." in hook.posts[0]["message"]
    assert "new.example" in hook.posts[1]["message"]
    assert any(str(damaged) in problem for problem in problems)
    write_flags(flag("old.example"), day=DAY - days(1))
    (said,) = look(MORNING + LATER)
    assert "old.example" in said
    assert look(MORNING + 4 * LATER) == []


@pytest.mark.parametrize("table", ["backlinks_summary", "backlinks_changes"])
def test_a_damaged_table_costs_a_message_its_sentence_and_no_more(settings, hook, looks, table: str) -> None:
    write_summary(settings)
    write_day(settings.root, "backlinks_changes", DAY, TABLES["backlinks_changes"].arrow.empty_table())
    write_flags(flag("a.example"))
    damaged = parquet_path(settings.root, table, DAY)
    damaged.write_bytes(b"PAR1")
    look = looks(hook.url())
    (post,) = hook.posts
    assert "a.example" in post["message"]
    assert any(str(damaged) in problem for problem in look.problems)
