"""A run cancelled in the UI: by the UI's own queries, with the run in a worker process of Dagster's launcher."""

import os
import time
from typing import Any

import commands
import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from services import LAUNCH
from simulated_api import PRICE_USD

from backlinks_assets.collect.factory import open_store
from backlinks_assets.dagster_instance.home import open_instance
from backlinks_assets.defs.partitions import range_tags
from backlinks_assets.defs.sensors import add_missing_targets
from backlinks_assets.settings import Settings

pytestmark = pytest.mark.slow

TERMINATE = "mutation($id: String!) { terminateRun(runId: $id) { __typename ... on PythonError { message } } }"


@pytest.mark.ci
@pytest.mark.filterwarnings("ignore")  # of Dagster's own workspace and schema
def test_a_run_cancelled_in_the_ui_starts_nothing_more_and_keeps_what_was_in_flight(
    api, write_targets, monkeypatch
) -> None:
    from dagster_graphql.cli import execute_query

    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    server = api()
    server.let_answer(20)
    names = [f"shop{number:03d}.example" for number in range(120)]
    write_targets(*names)
    today = str(commands.today())
    settings = Settings.from_env()
    target = ModuleTarget("backlinks_assets.definitions", None, os.fspath(settings.root), "backlinks_assets")
    with open_instance(settings) as instance:
        add_missing_targets(instance, names)
        with WorkspaceProcessContext(instance, target) as process:

            def ask(query: str, **variables: object) -> dict[str, Any]:
                done = execute_query(process, query, variables)
                assert "errors" not in done, done
                return done["data"]

            tags = [
                {"key": key, "value": value} for key, value in range_tags(today, today, names[0], names[-1]).items()
            ]
            run_id = ask(LAUNCH, tags=tags)["launchRun"]["run"]["runId"]
            if (
                instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.QUEUED
            ):  # as the daemon takes it off its queue
                instance.launch_run(run_id, process.create_request_context())
            commands.wait_for(lambda: len(server.calls) == 50, 120)  # thirty are under way
            assert ask(TERMINATE, id=run_id)["terminateRun"]["__typename"] == "TerminateRunSuccess"
            asked = time.monotonic()
            server.latency_s = 4.0  # what is left would take 25 s
            server.let_answer()
            commands.wait_for(lambda: instance.get_run_by_id(run_id).is_finished, 120)
            assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.CANCELED
            commands.wait_for(lambda: all(call.ended for call in server.calls))
            assert not [call for call in server.calls if call.started > asked + 20]
        process._grpc_server_registry.wait_for_processes()
    server.latency_s = 0.0
    assert len(server.calls) < 240
    with open_store(settings) as store:
        assert len(store.stored_keys([commands.today()])) == len(server.calls)
    assert commands.command("run").status == 0
    assert len(server.calls) == 240
    assert server.spent_usd == pytest.approx(240 * PRICE_USD)
