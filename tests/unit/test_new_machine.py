"""A machine without tables judges any day as one that has them: what it lacks is built from the stored answers."""

import datetime as dt
import shutil
from pathlib import Path

import collecting
import pytest
from collecting import asks_of

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.outcome import CollectRequest
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.pipeline import publish_changes, publish_days
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import digests, stored_days, verdicts_in
from backlinks_assets.store.verdicts import StoredVerdict
from backlinks_assets.tables.parquet import days, read_days

pytestmark = pytest.mark.usefixtures("each_store")

TODAY = utc_now().date()
DAYS = [TODAY - dt.timedelta(days=back) for back in (5, 4, 2, 1, 0)]


@pytest.fixture
def collected(api, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A store with answers of some days, of which one is of a day that is left out of all tables so far."""
    collecting.be_quick(monkeypatch)
    api()
    for day in DAYS:
        noon = dt.datetime.combine(day, dt.time(12), dt.UTC)
        asks = [CollectRequest(day, ask.target, ask.parameters) for ask in asks_of("shop.example", "other.example")]
        assert collecting.run(asks, now=lambda noon=noon: noon)[1] is None
    return Settings.from_env()


def judged(settings: Settings, *dates: dt.date) -> list[dict[str, object]]:
    found = list(publish_changes(settings, dates, {}, DetectionSettings()))
    assert [day.date for day in found] == list(dates)
    return read_days(settings.root, "backlinks_changes", dates[-1], dates[-1]).to_pylist()


def test_a_new_machine_judges_a_day_by_all_that_is_stored(
    collected: Settings, tmp_path: Path, monkeypatch, each_store
) -> None:
    assert len(list(publish_days(collected, DAYS))) == len(DAYS)
    wanted = judged(collected, DAYS[-2])
    assert {row["previous_date"] for row in wanted} == {DAYS[-3]}
    if each_store == "postgres":
        monkeypatch.setenv("BACKLINKS_DATA_DIR", str(tmp_path / "another machine"))
    else:
        shutil.rmtree(collected.root / "parquet")
    new = Settings.from_env()
    assert days(new.root, "backlinks_summary") == []
    assert judged(new, DAYS[-2]) == wanted
    assert days(new.root, "backlinks_summary") == DAYS[:-1]  # no later ones: they are not read
    for table in ("backlinks_summary", "referring_links", "api_costs"):
        assert read_days(new.root, table, DAYS[0], DAYS[-2]).num_rows > 0


def test_a_day_that_is_missing_between_is_built_and_days_that_are_there_are_not_touched(collected: Settings) -> None:
    list(publish_days(collected, [DAYS[0], *DAYS[2:]]))
    there = {file: file.stat().st_mtime_ns for file in collected.root.glob("parquet/backlinks_summary/*/*.parquet")}
    said: list[str] = []
    list(publish_changes(collected, DAYS[-1:], {}, DetectionSettings(), said.append))
    assert days(collected.root, "backlinks_summary") == DAYS
    assert {file: file.stat().st_mtime_ns for file in there} == there
    assert said == [
        f"The tables of 1 day that were missing here ({DAYS[1]} to {DAYS[1]}) were built from the stored answers."
    ]


def test_digests_and_verdicts_are_read_without_opening_the_store(collected: Settings) -> None:
    before = digests(collected.store, DAYS)
    assert sorted(before) == DAYS == stored_days(collected.store)
    assert digests(collected.store, DAYS) == before
    collecting.run([CollectRequest(TODAY, ask.target, ask.parameters) for ask in asks_of("third.example")])
    after = digests(collected.store, DAYS)
    assert {day for day in DAYS if after[day] != before[day]} == {TODAY}
    assert verdicts_in(collected.store) == ()
    from backlinks_assets.collect.factory import open_store

    verdict = StoredVerdict(DAYS[0], DAYS[1], False, "Ada", utc_now())
    with open_store(collected) as store:
        store.add_verdict(verdict)
    assert verdicts_in(collected.store) == (verdict._replace(id=1),)


def test_where_there_is_no_store_yet_nothing_is_found_and_nothing_made(api) -> None:
    api()
    settings = Settings.from_env()
    assert (digests(settings.store, DAYS), verdicts_in(settings.store), stored_days(settings.store)) == ({}, (), [])
    assert not settings.store_file.exists()
