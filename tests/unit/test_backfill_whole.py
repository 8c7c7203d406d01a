"""New targets over the simulator, from the calls to the flags of the first 14 days: with their past, and cold."""

import datetime as dt
from pathlib import Path

import collecting
import pytest

from backlinks_assets import pipeline
from backlinks_assets.backfill.files import write_history
from backlinks_assets.backfill.purchase import buy, planned
from backlinks_assets.collect.bulk_day import BulkTarget
from backlinks_assets.collect.factory import open_collector, open_store
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.settings import Settings
from backlinks_assets.simulator.world.events import HUB_LOST, begun
from backlinks_assets.simulator.world.site import site
from backlinks_assets.tables.parquet import read_days
from backlinks_assets.targets.target import Target

FIRST = dt.date(2026, 11, 3)
DAYS = [FIRST + dt.timedelta(days=number) for number in range(14)]
SAMPLES = ["tidewater-legal", "kupferkessel", "fernhill-clinic", "lumenforge", "saltandsage", "papertrail-books"]
HIT = [f"{name}.example" for name in (*SAMPLES, "plain131", "plain208", "plain793")]
"""Targets that lose a hub on one of these days."""
QUIET = [f"plain{number}.example" for number in (17, 26, 30, 32, 40, 43, 50, 88, 101, 120)]
"""Targets to which nothing happens."""


def happens(name: str) -> list[str]:
    of = site(name)
    return [each.kind for each in begun(of, FIRST.toordinal(), DAYS[-1].toordinal() - of.crawl_every)]


def flagged(api, folder: Path, monkeypatch: pytest.MonkeyPatch, *, back_filled: bool) -> tuple[set[str], int]:
    """Watch the targets from the first day on; return who was flagged for lost links, and how many rows there are."""
    monkeypatch.setenv("BACKLINKS_DATA_DIR", str(folder))
    collecting.be_quick(monkeypatch)
    names = sorted(HIT + QUIET)
    for day in DAYS:
        api(today=lambda day=day: day)
        settings = Settings.from_env()
        at = dt.datetime.combine(day, dt.time(6), dt.UTC)
        with open_collector(settings, now=lambda at=at: at) as collector:
            outcomes = list(collector.collect_in_bulk(day, [BulkTarget(name) for name in names]))
        assert not any(one.failed for one in outcomes)
        with open_store(settings) as store:
            pipeline.publish_answers(settings, store, day)
        if day == FIRST and back_filled:
            targets = [Target(name) for name in names]
            done = buy(open_collector(settings, now=lambda at=at: at), planned(settings, day, targets, 60), targets)
            assert (done.calls, done.failed, done.stopped) == (61, {}, None)
            written = write_history(settings)
            assert (written.rows, written.refused) == (60 * len(names), {})
    assert len(list(pipeline.publish_changes(settings, DAYS, {}, DetectionSettings()))) == len(DAYS)
    rows = read_days(settings.root, "backlinks_flags", DAYS[0], DAYS[-1]).to_pylist()
    changes = read_days(settings.root, "backlinks_changes", dt.date(2026, 1, 1), DAYS[-1])
    return {row["target"] for row in rows if row["metric"] == "lost_backlinks"}, changes.num_rows


@pytest.mark.ci
def test_more_of_the_first_losses_are_found_where_the_past_is_known_and_none_is_invented(
    api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert all(HUB_LOST in happens(name) for name in HIT)
    assert not any(happens(name) for name in QUIET)
    cold, cold_rows = flagged(api, tmp_path / "cold", monkeypatch, back_filled=False)
    warm, warm_rows = flagged(api, tmp_path / "warm", monkeypatch, back_filled=True)
    assert len(warm & set(HIT)) > len(cold & set(HIT))
    assert warm.intersection(QUIET) <= cold.intersection(QUIET)
    assert warm_rows == cold_rows  # a back-filled day has no row
