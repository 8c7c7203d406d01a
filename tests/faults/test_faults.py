"""A server that misbehaves in every way known, met by the command and by a run of the UI: what is kept, retried, paid, said.

One run over a target for each fault; what came of it is judged at the server, in the ledger and in what the person
reads: stderr, or the run's failure. Refusals of the whole account are `test_faults_account.py`.
"""

import datetime as dt
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass

import commands
import dagster as dg
import faults
import pytest
import tenacity
from commands import Ended
from faults import Effect, Fault
from simulated_api import PRICE_USD, SimulatedApi

from backlinks_assets.collect.factory import open_store
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.dataforseo.client import Client
from backlinks_assets.dataforseo.endpoint import Request
from backlinks_assets.dataforseo.endpoints.summary import SUMMARY, RequestParameters
from backlinks_assets.dataforseo.errors import TransientError
from backlinks_assets.defs.partitions import range_tags
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]

QUICK = {
    "collect.collector._backoff": tenacity.wait_exponential_jitter(multiplier=0.05, max=0.2, jitter=0.05),
    "dataforseo.status_codes.UPDATE_WAIT_S": 0.5,
    "dataforseo.status_codes.CROWDED_WAIT_S": 0.5,
    "dataforseo.status_codes.RATE_PAUSE_S": 10.0,
}
"""Waits of a minute become waits of seconds; how many there are, and in which order, stays."""

READ_TIMEOUT_S = 15
"""More than a stall of the machine: a good answer is waited for, and each call is made as often as it must be."""

ONCE, ALWAYS = 1, None


@dataclass(frozen=True)
class Case:
    """A fault of a target's call for live links, and what must come of it. The call for lost links is left alone.

    `paid` is how many calls the server charges, `booked` how many the ledger does, once the vendor's list was asked.
    """

    effect: Effect
    times: int | None
    kept: bool
    attempts: int
    paid: int
    says: str = ""
    charged: bool | None = None
    lost_money: int = 0
    """Calls that were charged and gave nothing to keep."""


CASES = {
    "http-429": Case(faults.http(429, retry_after=6), ONCE, kept=True, attempts=2, paid=1),
    "http-503": Case(faults.http(503, retry_after=12), ONCE, kept=True, attempts=2, paid=1),
    "http-503-tomorrow": Case(faults.http(503, retry_after=86_400), ALWAYS, kept=False, attempts=1, paid=0, says="HTTP 503"),
    "http-500": Case(faults.http(500), ALWAYS, kept=False, attempts=5, paid=0, says="HTTP 500 and no JSON"),
    "reset": Case(faults.reset(), ONCE, kept=True, attempts=2, paid=1),
    "reset-after-charging": Case(faults.reset(), ONCE, kept=True, attempts=2, paid=2, charged=True, lost_money=1),
    "half-an-answer": Case(faults.half(), ONCE, kept=True, attempts=2, paid=2, lost_money=1),
    "half-always": Case(faults.half(), ALWAYS, kept=False, attempts=5, paid=5, says="connection", lost_money=5),
    "silence": Case(faults.silence(90), ONCE, kept=True, attempts=2, paid=2, lost_money=1),
    "silence-not-charged": Case(faults.silence(90), ONCE, kept=True, attempts=2, paid=1, charged=False),
    "trickle": Case(faults.trickle(20), ONCE, kept=True, attempts=2, paid=2, lost_money=1),
    "html": Case(faults.html(), ONCE, kept=True, attempts=2, paid=1),
    "broken-json": Case(faults.not_json(), ALWAYS, kept=False, attempts=5, paid=0, says="no JSON"),
    "another-target": Case(faults.wrong_target(), ALWAYS, kept=False, attempts=1, paid=1, says="somebody-else", lost_money=1),
    "result-null": Case(faults.no_result("null"), ALWAYS, kept=True, attempts=1, paid=1),
    "result-empty": Case(faults.no_result("[]"), ALWAYS, kept=True, attempts=1, paid=1),
    "result-of-null": Case(faults.no_result("[null]"), ALWAYS, kept=True, attempts=1, paid=1),
    "code-40501-target": Case(faults.code(40501), ALWAYS, kept=False, attempts=1, paid=0, says="Check its spelling"),
    "code-40202": Case(faults.code(40202), ONCE, kept=True, attempts=2, paid=1),
    "code-40209": Case(faults.code(40209), ONCE, kept=True, attempts=2, paid=1),
    "code-50000": Case(faults.code(50000), ALWAYS, kept=False, attempts=5, paid=0, says="50000"),
    "code-50000-charged": Case(faults.code(50000), ONCE, kept=True, attempts=2, paid=2, charged=True, lost_money=1),
    "code-50303": Case(faults.code(50303), ONCE, kept=True, attempts=2, paid=1),
    "ten-megabytes": Case(faults.big(10), ALWAYS, kept=True, attempts=1, paid=1),
}  # fmt: skip


