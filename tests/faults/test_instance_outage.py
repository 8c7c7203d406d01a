"""The database of Dagster's instance goes away while a day is collected: for a second, and for good."""

import commands
import dagster as dg
import pytest
from simulated_api import SimulatedApi

from backlinks_assets.dagster_instance import connections
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.dead_runs import WHY
from backlinks_assets.settings import Settings

pytestmark = pytest.mark.slow

NAMES = [f"shop{number:03d}.example" for number in range(60)]
STATUS = dg.DagsterRunStatus


@pytest.fixture
def server(api, write_targets, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> SimulatedApi:
    monkeypatch.setenv("BACKLINKS_INSTANCE_URL", postgres_url)
    monkeypatch.setenv("BACKLINKS_CALLS_AT_ONCE", "4")
    write_targets(*NAMES)
    with open_instance(Settings.from_env()):
        pass  # its tables are made
    return api(latency_s=0.1)


def materialized() -> int:
    with open_instance(Settings.from_env()) as instance:
        return len(instance.get_materialized_partitions(dg.AssetKey("summary_responses")))


@pytest.mark.ci
@pytest.mark.parametrize("mode", ["fast", pytest.param("immediate", marks=pytest.mark.ci)])
def test_a_restart_of_the_database_is_survived(server, postgres, mode: str) -> None:
    assert connections.MAX_WAIT_S >= 10, "a restart takes seconds"
    patches = {"dagster_instance.connections.MAX_WAIT_S": 120.0}  # on a machine that stalls it may take longer
    run = commands.start("run", "--json", patches=patches)
    commands.wait_for(lambda: len(server.calls) > 20)
    postgres.stop(mode)
    postgres.start()
    ended = run.end()
    assert (ended.status, ended.summary["failed"], ended.summary["calls"]) == (0, [], 2 * len(NAMES)), ended.err
    assert "Traceback" not in ended.err
    assert materialized() == len(NAMES)
    with open_instance(Settings.from_env()) as instance:
        assert {run.status for run in instance.get_runs()} == {STATUS.SUCCESS}


@pytest.mark.ci
def test_a_database_that_stays_away_ends_the_run_and_the_next_one_pays_nothing_twice(server, postgres) -> None:
    server.let_answer(20)
    run = commands.start("run", "--json", patches={"dagster_instance.connections.MAX_WAIT_S": 2.0})
    commands.wait_for(lambda: len(server.calls) > 20)
    postgres.stop()
    server.latency_s = 1.0  # so that it is not through with its calls before it has waited
    server.let_answer()
    try:
        ended = run.end()
    finally:
        postgres.start()
    assert ended.status == 1
    assert "(BACKLINKS_INSTANCE_URL), could not be reached for 2 s" in ended.err
    assert "Traceback" not in ended.err
    server.latency_s = 0.0
    paid = len(server.calls)
    assert paid < 2 * len(NAMES)
    again = commands.command("run", "--json")
    assert (again.status, again.err, again.summary["failed"]) == (0, "", [])
    assert len(server.calls) == 2 * len(NAMES) == paid + again.summary["calls"]
    assert materialized() == len(NAMES)
    with open_instance(Settings.from_env()) as instance:
        (dead,) = instance.get_runs(dg.RunsFilter(statuses=[STATUS.FAILURE]))
        (failure,) = instance.all_logs(dead.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
        assert failure.message.startswith(WHY)
