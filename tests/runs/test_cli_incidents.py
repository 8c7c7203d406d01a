"""`backlinks incidents`: seen, worked on and exchanged from a terminal, with a sentence for what can't be used."""

import csv
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import commands
import pytest
from incident_days import DAYS, LOSING, NAMES, SPAMMY, TODAY, evaluate, keep_all, the_one, written

from backlinks_assets.cli.console import UsageError
from backlinks_assets.cli.incident_work import find
from backlinks_assets.incidents.incident import Incident
from backlinks_assets.incidents.table import Row
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import incident_verdicts_in

pytestmark = pytest.mark.slow

LATE = DAYS - 1
HOSTILE = '=cmd|"/c calc"!A1, [red]"; \u202e<script>'


@pytest.fixture
def tables(settings: Settings, write_targets) -> Settings:
    """Tables up to today, on which two targets have an incident."""
    lines = f"{SPAMMY},Acme,ann", f"{LOSING},Bolt,", *[f"{one},," for one in NAMES[:3]]
    write_targets(*lines, header="target,group,owner")
    keep_all(settings, rises=LATE - 1, falls=99)
    evaluate(settings, range(DAYS))
    return settings


def listed(*options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = commands.command("incidents", "list", "--json", *options).summary["incidents"]
    return found


def test_an_incident_is_seen_and_worked_on(tables: Settings) -> None:
    spam, lost = listed()
    assert [(one["target"], one["severity"], one["group"], one["state"]) for one in (spam, lost)] == [
        (SPAMMY, "critical", "Acme", "open"), (LOSING, "critical", "Bolt", "open"),
    ]  # fmt: skip
    assert listed("--group", "acme") == [spam]
    out = commands.command("incidents", "ack", spam["incident"][:5], "--note", "asked them", "--by", "Ann")
    assert (out.status, out.out) == (
        0, f"{spam['incident']} is acknowledged: spam score of {SPAMMY}, critical since {spam['opened']}.\n",
    )  # fmt: skip
    until = TODAY + dt.timedelta(days=90)
    assert commands.command("incidents", "snooze", lost["incident"], "--until", str(until)).status == 0
    assert [(one["state"], one["by"], one["note"]) for one in listed("--state", "acknowledged")] == [
        ("acknowledged", "Ann", "asked them")
    ]
    assert listed("--state", "snoozed")[0]["snoozed_until"] == str(until)
    assert commands.command("incidents", "resolve", spam["incident"], "--reason", "expected").status == 0
    assert [one["incident"] for one in listed()] == [lost["incident"]]
    assert listed("--state", "resolved")[0]["reason"] == "expected"
    piped = commands.command("incidents", "list", "--state", "resolved,snoozed").out.splitlines()
    assert [line.split("\t")[:2] for line in piped[1:]] == [
        [lost["incident"], "snoozed"], [spam["incident"], "resolved"],
    ]  # fmt: skip
    assert commands.command("incidents", "reopen", spam["incident"], "--by", "Ben").status == 0
    assert {one["state"] for one in listed("--group", "Acme")} == {"open"}
    evaluate(tables, [LATE])
    assert the_one(tables, LATE, opened=LATE - 1)["by"] == "Ben"


def test_what_can_t_be_used_is_a_sentence_and_changes_nothing(tables: Settings) -> None:
    spam, _ = listed()
    commands.command("incidents", "resolve", spam["incident"], "--reason", "real")
    before = incident_verdicts_in(tables.store)
    late = str(TODAY + dt.timedelta(days=91))
    for typed, sentence in (
        (["ack", "zzzzzzzz"], "'zzzzzzzz' is the ID of no incident."),
        (["ack", ""], "'' is the ID of no incident."),
        (["ack", spam["incident"]], f"{spam['incident']} is resolved (real, {TODAY}). Open it again first"),
        (["snooze", spam["incident"], "--until", str(TODAY)], "is resolved"),
        (["reopen", spam["incident"], "--note", "x" * 1001], "1,001 characters, and 1,000 are the most"),
        (["list", "--state", "done"], "'done' is not valid after --state. Write open, acknowledged"),
        (["list", "--group", "None such"], "is no target's group"),
        (["resolve", spam["incident"]], "Missing option '--reason'"),
        (["resolve", spam["incident"], "--reason", "back"], "is not one of"),
    ):
        out = commands.command("incidents", *typed)
        assert (out.status, sentence in " ".join(out.err.split())) == (2, True), out.err
    lost = listed()[0]["incident"]
    out = commands.command("incidents", "snooze", lost, "--until", late)
    assert (out.status, "can't be the end of a snooze" in out.err) == (2, True)
    assert incident_verdicts_in(tables.store) == before


def test_an_id_that_several_begin_with_names_them() -> None:
    day = dt.date(2026, 1, 1)
    rows = [
        Row(Incident(name, f"{name}.example", "spam_score", "up", "warning", "open", day, day), "", "")
        for name in ("kqwzaaaa", "kqwzbbbb", "other234")
    ]
    assert find(rows, "KQWZA").of.incident == "kqwzaaaa"
    with pytest.raises(UsageError, match=r"begins the IDs of 2 incidents: kqwzaaaa \(kqwzaaaa.example\), kqwzbbbb"):
        find(rows, "kqwz")


def test_before_any_day_is_evaluated_the_next_step_is_named(settings: Settings) -> None:
    out = commands.command("incidents", "list")
    assert (out.status, "Evaluate a day with" in out.err) == (2, True)


@pytest.mark.ci
def test_all_verdicts_go_out_and_in_again_with_text_that_harms_nothing(tables: Settings, tmp_path: Path) -> None:
    spam, lost = (one["incident"] for one in listed())
    commands.command("incidents", "ack", lost, "--note", HOSTILE, "--by", "'=Ann")
    commands.command("incidents", "resolve", spam, "--reason", "vendor", "--note", "two\nlines\0")
    said = incident_verdicts_in(tables.store)
    assert [one.note for one in said] == ['=cmd|"/c calc"!A1, [red]"; <script>', "two lines"]
    assert "[red]" in commands.command("incidents", "list").out
    file = tmp_path / "verdicts.csv"
    out = commands.command("incidents", "export", str(file))
    assert (out.status, out.out.startswith("2 verdicts written to ")) == (0, True)
    with file.open(newline="", encoding="utf-8") as lines:
        cells = [cell for row in csv.reader(lines) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert commands.command("incidents", "import", str(file)).out.startswith("2 verdicts read, 0 of them new.")
    before = written(tables)
    tables.store_file.unlink()
    assert [one["state"] for one in listed()] == ["open", "open"]
    for new in (2, 0):  # repeatable
        assert f"{new} of them new" in commands.command("incidents", "import", str(file)).out
    assert incident_verdicts_in(tables.store) == said
    evaluate(tables, range(DAYS))
    assert {name for name, text in written(tables).items() if text != before[name]} == {
        f"{table} {TODAY}" for table in ("backlinks_changes", "backlinks_flags", "backlinks_incidents")
    }  # today has been said of since


BROKEN: list[tuple[Callable[[str], str], str]] = [
    (lambda text: text.replace("ack", "burn"), "Row 2: action 'burn' must be one of"),
    (lambda text: text.replace("spam_score", "lost_backlinks"), "Row 2: incident"),
    (lambda text: text.replace("said_at", "when", 1), "must begin with the columns"),
    (lambda text: text + "a,b\n", "Row 3: it has 2 cells"),
    (lambda text: text.replace(text.splitlines()[1][:10], "yesterday!"), "said_at"),
    (lambda text: text.replace(text.splitlines()[1][:4], "2999", 1), "said_at is in the future"),
    (lambda text: text.replace(",ack,,", ",ack,real,"), "Row 2: reason"),
    (lambda text: text.replace(",ack,", ",snooze,"), "until must be a day"),
]


@pytest.mark.ci
def test_a_file_that_can_t_be_used_changes_nothing(tables: Settings, tmp_path: Path) -> None:
    commands.command("incidents", "ack", listed()[0]["incident"])
    file = tmp_path / "verdicts.csv"
    commands.command("incidents", "export", str(file))
    before, good = incident_verdicts_in(tables.store), file.read_text(encoding="utf-8")
    for change, sentence in BROKEN:
        file.write_text(change(good), encoding="utf-8")
        out = commands.command("incidents", "import", str(file))
        assert (out.status, sentence in out.err, "Nothing was stored." in out.err) == (2, True, True), out.err
        assert incident_verdicts_in(tables.store) == before


def test_a_file_that_is_not_there_is_a_sentence(settings: Settings, tmp_path: Path) -> None:
    out = commands.command("incidents", "import", str(tmp_path / "none.csv"))
    assert (out.status, "could not be read (No such file or directory)" in out.err) == (2, True)
