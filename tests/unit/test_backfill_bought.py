"""Back-fill at a server that counts: so many calls and dollars, none twice, none past the budget, the day's own answers apart."""

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import collecting
import pytest
from collecting import rows, shops
from faults import Fault, code
from table_days import keep_summary

from backlinks_assets import pipeline
from backlinks_assets.backfill.files import TABLE, write_history
from backlinks_assets.backfill.purchase import buy, countable, planned
from backlinks_assets.collect.bulk_day import BulkTarget
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_collector, open_store
from backlinks_assets.collect.outcome import Bought
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import digests
from backlinks_assets.tables.parquet import days, made_from, read_days
from backlinks_assets.targets.file import load_targets
from backlinks_assets.targets.target import Target

TODAY = utc_now().date()
LINKS = "bulk_new_lost_backlinks"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting.be_quick(monkeypatch)


def ago(days: int) -> dt.date:
    return TODAY - dt.timedelta(days=days)


def back_fill(names: list[str], days: int = 60) -> Bought:
    settings, targets = Settings.from_env(), [Target(name) for name in names]
    return buy(open_collector(settings), planned(settings, TODAY, targets, days), targets)


def table() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = read_days(Settings.from_env().root, TABLE, ago(400), TODAY).to_pylist()
    return found


@pytest.mark.ci
def test_a_thousand_targets_and_sixty_days_are_61_calls_and_a_second_run_none(api) -> None:
    server, names = api(), shops(1000)
    plan = planned(Settings.from_env(), TODAY, [Target(name) for name in names], 60)
    assert (len(plan.calls), plan.targets, plan.price_usd()) == (61, 1000, pytest.approx(3.66))
    done = back_fill(names)
    assert (done.calls, done.failed, done.stopped) == (61, {}, None)
    assert done.cost_usd == pytest.approx(server.spent_usd) == pytest.approx(3.66)
    again = back_fill(names)
    assert (again.calls, len(server.calls)) == (0, 61)
    assert rows("SELECT count(*) FROM claims") == [(0,)]


def test_the_table_has_sixty_days_before_each_first_reading_and_is_the_same_when_made_again(api) -> None:
    api()
    settings = Settings.from_env()
    back_fill(["shop.example", "later.example"])
    assert (write_history(settings).rows, days(settings.root, TABLE)) == (0, [])  # the first reading is not known yet
    keep_summary(settings.root, ago(3), ["shop.example"], links=1)
    keep_summary(settings.root, TODAY, ["shop.example", "later.example"], links=5000)
    written = write_history(settings)
    assert (written.rows, written.targets, written.refused) == (57 + 60, 2, {})
    assert (written.dates[0], written.dates[-1]) == (ago(60), ago(1))
    found = table()
    assert {row["date"] for row in found if row["target"] == "shop.example"} == {ago(n) for n in range(4, 61)}
    assert all(row["lost_on_day"] >= 0 and row["live_backlinks"] > 0 for row in found)
    before = {day: made_from(settings.root, TABLE, day) for day in written.dates}
    stats = [path.stat().st_mtime_ns for path in settings.root.glob("parquet/lost_history/*/*.parquet")]
    write_history(settings)
    assert {day: made_from(settings.root, TABLE, day) for day in written.dates} == before
    assert [path.stat().st_mtime_ns for path in settings.root.glob("parquet/lost_history/*/*.parquet")] == stats


def test_the_days_before_an_earlier_first_reading_are_bought_and_only_they(api) -> None:
    server = api()
    keep_summary(Settings.from_env().root, ago(10), ["shop.example"])
    assert back_fill(["shop.example"], 5).calls == 6
    assert sorted(call.parameters["date_from"] for call in server.calls) == [str(ago(n)) for n in range(15, 9, -1)]
    assert back_fill(["shop.example"], 7).calls == 2  # two days more, up to the windows that are there
    keep_summary(Settings.from_env().root, ago(364), ["old.example"])
    assert back_fill(["old.example"]).calls == 2  # the API counts 365 days back: one day is left


def test_what_was_begun_on_another_day_goes_on_with_windows_of_one_day_of_calls(api) -> None:
    server, first = api(), TODAY
    keep_summary(Settings.from_env().root, first, ["shop.example"])
    back_fill(["shop.example"], 3)
    tomorrow = TODAY + dt.timedelta(days=1)
    plan = planned(Settings.from_env(), tomorrow, [Target("shop.example")], 5)
    sinces = [call.make(call.targets).model_dump()["date_from"] for call in plan.calls]
    assert sinces == [ago(3), ago(4), ago(5)]  # the day between 4 and 3 days ago needs both, counted together
    assert len(server.calls) == 4


