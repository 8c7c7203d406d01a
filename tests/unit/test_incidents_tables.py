"""`backlinks_incidents` beside the flags: day by day as the mornings go, and from scratch with the same bytes."""

import shutil

import pytest
from incident_days import (
    DAYS,
    FALLS,
    LOSES,
    LOSING,
    RISES,
    SPAMMY,
    day,
    evaluate,
    incidents,
    keep_all,
    say,
    the_one,
    written,
)  # fmt: skip

from backlinks_assets.incidents.incident import incident_id
from backlinks_assets.settings import Settings
from backlinks_assets.tables.parquet import read_days

RISEN = incident_id(SPAMMY, "spam_score", "up", day(RISES))


@pytest.fixture
def tables(settings: Settings) -> Settings:
    keep_all(settings)
    return settings


@pytest.mark.medium
def test_a_flag_has_the_id_of_its_incident_which_ends_when_three_readings_are_usual(tables: Settings) -> None:
    evaluate(tables, range(DAYS))
    flags = read_days(tables.root, "backlinks_flags", day(0), day(DAYS - 1)).to_pylist()
    assert {(one["date"], one["target"], one["incident"]) for one in flags} >= {(day(RISES), SPAMMY, RISEN)}
    known = {one["incident"] for number in range(DAYS) for one in incidents(tables, number)}
    assert {one["incident"] for one in flags if one["target"] != "*"} == known
    one = the_one(tables, RISES)
    assert (one["state"], one["group"], one["owner"]) == ("open", "Acme", "ann@agency.example")
    assert the_one(tables, FALLS + 1)["back_readings"] == 2
    one = the_one(tables, FALLS + 2)
    assert (one["state"], one["reason"], one["resolved"]) == ("resolved", "back", day(FALLS + 2))
    assert the_one(tables, DAYS - 1, LOSING, LOSES)["severity"] == "critical"


@pytest.mark.ci
def test_mornings_leave_the_bytes_that_a_rebuild_leaves_with_all_that_was_said(tables: Settings) -> None:
    for number in range(DAYS):
        evaluate(tables, [number])
        if number == RISES:
            say(tables, number, the_one(tables, number), "ack", note="looking")
        if number == RISES + 1:
            say(tables, number, the_one(tables, number), "resolve", reason="expected", note="our migration")
        if number == LOSES:
            lost = the_one(tables, number, LOSING, LOSES)
            say(tables, number, lost, "snooze", until=day(number + 2))
        if number == LOSES + 1:
            say(tables, number, the_one(tables, LOSES, LOSING, LOSES), "resolve", reason="vendor", by="Ben")
        if number == LOSES + 2:
            say(tables, number, the_one(tables, LOSES, LOSING, LOSES), "reopen")
        if number >= RISES:
            evaluate(tables, [number])  # as the automation does, for what was said that day
    states = [the_one(tables, number)["state"] for number in range(RISES, RISES + 3)]
    assert states == ["acknowledged", "resolved", "resolved"]
    assert [the_one(tables, number, LOSING, LOSES)["state"] for number in range(LOSES, DAYS)] == [
        "snoozed", "resolved", "open",
    ]  # fmt: skip
    before = written(tables)
    assert len(before) == 3 * DAYS
    for table in ("backlinks_changes", "backlinks_flags", "backlinks_incidents"):
        shutil.rmtree(tables.root / "parquet" / table)
    evaluate(tables, range(DAYS))
    assert written(tables) == before
    evaluate(tables, range(RISES, DAYS))  # a part, from what stands before it
    assert written(tables) == before


@pytest.mark.medium
def test_an_expected_span_is_out_of_baselines_from_its_verdict_on_and_comes_back(tables: Settings) -> None:
    evaluate(tables, range(DAYS))
    plain = written(tables)

    def of(number: int) -> dict[str, object]:
        rows = read_days(tables.root, "backlinks_changes", day(number), day(number)).to_pylist()
        (row,) = [row for row in rows if (row["target"], row["metric"]) == (SPAMMY, "spam_score")]
        return row

    before = of(FALLS)
    assert before["baseline"] > 20  # the rise has become half of what is usual
    say(tables, FALLS - 1, the_one(tables, RISES), "resolve", reason="expected")
    evaluate(tables, range(RISES, DAYS))
    assert of(FALLS)["baseline"] < 12
    early = {name: text for name, text in written(tables).items() if name.endswith(str(day(RISES)))}
    assert early.items() <= plain.items()  # a day is judged with what was said before its end
    say(tables, FALLS - 1, the_one(tables, RISES), "reopen", by="Ben")
    evaluate(tables, range(RISES, DAYS))
    assert of(FALLS) == before


@pytest.mark.medium
def test_flags_from_before_there_were_incidents_open_them(tables: Settings) -> None:
    evaluate(tables, range(DAYS - 1))
    shutil.rmtree(tables.root / "parquet" / "backlinks_incidents")
    evaluate(tables, [DAYS - 1])
    assert the_one(tables, DAYS - 1)["incident"] == RISEN
    assert the_one(tables, DAYS - 1)["reason"] == "back"