@dataclass
class Met:
    """What came of the run: `said` is what the person reads, `reasons` what is told of each failed target."""

    server: SimulatedApi
    ended: Ended
    settings: Settings
    day: dt.date
    said: str
    reasons: dict[str, str]

    def rows(self, target: str) -> list[tuple[str, int | None]]:
        """What the ledger holds of a target's calls for live links: how each ended, and its cost in micro-dollars."""
        with sqlite3.connect(self.settings.store_file) as store:
            found = store.execute(
                "SELECT outcome, cost_microusd FROM api_calls WHERE target = ? AND status_type = 'live' ORDER BY attempt",
                [target],
            ).fetchall()
        store.close()
        return found


@pytest.fixture(scope="module", params=["the command", "a run of the UI"])
def met(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Met]:
    """One run over all faults."""
    folder = tmp_path_factory.mktemp("faults")
    plan = [
        Fault(
            case.effect,
            target=f"{name}.example",
            status_type="live",
            first_of_each_target=case.times,
            charged=case.charged,
        )
        for name, case in CASES.items()
    ]
    with pytest.MonkeyPatch.context() as patch, SimulatedApi(as_real=True, faults=plan) as server:
        patch.chdir(folder)
        patch.setenv("BACKLINKS_DATA_DIR", str(folder / "data"))
        patch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")
        patch.setenv("BACKLINKS_READ_TIMEOUT_S", str(READ_TIMEOUT_S))
        patch.setenv("DATAFORSEO_BASE_URL", server.url)
        patch.setenv("DATAFORSEO_LOGIN", "someone@example.com")
        patch.setenv("DATAFORSEO_PASSWORD", "s3cret-passphrase")
        (folder / "data").mkdir()
        lines = [f"{name}.example" for name in CASES]
        (folder / "data/targets.csv").write_text("\n".join(["target", *lines]) + "\n")
        yield met_by_the_command(server) if request.param == "the command" else met_by_a_run(server, lines)


def met_by_the_command(server: SimulatedApi) -> Met:
    ended = commands.command("run", "--json", patches=QUICK)
    reasons = {failed["target"]: failed["reason"] for failed in ended.summary["failed"]}
    day = dt.date.fromisoformat(ended.summary["date"])
    return Met(server, ended, Settings.from_env(), day, ended.err, reasons)


def met_by_a_run(server: SimulatedApi, targets: list[str]) -> Met:
    settings, day = Settings.from_env(), commands.today()
    with open_instance(settings) as instance:
        add_missing_targets(instance, targets)
    tags = range_tags(str(day), str(day), targets[0], targets[-1])
    ended = commands.dagster_run("collect_job", tags, patches=QUICK).end()
    with open_instance(settings) as instance:
        (run,) = instance.get_runs()
        records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
        materialized = instance.get_materialized_partitions(dg.AssetKey("summary_responses"))
    failure = records[0].event_log_entry.dagster_event.step_failure_data.user_failure_data
    reasons = {row.data["target"]: row.data["reason"] for row in failure.metadata["failed"].records}
    assert {key.split("|")[1] for key in materialized} == set(targets) - set(reasons)
    return Met(server, ended, settings, day, failure.description, reasons)


