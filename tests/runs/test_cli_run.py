"""The command as a person or a program runs it: a real process, its output, its exit status."""

import json
from pathlib import Path

import dagster as dg
import faults
import pytest
from commands import command as backlinks, script
from faults import Fault

from backlinks_assets.collect.collector import utc_now
from backlinks_assets.dagster_instance.home import ON_THE_TERMINAL, ProjectComputeLogs
from backlinks_assets.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("used_folder")]

TARGETS = [f"shop{number:03d}.example" for number in range(8)]


@pytest.fixture(autouse=True)
def quick_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLINKS_CALLS_PER_MINUTE", "60000")


def test_a_day_is_collected_tabled_and_flagged_and_a_second_run_calls_nothing(api, write_targets) -> None:
    server = api()
    write_targets(*TARGETS, "empty.example")
    first = script("run", "--json")
    assert first.status == 0, first.err
    summary = json.loads(first.out.splitlines()[-1])
    assert summary | {"seconds": 0} == {
        "date": str(utc_now().date()),
        "targets": 9,
        "collected": 9,
        "reused": 0,
        "empty": ["empty.example"],
        "failed": [],
        "calls": 18,
        "cost_usd": round(18 * 0.024036, 6),
        "flags": 0,
        "seconds": 0,
    }
    assert len(server.calls) == 18
    assert "Traceback" not in first.err
    second = json.loads(backlinks("run", "--json").out.splitlines()[-1])
    assert (second["calls"], second["cost_usd"], second["reused"], second["collected"]) == (0, 0.0, 9, 0)
    assert len(server.calls) == 18


def test_the_runs_are_recorded_where_the_ui_looks(api, write_targets) -> None:
    api()
    write_targets(*TARGETS)
    backlinks("run")
    settings = Settings.from_env()
    with dg.DagsterInstance.from_ref(dg._core.instance.ref.InstanceRef.from_dir(str(settings.dagster_dir))) as instance:
        runs = {run.job_name: run.status for run in instance.get_runs()}
        assert runs == {"collect_job": dg.DagsterRunStatus.SUCCESS, "publish_job": dg.DagsterRunStatus.SUCCESS}
        assert len(instance.get_materialized_partitions(dg.AssetKey("summary_responses"))) == 8


@pytest.mark.ci
def test_the_ui_says_where_the_output_of_a_commands_runs_is(api, write_targets) -> None:
    api()
    write_targets(*TARGETS)
    backlinks("run")
    folder = Settings.from_env().dagster_dir
    logs = ProjectComputeLogs(str(folder / "logs"))
    with dg.DagsterInstance.from_ref(dg._core.instance.ref.InstanceRef.from_dir(str(folder))) as instance:
        (run,) = (run for run in instance.get_runs() if run.job_name == "publish_job")
        events = [entry.get_dagster_event() for entry in instance.all_logs(run.run_id) if entry.is_dagster_event]
    (captured,) = (event.logs_captured_data for event in events if event.event_type_value == "LOGS_CAPTURED")
    key = logs.build_log_key_for_run(run.run_id, captured.file_key)
    shown = logs.get_log_data(key)
    assert logs.is_capture_complete(key)
    assert (shown.stdout or b"", shown.stderr) == (b"", ON_THE_TERMINAL.encode())


def test_targets_without_data_are_named_and_the_status_is_3(api, write_targets) -> None:
    api()
    write_targets(*TARGETS, "invalid.example")
    done = backlinks("run", "--json")
    assert done.status == 3
    (failed,) = json.loads(done.out.splitlines()[-1])["failed"]
    assert failed["target"] == "invalid.example"
    assert "40501" in failed["reason"]
    assert "invalid.example" in done.err


def test_an_account_level_refusal_is_status_1_with_a_sentence(api, write_targets) -> None:
    server = api(credentials=("someone@example.com", "the right one"))
    write_targets(*TARGETS)
    done = backlinks("run")
    assert done.status == 1
    assert "DATAFORSEO_PASSWORD" in done.err
    assert "Traceback" not in done.err + done.out
    assert "s3cret-passphrase" not in done.err + done.out
    assert len(server.calls) <= 30
    assert done.err.count("DATAFORSEO_PASSWORD") == 1  # told once, not for each target
    assert "shop000.example" in done.err


@pytest.mark.ci
def test_targets_that_fail_for_the_same_reason_are_told_together(api, write_targets) -> None:
    api(*(Fault(faults.code(40501), target=f"bad{number}.example") for number in range(2)))
    write_targets("shop.example", "bad0.example", "bad1.example")
    done = backlinks("run")
    assert done.status == 3
    assert len([line for line in done.err.splitlines() if "40501" in line]) == 1


@pytest.mark.ci
def test_without_credentials_everything_says_that_it_is_simulated(write_targets, clean_environment: Path) -> None:
    write_targets(*TARGETS[:2])
    done = backlinks("run")
    assert done.status == 0
    assert "Simulated numbers" in done.err
    assert (clean_environment / "demo" / "backlinks.duckdb").exists()
    assert not (clean_environment / "backlinks.duckdb").exists()
    assert json.loads(backlinks("flags", "--json").out)["simulated"] is True


def test_a_past_day_of_the_real_api_is_built_from_what_is_kept(api, write_targets) -> None:
    server = api()
    write_targets(*TARGETS)
    done = backlinks("run", "--date", "2026-11-01")
    assert done.status == 3
    assert "present only" in done.err
    assert server.calls == []


