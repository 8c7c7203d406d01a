"""The real command in processes of its own, to be watched, stopped and killed.

Importing Dagster takes some seconds, so that processes are forked from one that has imported it already; what is run
in them is the command's own `main`, or a job as the UI's worker runs it. The installed script itself is run where the
way in matters (`script`).
"""

import contextlib
import fcntl
import functools
import importlib
import json
import multiprocessing
import multiprocessing.forkserver
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(sys.executable).with_name("backlinks")
DAY = "2026-11-24"
PATIENCE_S = 150
"""What no command of these tests takes, however slow the machine."""

NOTHING: Mapping[str, Any] = {}
_forkserver = multiprocessing.get_context("forkserver")
_PRELOADED = [
    *(f"backlinks_assets.cli.{name}" for name in ("run", "execution", "flags", "app", "backtest", "doctor.examine")),
    "backlinks_assets.pipeline",
    "backlinks_assets.tables.duckdb_sync",
    "backlinks_assets.report.page",
    "pyarrow.dataset",
    "rich.progress",
    "upath.implementations.local",
    "alembic.script",
    "commands",
    "forked",
]


@dataclass
class Ended:
    """How a process ended, and what it said."""

    status: int
    out: str
    err: str
    summary: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, status: int, out: str, err: str) -> "Ended":
        """Read what `--json` prints on its last line, where there is such a line."""
        lines = out.strip().splitlines()
        with contextlib.suppress(ValueError, IndexError):
            return cls(status, out, err, json.loads(lines[-1]))
        return cls(status, out, err)


@functools.cache
def _start_forkserver() -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # it must have no threads
    _forkserver.set_forkserver_preload(_PRELOADED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))  # it does not take over this process's own search path
        multiprocessing.forkserver.ensure_running()


