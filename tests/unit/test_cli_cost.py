"""`backlinks cost`: what a day costs in each way, by whose prices, for the targets file or for a number of domains."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faults
import pytest
from faults import Fault

from backlinks_assets.cli.console import UsageError
from backlinks_assets.cli.cost import show_cost
from backlinks_assets.dataforseo.endpoints import bulk_pages_summary
from backlinks_assets.targets.target import TargetsError

Said = pytest.CaptureFixture[str]


def cost(said: Said, targets: int | None = None) -> dict[str, Any]:
    assert show_cost(targets, as_json=True) == 0
    found: dict[str, Any] = json.loads(said.readouterr().out)
    return found


def test_a_thousand_domains_cost_what_the_documents_say(capsys: Said) -> None:
    found = cost(capsys, 1000)
    assert (found["full"]["calls"], found["full"]["usd"]) == (2000, pytest.approx(48.072))
    assert (found["bulk"]["calls"], found["bulk"]["usd"]) == (12, pytest.approx(0.396))
    assert (found["bulk_first_of_month"]["calls"], found["bulk_first_of_month"]["usd"]) == (14, pytest.approx(0.516))
    control = found["bulk_with_control"]
    assert (found["control_targets"], control["calls"]) == (3, 18)
    assert control["usd"] - found["bulk"]["usd"] == pytest.approx(0.144216)
    assert found["bulk_with_control_and_evidence"]["usd"] - control["usd"] == pytest.approx(8 * 0.0276)
    assert found["bulk"]["usd_30_days"] == pytest.approx(30 * 0.396 + 0.12)
    assert (found["prices"]["source"], found["prices"]["why"]) == ("built-in", "no credentials are set")


def test_the_readmes_table_is_what_the_command_says(capsys: Said) -> None:
    found = [cost(capsys, targets) for targets in (100, 1000, 10_000)]
    lines = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("| a day of watching"))
    rows = [re.findall(r"\$([\d.]+)", line) for line in lines[head + 2 : head + 5]]
    for row, way in zip(rows, ("full", "bulk", "bulk_with_control_and_evidence"), strict=True):
        assert row == [f"{one[way]['usd']:.2f}" for one in found]


@pytest.mark.medium
def test_evidence_stays_under_its_cap_and_a_control_target_needs_a_few_hundred(capsys: Said) -> None:
    many = cost(capsys, 100_000)
    assert (many["flags_assumed"], many["flags_with_evidence"]) == (800, 36)
    assert many["full_with_evidence"]["usd"] - many["full"]["usd"] <= 1
    assert many["bulk"]["calls"] == 1200
    assert [cost(capsys, targets)["control_targets"] for targets in (166, 167)] == [0, 1]


def test_what_is_set_for_evidence_and_the_control_sample_counts(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setenv("BACKLINKS_EVIDENCE_ROWS", "1000")
    monkeypatch.setenv("BACKLINKS_EVIDENCE_USD_PER_DAY", "0.20")
    monkeypatch.setenv("BACKLINKS_CONTROL_TARGETS", "5")
    found = cost(capsys, 1000)
    assert (found["evidence_rows"], found["evidence_usd_per_day"], found["control_targets"]) == (1000, 0.2, 5)
    assert (found["evidence_usd_per_flag"], found["flags_with_evidence"]) == (pytest.approx(0.06), 3)
    assert found["full_with_evidence"]["usd"] - found["full"]["usd"] == pytest.approx(3 * 0.06)
    assert found["bulk_with_control"]["calls"] - found["bulk"]["calls"] == 10
    assert show_cost(1000, as_json=False) == 0
    assert "Evidence is $0.0600 a flag for 1,000 rows, $0.20 a day at most" in capsys.readouterr().err


def test_the_accounts_own_prices_count_and_reading_them_is_free(api: Any, capsys: Said) -> None:
    server = api(price_usd=0.012036)
    found = cost(capsys, 1000)
    assert found["prices"]["source"] == "account"
    assert found["full"]["usd"] == pytest.approx(2000 * 0.012036)
    assert found["bulk"]["usd"] == pytest.approx(12 * 0.012 + 3000 * 0.000036)
    assert show_cost(1000, as_json=False) == 0
    assert "your account's own: $0.012 a call and $0.000036 a row" in capsys.readouterr().err
    assert server.spent_usd == 0
    assert {call.path for call in server.calls} == {"/v3/appendix/user_data"}


def test_a_refused_account_is_said_and_the_built_in_prices_count(api: Any, capsys: Said) -> None:
    api(credentials=("someone@example.com", "another"))
    found = cost(capsys, 10)
    assert found["prices"]["source"] == "built-in"
    assert "could not be read: DataForSEO refuses the account" in found["prices"]["why"]
    assert "s3cret" not in json.dumps(found)
    assert found["full"]["usd"] == pytest.approx(20 * 0.024036)


def test_a_list_that_lacks_endpoints_is_filled_and_they_are_named(
    api: Any, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    monkeypatch.setattr("backlinks_assets.simulator.http.appendix.DOORS", {"bulk_pages_summary": None})
    api(price_usd=1.000036)
    found = cost(capsys, 100)
    assert bulk_pages_summary.NAME not in found["prices"]["built_in_for"]
    assert len(found["prices"]["built_in_for"]) == 4
    assert found["bulk"]["usd"] == pytest.approx(1 + 2 * 0.024 + 300 * 0.000036)
    assert show_cost(100, as_json=False) == 0
    said = capsys.readouterr().err
    assert "your account's own, one for each endpoint." in said
    assert "Built-in ones stand for what the list lacks: backlinks/summary/live, " in said


def test_targets_with_parameters_of_their_own_are_counted_in_full(
    write_targets: Callable[..., Path], capsys: Said
) -> None:
    write_targets(
        "shop.example,,,",
        "blog.shop.example,,one_hundred,",
        'filtered.example,,,"[""dofollow"", ""="", true]"',
        "alone.example,false,,",
        header="target,include_subdomains,rank_scale,backlinks_filters",
    )
    found = cost(capsys)
    assert (found["targets"], found["in_bulk"], found["only_full"], found["main_domains"]) == (4, 2, 2, 3)
    assert found["bulk"]["calls"] == 2 * 3 + 2 * 2  # a group for each rank scale
    assert show_cost(None, as_json=False) == 0
    said = capsys.readouterr()
    assert "2 targets have request parameters that bulk calls do not know and are read in full either way." in said.err
    assert said.out.splitlines()[0] == "way\tcalls\tday\t30 days"
    assert said.out.splitlines()[3] == "bulk\t10\t$0.24\t$7.31"


def test_without_targets_it_says_what_to_do(write_targets: Callable[..., Path]) -> None:
    with pytest.raises(TargetsError):
        show_cost(None, as_json=False)
    write_targets("shop.example,2020-01-01", header="target,retired")
    with pytest.raises(UsageError, match=r"is active\. Add one .* or give a number with --targets"):
        show_cost(None, as_json=False)


def test_a_server_that_is_down_only_changes_the_prices(api: Any, capsys: Said) -> None:
    server = api(Fault(faults.http(503)))
    server.stop()
    assert "could not be read" in cost(capsys, 1)["prices"]["why"]
