"""Incidents on the pages: their state in words beside each flag, what a client is told, and which pages are written for it."""

import re
from pathlib import Path
from typing import Any

import pytest
from report_world import (
    DAY,
    HOSTILE,
    a_day,
    a_flag,
    a_history,
    a_page,
    an_incident,
    answers,
    days_before,
    write_rows,
)

from backlinks_assets.formatting import long_day
from backlinks_assets.paths import group_page_path, page_path, portfolio_path, target_page_path
from backlinks_assets.report.incidents import counts, read_incidents
from backlinks_assets.report.targets_report import Written, write_targets_report
from backlinks_assets.targets.target import Target

LINES = [Target("a.example", group="Acme"), Target("a2.example", group="Acme"), Target("b.example", group="Bolt")]
NAMES = [line.target for line in LINES]
ID = an_incident("a.example")["incident"]
MARKED = re.compile(
    r"<!--incident ([a-z0-9]{8}) (open|acknowledged|snoozed|resolved)-->(.*?)<!--/incident-->", re.DOTALL
)

pytestmark = pytest.mark.medium


def told(root: Path, back: int, *rows: dict[str, Any]) -> None:
    write_rows(root, "backlinks_incidents", days_before(back), rows)


def written(root: Path) -> Written:
    labels = {one.target: one for one in LINES}
    found = write_targets_report(root, simulated=False, expected_targets=list(labels), labels=labels)
    assert found is not None
    return found


