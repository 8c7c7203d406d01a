"""One population a target: what summaries, bulk counts and single links say of it fits together."""

import hashlib
import json
import subprocess
import sys
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from backlinks_assets.simulator.world import answers, events, listing
from backlinks_assets.simulator.world.bulk import items, new_and_lost
from backlinks_assets.simulator.world.links import HOSTILE
from backlinks_assets.simulator.world.samples import scheduled_targets
from backlinks_assets.simulator.world.site import site

TODAY = date(2026, 11, 24)
SAMPLES = sorted(name for name in scheduled_targets() if site(name).links < 20_000)  # quick to list
STRANGE = ["dead.example", "thin.example", HOSTILE, "https://shop.example/a", "xn--bcher-kva.de"]
FLAPPING = [name for n in range(200) if site(name := f"plain{n}.example").flapping]
TARGETS = st.one_of(
    st.sampled_from(SAMPLES),
    st.sampled_from(STRANGE + FLAPPING),
    st.builds("plain{}.example".format, st.integers(0, 400)),
)
DAYS = st.integers(0, 900).map(lambda back: date(2028, 1, 1) - timedelta(days=back))
LOST, LIVE = {"backlinks_status_type": "lost"}, {"backlinks_status_type": "live"}


def listed(target: str, day: date, **parameters: Any) -> dict[str, Any]:
    found: dict[str, Any] = (listing.result_of(target, {"limit": 1000, **parameters}, day) or [])[0]
    return found


def lost_since(since: date) -> list[Any]:
    return [["is_lost", "=", True], "and", ["last_seen", ">=", f"{since} 00:00:00 +00:00"]]


def counted(target: str, since: date, day: date) -> tuple[int, int]:
    return new_and_lost(target, since.toordinal(), day.toordinal())


def level(target: str, day: date, status: str) -> int:
    return int((answers.result_of(target, {"backlinks_status_type": status}, day) or [])[0]["backlinks"])


@settings(max_examples=60)
@given(TARGETS, DAYS, st.integers(0, 31))
def test_the_rows_of_a_span_sum_to_its_bulk_counts(target: str, day: date, back: int) -> None:
    since = day - timedelta(days=back)
    new, lost = counted(target, since, day)
    gone = listed(target, day, **LOST, filters=lost_since(since), mode="one_per_domain", order_by=["rank,desc"])
    assert listed(target, day, **LOST, filters=lost_since(since))["total_count"] == lost
    assert listed(target, day, **LIVE, filters=["first_seen", ">=", str(since)])["total_count"] == new
    rows = gone["items"]
    if gone["total_count"] <= 1000:
        assert (sum(row["group_count"] for row in rows), len(rows)) == (lost, gone["total_count"])
    assert len({row["domain_from"] for row in rows}) == len(rows)
    assert all(row["is_lost"] and row["last_seen"][:10] >= str(since) for row in rows)
    assert [row["rank"] for row in rows] == sorted((row["rank"] for row in rows), reverse=True)


@settings(max_examples=60)
@given(TARGETS, DAYS, st.integers(32, 336))
def test_the_days_difference_of_a_fixed_span_is_the_days_losses(target: str, day: date, back: int) -> None:
    """What came back (a hub that was away) is not lost any more: then the difference is less by it."""
    since, before = day - timedelta(days=back), day - timedelta(days=1)
    difference = counted(target, since, day)[1] - counted(target, since, before)[1]
    today = counted(target, day, day)[1]
    of = site(target)
    returned = of.flapping or any(
        event.returns_after_days for event in events.begun(of, since.toordinal() - 9, day.toordinal())
    )
    assert difference == today or (returned and difference < today)


@settings(max_examples=40)
@given(TARGETS, DAYS, st.lists(st.integers(0, 336), min_size=2, max_size=6))
def test_a_longer_span_never_has_less(target: str, day: date, backs: list[int]) -> None:
    found = [counted(target, day - timedelta(days=back), day) for back in sorted(backs)]
    assert [new for new, _ in found] == sorted(new for new, _ in found)
    assert [lost for _, lost in found] == sorted(lost for _, lost in found)


