"""Dagster's own command for projects, `dg`, finds the same definitions as the workspace."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def dg(*arguments: str) -> str:
    """Run `dg` in the project's folder, with the project's environment active, and return what it prints."""
    scripts = Path(sys.executable).parent
    env = {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(scripts.parent),
        "DAGSTER_DG_CLI_TELEMETRY_ENABLED": "false",
    }
    done = subprocess.run([scripts / "dg", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.ci
@pytest.mark.timeout(600)
def test_dg_checks_and_lists_the_definitions() -> None:
    assert "All definitions loaded successfully." in dg("check", "defs")
    listed = json.loads(dg("list", "defs", "--json"))
    assert {"summary_responses", "backlinks_summary", "backlinks_flags", "flags_report"} <= {
        asset["asset_key"] for asset in listed["assets"]
    }
    assert {job["name"] for job in listed["jobs"]} >= {"collect_job", "publish_job"}


def test_dg_and_the_workspace_name_the_same_location() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    (location,) = yaml.safe_load((ROOT / "workspace.yaml").read_text(encoding="utf-8"))["load_from"]
    named = location["python_module"]["location_name"], location["python_module"]["module_name"]
    assert (
        project["dg"]["project"]["code_location_name"],
        project["dg"]["project"]["code_location_target_module"],
    ) == named
    assert (project["dagster"]["code_location_name"], project["dagster"]["module_name"]) == named
