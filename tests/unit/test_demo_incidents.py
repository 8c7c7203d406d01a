"""What the demo says of its incidents: by the commands' own code, in its past, and once."""

import datetime as dt

import pytest
from incident_days import DAYS, LOSING, SPAMMY, TODAY, day, evaluate, incidents, keep_all

from backlinks_assets.cli.demo_incidents import say
from backlinks_assets.settings import Settings
from backlinks_assets.store.digests import incident_verdicts_in

pytestmark = pytest.mark.medium


def test_the_demo_acknowledges_and_puts_off_what_was_flagged_before_today_and_says_it_once(settings: Settings) -> None:
    keep_all(settings, rises=DAYS - 4, falls=99)
    evaluate(settings, range(DAYS))
    assert {one["state"] for one in incidents(settings, DAYS - 1)} == {"open"}
    first = say(settings, TODAY)
    said = incident_verdicts_in(settings.store)
    assert first == min(one.day for one in said) < TODAY
    assert all(one.said_at.time() == dt.time(12) for one in said)
    assert say(settings, TODAY) is None
    assert incident_verdicts_in(settings.store) == said
    evaluate(settings, [number for number in range(DAYS) if day(number) >= first])
    stood = {one["target"]: one for one in incidents(settings, DAYS - 1)}
    assert {stood[name]["state"] for name in (SPAMMY, LOSING)} == {"acknowledged", "snoozed"}
    (until,) = {one["snoozed_until"] for one in stood.values()} - {None}
    assert until == TODAY + dt.timedelta(days=14)


def test_a_demo_without_incidents_says_nothing(settings: Settings) -> None:
    assert say(settings, TODAY) is None
    assert incident_verdicts_in(settings.store) == ()