@pytest.mark.parametrize(
    ("lines", "header", "words"),
    [
        (["exa mple.com", "# ours", "co.uk"], "target", ["line 2", "line 4"]),
        ([], "target", ["target"]),
        (["a.com"], "domain", ["target"]),
        (["a.com,1"], "target,include_subdomain", ["include_subdomains"]),
    ],
    ids=["impossible", "none", "no-header", "typo"],
)
def test_a_bad_targets_file_is_status_2_and_nothing_is_called(api, write_targets, lines, header, words) -> None:
    server = api()
    write_targets(*lines, header=header)
    done = backlinks("run")
    assert done.status == 2
    assert all(word in done.err for word in words), done.err
    assert "Traceback" not in done.err
    assert server.calls == []


@pytest.mark.parametrize(
    ("arguments", "environment", "status", "words"),
    [
        (["run", "--date", "yesterday"], {}, 2, "YYYY-MM-DD"),
        (["run", "--date", "2999-01-01"], {}, 2, "has not begun"),
        (["run"], {}, 2, "targets add"),
        (["run"], {"DATAFORSEO_LOGIN": "x"}, 2, "DATAFORSEO_PASSWORD"),
        (["run"], {"DATAFORSEO_BASE_URL": "http://example.com"}, 2, "plain http"),
        (["flags"], {}, 2, "backlinks run"),
        (["run"], {"BACKLINKS_DATABASE_URL": "mysql://x/y"}, 2, "does not begin with postgresql://"),
        (["nonsense"], {}, 2, "No such command"),
    ],
    ids=["date", "future", "no-targets-file", "half-credentials", "http", "no-tables", "postgres", "usage"],
)
def test_bad_input_gets_a_sentence_and_its_status(arguments, environment, status, words) -> None:
    done = backlinks(*arguments, **environment)
    assert done.status == status, done.err
    assert words in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_a_data_folder_that_cannot_be_written_is_told(write_targets, tmp_path: Path) -> None:
    targets = write_targets(*TARGETS)
    (tmp_path / "a-file").write_text("")
    done = backlinks("run", BACKLINKS_TARGETS_FILE=str(targets), BACKLINKS_DATA_DIR=str(tmp_path / "a-file" / "data"))
    assert done.status == 1
    assert "BACKLINKS_DATA_DIR" in done.err
    assert "Traceback" not in done.err


def test_examples_are_not_asked_for_at_the_real_api(write_targets) -> None:
    write_targets(*TARGETS)
    done = backlinks("run", DATAFORSEO_LOGIN="x", DATAFORSEO_PASSWORD="y")
    assert done.status == 2
    assert "only in the simulator" in done.err


@pytest.mark.ci
def test_the_demo_runs_from_nothing_and_prints_flags(clean_environment: Path) -> None:
    done = backlinks("demo", "--days", "9", DATAFORSEO_LOGIN="x", DATAFORSEO_PASSWORD="y")
    assert done.status == 0, done.err
    assert "make ui" in done.out
    lines = [line.split("\t") for line in done.out.splitlines() if line.startswith("20")]
    assert len(lines) >= 2
    assert {line[1] for line in lines} <= {"warning", "critical"}
    assert (clean_environment / "demo" / "backlinks.duckdb").exists()
    assert "of which backlinks incidents list shows those that are not resolved: " in done.out
    listed = backlinks("incidents", "list", "--state", "acknowledged,snoozed,resolved", "--json")
    states = [one["state"] for one in json.loads(listed.out)["incidents"]]
    assert {"acknowledged", "snoozed", "resolved"} <= set(states)
    assert len(list(clean_environment.glob("demo/reports/groups/*.html"))) == 3
    flags = backlinks("flags", "--json")  # the demo's tables are the ones without credentials too
    assert json.loads(flags.out)["date"] == str(utc_now().date())


def test_the_doctor_finds_what_is_wrong_and_spends_nothing(api, write_targets) -> None:
    server = api()
    write_targets(*TARGETS)
    fine = backlinks("doctor")
    assert fine.status == 0, fine.out
    assert {line.split("\t")[0] for line in fine.out.splitlines()} == {"fine", "note"}
    assert "note\taccount" in fine.out  # no budget is set
    wrong = backlinks("doctor", DATAFORSEO_PASSWORD="another", DATAFORSEO_BASE_URL="http://127.0.0.1:9")
    assert wrong.status == 1
    assert "to do\taccount" in wrong.out
    assert server.spent_usd == 0


@pytest.mark.ci
def test_two_hundred_targets_make_four_hundred_calls_within_the_limits(api, write_targets, monkeypatch) -> None:
    monkeypatch.delenv("BACKLINKS_CALLS_PER_MINUTE")
    server = api(latency_s=0.3, calls_per_minute=2000, calls_at_once=30)
    write_targets(*[f"site{number:03d}.example" for number in range(200)])
    done = backlinks("run", "--json")
    assert done.status == 0, done.err
    assert len(server.calls) == 400
    assert {call.status_code for call in server.calls} == {20000}
    assert server.peak_at_once <= 30
    assert server.worst_window(60) <= 2000
    assert server.worst_window(3) <= 98 + 1 + 30  # paced smoothly: the rate, and those that were on their way
    assert json.loads(done.out.splitlines()[-1])["cost_usd"] == pytest.approx(server.spent_usd)
    backlinks("run")
    assert len(server.calls) == 400
