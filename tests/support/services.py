"""The services of `deploy/` as plain processes, and what the web server among them answers."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LAUNCH = """
mutation($tags: [ExecutionTag!]!) {
  launchRun(executionParams: {
    selector: {repositoryLocationName: "backlinks_assets", repositoryName: "__repository__", jobName: "collect_job"},
    executionMetadata: {tags: $tags}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""
HEALTH = "{instance{daemonHealth{allDaemonStatuses{daemonType healthy required}}}}"


@contextmanager
def started(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a service in a folder of its own, which is made; the packages are this test's. Its output is beside the folder."""
    folder.mkdir(exist_ok=True)
    with folder.with_suffix(".log").open("ab") as log:
        own = subprocess.Popen(
            words,
            cwd=folder,
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield own
        finally:
            end(own)


def end(own: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and end it where it does not."""
    own.terminate()
    try:
        own.wait(30)
    except subprocess.TimeoutExpired:
        own.kill()
        own.wait()


def ask(port: int, query: str, **variables: Any) -> Any:
    """Return what the web server answers; None while it does not."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]
    except OSError:
        return None


def wait_for_answer(port: int, query: str, good: Any, seconds: float = 240, **variables: Any) -> Any:
    """Ask until there is an answer that is good, and return it."""
    end = time.monotonic() + seconds
    while not ((found := ask(port, query, **variables)) and good(found)):
        assert time.monotonic() < end, found
        time.sleep(0.5)
    return found


def all_healthy(found: Any) -> bool:
    daemons = found["instance"]["daemonHealth"]["allDaemonStatuses"]
    return all(one["healthy"] for one in daemons if one["required"])
