"""A line of the targets file that can't be used stops no other: not in the file, the command, the schedule or a run."""

import datetime as dt
import os

import dagster as dg
import pytest
from commands import command
from job_runs import schedule_tick

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.collect.factory import watched_targets
from backlinks_assets.definitions import build_defs
from backlinks_assets.defs.partitions import day_range_tags, range_tags
from backlinks_assets.defs.resources import BacklinksData
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.paths import page_path
from backlinks_assets.settings import Settings
from backlinks_assets.targets.file import parse_targets
from backlinks_assets.targets.target import TargetsError, WatchList

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]

TODAY = utc_now().date()
HEADER = "target,include_subdomains,backlinks_filters,retired,spam_points,note"


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def read(text: str) -> WatchList:
    return parse_targets(text, source="targets.csv")


BAD = {
    "a name that is none": ("exa mple.com", "exa mple.com", None, "has a space in it"),
    "a date that a spreadsheet rewrote": ("old.com,,,02/01/2026", "old.com", "old.com", "'02/01/2026' can't be the day"),
    "a day that is none": ("Old.com,,,2026-02-30", "Old.com", "old.com", "no such day"),
    "a switch": ("b.com,maybe", "b.com", "b.com", "'maybe' can't be include_subdomains"),
    "a threshold": ("b.com,,,,-1", "b.com", "b.com", "spam_points is '-1'"),
    "a filter": ('b.com,,"[""dofollow"""', "b.com", "b.com", "it is not valid JSON"),
    "too many cells": ("https://b.com/x,y,,,,,,", "https://b.com/x", "https://b.com/x", "beyond the header's columns"),
    "a duplicate that says otherwise": ("www.a.com,no", "www.a.com", "a.com", "Until then line 2 counts."),
    "a quote that is not closed": ('"b.com', "b.com", "b.com", "is not valid CSV (unexpected end of data)"),
    "one in a later cell": ('b.com,,,,,"our shop', "b.com", "b.com", "is not valid CSV"),
    "one that a later line closes": ('"b.com\nc.com\nd.com"', "b.com", "b.com", "a quote is not closed on its line"),
    "a quote inside a cell": ('"b".com', "b.com", "b.com", "is not valid CSV"),
    "a NUL": ("b\0.com", "b\0.com", None, "U+0000"),
    "a control character": ("b.com\x1b[2J", "b.com\x1b[2J", None, "U+001B"),
    "a cell longer than CSV may have": ("b" * 200_000, "b" * 200_000, None, "field larger than"),
    "a note longer than that": ("b.com,,,,," + "x" * 200_000, "b.com", "b.com", "field larger than"),
    "a comma at the end": ("b.com,,,,,,", "b.com", "b.com", "or delete the comma"),
    "no name": (",yes", "", None, "has no target"),
    "a password": ("https://me:hunter2@b.com/", "https://***@b.com/", None, "leave it out"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "cell", "target", "words"), BAD.values(), ids=BAD)
def test_the_lines_before_and_after_a_bad_one_are_used_and_it_is_named(
    line: str, cell: str, target: str | None, words: str
) -> None:
    found = read(f"{HEADER}\na.com\n{line}\nz.com,,,,,last\n")
    names = [one.target for one in found]
    assert (names[0], names[-1]) == ("a.com", "z.com")
    bad = found.bad_lines[0]
    assert (bad.line, bad.cell, bad.target) == (3, cell, target)
    assert bad.reason.startswith("line 3: ")
    assert words in bad.reason
    assert "hunter2" not in bad.reason
    assert target is None or target == "a.com" or target not in names


def test_all_that_is_wrong_with_a_line_is_one_reason() -> None:
    [bad] = read(f"{HEADER}\na.com\nexa mple.com,maybe,,soon\n").bad_lines
    assert [problem.line for problem in bad.problems] == [3, 3, 3]
    assert bad.reason.count("line 3") == 1
    assert all(word in bad.reason for word in ("has a space", "'maybe'", "'soon'"))


