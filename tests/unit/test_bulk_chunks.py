"""Which targets share a bulk call: the API's limits, the same calls for the same targets, and what a day comes to."""

import pytest
from hypothesis import given, strategies as st

from backlinks_assets.collect.chunks import bulk_calls, thousands
from backlinks_assets.dataforseo.endpoint import Tariff
from backlinks_assets.host import main_domain


def domains(many: int) -> list[str]:
    return [f"site{number}.example" for number in range(many)]


@pytest.mark.medium
@pytest.mark.parametrize(
    ("many", "first_of_month", "calls", "usd"),
    [
        (1000, False, 12, 0.396),
        (1000, True, 14, 0.516),
        (1, False, 3, 0.072108),
        (1001, False, 15, 0.468108),
        (0, True, 0, 0),
        (100_000, False, 1200, 39.6),
    ],
)
def test_a_day_in_bulk_has_so_many_calls_and_costs_so_much(
    many: int, first_of_month: bool, calls: int, usd: float
) -> None:
    day = bulk_calls(domains(many), first_of_month=first_of_month)
    assert sum(each.calls for each in day) == calls
    assert sum(each.price_usd() for each in day) == pytest.approx(usd)


def test_a_tariff_of_the_account_changes_the_price_alone() -> None:
    assert sum(each.price_usd(Tariff(0.01, 0.001)) for each in bulk_calls(domains(1000))) == pytest.approx(3.12)


def test_pages_of_one_domain_share_a_call() -> None:
    pages = [f"https://shop.example/{number}" for number in range(990)]
    (only,) = thousands([*pages, "shop.example", "blog.shop.example"])
    assert only.pages == (only.since,)


NAMES = st.builds(
    lambda sub, site, tld: f"{sub}site{site}.{tld}",
    st.sampled_from(["", "a.", "b.c.", "https://x."]),
    st.integers(0, 400),
    st.sampled_from(["example", "co.uk", "com", "blogspot.com"]),
)


@given(st.lists(NAMES, max_size=1500), st.sampled_from([3, 50, 100]))
def test_each_target_is_in_one_chunk_and_no_chunk_is_over_a_limit(targets: list[str], most: int) -> None:
    parts = list(thousands(targets, most))
    assert parts == list(thousands(reversed(targets), most))
    for part in parts:
        assert sorted(target for chunk in part.pages for target in chunk) == list(part.since)
        assert len(part.since) <= 1000
        assert all(len({main_domain(target) for target in chunk}) <= most for chunk in part.pages)
    assert sorted(target for part in parts for target in part.since) == sorted(set(targets))


@pytest.mark.parametrize(
    ("target", "registered"),
    [
        ("docs.dataforseo.com", "dataforseo.com"),
        ("https://www.bbc.co.uk:8443/news?a=b.c", "bbc.co.uk"),
        ("one.blogspot.com", "blogspot.com"),
        ("deep.in.shop.example", "shop.example"),
        ("192.0.2.7", "192.0.2.7"),
        ("co.uk", "co.uk"),
        ("http://Shop.Example./", "shop.example"),
    ],
)
def test_the_main_domain_is_the_one_that_was_registered(target: str, registered: str) -> None:
    assert main_domain(target) == registered
