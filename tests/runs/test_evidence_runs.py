"""The asset `flag_evidence`, the sensor that has it bought, and what waits for it."""

import datetime as dt
import os

import dagster as dg
import duckdb
import pytest
from collecting import be_quick, of_links
from report_world import a_flag, write_rows

from backlinks_assets.cli.execution import Pipeline
from backlinks_assets.cli.run import _with_evidence
from backlinks_assets.collect.collector import utc_now
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.announce import busy_days
from backlinks_assets.defs.evidence import evidence_sensor
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.paths import evidence_csv_path, parquet_path
from backlinks_assets.settings import Settings

TODAY = utc_now().date()


@pytest.fixture(autouse=True)
def flagged(api, write_targets, monkeypatch: pytest.MonkeyPatch):
    """The API, a judged day with a critical flag and a warning, and evidence switched on for critical flags."""
    be_quick(monkeypatch)
    monkeypatch.setenv("BACKLINKS_EVIDENCE", "critical")
    server = api()
    write_targets("plain1.example", "plain2.example")
    flags = [a_flag("plain1.example", metric="spam_score", severity="critical"), a_flag("plain2.example")]
    for table in ("backlinks_flags", "backlinks_changes"):
        write_rows(Settings.from_env().root, table, TODAY, flags)
    return server


def evidence_run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return build_defs().resolve_job_def("evidence_job").execute_in_process(instance=instance, partition_key=str(TODAY))


def tick(instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    with dg.build_sensor_context(instance=instance, resources={"backlinks_data": BacklinksData()}) as context:
        found = evidence_sensor(context)
    assert isinstance(found, dg.RunRequest | dg.SkipReason)
    return found


def test_the_asset_buys_by_the_setting_once_and_publishes_table_and_csv(instance, flagged) -> None:
    settings = Settings.from_env()
    for calls in (1, 0):
        (event,) = evidence_run(instance).asset_materializations_for_node("flag_evidence")
        assert event.metadata["calls"].value == calls
        assert event.metadata["flags"].value == 1
        assert event.metadata["not_bought"].value == 0
    assert len(of_links(flagged)) == 1
    with duckdb.connect(str(settings.duckdb_file), read_only=True) as tables:
        (found,) = tables.execute("SELECT target, question, sum(cost_usd) FROM flag_evidence GROUP BY ALL").fetchall()
    assert found[:2] == ("plain1.example", "new_spam")
    assert found[2] == pytest.approx(flagged.spent_usd)
    assert (
        evidence_csv_path(settings.root, TODAY).read_text(encoding="utf-8").startswith("date,target,question,position")
    )


def test_the_sensor_is_off_at_first_and_requests_one_run_for_what_is_missing(instance, monkeypatch) -> None:
    assert evidence_sensor.default_status is dg.DefaultSensorStatus.STOPPED
    first, second = tick(instance), tick(instance)
    assert isinstance(first, dg.RunRequest)
    assert isinstance(second, dg.RunRequest)
    assert first.partition_key == str(TODAY)
    assert first.run_key == second.run_key  # which Dagster requests once
    evidence_run(instance)
    assert isinstance(tick(instance), dg.SkipReason)
    monkeypatch.setenv("BACKLINKS_EVIDENCE", "off")
    assert "off" in (tick(instance).skip_message or "")


def test_a_message_waits_for_evidence_ten_minutes_at_most(instance, monkeypatch) -> None:
    settings = Settings.from_env()
    assert TODAY in busy_days(instance, settings, utc_now())
    assert TODAY not in busy_days(instance, settings, utc_now() + dt.timedelta(minutes=10, seconds=1))
    evidence_run(instance)
    os.utime(parquet_path(settings.root, "backlinks_flags", TODAY))
    assert TODAY not in busy_days(instance, settings, utc_now())
    monkeypatch.setenv("BACKLINKS_EVIDENCE", "all")
    assert TODAY in busy_days(instance, Settings.from_env(), utc_now())


class Counted(Pipeline):
    """Counts how often a day would be published."""

    published = 0

    def publish(self, first: dt.date, last: dt.date, assets: list[dg.AssetKey] | None = None) -> None:
        self.published += 1


def test_the_day_is_published_again_only_where_evidence_was_bought(instance, flagged) -> None:
    settings = Settings.from_env()
    pipeline = Counted(settings, instance)
    for calls in (1, 0):
        assert _with_evidence(pipeline, settings, TODAY)["calls"] == calls
        assert pipeline.published == 1
    parquet_path(settings.root, "flag_evidence", TODAY).unlink()  # as after a kill between buying and writing
    assert _with_evidence(pipeline, settings, TODAY)["calls"] == 0
    assert pipeline.published == 2


def test_a_day_without_a_flag_is_published_once(instance) -> None:
    settings = Settings.from_env()
    write_rows(settings.root, "backlinks_flags", TODAY, [])
    pipeline = Counted(settings, instance)
    assert _with_evidence(pipeline, settings, TODAY)["calls"] == pipeline.published == 0


@pytest.mark.ci
def test_what_the_money_did_not_reach_is_in_the_table_with_the_reason_and_on_the_page(
    instance, monkeypatch, flagged
) -> None:
    from report_world import a_page

    from backlinks_assets.report.evidence import read_evidence

    monkeypatch.setenv("BACKLINKS_EVIDENCE_USD_PER_DAY", "0.01")
    (event,) = evidence_run(instance).asset_materializations_for_node("flag_evidence")
    assert (event.metadata["not_bought"].value, of_links(flagged)) == (1, [])
    root = Settings.from_env().root
    (answer,) = read_evidence(root, TODAY).of("plain1.example", "spam_score")
    assert "BACKLINKS_EVIDENCE_USD_PER_DAY of $0.01" in answer.unbought
    assert "Which links they are was not bought: BACKLINKS_EVIDENCE_USD_PER_DAY" in a_page(root, TODAY).read_text()
    monkeypatch.setenv("BACKLINKS_EVIDENCE_USD_PER_DAY", "1")
    evidence_run(instance)
    assert read_evidence(root, TODAY).of("plain1.example", "spam_score")[0].unbought == ""