def test_a_bad_lines_thresholds_are_known_as_far_as_they_can_be_read() -> None:
    columns = "target,retired,spam_points,mute_flags,lost_percent"
    lines = [
        "a.com,soon,,yes",
        "b.com,,-1,yes,20",
        'c.com,,"7,5",true',
        "d.com,,9",
        "d.com,soon,3",
        "e.com,soon,,,,slipped",
    ]
    found = read("\n".join([columns, *lines]) + "\n")
    assert [target.target for target in found] == ["d.com"]
    assert found.thresholds == {
        "a.com": {"mute_flags": "yes"},
        "b.com": {"mute_flags": "yes", "lost_percent": "20"},
        "c.com": {"mute_flags": "true"},
        "d.com": {"spam_points": "9"},
    }


def test_a_bad_record_over_several_lines_says_where_it_ends() -> None:
    found = read(f'{HEADER}\na.com\nb.com,,,soon,,"see\nthere"\nz.com\n')
    [bad] = found.bad_lines
    assert "go on to line 4: if that is not meant, close the quote." in bad.reason
    assert [one.target for one in found] == ["a.com", "z.com"]


def test_without_one_good_line_the_file_is_refused_with_all_its_lines() -> None:
    with pytest.raises(TargetsError) as refusal:
        read(f"{HEADER}\nexa mple.com\nb.com,maybe\n")
    assert [problem.line for problem in refusal.value.problems] == [2, 3]


def test_what_a_day_should_hold_counts_a_bad_line_by_its_name_or_its_cell() -> None:
    found = read(f"{HEADER}\na.com\nb.com,,,2026-01-01\nC.com,maybe\nexa mple.com\nwww.a.com,no\n,yes\nx\0.com\n")
    assert found.expected_on(TODAY) == ["a.com", "c.com", "exa mple.com", r"'x\x00.com'"]
    assert found.bad_line_of("c.com") is found.bad_lines[0]
    assert found.bad_line_of("a.com") is None  # another line has it


def test_names_for_examples_are_bad_lines_where_the_api_is_real(write_targets) -> None:
    write_targets("shop.example", "real.com", "https://a.test/", "exa mple.com")
    real = {"DATAFORSEO_LOGIN": "x", "DATAFORSEO_PASSWORD": "y"}
    found = watched_targets(Settings.from_env({**os.environ, **real}))
    assert [target.target for target in found] == ["real.com"]
    assert [bad.line for bad in found.bad_lines] == [2, 4, 5]
    assert found.bad_lines[0].reason == (
        "line 2: 'shop.example' is an example that exists only in the simulator: replace it by your own."
    )
    assert [bad.line for bad in watched_targets(Settings.from_env()).bad_lines] == [5]


# --- the command


def test_a_day_is_done_for_the_good_lines_and_the_bad_ones_are_failed(api, write_targets) -> None:
    server = api()
    lines = [
        "shop1.example,",
        "exa mple.com,",
        "Old.example,02/01/2026",
        "shop2.example,",
        '"shop3.example',
        "gone.example,2026-01-01",
    ]
    write_targets(*lines, header="target,retired")  # fmt: skip
    first = command("run", "--json")
    assert first.status == 3
    assert {call.target for call in server.calls} == {"shop1.example", "shop2.example"}
    failed = first.summary["failed"]
    assert [one["target"] for one in failed] == ["exa mple.com", "Old.example", "shop3.example"]
    assert [one["reason"].split(": ")[0] for one in failed] == ["line 3", "line 4", "line 6"]
    assert (first.summary["targets"], first.summary["collected"]) == (5, 2)
    assert "3 of 5 targets have no answers for the day" in first.err
    assert "Old.example: line 4: '02/01/2026' can't be the day it is retired from: write a date" in first.err
    again = command("run", "--json")  # nothing more is paid for, and what is wrong is still said
    assert (again.status, again.summary["calls"], again.summary["reused"]) == (3, 0, 2)
    assert again.summary["failed"] == failed
    assert len(server.calls) == 4


UNUSABLE = {
    "no header": "a.com\nb.com\n",
    "a column that does not exist": "target,spam_pints\na.com,3\nb.com,\n",
    "another encoding": "target\na.com\ncaf\u00e9.com\n".encode("latin-1"),
    "no good line": "target,retired\nexa mple.com,\na.com,soon\n",
    "good lines that are retired": "target,retired\nexa mple.com,\na.com,2026-01-01\n",
}


@pytest.mark.parametrize("content", UNUSABLE.values(), ids=UNUSABLE)
def test_a_file_that_is_unusable_as_a_whole_asks_for_nothing(api, write_targets, content: str | bytes) -> None:
    server = api()
    write_targets().write_bytes(content if isinstance(content, bytes) else content.encode())
    ended = command("run", "--json")
    assert ended.status == 2
    assert "targets.csv" in ended.err
    assert "Traceback" not in ended.err
    assert not server.calls


