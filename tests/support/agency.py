"""A team of three with its clients' targets and its places, whose days `fortnight` plays.

Lea leads SEO and gets everything. Ann manages the account of Acme, and her place gets Acme's alone. Eli is on call: his gets
what is critical, and what failed. Monday's digest has a place of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fortnight import Fortnight, ScriptedApi, World
from notify_places import Webhook

from backlinks_assets.simulator.http.server import Simulator

TARGETS = [
    "acme-blog.example,Acme,Ann", "acme-help.example,Acme,Ann", "acme-shop.example,Acme,Ann", "bolt-jobs.example,Bolt,Lea",
    "bolt-news.example,Bolt,Lea", "bolt-tools.example,Bolt,Lea", "cove-one.example,Cove,", "cove-two.example,Cove,",
    "cove-three.example,Cove,", "own-one.example,,", "own-two.example,,", "own-three.example,,",
]  # fmt: skip
CHANNELS = """
[[channel]]
name = "lead"
url_env = "LEAD_URL"
quiet = true

[[channel]]
name = "acme"
url_env = "ACME_URL"
groups = ["Acme"]
quiet = true

[[channel]]
name = "oncall"
url_env = "ONCALL_URL"
severity = "critical"

[[channel]]
name = "monday"
url_env = "MONDAY_URL"
when = "week"
quiet = true
"""


@contextmanager
def an_agency(
    folder: Path, hook: Webhook, write_targets: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fortnight]:
    """Yield the team's machine, with the vendor's server beside it."""
    write_targets(*TARGETS, header="target,group,owner")
    (folder / "channels.toml").write_text(CHANNELS)
    for name in ("lead", "acme", "oncall", "monday"):
        monkeypatch.setenv(f"{name.upper()}_URL", hook.url(name))
    world = World([line.partition(",")[0] for line in TARGETS])
    with Simulator(ScriptedApi(world)) as server:
        yield Fortnight(world, server.url, hook, monkeypatch)
