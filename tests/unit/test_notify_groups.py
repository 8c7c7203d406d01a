"""Who gets what: a client's critical flags, a weekly digest, everything and that nothing moved; over days and restarts."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from notify_places import MINUTE, flag, webhook
from team import NAMES, TARGETS, THREE, Team, evaluated

from backlinks_assets.notify.cursor import Cursor

FRIDAY = dt.datetime(2026, 11, 20, 7, tzinfo=dt.UTC)
DAYS = dt.timedelta(days=1)


def day(number: int) -> dt.date:
    return (FRIDAY + number * DAYS).date()


def test_a_week_of_three_channels_day_by_day(team: Team) -> None:
    """Each day is looked at again an hour later, after a restart: nothing comes twice."""
    days = [
        [flag("a1.example", severity="critical"), flag("b1.example"), flag("none.example")],  # Friday
        [],
        [flag("a2.example"), flag("*", score=None, kind="index_move", reason="The index moved: 3 of 5 targets.")],
        [flag("b2.example", severity="critical")],  # Monday
        [flag("a2.example", severity="critical", reason="Up.")],
    ]
    told = []
    for number, flags in enumerate(days):
        evaluated(day(number), *flags)
        for hour in (0, 1):
            team.look(FRIDAY + number * DAYS + hour * 60 * MINUTE)
        told.append(team.titles())
    assert told == [
        {"acme": ["1 flag, 1 critical"], "team": ["3 flags, 1 critical"]},
        {"team": ["nothing moved"]},
        {"team": ["index move; 1 flag"]},
        {"bolt": ["index move; 2 flags, 1 critical"], "team": ["1 flag, 1 critical"]},
        {"acme": ["1 flag, 1 critical"], "team": ["1 flag, 1 critical"]},
    ]


def test_a_client_sees_no_spend_no_other_clients_name_no_note_and_no_page_of_all(
    team: Team, write_targets: Callable[..., Path]
) -> None:
    lines = [f"{line},difficult client" for line in TARGETS]
    write_targets(*lines, header="target,group,owner,note")
    index = flag("*", score=None, severity="critical", kind="index_move", reason="The index moved: 3 of 5 targets.")
    evaluated(
        day(0), flag("a1.example", severity="critical"), flag("b1.example", severity="critical"), index,
        answered=[name for name in NAMES if name != "b2.example"],
    )  # fmt: skip
    page = team.folder / "demo" / "reports" / f"flags-{day(0)}.html"
    page.parent.mkdir(parents=True)
    page.write_text("<title>all of them</title>")
    team.look(FRIDAY)
    sent = team.sent()
    (client,), (ours,) = sent["acme"], sent["team"]
    said = client["title"] + client["message"]
    for other in ("b1.example", "Bolt", "none.example", "$", "3 of 5", "difficult", "Ann", "Report", "backlinks flags"):
        assert other not in said
    assert "a1.example: Lost backlinks rose" in said
    assert "The vendor's index moved: lost backlinks changed for many targets at once." in said
    assert "1 of 2 targets flagged, 1 critical; 1 index move; 2 of 2 collected." in said
    for all_of_it in (
        "b1.example (Bea; difficult client)",
        "$0.50 spent",
        "3 of 5",
        f"Report: {page}",
        "4 of 5 collected",
    ):
        assert all_of_it in ours["message"]


def test_flags_stand_by_severity_and_group_ten_of_each_at_most(team: Team) -> None:
    many = [flag(f"w{number}.example", score=float(number)) for number in range(12)]
    evaluated(
        day(0), flag("b1.example", severity="critical"), flag("a1.example", severity="critical", score=5.0),
        flag("a2.example", score=99.0), *many,
    )  # fmt: skip
    team.look(FRIDAY)
    (post,) = team.sent()["team"]
    lines = [line.partition(":")[0] for line in post["message"].splitlines() if line]
    assert lines[:8] == [
        "Critical flags (2)", "Bolt", "- b1.example (Bea)", "Acme", "- a1.example (Ann)", "Warnings (13)", "Acme",
        "- a2.example",
    ]  # fmt: skip
    assert lines[8:11] == ["No group", "- w11.example", "- w10.example"]
    assert "- and 3 more" in lines


def test_the_digest_has_each_day_worst_first_and_comes_once_over_restarts(team: Team) -> None:
    for number in range(-3, 4):
        evaluated(day(number), flag("b1.example", score=float(10 + number)), flag("a1.example"))
    team.look(FRIDAY - 3 * DAYS)
    team.sent()
    for hours in (0, 1, 20, 30):
        team.look(FRIDAY + 3 * DAYS + hours * 60 * MINUTE)
    (post,) = team.sent()["bolt"]
    assert post["title"] == "Simulated backlinks, week to 23 November 2026: 7 flags"
    lines = [line for line in post["message"].splitlines() if line.startswith("- ")]
    assert lines[0].startswith("- b1.example (23 Nov): Lost backlinks rose")
    assert lines[6].startswith("- b1.example (17 Nov): Lost backlinks rose")
    assert len(lines) == 7
    assert "17 Nov to 23 November 2026; 7 of 7 days evaluated; 2 targets watched." in post["message"]
    assert "a1.example" not in post["message"]
    assert "$" not in post["message"]


def test_a_week_waits_for_monday_to_be_evaluated_or_over_and_a_quiet_one_is_told_only_where_wanted(team: Team) -> None:
    team.write(THREE + '[[channel]]\nname = "late"\nurl_env = "LATE_URL"\nwhen = "week"\nquiet = true\n')
    team.look(FRIDAY)
    team.look(FRIDAY + 3 * DAYS)
    assert team.sent() == {}
    team.look(FRIDAY + 4 * DAYS)  # Tuesday; nothing was ever collected
    sent = team.sent()
    assert "bolt" not in sent
    (post,) = sent["late"]
    assert post["title"].endswith("week to 23 November 2026: nothing moved")
    assert "0 of 7 days evaluated" in post["message"]


@pytest.mark.medium
def test_a_channel_that_is_added_later_gets_nothing_of_the_past(team: Team) -> None:
    for number in range(-3, 4):
        evaluated(day(number), flag("a1.example", severity="critical"), flag("b1.example"))
        team.look(FRIDAY + number * DAYS)
    team.sent()
    both = '[[channel]]\nname = "late"\nurl_env = "LATE_URL"\nquiet = true\n[[channel]]\nname = "weekly"\nurl_env = "LATE_URL"\n'
    team.write(THREE + both + 'when = "week"\n')
    team.look(FRIDAY + 3 * DAYS + 60 * MINUTE)
    assert team.sent() == {}
    evaluated(day(4), flag("b2.example"))
    team.look(FRIDAY + 4 * DAYS)
    assert team.titles() == {"team": ["1 flag"], "late": ["1 flag"]}


def test_a_wider_channel_gets_what_comes_and_nothing_that_it_left_out(team: Team) -> None:
    evaluated(day(0), flag("a1.example"), flag("b1.example", severity="critical"))
    team.look(FRIDAY)
    assert "acme" not in team.sent()
    team.write(THREE.replace('groups = ["Acme"]\nseverity = "critical"', 'groups = ["Acme", "Bolt"]'))
    team.look(FRIDAY + 60 * MINUTE)
    assert team.sent() == {}


@pytest.mark.parametrize(
    "broken",
    [
        "[[channel]\n",
        THREE.replace('"ACME_URL"', '"UNSET_URL"'),
        THREE.replace('severity = "critical"', "severity = 1"),
    ],
    ids=["the file", "a variable", "a key"],
)
def test_a_channel_that_cannot_be_used_gets_what_it_missed_once_it_can_and_silences_no_other(
    team: Team, broken: str
) -> None:
    team.look(FRIDAY)
    team.write(broken)
    evaluated(day(1), flag("a1.example", severity="critical"), flag("b1.example"))
    done = team.look(FRIDAY + DAYS)
    assert "channels.toml" in done.problems[0]
    assert Cursor.read(team.looks.cursor).problems == done.problems
    first = team.titles()
    assert first == ({} if broken.startswith("[[channel]\n") else {"team": ["2 flags, 1 critical"]})
    team.write(THREE)
    assert team.look(FRIDAY + DAYS + 60 * MINUTE).problems == []
    rest = team.titles()
    assert rest.pop("acme") == ["1 flag, 1 critical"]
    assert {**first, **rest} == {"team": ["2 flags, 1 critical"]}


def test_a_place_that_is_down_gets_what_it_missed_when_it_is_back(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    good = team.hook.url("acme")
    with webhook() as gone:
        monkeypatch.setenv("ACME_URL", gone.url())
    evaluated(day(0), flag("a1.example", severity="critical"))
    (problem,) = team.look(FRIDAY).problems
    assert "could not be sent to the channel 'acme' (json): it could not be reached" in problem
    assert set(team.sent()) == {"team"}
    monkeypatch.setenv("ACME_URL", good)
    team.look(FRIDAY + MINUTE)
    assert team.titles() == {"acme": ["1 flag, 1 critical"]}


def test_flags_wait_for_clients_while_the_targets_file_cannot_be_read(
    team: Team, write_targets: Callable[..., Path]
) -> None:
    evaluated(day(0), flag("a1.example", severity="critical"), flag("b1.example", severity="critical"))
    write_targets(header="nonsense")
    team.look(FRIDAY)
    assert set(team.sent()) == {"team"}
    write_targets(*TARGETS, header="target,group,owner")
    team.look(FRIDAY + 60 * MINUTE)
    (post,) = team.sent()["acme"]
    assert "b1.example" not in post["message"]


def test_a_clients_digest_and_quiet_message_wait_for_a_targets_file_that_can_be_read(
    team: Team, write_targets: Callable[..., Path]
) -> None:
    team.write(THREE.replace('severity = "critical"', "quiet = true"))
    team.look(FRIDAY)
    evaluated(day(3), flag("b1.example"))
    write_targets(header="nonsense")
    team.look(FRIDAY + 3 * DAYS)
    assert set(team.sent()) == {"team"}
    write_targets(*TARGETS, header="target,group,owner")
    team.look(FRIDAY + 3 * DAYS + 60 * MINUTE)
    assert team.titles() == {"acme": ["nothing moved"], "bolt": ["1 flag"]}


def test_a_quiet_day_says_how_many_are_watched_and_who_has_no_answers(team: Team) -> None:
    team.write(THREE.replace('when = "week"', "quiet = true"))
    evaluated(day(0), answered=["a1.example", "a2.example", "b1.example", "none.example"])
    team.look(FRIDAY)
    sent = team.sent()
    assert sent["bolt"][0]["message"].startswith("2 watched, nothing moved. 1 of them has no answers.")
    assert sent["team"][0]["message"].startswith("5 watched, nothing moved. 1 of them has no answers.")
    evaluated(day(1), answered=["a1.example"])
    team.look(FRIDAY + DAYS)
    sent = team.sent()
    assert sent["bolt"][0]["title"].endswith("no answers")
    assert "2 watched, none with answers." in sent["bolt"][0]["message"]


def test_places_of_the_variable_get_everything_beside_the_channels(team: Team) -> None:
    evaluated(day(0), flag("a1.example", severity="critical"), flag("b1.example"))
    team.look(FRIDAY, team.hook.url("every"))
    assert team.titles() == {
        "acme": ["1 flag, 1 critical"], "team": ["2 flags, 1 critical"], "every": ["2 flags, 1 critical"],
    }  # fmt: skip


def test_no_url_of_a_channel_is_in_the_cursor(team: Team) -> None:
    evaluated(day(0), flag("a1.example", severity="critical"))
    team.look(FRIDAY)
    assert "127.0.0.1" not in team.looks.cursor
    assert len(Cursor.read(team.looks.cursor).channels) == 3


@pytest.mark.parametrize("style", ["text", "markdown", "html"])
def test_a_hostile_group_owner_and_note_are_text_in_every_style(
    team: Team, write_targets: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    hostile = "<script>x</script> *b* [x](http://e.example)\u202e"
    write_targets(f"a1.example,{hostile},{hostile},{hostile}", header="target,group,owner,note")
    monkeypatch.setenv("TEAM_URL", f"{team.hook.url('team')}?format={style}")
    evaluated(day(0), flag("a1.example"))
    team.look(FRIDAY)
    body = team.sent()["team"][0]["message"]
    assert "\u202e" not in body
    assert body.count("script") == 6
    if style != "text":
        assert "<script" not in body
    if style == "markdown":
        assert r"\[x\](http" in body
