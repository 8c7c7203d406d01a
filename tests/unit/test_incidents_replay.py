"""An incident's life, day by day: what opens it, what joins it, what a person says, and what ends it by itself."""

import datetime as dt
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies as st

from backlinks_assets.incidents.excluded import Span, by_known, spans
from backlinks_assets.incidents.incident import Incident, incident_id
from backlinks_assets.incidents.replay import Reading, advance
from backlinks_assets.store.incident_verdicts import ACTIONS, IncidentVerdict

FIRST = dt.date(2026, 11, 2)
NAME = "shop.example"
UP = incident_id(NAME, "lost_backlinks", "up", FIRST)


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def flag(value: float = 500, severity: str = "warning", direction: str = "up") -> Reading:
    return Reading(NAME, "lost_backlinks", direction, severity, value, 100, 80, 120)


def reading(value: float, baseline: float = 100, low: float = 80, high: float = 120) -> Reading:
    return Reading(NAME, "lost_backlinks", "up", None, value, baseline, low, high)


def said(number: int, action: str, incident: str = UP, hour: int = 9, **more: object) -> IncidentVerdict:
    at = dt.datetime.combine(day(number), dt.time(hour), dt.UTC)
    values = {"by": "Ann", "reason": None, "until": None, "note": None} | more
    return IncidentVerdict(
        said_at=at, incident=incident, action=action, target=NAME, metric="lost_backlinks", direction="up", opened=FIRST,
        **values,
    )  # fmt: skip


def play(days: Sequence[Sequence[Reading]], *verdicts: IncidentVerdict) -> list[Incident]:
    """Return the incidents after the last of some days that follow each other."""
    held: list[Incident] = []
    for number, rows in enumerate(days):
        held, _ = advance(held, day(number), rows, [one for one in verdicts if one.day == day(number)])
    return held


def only(days: Sequence[Sequence[Reading]], *verdicts: IncidentVerdict) -> Incident:
    (one,) = play(days, *verdicts)
    return one


HIGH = [reading(500)]


def test_a_flag_opens_an_incident_and_later_ones_join_it_also_after_days_without_one() -> None:
    held, ids = advance([], FIRST, [flag()], [])
    assert ids == {(NAME, "lost_backlinks"): UP}
    assert (held[0].state, held[0].severity, held[0].change) == ("open", "warning", 400)
    one = only([[flag()], HIGH, [], [flag(900, "critical")]])
    assert (one.incident, one.severity, one.opened, one.last_flag) == (UP, "critical", FIRST, day(3))
    assert one.critical_since == day(3)
    other = [*play([[flag()]]), *play([[flag(direction="down")]])]
    assert len({one.incident for one in other}) == 2


def test_an_id_is_short_stable_and_never_a_number() -> None:
    assert UP == incident_id(NAME, "lost_backlinks", "up", FIRST) == "ixsrc33k"
    ids = {incident_id(f"{number}.example", "spam_score", "up", FIRST) for number in range(5000)}
    assert len(ids) == 5000
    assert all(len(one) == 8 and one[0].isalpha() and one.isalnum() and one == one.lower() for one in ids)


def test_a_flag_of_all_targets_opens_none() -> None:
    everybody = Reading("*", "lost_backlinks", "up", "warning", 400, None, None, None)
    assert advance([], FIRST, [everybody], []) == ([], {})


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([110, 100, 90], "back"),
        ([110, 100], None),
        ([110, 100, 500, 90], None),  # not in a row
        ([110, 100, 500, 90, 90, 90], "back"),
        ([10, 10, 10], "back"),  # beyond the other end, which another incident is about
    ],
)
def test_three_usual_readings_in_a_row_end_it(rows: list[float], reason: str | None) -> None:
    one = only([[flag()], *[[reading(value)] for value in rows]])
    assert (one.reason, one.resolved) == (reason, day(len(rows)) if reason else None)


def test_a_day_without_a_reading_neither_counts_nor_begins_anew() -> None:
    assert only([[flag()], [reading(100)], [], [reading(100)], [reading(100)]]).reason == "back"


def test_a_baseline_that_has_moved_there_ends_it_as_a_new_level() -> None:
    there = [reading(500, baseline=490, low=450, high=550)]
    assert only([[flag()], HIGH, HIGH, there, there]).state == "open"
    assert only([[flag()], HIGH, HIGH, there, there, there]).reason == "new_level"
    assert only([[flag()], *[HIGH] * 30]).state == "open"  # neither usual nor a new level


def test_the_day_s_readings_count_before_what_people_say_of_it() -> None:
    back = [reading(100)]
    one = only([[flag()], back, back, back], said(3, "reopen"))
    assert (one.state, one.reason, one.resolved) == ("open", None, None)
    assert only([[flag()], back, back, back, back, back], said(3, "reopen")).state == "open"
    assert only([[flag()], back, back, back, back, back, back], said(3, "reopen")).reason == "back"


