"""What the simulator answers: the vendor's sample, the same numbers everywhere, counts that fit together."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import requests
from simulated_api import SimulatedApi

from backlinks_assets.simulator.world.answers import result_of
from backlinks_assets.simulator.world.samples import sample_targets_csv, scheduled_targets, vendor_sample

SUMMARY = "/v3/backlinks/summary/live"
PRICE_USD = 0.024036
TODAY = date(2026, 11, 24)
MAPS = ("tld", "types", "attributes", "platform_types", "semantic_locations", "countries")

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def sim() -> Iterator[SimulatedApi]:
    with SimulatedApi(today=lambda: TODAY) as running:
        yield running


@pytest.fixture(scope="module")
def ask(sim: SimulatedApi) -> Iterator[Ask]:
    with requests.Session() as session:
        session.auth = ("login", "password")

        def post(target: str, **parameters: Any) -> dict[str, Any]:
            answer = session.post(sim.url + SUMMARY, json=[{"target": target, **parameters}], timeout=60)
            assert answer.headers["X-Backlinks-Simulator"] == "simulated"
            found: dict[str, Any] = answer.json()
            return found

        yield post


def result(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answer["tasks"][0]["result"][0]
    return found


def test_the_vendors_sample_is_answered_to_the_last_value(sim: SimulatedApi, ask: Ask) -> None:
    request = {
        "internal_list_limit": 10,
        "include_subdomains": True,
        "backlinks_filters": ["dofollow", "=", True],
        "backlinks_status_type": "all",
    }
    spent = sim.spent_usd
    answer = ask("explodingtopics.com", **request)
    assert answer == vendor_sample()
    assert list(result(answer)) == list(result(vendor_sample()))  # the order of fields too
    assert (result(answer)["backlinks"], answer["tasks"][0]["id"]) == (
        41245,
        "09291809-1535-0265-0000-8d49256fe2ad",
    )
    assert sim.spent_usd == pytest.approx(spent + 0.02003)
    of_a_day = ask("explodingtopics.com", **request, tag="2026-01-01|explodingtopics.com|all")
    assert result(of_a_day) != result(answer)


def test_an_answer_looks_like_the_vendors_and_repeats_what_was_sent(ask: Ask) -> None:
    sent = {
        "backlinks_status_type": "lost",
        "internal_list_limit": 100,
        "tag": "2026-11-20|shop.example|lost",
    }
    answer = ask("shop.example", **sent)
    task = answer["tasks"][0]
    sample = vendor_sample()
    assert (list(answer), list(task)) == (list(sample), list(sample["tasks"][0]))
    assert result(answer).keys() == result(sample).keys()
    assert task["data"] == {"api": "backlinks", "function": "summary", "target": "shop.example", **sent}
    assert (answer["cost"], task["cost"], task["result_count"]) == (PRICE_USD, PRICE_USD, 1)
    assert answer["version"].startswith("0.1.2026")
    assert answer["version"].endswith(".simulated")
    assert answer["time"].endswith(" sec.")
    assert [len(part) for part in task["id"].split("-")] == [8, 4, 4, 4, 12]
    assert task["id"] != ask("shop.example", **sent)["tasks"][0]["id"]


PRINT_DIGEST = """
import hashlib, json, sys
from datetime import date
from backlinks_assets.simulator.world.answers import result_of
digest = hashlib.sha256()
for target, status, day in json.loads(sys.argv[1]):
    found = result_of(target, {"backlinks_status_type": status}, date.fromisoformat(day))
    digest.update(json.dumps(found, sort_keys=True).encode())