@pytest.mark.parametrize("name", CASES)
def test_a_fault_of_one_target_ends_as_it_must(met: Met, name: str) -> None:
    case, target = CASES[name], f"{name}.example"
    calls = [call for call in met.server.calls if call.target == target and call.status_type == "live"]
    rows = met.rows(target)
    with open_store(met.settings) as store:
        kept = {key.status_type for key in store.stored_keys([met.day]) if key.target == target}

    assert kept == ({"live", "lost"} if case.kept else {"lost"})
    assert len(calls) == len(rows) == case.attempts
    assert sum(call.cost_usd for call in calls) == pytest.approx(case.paid * PRICE_USD)
    assert sum(cost or 0 for _, cost in rows) == round(case.paid * PRICE_USD * 1e6)
    assert sum(outcome not in {"data", "empty"} and bool(cost) for outcome, cost in rows) == case.lost_money
    assert (target in met.reasons) is not case.kept
    assert case.says in met.reasons.get(target, "")


def test_all_else_is_collected_the_missing_are_named_and_the_status_tells(met: Met) -> None:
    missing = {f"{name}.example" for name, case in CASES.items() if not case.kept}
    assert set(met.reasons) == missing
    for target in missing:
        assert target in met.said
    assert "Traceback" not in met.said
    if met.ended.summary:
        assert met.ended.status == 3
        assert met.ended.summary["collected"] == len(CASES) - len(missing)
    else:  # Dagster's own way: the run failed, what came is materialized
        assert met.ended.status == 1
        assert f"{len(missing)} of {len(CASES)}" in met.said


def test_what_the_server_charged_is_what_the_ledger_and_the_report_say(met: Met) -> None:
    lost_money = sum(case.lost_money for case in CASES.values())
    with open_store(met.settings) as store:
        costs = store.day_costs(met.day)
    assert costs.cost_usd == pytest.approx(met.server.spent_usd)
    unsaid = sum(cost is None for name in CASES for _, cost in met.rows(f"{name}.example"))
    assert costs.charged_without_answer == lost_money + unsaid  # the list may still name the youngest
    assert costs.answers == sum(1 + case.kept for case in CASES.values())


def test_a_retry_after_is_obeyed_and_a_pause_holds_everyone(met: Met) -> None:
    again = {}
    for name, wait_s in (("http-429", 6.0), ("http-503", 12.0)):
        first, second = [
            call for call in met.server.calls if call.target == f"{name}.example" and call.status_type == "live"
        ]
        assert second.started - (first.ended or first.started) >= wait_s
        again[name] = second.started
    refused = next(call for call in met.server.calls if call.status_code == 40202)
    over = refused.ended or refused.started
    assert again["http-429"] >= over + 10.0, "it would have been made before the pause is over"
    # What was under way may still arrive, seconds later where a machine stalls; nothing is begun in the rest of the pause.
    assert not [call for call in met.server.calls if over + 6.0 < call.started < over + 9.9]


def test_a_head_that_trickles_in_is_given_up_as_a_body_is() -> None:
    with SimulatedApi(as_real=True, faults=[Fault(faults.trickle(1))]) as server:
        client = Client(server.url, "me", "mine", read_timeout_s=60, total_timeout_s=1)
        began = time.monotonic()
        with client, pytest.raises(TransientError, match="not complete after 1 s") as given_up:
            client.send(SUMMARY, Request("shop.example", RequestParameters(), "live"))
        assert given_up.value.may_go_on
        assert time.monotonic() - began < 60  # the head alone would take three minutes
