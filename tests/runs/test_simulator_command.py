"""`python -m backlinks_assets.simulator` as a person or a compose file runs it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import requests

from backlinks_assets.simulator.__main__ import main
from backlinks_assets.simulator.http.server import Simulator


@pytest.mark.medium
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_the_line_to_use_serves_and_ends_tidily(ending: signal.Signals) -> None:
    command = [
        sys.executable,
        "-m",
        "backlinks_assets.simulator",
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(2)]
            assert "made up" in lines[0]
            name, _, url = lines[1].strip().partition("=")
            assert name == "DATAFORSEO_BASE_URL"
            answer = requests.post(
                url + "/v3/backlinks/summary/live",
                json=[{"target": "shop.example"}],
                auth=("login", "password"),
                timeout=60,
            )
            assert (answer.status_code, answer.headers["X-Backlinks-Simulator"]) == (200, "simulated")
            assert answer.json()["tasks"][0]["result"][0]["target"] == "shop.example"
            process.send_signal(ending)
            _, errors = process.communicate(timeout=120)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()


def test_a_port_that_is_taken_is_named_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with Simulator() as other:
        port = other.url.split(":")[2].split("/")[0]
        assert main(["--port", port]) == 1
    assert f"Port {port} could not be opened" in capsys.readouterr().err
