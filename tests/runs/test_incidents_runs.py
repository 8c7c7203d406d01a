"""Incidents as Dagster builds them: what is said today has today built again, by itself and nothing else."""

import datetime as dt

import commands
import pytest
from incident_days import DAYS, SPAMMY, TODAY, day, evaluate, incidents, keep_all, say, the_one, written
from looks import Automation, collect_run, publish_run

from backlinks_assets.collect.factory import open_store
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.due_days import evaluated_from
from backlinks_assets.paths import target_page_path
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import incident_verdicts_in
from backlinks_assets.tables.duckdb_sync import reading
from backlinks_assets.tables.parquet import made_from

pytestmark = pytest.mark.slow
LATE = DAYS - 1


@pytest.fixture
def today(instance, settings: Settings, write_targets) -> Settings:
    """Weeks of tables, the last day of which is collected, with an incident that begins on it."""
    write_targets(SPAMMY)
    add_missing_targets(instance, [SPAMMY])
    assert collect_run(instance, TODAY, SPAMMY).success
    keep_all(settings, rises=LATE - 1, falls=99)
    return settings


@pytest.mark.ci
def test_what_is_said_today_has_today_built_again_and_no_day_before(instance, today: Settings) -> None:
    evaluate(today, range(DAYS))
    automation = Automation(instance)
    assert automation.look_and_build() == [(TODAY, TODAY)]
    assert automation.look_and_build() == []
    one = the_one(today, LATE - 1, opened=LATE - 1)
    before = {name: text for name, text in written(today).items() if not name.endswith(str(TODAY))}
    assert commands.command("incidents", "ack", one["incident"], "--by", "Ann").status == 0
    assert automation.look() == [(TODAY, TODAY)]
    publish_run(instance, TODAY, TODAY)
    assert automation.look() == []
    after = the_one(today, LATE, opened=LATE - 1)
    assert (after["state"], after["by"]) == ("acknowledged", "Ann")
    assert "by <bdi>Ann</bdi>" in target_page_path(today.root, SPAMMY).read_text(encoding="utf-8")
    assert {name: text for name, text in written(today).items() if not name.endswith(str(TODAY))} == before
    with reading(today.root) as connection:
        rows = connection.execute("SELECT incident, state FROM backlinks_incidents WHERE date = ?", [TODAY]).fetchall()
    assert (one["incident"], "acknowledged") in rows
    flags = commands.command("flags", "--date", str(day(LATE - 1)), "--json").summary["flags"]
    assert one["incident"] in {flag["incident"] for flag in flags}


@pytest.mark.ci
def test_the_run_reports_the_table_of_each_day(instance, today: Settings) -> None:
    evaluate(today, range(LATE))
    result = publish_run(instance, TODAY, TODAY)
    assert result.success
    (event,) = [
        one for one in result.get_asset_materialization_events()
        if one.asset_key is not None and one.asset_key.path[-1] == "backlinks_incidents"
    ]  # fmt: skip
    assert event.materialization.metadata["dagster/partition_row_count"].value == len(incidents(today, LATE))


def test_a_verdict_concerns_its_own_day_and_those_after_it(settings: Settings) -> None:
    keep_all(settings, rises=LATE - 3, falls=99)
    evaluate(settings, range(DAYS))
    say(settings, LATE - 1, the_one(settings, LATE - 2, opened=LATE - 3), "ack")
    said = incident_verdicts_in(settings.store)
    due = [
        number for number in range(DAYS)
        if made_from(settings.root, "backlinks_incidents", day(number)) != evaluated_from(settings.root, day(number), (), said)
    ]  # fmt: skip
    assert due == [LATE - 1, LATE]


@pytest.mark.ci
def test_what_was_said_long_ago_is_no_longer_looked_at(settings: Settings) -> None:
    keep_all(settings, rises=2, falls=99)
    with open_store(settings) as store:
        assert store.incident_verdicts() == ()
    evaluate(settings, range(DAYS))
    old = {"incident": "abcdefgh", "target": SPAMMY, "metric": "spam_score", "direction": "up", "opened": day(2)}
    say(settings, 3, old, "ack")
    said = incident_verdicts_in(settings.store)
    assert said[0].day == day(3) < TODAY - dt.timedelta(days=7)
    assert evaluated_from(settings.root, TODAY, (), said) == evaluated_from(settings.root, TODAY)
