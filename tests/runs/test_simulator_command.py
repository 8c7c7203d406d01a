"""`python -m backlinks_assets.simulator` as a person or a compose file runs it."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import requests

from backlinks_assets.simulator.__main__ import main


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_the_line_to_use_serves_and_ends_tidily(ending: signal.Signals) -> None:
    command = [
        sys.executable,
        "-m",
        "backlinks_assets.simulator",
        "--port",
        "0",
        "--fault",
        "http:503,first=1",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(2)]
            assert "made up" in lines[0]
            name, _, url = lines[1].strip().partition("=")
            assert name == "DATAFORSEO_BASE_URL"
            statuses = [
                requests.post(
                    url + "/v3/backlinks/summary/live",
                    json=[{"target": "shop.example"}],
                    auth=("login", "password"),
                    timeout=10,
                ).status_code
                for _ in range(2)
            ]
            assert statuses == [503, 200]
            process.send_signal(ending)
            _, errors = process.communicate(timeout=20)
            assert (process.returncode, errors) == (0, "")
        finally:
            process.kill()


def test_an_unknown_fault_is_a_usage_error_that_names_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--fault", "nonsense"])
    assert ended.value.code == 2
    assert "wrong_target" in capsys.readouterr().err