def text_of(path: Path) -> str:
    """Return what a page says, on one line; the marks around the commands are no part of it."""
    html = re.sub(r"<style>.*?</style>|<!--.*?-->", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(re.sub(r"</?[a-z][^>]*>", "", html).split())


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A's incident began four days ago and was acknowledged two days ago; a2 and b are quiet."""
    a_history(tmp_path, NAMES, days=6)
    write_rows(tmp_path, "backlinks_summary", DAY, [row for name in NAMES for row in answers(name, 20, 1500)])
    a_day(tmp_path, [a_flag("a.example", incident=ID)])
    one = an_incident("a.example", opened=days_before(4), last_flag=days_before(4))
    for back in (4, 3):
        told(tmp_path, back, one)
    one |= {"state": "acknowledged", "by": "Ann", "note": "Asked <them>."}
    for back in (2, 1):
        told(tmp_path, back, one)
    told(tmp_path, 0, one | {"last_flag": DAY})
    return tmp_path


def commands_of(path: Path) -> tuple[str, str, list[str]]:
    ((name, state, inner),) = MARKED.findall(path.read_text(encoding="utf-8"))
    return name, state, re.findall(r"<code>backlinks incidents ([^<]+)</code>", re.sub("</?span>", "", inner))


def test_a_targets_page_says_the_state_since_when_by_whom_and_what_to_type(world: Path) -> None:
    written(world)
    page = target_page_path(world, "a.example")
    said = f"Incident {ID}: Acknowledged since {long_day(days_before(2))}, by Ann. Note: “Asked &lt;them&gt;.”"
    assert said in text_of(page)
    assert f"first flag on {long_day(days_before(4))}, last on {long_day(DAY)}" in text_of(page)
    assert commands_of(page) == (
        ID, "acknowledged", [f"snooze {ID} --until 2026-12-08", f"resolve {ID} --reason real"],
    )  # fmt: skip
    assert "Incidents" not in text_of(target_page_path(world, "b.example"))


@pytest.mark.parametrize(
    ("changes", "said", "commands"),
    [
        ({}, f"Open since {long_day(DAY)}.", ["ack", "snooze", "resolve"]),
        (
            {"state": "snoozed", "by": "Ann", "snoozed_until": days_before(-9)},
            f"Snoozed until {long_day(days_before(-9))}, on {long_day(DAY)}, by Ann.",
            ["ack", "resolve"],
        ),
        (
            {"state": "resolved", "resolved": DAY, "reason": "expected", "by": "Ann"},
            f"Resolved (expected) on {long_day(DAY)}, by Ann: it was expected, such as a migration or a clean-up.",
            ["reopen"],
        ),
        (
            {"state": "resolved", "resolved": DAY, "reason": "back", "by": "Ann"},
            f"Came back on {long_day(DAY)}: three readings in a row were usual again.",
            ["reopen"],
        ),
        (
            {"state": "resolved", "resolved": DAY, "reason": "new_level"},
            f"Stays at a new level on {long_day(DAY)}: three readings in a row were at a new level",
            ["reopen"],
        ),
    ],
    ids=["open", "snoozed", "resolved", "came back", "new level"],
)
def test_each_state_is_in_words_on_the_days_page_with_its_commands(
    tmp_path: Path, changes: dict[str, Any], said: str, commands: list[str]
) -> None:
    a_history(tmp_path, ["a.example"], days=3)
    a_day(tmp_path, [a_flag("a.example", incident=ID)])
    told(tmp_path, 0, an_incident("a.example", **changes))
    page = a_page(tmp_path)
    assert f"Incident {ID}: {said}" in text_of(page)
    name, state, shown = commands_of(page)
    assert (name, state, [one.split()[0] for one in shown]) == (ID, changes.get("state", "open"), commands)


def test_a_days_page_has_incidents_as_they_stood_at_its_end(world: Path) -> None:
    write_rows(world, "backlinks_flags", days_before(3), [a_flag("a.example", incident=ID)])
    assert f"Incident {ID}: Open since {long_day(days_before(4))}." in text_of(a_page(world, days_before(3)))
    assert f"Acknowledged since {long_day(days_before(2))}, by Ann" in text_of(a_page(world))
    told(world, 0)  # as in tables of an earlier version
    assert f"Incident: {ID}" in text_of(a_page(world))


def test_open_again_names_who_opened_it_or_whose_snooze_has_ended(world: Path) -> None:
    def last_two(before: str, by: str) -> str:
        one = an_incident("a.example", opened=days_before(4), by="Ann", state=before, snoozed_until=DAY, reason=None)
        told(world, 1, one)
        told(world, 0, one | {"state": "open", "by": by, "snoozed_until": None})
        return text_of(a_page(world))

    assert f"Open since {long_day(DAY)}, after a snooze by Ann." in last_two("snoozed", "Ann")
    assert f"Open since {long_day(DAY)}, opened again by Ben." in last_two("snoozed", "Ben")
    assert f"Open since {long_day(DAY)}, opened again by Ann." in last_two("acknowledged", "Ann")


def test_a_target_whose_incidents_state_changed_gets_a_new_page_and_no_other(world: Path) -> None:
    assert written(world).targets == len(NAMES)
    before = {path: path.read_bytes() for path in world.glob("reports/*/*.html")}
    assert written(world).targets == 0
    one = an_incident("a.example", opened=days_before(4), by="Ann", state="resolved", resolved=DAY, reason="real")
    told(world, 0, one)
    assert written(world).targets == 1
    changed = {path for path, html in before.items() if path.read_bytes() != html}
    assert changed == {
        target_page_path(world, "a.example"), group_page_path(world, "Acme"), portfolio_path(world),
    }  # fmt: skip
    after = {path: path.read_bytes() for path in before}
    for path in before:
        path.unlink()
    written(world)
    assert {path: path.read_bytes() for path in before} == after


def test_a_clients_page_says_what_was_done_and_neither_who_nor_their_notes(world: Path) -> None:
    one = an_incident("a.example", opened=days_before(4), state="acknowledged", by="Ann", note="secret")
    back = an_incident("a2.example", opened=days_before(4))
    old = an_incident("a2.example", incident="o2345678", opened=days_before(60), state="resolved")
    others = [old | {"resolved": days_before(40), "reason": "real"}, an_incident("b.example")]
    told(world, 2, one, back, *others)
    ended = {"state": "resolved", "resolved": days_before(1)}
    for at in (1, 0):
        told(world, at, one | ended | {"reason": "vendor"}, back | ended | {"reason": "back"}, *others)
    written(world)
    text = text_of(group_page_path(world, "Acme"))
    assert "What was done about it 1 resolved, 1 came back." in text
    acknowledged, resolved = long_day(days_before(2)), long_day(days_before(1))
    assert (
        f"Acknowledged on {acknowledged}. Resolved (vendor) on {resolved}: the vendor&#39;s numbers were wrong." in text
    )
    assert f"Came back on {resolved}: three readings in a row were usual again." in text
    for absent in ("Ann", "secret", "b.example", "backlinks incidents", ID):
        assert absent not in text
    assert not MARKED.search(group_page_path(world, "Acme").read_text(encoding="utf-8"))
    assert "Not yet acknowledged." in text_of(group_page_path(world, "Bolt"))


def test_the_page_of_all_targets_counts_what_is_worked_on_and_puts_what_nobody_looks_into_first(world: Path) -> None:
    seen = an_incident("a.example", state="acknowledged", by="Ann")
    told(world, 0, seen, an_incident("b.example", severity="critical"), an_incident("b.example", incident="o2345678"))
    write_rows(world, "backlinks_flags", DAY, [a_flag("a.example"), a_flag("b.example")])
    portfolio = written(world).portfolio
    rows = {row.target: row for row in portfolio.rows}
    assert [row.target for row in portfolio.rows] == ["b.example", "a.example", "a2.example"]
    assert rows["b.example"].incident == "2 open (1 critical)"
    assert rows["a.example"].incident == "1 acknowledged"
    assert [one.target for one in portfolio.incidents] == ["b.example", "b.example", "a.example"]
    html = portfolio_path(world).read_text(encoding="utf-8")
    assert [state for _, state, _ in MARKED.findall(html)] == ["open", "open", "acknowledged"]
    assert "2 open (1 critical), 1 acknowledged." in text_of(portfolio_path(world))


def test_a_state_that_began_before_the_oldest_table_has_no_day(tmp_path: Path) -> None:
    told(tmp_path, 0, an_incident(state="acknowledged", by="Ann", opened=days_before(200)))
    ((one,),) = read_incidents(tmp_path, DAY).values()
    assert (one.since, one.done) == (None, ())
    assert counts([one]) == "1 acknowledged"
    assert read_incidents(tmp_path, days_before(1)) == {}


def test_foreign_names_and_notes_are_text_and_end_no_mark(tmp_path: Path) -> None:
    texts = [*HOSTILE, "<!--/incident-->", "--><b>"]
    a_history(tmp_path, texts, days=3)
    told(tmp_path, 0, *[an_incident(text, state="acknowledged", by=text, note=text) for text in texts])
    a_day(tmp_path, [a_flag(text, incident=an_incident(text)["incident"]) for text in texts])
    labels = {text: Target(text, group="Acme") for text in texts}
    write_targets_report(tmp_path, simulated=False, expected_targets=texts, labels=labels)
    a_page(tmp_path)
    for path in [
        portfolio_path(tmp_path),
        page_path(tmp_path, DAY),
        *(target_page_path(tmp_path, text) for text in texts),
    ]:
        html = path.read_text(encoding="utf-8")
        assert not re.search(r"<img|<b>|<iframe|\u202e", html)
        assert html.count("<script>") == (path == portfolio_path(tmp_path))
        assert len(MARKED.findall(html)) == html.count("<!--/incident-->") == html.count("<!--incident ")
        assert len(MARKED.findall(html)) == (
            1 if path.parent.name == "targets" and path.name != "index.html" else len(texts)
        )