def test_a_target_added_later_is_bought_alone(api) -> None:
    server = api()
    back_fill(shops(30), 4)
    spent = server.spent_usd
    assert back_fill([*shops(30), "new.example"], 4).calls == 5
    assert server.spent_usd - spent == pytest.approx(5 * 0.024036)


def test_a_back_fill_that_does_not_fit_the_budget_is_refused_before_its_first_call(api, monkeypatch) -> None:
    server = api()
    monkeypatch.setenv("BACKLINKS_BUDGET_USD_PER_DAY", "3.65")
    done = back_fill(shops(1000))
    assert (done.calls, len(server.calls)) == (0, 0)
    assert "61 calls of $3.66" in (done.stopped or "")
    assert "Raise BACKLINKS_BUDGET_USD_PER_DAY" in (done.stopped or "")


def test_one_poisoned_target_costs_the_others_nothing_and_is_named(api) -> None:
    api(Fault(code(40501, "Invalid Field: 'targets'."), target="shop007.example", endpoint=LINKS))
    done = back_fill(shops(20), 9)
    assert set(done.failed) == {"shop007.example"}
    assert done.calls <= 10 + 7  # found by one window's call, and left out of the others
    keep_summary(Settings.from_env().root, TODAY, shops(20))
    assert {row["target"] for row in write_and_read()} == {*shops(20)} - {"shop007.example"}


def write_and_read() -> list[dict[str, Any]]:
    write_history(Settings.from_env())
    return table()


def test_two_runs_at_once_pay_each_window_once(api) -> None:
    server = api(latency_s=0.05)
    results: list[Bought] = []
    both = [threading.Thread(target=lambda: results.append(back_fill(shops(50), 20))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert [done.failed for done in results] == [{}, {}]
    assert sum(done.calls for done in results) == len(server.calls) == 21


def test_targets_with_filters_are_passed_over_and_named(write_targets) -> None:
    path = write_targets("plain.example,", "blog.example,false", header="target,include_subdomains")
    chosen, passed_over = countable(load_targets(path), TODAY)
    assert [one.target for one in chosen] == ["plain.example"]
    assert passed_over == {"blog.example": "it has include_subdomains=false, which bulk calls do not know"}


def test_the_tables_of_the_day_are_as_without_it(api) -> None:
    api()
    settings = Settings.from_env()

    def built(work: Callable[[], object]) -> Any:
        work()
        with open_store(settings) as store:
            answered = pipeline.publish_answers(settings, store, TODAY)
            known = store.dates()
        return answered.in_bulk, read_days(settings.root, "backlinks_bulk", TODAY, TODAY).to_pylist(), known

    def watch() -> None:
        with open_collector(settings) as collector:
            list(collector.collect_in_bulk(TODAY, [BulkTarget("shop000.example")]))

    before = built(watch)
    assert built(lambda: back_fill(shops(3), 3)) == before
    watch()  # and the day's own answers are known as such
    assert built(watch) == before
    with open_store(settings) as store:
        assert len(list(store.answers(TODAY, f"backlinks/{LINKS}/live", "backfill"))) == 4


def test_a_day_that_has_only_back_filled_windows_has_nothing_to_build(api) -> None:
    api()
    back_fill(["shop.example"], 2)
    settings = Settings.from_env()
    with open_store(settings) as store:
        assert store.dates() == []
        with pytest.raises(pipeline.NoAnswersError):
            pipeline.publish_answers(settings, store, TODAY)
    assert digests(settings.store, [TODAY]) == {}


def test_a_machine_without_the_tables_takes_the_first_reading_from_the_store(api) -> None:
    api()
    settings = Settings.from_env()
    with open_collector(settings) as collector:
        list(collector.collect_in_bulk(TODAY, [BulkTarget("shop000.example")]))
        list(collector.collect(collecting.asks_of("shop001.example")))
    later = TODAY + dt.timedelta(days=5)
    plan = planned(settings, later, [Target(name) for name in shops(3)], 2)
    since = {str(call.make(call.targets).model_dump()["date_from"]): call.targets for call in plan.calls}
    assert since == {
        **{str(later - dt.timedelta(days=n)): ("shop002.example",) for n in range(3)},
        **{str(ago(n)): ("shop000.example", "shop001.example") for n in range(3)},
    }