def test_acknowledged_resolved_and_reopened_by_name() -> None:
    one = only([[flag()], HIGH], said(0, "ack", note="I look into it"), said(1, "resolve", by="Ben", reason="real"))
    assert (one.state, one.reason, one.resolved, one.by, one.note) == (
        "resolved", "real", day(1), "Ben", "I look into it",
    )  # fmt: skip
    assert only([[flag()], HIGH], said(1, "resolve", reason="false"), said(1, "ack", hour=10)).state == "resolved"
    both = [said(1, "resolve", reason="false"), said(1, "resolve", by="Ben", reason="expected")]
    assert only([[flag()], HIGH], *both).reason == "expected"  # two people at once: the last one holds


def test_after_it_is_resolved_a_flag_opens_another() -> None:
    held = play([[flag()], [flag(900)]], said(0, "resolve", reason="real"))
    assert [(one.state, one.opened) for one in held] == [("resolved", FIRST), ("open", day(1))]


@pytest.mark.parametrize(
    ("later", "state"),
    [
        ([HIGH, HIGH], "snoozed"),
        ([HIGH, HIGH, HIGH], "open"),  # the date has come
        ([[flag(550, "critical")]], "open"),
        ([[flag(550)]], "snoozed"),
        ([[reading(100 + 2 * 400)]], "snoozed"),
        ([[reading(100 + 2 * 400 + 1)]], "open"),
        ([[flag(2000)]], "open"),
    ],
)
def test_a_snooze_ends_at_its_date_and_when_it_gets_worse(later: list[list[Reading]], state: str) -> None:
    one = only([[flag()], *later], said(0, "snooze", until=day(3)))
    assert (one.state, one.snoozed_until) == (state, day(3) if state == "snoozed" else None)


def test_a_target_that_is_back_ends_its_incident_and_opens_none() -> None:
    down = Reading(NAME, "target_down", "down", "critical", 0, None, None, None)
    up = Reading(NAME, "target_down", "up", "warning", 90, None, None, None)
    held, ids = advance([], FIRST, [down], [])
    after, again = advance(held, day(4), [up], [])
    assert (ids, [(one.reason, one.resolved) for one in after]) == (again, [("back", day(4))])
    assert advance([], FIRST, [up], []) == ([], {})


def test_what_was_resolved_long_ago_leaves_the_table() -> None:
    verdict = said(0, "resolve", reason="real")
    assert len(play([[flag()], *[[]] * 90], verdict)) == 1
    assert play([[flag()], *[[]] * 91], verdict) == []


ROWS = st.lists(
    st.lists(
        st.builds(
            Reading,
            st.sampled_from(["a.example", "b.example", "*"]),
            st.sampled_from(["spam_score", "target_down"]),
            st.sampled_from(["up", "down", None]),
            st.sampled_from([None, None, "warning", "critical"]),
            *[st.sampled_from([None, 5.0, 20.0, 45.0, 200.0])] * 4,
        ),
        max_size=4,
        unique_by=lambda row: (row.target, row.metric),
    ),
    min_size=1,
    max_size=14,
)
WORDS = st.lists(
    st.tuples(st.integers(0, 13), st.sampled_from(ACTIONS), st.integers(0, 20), st.integers(0, 7), st.booleans()),
    max_size=12,
)


@pytest.mark.medium
@given(ROWS, WORDS, st.integers(0, 13))
def test_going_on_from_any_day_leaves_what_a_replay_from_the_first_leaves(rows, words, stop) -> None:
    known = [
        incident_id(name, metric, way, day(at))
        for name in ("a.example", "b.example") for metric in ("spam_score", "target_down")
        for way in ("up", "down") for at in range(3)
    ]  # fmt: skip
    verdicts = sorted(
        (
            said(number, action, known[which], hour, until=day(number + 2), reason="real" if real else "expected")
            for number, action, which, hour, real in words
        ),
        key=lambda one: one.said_at,
    )
    whole = play(rows, *verdicts)
    early = play(rows[: stop + 1], *verdicts)
    for number in range(stop + 1, len(rows)):
        early, ids = advance(early, day(number), rows[number], [one for one in verdicts if one.day == day(number)])
        assert set(ids.values()) <= {one.incident for one in early}
    assert early == whole
    assert len({one.incident for one in whole}) == len(whole)
    for one in whole:
        assert (one.state == "resolved") == (one.resolved is not None) == (one.reason is not None)
        assert (one.state == "snoozed") == (one.snoozed_until is not None)
        assert one.opened <= one.last_flag


def test_spans_last_to_the_verdict_and_go_when_it_is_taken_back() -> None:
    words = [said(2, "resolve", reason="expected"), said(4, "reopen"), said(6, "resolve", reason="vendor")]
    span = Span(FIRST, day(2), NAME, "lost_backlinks")
    days = [day(number) for number in range(8)]
    assert by_known(days, words) == [
        (days[:2], frozenset()),
        (days[2:4], {span}),
        (days[4:6], frozenset()),
        (days[6:], {span._replace(last=day(6))}),
    ]
    assert by_known(days, [said(2, "resolve", reason="real"), said(3, "ack")]) == [(days, frozenset())]
    assert spans(words, day(5)) == frozenset()