@pytest.mark.medium
@settings(max_examples=60)
@given(TARGETS, DAYS)
def test_all_live_and_all_lost_links_are_as_many_as_the_summary_says(target: str, day: date) -> None:
    recent = day - timedelta(days=listing.REMEMBERED_DAYS)
    new, lost = counted(target, recent, day)
    for status, at_least in (("live", new), ("lost", lost)):
        found = listed(target, day, backlinks_status_type=status, limit=1)["total_count"]
        # The published levels are noisy: what came or went within a month is listed even if they have no room for it.
        assert (
            level(target, day, status)
            <= found
            <= max(level(target, day, status), level(target, day, status) + at_least)
        )
        if at_least <= level(target, day, status) and status == "lost":
            assert found == level(target, day, status)


@settings(max_examples=30)
@given(TARGETS, DAYS)
def test_a_bulk_pages_summary_is_the_live_summary(target: str, day: date) -> None:
    (item,) = items("bulk_pages_summary", {"targets": [target]}, day)
    summary = (answers.result_of(target, {}, day) or [])[0]
    assert item is not None
    assert item["url"] == target
    same = item.keys() & summary.keys()
    assert {"backlinks", "backlinks_spam_score", "referring_main_domains", "lost_date", "referring_links_tld"} <= same
    assert {name: item[name] for name in same} == {name: summary[name] for name in same}
    assert not {"info", "crawled_pages", "target"} & item.keys()


def happened(kind: str) -> list[tuple[str, events.Event]]:
    first, last = date(2026, 9, 1).toordinal(), date(2026, 11, 20).toordinal()
    return [(t, event) for t in SAMPLES for event in events.begun(site(t), first, last) if event.kind == kind]


@pytest.mark.medium
def test_a_lost_hub_is_one_domain_that_explains_the_flag() -> None:
    assert len(happened(events.HUB_LOST)) > 10
    for target, event in happened(events.HUB_LOST):
        day = date.fromordinal(event.day)
        rows = listed(
            target, day, **LOST, filters=lost_since(day), mode="one_per_domain", order_by=["domain_from_rank,desc"]
        )["items"]
        risen = level(target, day, "lost") - level(target, day - timedelta(days=1), "lost")
        assert rows[0]["group_count"] > 0.9 * sum(row["group_count"] for row in rows)
        assert rows[0]["domain_from_rank"] > 400
        if not any(abs(each.day - event.day) <= 1 for each in events.refreshes(event.day)):
            assert 0.8 * risen < rows[0]["group_count"] < 1.2 * risen


@pytest.mark.ci
@pytest.mark.medium
def test_a_spam_attack_is_found_by_its_scores() -> None:
    for target, event in happened(events.ATTACK):
        day = date.fromordinal(event.day)
        worst = [["first_seen", ">=", str(day)], "and", ["backlink_spam_score", ">=", 31]]
        found = listed(target, day, filters=worst, mode="one_per_domain", order_by=["backlink_spam_score,desc"])
        risen = level(target, day, "live") - level(target, day - timedelta(days=1), "live")
        assert listed(target, day, filters=worst)["total_count"] > 0.7 * risen
        scores = [row["backlink_spam_score"] for row in found["items"]]
        assert scores == sorted(scores, reverse=True)
        assert scores[0] >= 80


def test_attacks_of_the_same_days_come_from_shared_domains() -> None:
    day, spam = date(2026, 11, 20), [["first_seen", ">=", "2026-11-10"], "and", ["backlink_spam_score", ">", 79]]
    begun = {
        t: events.begun(site(t), day.toordinal() - 9, day.toordinal())
        for t in (f"plain{n}.example" for n in range(300))
    }
    attacked = [t for t, found in begun.items() if any(each.kind == events.ATTACK for each in found)]
    domains = [
        row["domain_from"] for t in attacked for row in listed(t, day, filters=spam, mode="one_per_domain")["items"]
    ]
    assert len(attacked) > 3
    assert len(set(domains)) < len(domains)


