"""A probe through its command, on days that a test chooses, over targets of the simulator that move from one to the next."""

import datetime as dt
import json
from typing import Any

import pytest

from backlinks_assets.cli.probe import show_probe
from backlinks_assets.simulator.world import bulk

FIRST = dt.date(2026, 11, 24)
SECOND = FIRST + dt.timedelta(days=1)
TARGETS = [f"plain{number}.example" for number in (39, 43, 57, 69, 75, 96, 101, 103)]
"""Live links move at seven of them, the spam score at three, lost links rise at five."""
CALLS_OF_FIRST = 2 * 9 + 6 + 2 + 1
CALLS_OF_SECOND = 2 * 8 + 6

Probed = tuple[int, dict[str, Any], str]


def probe(capsys: pytest.CaptureFixture[str], day: dt.date = FIRST, many: int = 20, *, yes: bool = True) -> Probed:
    """Run the command at noon of a day; return its exit status, what `--json` prints, and what it says on stderr."""
    capsys.readouterr()
    noon = dt.datetime.combine(day, dt.time(12), dt.UTC)
    status = show_probe(many, yes=yes, as_json=True, now=lambda: noon)
    said = capsys.readouterr()
    assert "s3cret" not in said.out + said.err
    return status, json.loads(said.out) if said.out else {}, said.err


def freeze(monkeypatch: pytest.MonkeyPatch, function: str, day: dt.date = FIRST) -> None:
    """Let a bulk endpoint go on answering as of a day, as a table that is refreshed seldom does."""
    named, make = bulk._FUNCTIONS[function]
    monkeypatch.setitem(bulk._FUNCTIONS, function, (named, lambda target, given, _: make(target, given, day)))
