"""`backlinks days`: readings go out of flags and baselines by what a person says, and come back as they were."""

import datetime as dt
import getpass
from collections.abc import Callable
from typing import Any

import commands
import pyarrow as pa
import pytest
from looks import Automation, collect_run
from summary_days import keep

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import open_store
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.detection.settings import DetectionSettings
from backlinks_assets.due_days import evaluated_from
from backlinks_assets.paths import page_path
from backlinks_assets.pipeline import publish_changes
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import verdicts_in
from backlinks_assets.store.verdicts import StoredVerdict
from backlinks_assets.tables.duckdb_sync import sync
from backlinks_assets.tables.parquet import made_from, read_days

pytestmark = pytest.mark.slow

TODAY = utc_now().date()
DAYS = 34
FAULT, WRONG = range(10, 12), 30
"""Days on which the vendor has nearly nothing of any target, and the day on which one target's numbers are wrong."""
NAMES = [f"shop{number:02d}.example" for number in range(12)]
CHANGED = NAMES[3]


def day(number: int) -> dt.date:
    return TODAY - dt.timedelta(days=DAYS - 1 - number)


def reading(number: int, name: str) -> list[tuple[str, str, dict[str, Any]]]:
    noise = (number * 7 + NAMES.index(name) * 3) % 5
    is_wrong = name == CHANGED and number >= WRONG
    live = 20 if number in FAULT else 2000 + noise
    spam_score = 50 if is_wrong and number == WRONG else 10 + noise % 2
    summary = {"backlinks_spam_score": spam_score, "referring_main_domains": 50}
    return [(name, "live", summary | {"backlinks": live}), (name, "lost", summary | {"backlinks": 300 + noise})]


def evaluate(settings: Settings) -> None:
    list(publish_changes(settings, [day(number) for number in range(DAYS)], {}, DetectionSettings()))
    sync(settings.root)


@pytest.fixture
def tables(settings: Settings, write_targets: Callable[..., object]) -> Settings:
    """Tables of some weeks, evaluated, and a store beside them."""
    write_targets(*NAMES)
    for number in range(DAYS):
        keep(settings.root, day(number), *[one for name in NAMES for one in reading(number, name)])
    with open_store(settings):
        pass
    evaluate(settings)
    return settings


def rows(settings: Settings, table: str) -> pa.Table:
    return read_days(settings.root, table, day(0), day(DAYS - 1))


def flagged(settings: Settings) -> set[tuple[dt.date, str]]:
    found = rows(settings, "backlinks_flags").to_pylist()
    return {(row["date"], row["target"]) for row in found}


def changed(settings: Settings, number: int) -> dict[str, Any]:
    of_day = read_days(settings.root, "backlinks_changes", day(number), day(number)).to_pylist()
    (row,) = [row for row in of_day if (row["target"], row["metric"]) == (CHANGED, "spam_score")]
    return row


def listed() -> list[dict[str, Any]]:
    return commands.command("days", "list", "--json").summary["days"]


@pytest.mark.ci
def test_an_excluded_day_is_in_no_flag_and_no_baseline_and_comes_back_as_it_was(tables: Settings) -> None:
    before = {name: rows(tables, name) for name in ("backlinks_changes", "backlinks_flags")}
    assert flagged(tables) == {(day(FAULT[0]), "*"), (day(WRONG), CHANGED)}
    assert changed(tables, WRONG + 1)["previous"] == 50

    out = commands.command("days", "exclude", str(day(WRONG)), "--note", "the index was moved", "--by", "Ada")
    assert (out.status, out.out.splitlines()) == (
        0,
        [
            f"{day(WRONG)}: the readings of all metrics of all targets are out of baselines and flags.",
            f"{day(WRONG)} to {TODAY}: 0 flags, 1 before.",
        ],
    )
    assert flagged(tables) == {(day(FAULT[0]), "*")}
    assert day(WRONG) not in rows(tables, "backlinks_changes")["date"].to_pylist()
    after = changed(tables, WRONG + 1)
    assert (after["previous_date"], after["baseline"] < 12) == (day(WRONG - 1), True)
    assert page_path(tables.root, TODAY).exists()
    flags = commands.command("flags", "--date", str(day(WRONG)), "--json")
    assert flags.summary["flags"] == []  # the DuckDB file has it too
    assert [(one["first"], one["said"], one["now"], one["by"], one["note"]) for one in listed()[1:]] == [
        (str(day(WRONG)), "exclude", "out", "Ada", "the index was moved")
    ]

    back = commands.command("days", "include", str(day(WRONG)), "--by", "Ada")
    assert back.out.splitlines()[-1] == f"{day(WRONG)} to {TODAY}: 1 flag, 0 before."
    for name, table in before.items():
        assert rows(tables, name).equals(table), name
    assert [(one["said"], one["now"]) for one in listed()[1:]] == [("exclude", "in"), ("include", "in")]


