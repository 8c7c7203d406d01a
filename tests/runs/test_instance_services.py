"""Two hosts on one instance, each with a home and a data folder: a web server and a daemon here, what collects there."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import commands
import psycopg
import pytest
from pages import ROOT
from servers import free_port
from services import LAUNCH, all_healthy, end, wait_for_answer

from backlinks_assets.dagster_instance.run_locks import name_of_host
from backlinks_assets.defs.partitions import range_tags

PASSWORD = "pa-ssw0rd-of-the-1nstance"
NAMES = [f"shop{number:02d}.example" for number in range(20)]

HEALTH = "{instance{info daemonHealth{allDaemonStatuses{healthy required}}} workspaceOrError{__typename}}"
RUN = "query($run: ID!) {runOrError(runId: $run) {... on Run {status tags {key value}}}}"


class Hosts:
    """Processes of hosts, whose homes are folders below one."""

    def __init__(self, folder: Path, stack: ExitStack, environment: Mapping[str, str]) -> None:
        self.folder, self.stack, self.environment = folder, stack, environment

    def start(self, host: str, *command: str) -> "subprocess.Popen[bytes]":
        """Start a program of Dagster's on a host."""
        home = self.folder / host
        log = self.stack.enter_context((self.folder / f"{host}-{command[0]}.log").open("wb"))
        environment = {**os.environ, **self.environment, "DAGSTER_HOME": str(home), "PYTHONWARNINGS": "ignore"}
        program = str(Path(sys.executable).with_name(command[0]))
        process = subprocess.Popen([program, *command[1:]], cwd=home, env=environment, stdout=log, stderr=log)
        self.stack.callback(end, process)
        return process


@contextmanager
def hosts(folder: Path, environment: Mapping[str, str], code_port: int) -> Iterator[Hosts]:
    for host in ("ui", "collector"):
        home = folder / host
        home.mkdir()
        (home / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
        (home / "data").mkdir()
        (home / "data" / "targets.csv").write_text("\n".join(["target", *NAMES, ""]))
        server = f"{{host: localhost, port: {code_port}, location_name: backlinks_assets}}"
        (home / "workspace.yaml").write_text(f"load_from:\n  - grpc_server: {server}\n")
    with ExitStack() as stack:
        yield Hosts(folder, stack, environment)


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.timeout(900)  # more than all that is waited for
def test_a_run_launched_here_is_executed_there_and_found_in_one_database(
    api, tmp_path, postgres, postgres_url, monkeypatch
) -> None:
    monkeypatch.delenv("BACKLINKS_DATA_DIR")  # each host's own, in its home
    monkeypatch.setenv("BACKLINKS_INSTANCE_URL", postgres_url.replace("backlinks@", f"backlinks:{PASSWORD}@"))
    server, today = api(), str(commands.today())
    code_port, port = free_port(), free_port()
    with hosts(tmp_path, {"PYTHONPATH": str(ROOT)}, code_port) as at:
        at.start(
            "collector", "dagster", "code-server", "start", "-m", "backlinks_assets.definitions", "-p", str(code_port)
        )
        at.start("ui", "dagster-webserver", "-p", str(port), "-w", "workspace.yaml")
        at.start("ui", "dagster-daemon", "run", "-w", "workspace.yaml")
        found = wait_for_answer(port, HEALTH, all_healthy, 180)
        assert PASSWORD not in json.dumps(found)
        environment = {"BACKLINKS_DATA_DIR": str(tmp_path / "collector/data")}
        assert commands.command("run", "--json", **environment).status == 0  # whose targets become partitions
        tags = {**range_tags(today, today, NAMES[0], NAMES[-1])}
        launched = wait_for_answer(
            port,
            LAUNCH,
            lambda found: found["launchRun"]["__typename"] == "LaunchRunSuccess",
            180,
            tags=[{"key": key, "value": value} for key, value in tags.items()],
        )
        run_id = launched["launchRun"]["run"]["runId"]
        ended = wait_for_answer(
            port, RUN, lambda found: found["runOrError"]["status"] in {"SUCCESS", "FAILURE"}, 180, run=run_id
        )
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'backlinks_assets'"
            # A web server, a daemon, a code server and its runs. What is beyond the few held open is closed after use.
            commands.wait_for(lambda: int((connection.execute(query).fetchone() or (99,))[0]) <= 12)
    assert ended["runOrError"]["status"] == "SUCCESS"
    told = {tag["key"]: tag["value"] for tag in ended["runOrError"]["tags"]}
    assert told["backlinks/host"] == name_of_host(tmp_path / "collector/data/dagster")
    assert len(server.calls) == 2 * len(NAMES)  # the launched run found the command's answers
    assert (tmp_path / "collector/data/responses.sqlite").exists()
    assert not (tmp_path / "ui/data/responses.sqlite").exists()
    logs = tmp_path / "collector/data/dagster/logs" / run_id
    assert logs.is_dir()
    assert not (tmp_path / "ui/data/dagster/logs" / run_id).exists()
    for log in tmp_path.glob("*.log"):
        assert PASSWORD not in log.read_text(), log
