"""The simulated history, judged from what is published: quiet on most days, with the events it promises."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from functools import cache
from itertools import islice
from typing import Any

import pytest

from backlinks_assets.simulator.world import events
from backlinks_assets.simulator.world.answers import result_of
from backlinks_assets.simulator.world.samples import scheduled_targets
from backlinks_assets.simulator.world.site import site

TODAYS = [date(2026, 11, 24), date(2027, 1, 1), date(2027, 2, 28), date(2028, 6, 13), date(2025, 8, 8)]


@cache
def reading(target: str, day: date, status: str) -> dict[str, Any]:
    found: dict[str, Any] = (result_of(target, {"backlinks_status_type": status}, day) or [])[0]
    return found


def spam_step(target: str, day: date) -> int:
    """Points by which the published spam score moved since the day before."""
    now, before = (reading(target, d, "live") for d in (day, day - timedelta(days=1)))
    return int(now["backlinks_spam_score"] - before["backlinks_spam_score"])


def lost_step(target: str, day: date) -> float:
    """Growth of the lost links since the day before, as a share of the live links then."""
    before = day - timedelta(days=1)
    grown = reading(target, day, "lost")["backlinks"] - reading(target, before, "lost")["backlinks"]
    return float(grown / reading(target, before, "live")["backlinks"])


def happened(target: str, first: date, last: date) -> list[events.Event]:
    shown = events.events(site(target), last.toordinal())
    return [event for event in shown if event.day >= first.toordinal()]


@pytest.mark.parametrize("today", TODAYS, ids=str)
def test_the_last_sixty_days_of_the_samples_hold_something_of_each_kind(today: date) -> None:
    first = today - timedelta(days=59)
    kinds = Counter(event.kind for target in scheduled_targets() for event in happened(target, first, today))
    assert kinds[events.ATTACK] >= 3
    assert kinds[events.HUB_LOST] >= 3
    assert kinds[events.CLEANUP] >= 1
    assert kinds[events.SLIDE] >= 1
    newest = next(events.refreshes(today.toordinal()))
    assert first.toordinal() <= newest.day <= today.toordinal()


@pytest.mark.medium
@pytest.mark.parametrize("today", TODAYS, ids=str)
def test_today_and_the_days_before_have_sharp_events_to_see(today: date) -> None:
    last_five = [today - timedelta(days=back) for back in range(5)]
    spam = [(t, day) for t in scheduled_targets() for day in last_five if abs(spam_step(t, day)) >= 8]
    lost = [(t, day) for t in scheduled_targets() for day in last_five if lost_step(t, day) >= 0.08]
    assert spam
    assert lost
    assert any(day == today for _, day in spam + lost)


@pytest.mark.medium
def test_every_day_of_a_year_has_a_sharp_event_at_one_of_the_samples() -> None:
    quiet = []
    for back in range(365):
        day = date(2027, 11, 1) - timedelta(days=back)
        started = [t for t in scheduled_targets() if any(e.day == day.toordinal() for e in happened(t, day, day))]
        if not any(abs(spam_step(t, day)) >= 7 or lost_step(t, day) >= 0.07 for t in started):
            quiet.append(day)
    assert quiet == []


def test_a_spam_attack_raises_the_score_and_shows_in_the_breakdowns() -> None:
    seen = 0
    for target in scheduled_targets():
        for event in happened(target, date(2026, 9, 1), date(2026, 11, 1)):
            if event.kind == events.ATTACK:
                seen += 1
                day = date.fromordinal(event.day)
                before, after = (reading(target, d, "live") for d in (day - timedelta(days=1), day))
                assert after["backlinks_spam_score"] >= before["backlinks_spam_score"] + 7
                assert after["backlinks"] > before["backlinks"]
                assert after["referring_domains"] > before["referring_domains"]
                cheap = [
                    sum(each["referring_links_tld"].get(tld, 0) for tld in ("pics", "best", "xyz", "top"))
                    for each in (before, after)
                ]
                assert cheap[1] > 1.3 * cheap[0]
    assert seen >= 3


def test_a_lost_hub_moves_its_links_from_live_to_lost_at_once() -> None:
    seen = 0
    for target in scheduled_targets():
        for event in happened(target, date(2026, 9, 1), date(2026, 11, 1)):
            if event.kind == events.HUB_LOST:
                seen += 1
                day = date.fromordinal(event.day)
                before, after = (reading(target, d, "live") for d in (day - timedelta(days=1), day))
                fallen = before["backlinks"] - after["backlinks"]
                risen = lost_step(target, day) * before["backlinks"]
                assert 0.6 * fallen < risen < 1.7 * fallen  # an index refresh may fall on the day
                assert (
                    before["referring_domains"] - after["referring_domains"] < 0.15 * fallen
                )  # a hub is one domain with many links
    assert seen >= 3


@pytest.mark.parametrize("today", TODAYS, ids=str)
def test_of_the_samples_one_has_lost_a_hub_within_a_month_that_is_back_for_a_week(today: date) -> None:
    first, last = today - timedelta(days=30), today - timedelta(days=10)
    back = [
        (target, date.fromordinal(event.day))
        for target in scheduled_targets()
        for event in happened(target, first, last)
        if event.returns_after_days and event.day <= last.toordinal()
    ]
    assert back
    for target, day in back:
        before, gone, again = (reading(target, day + timedelta(days=days), "live") for days in (-1, 0, 6))
        assert gone["backlinks"] < 0.97 * before["backlinks"]
        assert again["backlinks"] > gone["backlinks"]


def test_a_cleanup_lowers_the_score_and_raises_the_lost_links() -> None:
    steps = [
        (spam_step(target, date.fromordinal(event.day)), lost_step(target, date.fromordinal(event.day)))
        for target in scheduled_targets()
        for event in happened(target, date(2026, 9, 1), date(2026, 11, 24))
        if event.kind == events.CLEANUP
    ]
    assert steps
    assert all(spam <= -5 and lost > 0.05 for spam, lost in steps)


def test_an_index_refresh_moves_most_targets_the_same_way_within_two_days() -> None:
    names = [f"plain{n}.example" for n in range(150)]
    checked = 0
    for refresh in islice(events.refreshes(date(2026, 11, 24).toordinal()), 6):
        before, after = (date.fromordinal(refresh.day + d) for d in (-1, 1))
        if refresh.spam_points:
            checked += 1
            moves = [
                reading(t, after, "live")["backlinks_spam_score"] - reading(t, before, "live")["backlinks_spam_score"]
                for t in names
            ]
            along = sum(move * refresh.spam_points >= 4 for move in moves) / len(names)
            assert 0.5 < along < 0.85
            assert sum(move * refresh.spam_points <= -4 for move in moves) < 0.1 * len(names)
    assert checked >= 2


@pytest.mark.ci
@pytest.mark.slow
def test_plain_targets_are_quiet_on_most_days() -> None:
    end, days = date(2026, 11, 24), 90
    refreshed = {r.day + late for r in islice(events.refreshes(end.toordinal()), 5) for late in (0, 1)}
    sharp = looked = 0
    # A hub that flaps all the time is usual for its target: those few targets are left out.
    for target in (name for n in range(80) if not site(name := f"plain{n}.example").flapping):
        for back in range(days):
            day = end - timedelta(days=back)
            if day.toordinal() in refreshed:
                continue
            looked += 1
            big = reading(target, day, "live")["backlinks"] >= 100
            sharp += abs(spam_step(target, day)) >= 5 or (big and abs(lost_step(target, day)) >= 0.05)
    assert 60 < looked / sharp < 300  # days from one sharp move of a target to its next
