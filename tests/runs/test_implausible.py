"""An implausible value is not a reading, and is named; of too many targets it keeps the day from being evaluated."""

import sqlite3
from collections.abc import Collection

import dagster as dg
import orjson
import pytest
import zstandard
from looks import collect_run, definitions, publish_run

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.paths import parquet_path
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import read_days

pytestmark = pytest.mark.slow

TODAY = utc_now().date()
NAMES = [f"shop{number:02d}.example" for number in range(20)]


def spoil(targets: Collection[str]) -> None:
    """Give live answers in the store a spam score above 100."""
    store = sqlite3.connect(Settings.from_env().store_file)
    for target in targets:
        where = "WHERE target = ? AND status_type = 'live'"
        ((body,),) = store.execute(f"SELECT body FROM responses {where}", [target])
        answer = orjson.loads(zstandard.decompress(body))
        answer["tasks"][0]["result"][0]["backlinks_spam_score"] = 101
        changed = zstandard.compress(orjson.dumps(answer))
        store.execute(f"UPDATE responses SET body = ? {where}", [changed, target])
    store.commit()
    store.close()


def published(instance, write_targets, spoilt: int) -> tuple[dg.ExecuteInProcessResult, dg.AssetCheckEvaluation]:
    write_targets(*NAMES)
    add_missing_targets(instance, NAMES)
    assert collect_run(instance, TODAY, *NAMES).success
    spoil(NAMES[:spoilt])
    result = publish_run(instance, TODAY, TODAY)
    (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == "values_are_plausible"]
    return result, found


def materialized(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}


@pytest.mark.ci
def test_of_few_targets_it_is_named_and_the_day_is_evaluated_without_it(instance, write_targets) -> None:
    result, check = published(instance, write_targets, spoilt=1)
    assert result.success
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.WARN, True)
    assert check.description == f"1 value of {TODAY} is not plausible, of 1 of 20 targets."
    (row,) = check.metadata["worst"].records
    assert (row.data["target"], row.data["column"], row.data["value"]) == (NAMES[0], "backlinks_spam_score", "101")
    root = Settings.from_env().root
    changes = read_days(root, "backlinks_changes", TODAY, TODAY).to_pandas().set_index(["target", "metric"])["value"]
    assert (NAMES[0], "spam_score") not in changes.dropna().index
    assert changes[NAMES[0], "lost_backlinks"] >= 0
    assert changes[NAMES[1], "spam_score"] <= 100
    answered = read_days(root, "backlinks_summary", TODAY, TODAY).to_pandas()
    assert answered["backlinks_spam_score"].max() == 101  # the table has what the vendor said


def test_of_more_than_a_twentieth_of_the_targets_it_keeps_the_day_from_being_evaluated(instance, write_targets) -> None:
    result, check = published(instance, write_targets, spoilt=2)
    assert not result.success
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.ERROR, True)
    assert check.description.endswith("of 2 of 20 targets. More than 5% of the targets: the day is not evaluated.")
    assert materialized(result) == {"backlinks_summary", "referring_links", "backlinks_bulk", "api_costs"}
    root = Settings.from_env().root
    assert parquet_path(root, "backlinks_summary", TODAY).exists()
    assert not parquet_path(root, "backlinks_flags", TODAY).exists()
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    said = failed.step_failure_data.user_failure_data.description
    assert said.startswith(check.description)
    assert "materialize backlinks_changes, backlinks_flags and backlinks_incidents for it" in said


EVALUATIONS = {"backlinks_changes", "backlinks_flags", "backlinks_incidents"}


@pytest.mark.ci
def test_a_person_may_have_the_day_evaluated_all_the_same(instance, write_targets) -> None:
    published(instance, write_targets, spoilt=2)
    subset = {dg.AssetKey(name) for name in EVALUATIONS}
    job = definitions().get_repository_def().get_implicit_global_asset_job_def().get_subset(asset_selection=subset)
    result = job.execute_in_process(instance=instance, partition_key=str(TODAY), raise_on_error=False)
    assert result.success
    assert materialized(result) == EVALUATIONS
