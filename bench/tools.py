"""What the benchmarks share: a stand-in for the API in a process of its own, a measured command, results as JSON.

A measured command's CPU is that of all its processes, user and system; its memory the largest sum of resident
memory seen, each page shared by several processes counted for each. No path or host name goes into a result.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent
ROOT = HERE.parent
RESULTS = HERE / "results"
LATENCY_S = 0.5
CALLS_PER_MINUTE, CALLS_AT_ONCE = 2000, 30
PACED_PER_MINUTE = 1960


def floor_s(calls: int, latency_s: float = LATENCY_S) -> float:
    """Return the least seconds that so many calls can take within the account's limits."""
    return max(calls / PACED_PER_MINUTE * 60, calls * latency_s / CALLS_AT_ONCE)


@dataclass
class Api:
    """A running stand-in for the API; `told` is its own side of the calls, filled when it is stopped."""

    url: str
    told: dict[str, Any] = field(default_factory=dict)


@contextmanager
def api(latency_s: float = LATENCY_S, *, limits: bool = True) -> Iterator[Api]:
    """Run the simulator, in the place of the real API, in its own process."""
    arguments = [sys.executable, str(HERE / "api_server.py"), str(latency_s)] + (["--limits"] if limits else [])
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        running = Api(process.stdout.readline().strip())
        try:
            yield running
        finally:
            process.stdin.close()
            running.told = json.loads(process.stdout.read() or "{}")


@dataclass
class Measured:
    """One command: exit status, what it printed, seconds, CPU seconds and peak memory of all its processes."""

    status: int
    stdout: str
    stderr: str
    started: float
    seconds: float
    cpu_s: float
    peak_mb: float


def measured(arguments: list[str], environment: dict[str, str], *, watch: bool = True) -> Measured:
    """Run a command to its end. `watch` looks at its memory five times a second, which costs some CPU beside it."""
    before = os.times()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        started = time.monotonic()
        process = subprocess.Popen(arguments, env=environment, stdout=out, stderr=err)
        peak = 0.0
        while process.poll() is None:
            if watch:
                peak = max(peak, resident_mb(process.pid))
            time.sleep(0.2 if watch else 0.005)
        seconds = time.monotonic() - started
        after = os.times()
        out.seek(0)
        err.seek(0)
        cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
        return Measured(process.returncode, out.read(), err.read(), started, seconds, cpu_s, peak)


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process and its children, MB; 0 when it is gone."""
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / 1e6
    except psutil.Error:
        return 0.0


def environment(data_dir: Path, url: str | None = None, **more: str) -> dict[str, str]:
    """Return this process's environment with the project's variables replaced; `url` stands for the real API."""
    ours = ("BACKLINKS_", "DATAFORSEO_", "DAGSTER")
    own = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    if url:
        own |= {"DATAFORSEO_BASE_URL": url, "DATAFORSEO_LOGIN": "bench@example.com", "DATAFORSEO_PASSWORD": "bench"}
    return own | {"BACKLINKS_DATA_DIR": str(data_dir)} | more


def write_targets(data_dir: Path, count: int) -> list[str]:
    """Write a targets file and return its names."""
    names = [f"site{number:06d}.example" for number in range(count)]
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / "targets.csv").write_text("\n".join(["target", *names, ""]), encoding="utf-8")
    return names


def backlinks(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "backlinks_assets.cli.app", *arguments]


def free_port() -> str:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="backlinks-bench-") as folder:
        yield Path(folder)


def load_share() -> float:
    """Return the machine's load in the last minute over its cores: above 1, wall-clock numbers are disturbed."""
    return round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)


def yardstick_ms() -> float:
    """Return the milliseconds that a fixed piece of Python takes now: by it, hours of a shared machine compare."""
    took = []
    for _ in range(9):
        began = time.perf_counter()
        sorted(str(number * number) for number in range(50_000))
        took.append(time.perf_counter() - began)
    return round(1000 * min(took), 1)


def report(question: str, figures: dict[str, Any]) -> None:
    """Print a result as one line of JSON and keep it in `results/<question>.jsonl`."""
    rounded = {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}
    line = json.dumps({"question": question, "load": load_share(), "yardstick_ms": yardstick_ms(), **rounded})
    print(line, flush=True)
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{question}.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
