"""A day in bulk on which too many targets lack a count is not evaluated, and one message says so."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from bulk_days import of_day, write_bulk
from notify_places import DAY, LATER, MORNING, Looks, Webhook

from backlinks_assets.collect.since_day import since_day
from backlinks_assets.settings import Settings
from backlinks_assets.tables.history import detection_history

pytestmark = pytest.mark.medium

TARGETS = [f"shop{number:02d}.example" for number in range(40)]
SINCE = since_day(DAY)


def write_days(missing: int) -> Path:
    """Write the day before with all targets, and the day, on which so many have no item with their losses."""
    root = Settings.from_env().root
    for back, without in ((1, 0), (0, missing)):
        date = DAY - dt.timedelta(days=back)
        live = {name: {"backlinks": 1000, "backlinks_spam_score": 20} for name in TARGETS}
        lost = {name: None if at < without else 50 for at, name in enumerate(TARGETS)}
        write_bulk(root, date, of_day(date, live, {SINCE: lost}))
    return root


@pytest.mark.parametrize(("missing", "evaluated"), [(2, True), (3, False)])
def test_with_more_than_five_percent_missing_the_day_is_not_evaluated_and_one_message_says_so(
    hook: Webhook, write_targets: Callable[..., Path], missing: int, evaluated: bool
) -> None:
    write_targets(*TARGETS)
    root, look = write_days(missing), Looks()
    assert (DAY in detection_history(root, DAY, 2)["date"].dt.date.tolist()) is evaluated
    for now in (MORNING, MORNING + LATER):
        assert look(hook.url(), now).problems == []
    if evaluated:
        assert hook.posts == []
        return
    (post,) = hook.posts
    assert post["title"] == "Simulated backlinks, 24 November 2026: not evaluated in bulk"
    assert "3 of 40 targets watched in bulk lack a count on 2026-11-24 that was there the last time." in post["message"]
    assert "Targets watched in bulk were not evaluated" in post["message"]