class Process:
    """One command at work, in a process of its own."""

    def __init__(
        self,
        work: Callable[..., None],
        arguments: Sequence[Any],
        folder: Path,
        patches: Mapping[str, Any],
        environment: Mapping[str, str] = NOTHING,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._out, self._err = (folder / f"{time.monotonic_ns()}.{name}" for name in ("out", "err"))
        _start_forkserver()
        self._process = _forkserver.Process(
            target=_child,
            args=(work, list(arguments), {**os.environ, **environment}, str(self._out), str(self._err), dict(patches)),
        )
        self._process.start()
        self.pid = self._process.pid

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens where the process is over."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    @property
    def is_over(self) -> bool:
        return self._process.exitcode is not None

    def catches(self, number: int) -> bool:
        """Whether it handles a signal itself. Once it was asked to stop it does not: the next one ends it at once."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        except OSError:  # it is over
            return False
        caught = re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)
        return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)

    @property
    def is_frozen(self) -> bool:
        """Whether all its threads have stopped, which they do a moment after SIGSTOP was sent."""
        try:
            threads = [file.read_text(encoding="utf-8") for file in Path(f"/proc/{self.pid}/task").glob("*/stat")]
        except OSError:  # one has ended meanwhile
            return False
        return all(thread.rpartition(") ")[2].startswith("T") for thread in threads)

    def end(self) -> Ended:
        """Wait for its end, and return how it was."""
        self._process.join(PATIENCE_S)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
            raise AssertionError(f"It did not end within {PATIENCE_S} s; it said: {self._err.read_text()}")
        return Ended.of(self._process.exitcode, self._out.read_text(), self._err.read_text())

    def kill(self) -> None:
        """End it at once, as kill -9 does."""
        self._process.kill()
        self._process.join()


def start(*arguments: str, patches: Mapping[str, Any] = NOTHING, environment: Mapping[str, str] = NOTHING) -> Process:
    """Start `backlinks ARGUMENTS`. `patches` are constants to set first, as `package.module.NAME`."""
    return Process(_command, arguments, Path.cwd() / "said", patches, environment)


def command(*arguments: str, patches: Mapping[str, Any] = NOTHING, **environment: str) -> Ended:
    """Run `backlinks ARGUMENTS` to its end."""
    return start(*arguments, patches=patches, environment=environment).end()


def script(*arguments: str, **environment: str) -> Ended:
    """Run the installed script itself, from the start."""
    done = subprocess.run(
        [SCRIPT, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Ended.of(done.returncode, done.stdout, done.stderr)


def on_a_terminal(
    *arguments: str,
    columns: int | None = None,
    environment: Mapping[str, str] = NOTHING,
    question: str = "",
    answer: str = "",
) -> tuple[int, str]:
    """Run `backlinks ARGUMENTS` on a terminal; return its exit status and all it wrote.

    Of so many columns, if they are given. Where `question` appears, `answer` is typed, once.
    """
    ours, theirs = pty.openpty()
    if columns is not None:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    work = [os.ttyname(theirs), *arguments]
    process = Process(_command_on_a_terminal, work, Path.cwd() / "said", NOTHING, environment)
    shown, asked = b"", False
    while True:
        is_over = process.is_over
        if select.select([ours], [], [], 0.05)[0]:
            shown += os.read(ours, 65536)
        elif is_over:
            break
        if question and not asked and question.encode() in shown:
            os.write(ours, f"{answer}\n".encode())
            asked = True
    os.close(theirs)
    os.close(ours)
    return process.end().status, shown.decode(errors="replace").replace("\r\n", "\n")


def parsed(line: str) -> None:
    """Assert that the command accepts each `backlinks …` of a line of shell; nothing is run.

    What is a program of its own beside it (pipes, redirections, variables set before it) is passed over.
    """
    import typer

    from backlinks_assets.cli.app import app

    calls = [call for call in re.split(r"&&|\|", re.sub(r">\s*\S+", "", line)) if "backlinks" in call]
    assert calls, line
    for call in calls:
        words = [
            DAY if word in {"D", "YYYY-MM-DD"} else word for word in shlex.split(call)
        ]  # the pages' names of a date
        at = next(number for number, word in enumerate(words) if Path(word).name == "backlinks")
        assert all("=" in word for word in words[:at]), line
        if words[at + 1 :] == ["--install-completion"]:  # would be done, not only read; test_cli_terminal does it
            continue
        command, context, rest = typer.main.get_command(app), None, words[at + 1 :]
        try:
            while True:
                context = command.make_context("backlinks", list(rest), parent=context, resilient_parsing=False)
                if not hasattr(command, "resolve_command"):
                    break
                _, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        except Exception as error:
            if type(error).__name__ != "Exit":  # --help is answered
                raise AssertionError(f"{line}: {getattr(error, 'message', None) or error}") from error


def dagster_run(job: str, tags: Mapping[str, str], patches: Mapping[str, Any] = NOTHING) -> Process:
    """Start a run of a job as the UI's worker does: its own process, the project's instance, no command around it."""
    return Process(_dagster_run, [job, dict(tags)], Path.cwd() / "said", patches)


def working(work: Callable[..., None], *arguments: Any) -> Process:
    """Start a process that does something else: a function that can be imported."""
    return Process(work, arguments, Path.cwd() / "said", NOTHING)


def opening() -> Process:
    """Start a process that opens Dagster's instance and nothing else."""
    return working(_open)


def wait_for(what: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until it is so; long waits are for slow machines only."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise AssertionError("What was waited for did not happen.")
        time.sleep(0.005)


def today() -> date:
    """The API's day."""
    return datetime.now(UTC).date()


def _child(
    work: Callable[..., None],
    arguments: list[Any],
    environment: dict[str, str],
    out: str,
    err: str,
    patches: dict[str, Any],
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(Path(out).parent.parent)
    time.tzset()
    for stream, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), stream)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - the process's own, to its end
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name, value in patches.items():
        module, _, constant = name.rpartition(".")
        setattr(importlib.import_module(f"backlinks_assets.{module}"), constant, value)
    try:
        work(*arguments)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _command(*arguments: str) -> None:
    from backlinks_assets.cli.app import main

    sys.argv = ["backlinks", *arguments]
    main()


def _command_on_a_terminal(terminal: str, *arguments: str) -> None:
    device = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
    for stream in range(3):
        os.dup2(device, stream)
    os.close(device)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - the process's own, to its end
    _command(*arguments)


def _open() -> None:
    from backlinks_assets.dagster_instance.home import open_instance
    from backlinks_assets.settings import Settings

    with open_instance(Settings.from_env()) as instance:
        instance.get_runs_count()


def _dagster_run(job: str, tags: dict[str, str]) -> None:
    from backlinks_assets.dagster_instance.home import open_instance
    from backlinks_assets.definitions import defs
    from backlinks_assets.settings import Settings

    with open_instance(Settings.from_env()) as instance:
        result = defs.resolve_job_def(job).execute_in_process(instance=instance, tags=tags, raise_on_error=False)
    sys.exit(0 if result.success else 1)