@pytest.mark.ci
def test_a_day_that_detection_found_is_listed_and_comes_back_whole(tables: Settings) -> None:
    (fault,) = listed()
    assert (fault["first"], fault["last"], fault["said"]) == (str(day(FAULT[0])), str(day(FAULT[-1])), "fault")
    assert fault["note"].startswith("The vendor's fault, not your links: 12 of 12 targets read near zero.")
    span = (str(day(FAULT[0])), "--until", str(day(FAULT[-1])))
    for_one = commands.command("days", "include", *span, "--target", CHANGED, "--no-rebuild")
    assert "Such days come back whole only" in for_one.err
    assert "are still those of before" in for_one.out
    assert commands.command("days", "include", *span).status == 0
    assert "vendor_fault" not in rows(tables, "backlinks_flags")["kind"].to_pylist()
    assert day(FAULT[0]) in rows(tables, "backlinks_changes")["date"].to_pylist()
    assert [(one["said"], one["now"]) for one in listed()] == [("include", "in"), ("include", "in")]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["exclude", "26.11.2026"], "write a date as YYYY-MM-DD"),
        (["exclude", str(TODAY + dt.timedelta(days=2))], "has not begun (UTC)"),
        (["include", str(TODAY), "--until", str(day(0))], "ends before it begins"),
        (
            ["exclude", str(TODAY), "--metric", "rank"],
            "'rank' is not a valid metric. Write lost_backlinks or spam_score",
        ),
        (["exclude", str(TODAY), "--target", "other.example"], "'other.example' is not a known target"),
        (["exclude", str(TODAY), "--target", "*"], "'*' is not a known target"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence_and_nothing_is_stored(
    settings: Settings, write_targets: Callable[..., object], arguments: list[str], sentence: str
) -> None:
    write_targets(*NAMES)
    keep(settings.root, TODAY, *reading(DAYS - 1, NAMES[0]))
    ended = commands.command("days", *arguments)
    assert ended.status == 2
    assert sentence in " ".join(ended.err.replace("│", "").split())
    assert verdicts_in(settings.store_file) == ()


def test_a_target_that_is_only_in_the_tables_can_be_named(settings: Settings, write_targets) -> None:
    write_targets(NAMES[0])
    keep(settings.root, TODAY, *reading(DAYS - 1, NAMES[1]))
    ended = commands.command("days", "exclude", str(TODAY), "--target", f"WWW.{NAMES[1]}")
    assert (ended.status, "No day from" in ended.out) == (0, True)
    (said,) = verdicts_in(settings.store_file)
    assert (said.target, said.by) == (NAMES[1], getpass.getuser())


def test_without_tables_nothing_can_be_said_and_nothing_is_made(settings: Settings) -> None:
    assert commands.command("days", "list", "--json").summary["days"] == []
    ended = commands.command("days", "exclude", str(TODAY))
    assert (ended.status, "No table is in" in ended.err) == (2, True)
    assert not settings.store_file.exists()


def verdict(first: int, last: int, *, counts: bool, target: str | None = None) -> StoredVerdict:
    return StoredVerdict(day(first), day(last), counts, "Ada", utc_now(), target)


@pytest.mark.ci
def test_of_a_span_the_list_says_what_is_left_of_it(tables: Settings) -> None:
    with open_store(tables) as store:
        store.add_verdict(verdict(20, 24, counts=False))
        store.add_verdict(verdict(22, 22, counts=True))
        store.add_verdict(verdict(26, 26, counts=False))
        store.add_verdict(verdict(26, 26, counts=True, target=CHANGED))
        store.add_verdict(verdict(28, 28, counts=False, target=NAMES[4]))
        store.add_verdict(verdict(27, 29, counts=True, target=NAMES[5]))
    of_people = [one for one in listed() if one["said"] != "fault"]
    assert [(one["said"], one["now"]) for one in of_people] == [
        ("exclude", "in part"),
        ("include", "in"),
        ("exclude", "in part"),
        ("include", "in"),
        ("include", "in"),
        ("exclude", "out"),
    ]
    piped = commands.command("days", "list").out.splitlines()
    assert piped[0].split("\t")[:3] == ["first", "last", "target"]
    assert len(piped) == 1 + len(of_people) + 1


@pytest.mark.ci
def test_a_day_excluded_beside_a_fault_is_not_told_as_part_of_it(tables: Settings) -> None:
    with open_store(tables) as store:
        store.add_verdict(verdict(FAULT[-1] + 1, FAULT[-1] + 1, counts=False))
    evaluate(tables)
    assert listed()[0]["last"] == str(day(FAULT[-1]))


def test_a_verdict_makes_its_day_and_those_after_it_due_and_no_other(tables: Settings) -> None:
    with open_store(tables) as store:
        store.add_verdict(verdict(WRONG, WRONG, counts=False))
        assert store.verdicts() == verdicts_in(tables.store_file)
    said = verdicts_in(tables.store_file)
    due = [
        number
        for number in range(DAYS)
        if made_from(tables.root, "backlinks_flags", day(number)) != evaluated_from(tables.root, day(number), said)
    ]
    assert due == list(range(WRONG, DAYS))
    evaluate(tables)
    for number in range(DAYS):
        assert made_from(tables.root, "backlinks_flags", day(number)) == evaluated_from(tables.root, day(number), said)


@pytest.mark.ci
def test_a_backtest_over_the_tables_leaves_excluded_days_out(tables: Settings) -> None:
    def found() -> int:
        return commands.command("backtest", "--json").summary["flags"]

    before = found()
    with open_store(tables) as store:
        store.add_verdict(verdict(WRONG, WRONG, counts=False, target=CHANGED))
    assert found() == before - 1


@pytest.mark.ci
def test_the_automation_evaluates_a_day_that_was_excluded(instance, write_targets) -> None:
    write_targets(*NAMES)
    add_missing_targets(instance, NAMES)
    collect_run(instance, TODAY, *NAMES)
    auto = Automation(instance)
    assert auto.look_and_build() == [(TODAY, TODAY)]
    settings = Settings.from_env()
    with open_store(settings) as store:
        store.add_verdict(StoredVerdict(TODAY, TODAY, False, "Ada", utc_now()))
    assert auto.look_and_build() == [(TODAY, TODAY)]
    assert read_days(settings.root, "backlinks_changes", TODAY, TODAY).num_rows == 0
    assert auto.look() == []
