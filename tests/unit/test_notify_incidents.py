"""What messages say of incidents: their IDs, what came back, what nobody looks into, and how many are open."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from notify_places import MINUTE, flag
from report_world import write_rows
from team import Team, evaluated

from backlinks_assets.incidents.incident import Incident
from backlinks_assets.notify.alerts import Kind
from backlinks_assets.notify.rule import Rule
from backlinks_assets.notify.standing import incident_alerts, standing_line
from backlinks_assets.settings import Settings
from backlinks_assets.targets.target import Target

MORNING = dt.datetime(2026, 11, 17, 7, tzinfo=dt.UTC)
DAYS = dt.timedelta(days=1)


def day(number: int) -> dt.date:
    return (MORNING + number * DAYS).date()


def incident(name: str, target: str, state: str = "open", severity: str = "critical", **more: Any) -> dict[str, Any]:
    of = {"incident": name, "target": target, "metric": "lost_backlinks", "direction": "up", "severity": severity}
    return of | {"state": state, "opened": day(0), "last_flag": day(0), "back_readings": 0, "level_readings": 0} | more


def morning(number: int, *incidents: dict[str, Any], flags: Sequence[dict[str, Any]] = ()) -> None:
    evaluated(day(number), *flags)
    write_rows(Settings.from_env().root, "backlinks_incidents", day(number), incidents)


@pytest.mark.medium
def test_four_mornings_of_a_team(team: Team) -> None:
    new = (
        incident("kqwzrt4b", "a1.example", critical_since=day(0)),
        incident("bolt2345", "b1.example", severity="warning"),
    )
    flags = [
        flag("a1.example", severity="critical", incident="kqwzrt4b"),
        flag("b1.example", incident="bolt2345"),
    ]
    back = incident("bolt2345", "b1.example", "resolved", "warning", reason="back", resolved=day(3))
    days = [new, new, new, (new[0] | {"state": "acknowledged"}, back)]
    texts = []
    for number, rows in enumerate(days):
        morning(number, *rows, flags=flags if number == 0 else ())
        for hour in (0, 1):  # each look again, after a restart: nothing is sent twice
            team.look(MORNING + number * DAYS + hour * 60 * MINUTE)
        texts.append(
            {name: [f"{one['title']}\n{one['message']}" for one in posts] for name, posts in team.sent().items()}
        )
    assert [sorted(sent) for sent in texts] == [["acme", "team"], ["team"], ["acme", "team"], ["team"]]
    first, second, third, fourth = (sent["team"][0] for sent in texts)
    assert "a1.example (Ann; incident kqwzrt4b): " in first
    assert "2 incidents open (1 critical)." in first
    assert "1 incident open (1 critical)." in texts[0]["acme"][0]
    assert "bolt" not in texts[0]["acme"][0]
    assert second.splitlines()[0].endswith(": nothing moved")
    assert "2 incidents open" in second
    assert third.splitlines()[0].endswith(": critical and not acknowledged")
    assert "a1.example (Ann; incident kqwzrt4b): Lost backlinks: critical since 17 Nov." in third
    assert "backlinks incidents ack kqwzrt4b" in third
    assert texts[2]["acme"][0].splitlines()[0].endswith(": critical and not acknowledged")
    assert "backlinks incidents" not in texts[2]["acme"][0]
    assert fourth.splitlines()[0].endswith(": usual again")
    assert "b1.example (Bea; incident bolt2345): Lost backlinks: usual again; its first flag was on 17 Nov." in fourth
    assert "0 incidents open, 1 acknowledged." in fourth


def of(state: str = "open", **more: Any) -> Incident:
    given: dict[str, Any] = {"severity": "critical", "critical_since": day(0)} | more
    return Incident(
        "kqwzrt4b",
        "a1.example",
        given.pop("metric", "spam_score"),
        "up",
        given.pop("severity"),
        state,
        day(0),
        day(0),
        **given,
    )


@pytest.mark.parametrize(
    ("one", "number", "kinds"),
    [
        (of(), 2, [Kind.AGAIN]),
        (of(), 1, []),
        (of(), 4, []),  # nothing else repeats
        (of("acknowledged"), 2, []),
        (of("snoozed"), 2, []),
        (of(severity="warning", critical_since=None), 2, []),
        (of(critical_since=day(2)), 4, [Kind.AGAIN]),
        (of("resolved", reason="back", resolved=day(2)), 2, [Kind.BACK]),
        (of("resolved", reason="back", resolved=day(2)), 4, []),
        (of("resolved", reason="new_level", resolved=day(2)), 2, []),
        (of("resolved", reason="new_level", resolved=day(2), by="Ann"), 2, [Kind.LEVEL]),  # she works on it
        (of("resolved", reason="real", resolved=day(2)), 2, []),
        (of("resolved", metric="target_down", reason="back", resolved=day(2)), 2, []),  # its flag says so
    ],
)
def test_what_is_news_of_an_incident(one: Incident, number: int, kinds: list[Kind]) -> None:
    evaluated_days = [day(at) for at in range(number + 1)]
    assert [alert.kind for alert in incident_alerts(lambda _: [one], day(number), evaluated_days, {})] == kinds


@pytest.mark.parametrize(
    ("until", "now", "kinds"), [(2, "open", [Kind.WOKEN]), (3, "open", []), (2, "acknowledged", [])]
)
def test_a_snooze_that_is_over_is_said_on_its_day(until: int, now: str, kinds: list[Kind]) -> None:
    before = of(
        "snoozed", severity="warning", critical_since=None, snoozed_until=day(until), by="Ann", note="They answer."
    )
    days = {day(1): [before], day(2): [replace(before, state=now, snoozed_until=None)]}
    found = incident_alerts(lambda of_day: days[of_day], day(2), sorted(days), {})
    assert [alert.kind for alert in found] == kinds
    for alert in found:
        assert alert.text.endswith("its first flag was on 17 Nov. Ann: They answer.")
        assert "Ann" not in alert.for_clients


def test_what_is_critical_is_said_with_its_numbers_and_the_next_step() -> None:
    (alert,) = incident_alerts(lambda _: [of(baseline=10.0, change=20.4)], day(2), [day(0), day(2)], {})
    assert alert.for_clients == "Spam score: 30 against 10, critical since 17 Nov."
    assert alert.text == f"{alert.for_clients} To say that you do: backlinks incidents ack kqwzrt4b"


def test_where_a_morning_was_missed_the_next_one_says_it() -> None:
    assert incident_alerts(lambda _: [of()], day(3), [day(0), day(3)], {})
    assert not incident_alerts(lambda _: [of()], day(4), [day(0), day(3), day(4)], {})


def test_the_line_of_a_client_counts_its_own() -> None:
    lines = {"a1.example": Target("a1.example", group="Acme")}
    assert (
        standing_line([of(), of("snoozed")], lines, Rule(groups=("acme",)))
        == "1 incident open (1 critical), 1 snoozed."
    )
    assert standing_line([of()], lines, Rule(groups=("Bolt",))) == ""
    assert standing_line([of("resolved", reason="real", resolved=day(1))], lines, Rule()) == ""