def test_the_doctor_names_bad_lines_and_counts_the_good_ones(api, write_targets) -> None:
    api()
    write_targets("shop1.example,", "exa mple.com,", "shop2.example,soon", header="target,retired")
    ended = command("doctor", "--json")
    assert ended.status == 2
    [found] = [one for one in ended.summary["checks"] if one["check"] == "targets"]
    assert found["state"] == "to do"
    assert "1 active of 1" in found["says"]
    assert "line 3: 'exa mple.com' has a space" in found["says"]
    assert "line 4: 'soon'" in found["says"]


# --- Dagster


def collect_run(instance: dg.DagsterInstance, first: str, last: str) -> dg.ExecuteInProcessResult:
    tags = range_tags(str(TODAY), str(TODAY), first, last)
    job = build_defs().resolve_job_def("collect_job")
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def said(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> str:
    return "\n".join(entry.user_message for entry in instance.all_logs(result.run_id))


def test_the_schedule_and_the_sensor_go_on_with_the_good_lines(instance, api, write_targets) -> None:
    api()
    write_targets("a.example,", "b.example,02/01/2026", "exa mple.com,", "c.example,", header="target,retired")
    repository = build_defs().get_repository_def()
    sensor = dg.build_sensor_context(
        instance=instance, repository_def=repository, resources={"backlinks_data": BacklinksData()}
    )
    asked = repository.get_sensor_def("targets_sensor").evaluate_tick(sensor).dynamic_partitions_requests
    assert asked[0].partition_keys == ["a.example", "c.example"]
    requests = schedule_tick(instance, dt.datetime.combine(TODAY, dt.time(6), dt.UTC)).run_requests
    assert instance.get_dynamic_partitions("targets") == ["a.example", "c.example"]
    [request] = requests
    assert request.tags["dagster/asset_partition_range_start"] == f"{TODAY}|a.example"
    assert request.tags["dagster/asset_partition_range_end"] == f"{TODAY}|c.example"


def test_a_run_collects_the_good_targets_and_names_the_lines_of_the_others(instance, api, write_targets) -> None:
    server = api()
    names = ["a.example", "b.example", "c.example", "d.example"]
    add_missing_targets(instance, names)
    write_targets("a.example,", "b.example,02/01/2026", "d.example,", header="target,retired")
    result = collect_run(instance, names[0], names[-1])
    assert result.success
    assert {call.target for call in server.calls} == {"a.example", "d.example"}
    log = said(instance, result)
    assert "- line 3: '02/01/2026' can't be the day it is retired from" in log
    assert f"b.example ({TODAY}): its line 3 can't be used: '02/01/2026'" in log
    assert "of no target in the targets file: 'c.example'" in log


def test_a_run_for_a_target_on_a_bad_line_says_which_line_and_why(instance, api, write_targets) -> None:
    server = api()
    write_targets("a.example,", "b.example,maybe", header="target,include_subdomains")
    add_missing_targets(instance, ["a.example", "b.example"])
    result = collect_run(instance, "b.example", "b.example")
    assert not result.success
    [failure] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    says = failure.user_failure_data.description
    assert "its line 3 can't be used: 'maybe' can't be include_subdomains" in says
    assert "Nothing was requested." in says
    assert not server.calls


def test_a_target_that_becomes_a_bad_line_is_missing_from_the_days_check_and_page(instance, api, write_targets) -> None:
    api()
    write_targets("a.example,", "b.example,soon", "exa mple.com,", header="target,retired")
    add_missing_targets(instance, ["a.example", "b.example"])
    assert collect_run(instance, "a.example", "b.example").success
    job = build_defs().resolve_job_def("publish_job")
    published = job.execute_in_process(instance=instance, tags=day_range_tags(str(TODAY), str(TODAY)))
    [check] = [one for one in published.get_asset_check_evaluations() if one.check_name == "every_target_has_answers"]
    assert not check.passed
    missing = [record.data["target"] for record in check.metadata["worst"].records]
    assert missing == ["b.example", "exa mple.com"]
    page = page_path(Settings.from_env().root, TODAY).read_text()
    assert "exa mple.com" in page