print(digest.hexdigest())
"""


def test_numbers_are_the_same_in_another_process_and_in_another_order() -> None:
    asked = [
        (target, status, (TODAY - timedelta(days=back)).isoformat())
        for target in (
            *list(scheduled_targets())[:4],
            "shop.example",
            "example.com",
            "https://shop.example/a",
        )
        for back in (0, 1, 40, 400)
        for status in ("live", "lost", "all")
    ]

    def found(target: str, status: str, day: str) -> str:
        answer = result_of(target, {"backlinks_status_type": status}, date.fromisoformat(day))
        return json.dumps(answer, sort_keys=True)

    backwards = {each: found(*each) for each in reversed(asked)}
    digest = hashlib.sha256("".join(backwards[each] for each in asked).encode()).hexdigest()
    other = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST, json.dumps(asked)], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == digest


def test_the_history_does_not_change_from_release_to_release() -> None:
    """A number that moved would be a change in a history that somebody has stored."""
    days = (TODAY, TODAY - timedelta(days=30))
    lines = [
        f"{target} {found['backlinks']} {found['backlinks_spam_score']} {found['referring_domains']}"
        for target in ("velotrail.example", "shop.example", "example.org")
        for status in ("live", "lost")
        for day in days
        for found in result_of(target, {"backlinks_status_type": status}, day) or []
    ]
    assert lines == FIXED_LINES


FIXED_LINES: list[str] = [
    "velotrail.example 50913 20 9977",
    "velotrail.example 63196 26 16318",
    "velotrail.example 15178 13 1898",
    "velotrail.example 12839 24 3655",
    "shop.example 22 33 10",
    "shop.example 23 32 11",
    "shop.example 13 23 4",
    "shop.example 16 17 6",
    "example.org 174 8 37",
    "example.org 170 8 35",
    "example.org 168 6 47",
    "example.org 175 6 49",
]


@pytest.mark.medium
def test_counts_fit_together_for_many_targets_and_days() -> None:
    targets = [*scheduled_targets(), "dead.example", "thin.example", *(f"site{n}.example" for n in range(60))]
    for target in targets:
        for back in range(0, 700, 61):
            day = TODAY - timedelta(days=back)
            by_status = {}
            for status in ("live", "lost", "all"):
                asked = {"backlinks_status_type": status, "internal_list_limit": 1000}
                found = by_status[status] = (result_of(target, asked, day) or [])[0]
                case = (target, day, status)
                pages = found["referring_pages"]
                assert sum(found["referring_links_types"].values()) == pages <= found["backlinks"], case
                assert found["referring_links_attributes"].get("nofollow", 0) == found["referring_pages_nofollow"], case
                assert found["referring_pages_nofollow"] <= pages, case
                assert found["referring_main_domains"] <= found["referring_domains"], case
                assert found["referring_domains_nofollow"] <= found["referring_domains"], case
                assert found["referring_domains"] <= max(1, found["backlinks"]), case
                assert found["referring_subnets"] <= found["referring_ips"] <= found["referring_domains"], case
                assert 0 <= found["backlinks_spam_score"] <= 100, case
                assert 0 <= found["rank"] <= 1000, case
                for name in MAPS:
                    counts = list(found[f"referring_links_{name}"].values())
                    assert counts == sorted(counts, reverse=True), case
                    assert all(count > 0 for count in counts), case
            live, lost, both = by_status["live"], by_status["lost"], by_status["all"]
            assert live["backlinks"] + lost["backlinks"] == both["backlinks"], (target, day)


@pytest.mark.medium
def test_sizes_run_from_a_few_dozen_links_to_millions() -> None:
    sizes = sorted((result_of(f"site{n}.example", {}, TODAY) or [])[0]["backlinks"] for n in range(1000))
    assert sizes[0] < 30
    assert 100 < sizes[500] < 1000
    assert sizes[-1] > 1_000_000


@pytest.mark.parametrize(
    ("narrower", "wider"),
    [
        ({"include_subdomains": False}, {}),
        ({"include_indirect_links": False}, {}),
        ({}, {"exclude_internal_backlinks": False}),
        ({"backlinks_filters": ["dofollow", "=", True]}, {}),
        ({"backlinks_filters": ["dofollow", "=", False]}, {"backlinks_filters": ["dofollow", "=", True]}),
        (
            {"backlinks_filters": [["dofollow", "=", True], "and", ["rank", ">", 10]]},
            {"backlinks_filters": ["dofollow", "=", True]},
        ),
        (
            {"backlinks_filters": ["dofollow", "=", True]},
            {"backlinks_filters": [["dofollow", "=", True], "or", ["rank", ">", 10]]},
        ),
        ({"backlinks_status_type": "live"}, {"backlinks_status_type": "all"}),
    ],
    ids=json.dumps,
)
def test_an_option_that_leaves_links_out_never_adds_any(
    ask: Ask, narrower: dict[str, Any], wider: dict[str, Any]
) -> None:
    few, many = result(ask("velotrail.example", **narrower)), result(ask("velotrail.example", **wider))
    assert few["backlinks"] < many["backlinks"]
    assert few["referring_pages"] < many["referring_pages"]
    assert few["referring_domains"] <= many["referring_domains"]


def test_only_dofollow_links_leave_no_nofollow_behind(ask: Ask) -> None:
    found = result(ask("velotrail.example", backlinks_filters=["dofollow", "=", True]))
    assert (found["referring_pages_nofollow"], found["referring_domains_nofollow"]) == (0, 0)
    assert "nofollow" not in found["referring_links_attributes"]
    assert result(ask("velotrail.example"))["referring_pages_nofollow"] > 0


def test_the_list_limit_cuts_every_map_to_its_largest_keys(ask: Ask) -> None:
    whole, cut = (result(ask("velotrail.example", internal_list_limit=n)) for n in (1000, 3))
    for name in MAPS:
        key = f"referring_links_{name}"
        assert list(cut[key].items()) == list(whole[key].items())[:3]
    assert len(whole["referring_links_tld"]) > 30
    assert len(result(ask("velotrail.example"))["referring_links_tld"]) == 10


def test_rank_is_told_on_either_scale(ask: Ask) -> None:
    thousand = result(ask("velotrail.example"))["rank"]
    hundred = result(ask("velotrail.example", rank_scale="one_hundred"))["rank"]
    assert hundred == round(math.sin(thousand / 636.62) * 100)


def test_a_null_option_is_an_option_not_set(ask: Ask) -> None:
    nulls = dict.fromkeys(("include_subdomains", "internal_list_limit", "backlinks_filters", "rank_scale", "tag"))
    assert result(ask("shop.example", **nulls)) == result(ask("shop.example"))


def test_a_day_in_the_tag_is_answered_as_of_that_day(ask: Ask) -> None:
    def of(tag: str | None) -> dict[str, Any]:
        return result(ask("velotrail.example", tag=tag))

    assert of("2026-11-24|velotrail.example|live") == of(None) == of("any other tag") == of("2026-13-45|x|live")
    assert of("2026-10-01|velotrail.example|live") != of(None)


@pytest.mark.parametrize(
    ("target", "shape"), [("empty.example", None), ("empty-list.example", []), ("empty-null.example", [None])]
)
def test_a_target_not_in_the_index_is_charged_and_has_no_data(ask: Ask, target: str, shape: Any) -> None:
    task = ask(target)["tasks"][0]
    assert (task["status_code"], task["cost"], task["result"]) == (20000, PRICE_USD, shape)


def test_thin_and_dead_targets_answer_with_what_little_there_is(ask: Ask) -> None:
    thin = result(ask("thin.example"))
    assert 0 < thin["backlinks"] <= 5
    assert {thin["info"][name] for name in ("server", "cms", "platform_type", "ip_address")} == {None}
    dead = result(ask("dead.example"))
    assert dead["lost_date"] == "2026-01-09 04:31:07 +00:00"
    assert (dead["backlinks"], dead["referring_domains"], dead["referring_links_tld"]) == (0, 0, {})
    assert result(ask("dead.example", backlinks_status_type="lost"))["backlinks"] > 0


@pytest.mark.parametrize(
    "target", ["192.0.2.7", "https://shop.example/a?b=c#d", "www.shop.example", "xn--bcher-kva.de"]
)
def test_addresses_pages_and_punycode_names_are_targets(ask: Ask, target: str) -> None:
    found = result(ask(target))
    assert found["target"] == target
    assert found["info"]["is_ip"] is (target == "192.0.2.7")


def test_the_sample_targets_say_that_they_are_made_up() -> None:
    text = sample_targets_csv()
    lines = text.splitlines()
    assert lines[0] == "target,group,owner,note"
    assert "only in the simulator" in lines[1]
    assert lines[1].startswith("#")
    assert len(scheduled_targets()) >= 26
    assert all(".example" in name for name in scheduled_targets())
    assert "empty.example" in text
    assert "empty.example" not in scheduled_targets()
    assert "xn--bckerei-morgenrot-qqb.example" in scheduled_targets()