def test_pages_of_a_list_follow_each_other() -> None:
    asked = {"mode": "one_per_domain", "order_by": ["backlink_spam_score,desc"]}
    whole = listed("plain7.example", TODAY, **asked)
    parts = [listed("plain7.example", TODAY, **asked, limit=9, offset=at) for at in (0, 9, 18)]
    assert [row for part in parts for row in part["items"]] == whole["items"][:27]
    assert {part["total_count"] for part in parts} == {whole["total_count"]}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (["dofollow", "=", True], lambda row: row["dofollow"]),
        (["domain_from", "like", "a%"], lambda row: row["domain_from"].startswith("a")),
        (["domain_from", "not_ilike", "A%"], lambda row: not row["domain_from"].startswith("a")),
        (["anchor", "match", "READ"], lambda row: "read" in row["anchor"]),
        (["item_type", "in", ["image"]], lambda row: row["item_type"] == "image"),
        (["item_type", "not_in", ["image"]], lambda row: row["item_type"] != "image"),
        (["domain_from_country", "<>", "US"], lambda row: row["domain_from_country"] != "US"),
        ([["rank", "<", 20], "or", ["rank", ">=", 90]], lambda row: row["rank"] < 20 or row["rank"] >= 90),
        (["rank", "<=", "text"], lambda row: False),
        (["domain_from", "regex", ".*"], lambda row: False),
    ],
)
def test_a_filter_lets_through_what_it_says(condition: list[Any], holds: Any) -> None:
    target = "plain7.example"
    every = listed(target, TODAY)["items"]
    assert 0 < len(every) < 1000
    assert listed(target, TODAY, filters=condition)["items"] == [row for row in every if holds(row)]


def test_a_links_text_may_be_hostile_and_is_json() -> None:
    rows = listed(HOSTILE, TODAY, backlinks_status_type="all")["items"]
    said = json.dumps(rows)
    for text in ("<script>", "=HYPERLINK", "javascript:", "\\u202e", "\\u0000", "[click]"):
        assert text in said


@pytest.mark.medium
def test_a_giant_target_is_listed_in_time_and_counted_by_parts() -> None:
    giant = max((f"site{n}.example" for n in range(1000)), key=lambda name: site(name).links)
    assert level(giant, TODAY, "live") > 1_000_000
    spam = listed(giant, TODAY, filters=["backlink_spam_score", ">", 30], mode="one_per_domain")
    assert len(spam["items"]) > 900
    assert 0 < listed(giant, TODAY, filters=["dofollow", "=", False])["total_count"] < level(giant, TODAY, "live") / 2


PRINT_DIGEST = """
import hashlib, json
from datetime import date
from backlinks_assets.simulator.world import bulk, listing
day, targets = date(2026, 11, 24), ["velotrail.example", "plain3.example", "hostile.example"]
found = [bulk.items(f, {"targets": targets, "date_from": "2026-01-01"}, day) for f in sorted(bulk.BULK_FUNCTIONS)]
found += [listing.result_of(t, {"backlinks_status_type": "all"}, day) for t in targets]
print(hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest())
"""


def test_links_are_the_same_in_another_process() -> None:
    said = [
        subprocess.run([sys.executable, "-c", PRINT_DIGEST], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert said[0] == said[1] != hashlib.sha256(b"[]").hexdigest()


FIXED = [("velotrail.example", 51097, 70307), ("shop.example", 10, 14), ("example.org", 31, 212)]


def test_the_flows_do_not_change_from_release_to_release() -> None:
    assert [(t, *counted(t, date(2026, 1, 1), TODAY)) for t, *_ in FIXED] == FIXED
