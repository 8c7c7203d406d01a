"""The compose file's services as processes over a real Postgres and a real object store, from the schedule's tick to the page."""

import datetime as dt
import json
import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import commands
import obstore
import psycopg
import pytest
import yaml
from composed import DEPLOY, Composed, docker_lines
from obstore.store import from_url
from servers import ACCESS_KEY, SECRET_KEY, ObjectStore, Postgres
from services import HEALTH, ROOT, all_healthy, started, wait_for_answer

START = """mutation($of: ScheduleSelector!){startSchedule(scheduleSelector: $of){__typename
... on ScheduleStateResult{scheduleState{status}} ... on PythonError{message}}}"""
RUNS = "{runsOrError{... on Runs{results{jobName status repositoryOrigin{repositoryLocationName}}}}}"
SCHEDULE = {
    "repositoryLocationName": "backlinks_assets",
    "repositoryName": "__repository__",
    "scheduleName": "daily_collect_schedule",
}
SITES = ["shop1.example", "shop2.example", "shop3.example"]


@pytest.fixture
def composed(tmp_path: Path, api, postgres: Postgres, object_store: ObjectStore) -> Composed:
    """The services over new databases, which the file's own SQL makes, and a new bucket."""
    store = postgres.new_database().rpartition("/")[2]
    instance = f"{store}_dagster"
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute((DEPLOY / "postgres.sql").read_text().replace("DATABASE dagster", f'DATABASE "{instance}"'))
    api()
    return Composed(
        tmp_path,
        {
            "postgres:5432/backlinks": f"127.0.0.1:{postgres.port}/{store}",
            "postgres:5432/dagster": f"127.0.0.1:{postgres.port}/{instance}",
            "http://objects:8333": object_store.endpoint,
            "s3://backlinks/": f"s3://{object_store.new_bucket()}/",
        },
        {
            "POSTGRES_PASSWORD": "not-asked-for-here",
            "OBJECTS_KEY": ACCESS_KEY,
            "OBJECTS_SECRET": SECRET_KEY,
            "DATAFORSEO_LOGIN": os.environ["DATAFORSEO_LOGIN"],
            "DATAFORSEO_PASSWORD": os.environ["DATAFORSEO_PASSWORD"],
        },
        # Where the API is in this test, and a tick that comes soon.
        {"DATAFORSEO_BASE_URL": os.environ["DATAFORSEO_BASE_URL"], "BACKLINKS_SCHEDULE": "* * * * *"},
    )


def backlinks(composed: Composed, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["backlinks", *words], env=environment, cwd=composed.folder, capture_output=True, text=True,
        timeout=commands.PATIENCE_S,
    )  # fmt: skip


@pytest.mark.ci
@pytest.mark.timeout(1200)
def test_from_the_schedules_tick_to_the_page_and_on_another_machine(
    composed: Composed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(composed.ports["3000"])
    collector = composed.environment("collector")
    (composed.volumes("collector")["/data"] / "targets.csv").write_text("\n".join(["target", *SITES]) + "\n")
    with ExitStack() as stack:
        for name in composed.ours():
            stack.enter_context(started(composed.command(name), tmp_path / f"cwd-{name}", composed.environment(name)))
        wait_for_answer(port, HEALTH, all_healthy)
        for name in composed.ours():
            wait_until_healthy(composed, name)
        started_it = wait_for_answer(port, START, lambda found: found["startSchedule"], of=SCHEDULE)
        assert started_it["startSchedule"]["__typename"] == "ScheduleStateResult"
        wait_for_answer(
            port, RUNS, lambda found: done(found) >= {"collect_job", "backlinks_assets", "customer_care"}, 600
        )
    today = dt.datetime.now(dt.UTC).date()
    # A machine that has nothing but the addresses and the list: it reads the published tables, and pays for nothing again.
    reader = {**collector, "BACKLINKS_DATA_DIR": str(tmp_path / "reader")}
    flags = backlinks(composed, reader, "flags")
    assert flags.returncode == 0, flags.stderr
    (tmp_path / "reader" / "targets.csv").write_text("\n".join(["target", *SITES]) + "\n")
    again = backlinks(composed, reader, "run", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout.splitlines()[-1])["calls"] == 0
    for name, value in collector.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    store = from_url(collector["BACKLINKS_TABLES_URL"])
    names = [each["path"] for part in obstore.list(store) for each in part]
    assert any(name.startswith("reports/") and str(today) in name for name in names), names
    for name in composed.ours():
        log = (tmp_path / f"cwd-{name}.log").read_text(errors="replace")
        assert collector["DATAFORSEO_PASSWORD"] not in log
        assert "not-asked-for-here" not in log


def done(found: object) -> set[str]:
    """Return the jobs and locations of the runs that have succeeded."""
    runs = [run for run in found["runsOrError"]["results"] if run["status"] == "SUCCESS"]  # type: ignore[index]
    return {run["jobName"] for run in runs} | {run["repositoryOrigin"]["repositoryLocationName"] for run in runs}


def wait_until_healthy(composed: Composed, name: str) -> None:
    end = time.monotonic() + 240
    while True:
        looked = subprocess.run(
            composed.health_check(name), env=composed.environment(name), capture_output=True, text=True, timeout=120
        )
        if looked.returncode == 0:
            return
        assert time.monotonic() < end, (name, looked.stdout, looked.stderr)
        time.sleep(1)


def test_the_image_runs_as_nobody_and_writes_into_its_volumes_only() -> None:
    (user,) = docker_lines("USER")
    assert user not in (["root"], ["0"])
    for service in yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values():
        if service["image"] == "backlinks_assets":
            assert service["read_only"] is True
            assert service["user"] == user[0]
            assert {"test"} <= service["healthcheck"].keys()
    assert "VOLUME /data" in (DEPLOY / "Dockerfile").read_text()


def test_no_part_but_postgres_and_the_store_of_objects_knows_a_literal_secret() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    assert all("${" in line for line in text.splitlines() if "PASSWORD:" in line or ("SECRET" in line and ":" in line))
    for line in (DEPLOY / "env.example").read_text().splitlines():
        assert line.startswith("#") or not line or line.endswith("=")


def test_what_the_dockerfile_copies_is_there() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    for line in text.splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            for name in line.split()[1:-1]:
                assert (ROOT / name).exists(), name


def test_the_charts_values_name_the_location_as_the_workspace_does() -> None:
    values = yaml.safe_load((DEPLOY / "kubernetes-values.yaml").read_text())
    (server,) = values["dagsterWebserver"]["workspace"]["servers"]
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert server == {"host": deployment["name"], "port": deployment["port"], "name": "backlinks_assets"}
    assert deployment["podSecurityContext"]["runAsNonRoot"] is True
