"""A team's places on loopback: a client's, a weekly one and one for everything, as `channels.toml` names them; and days."""

import datetime as dt
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from notify_places import Looks, Webhook, webhook
from report_world import answers, write_rows

from backlinks_assets.notify.announce import Look
from backlinks_assets.settings import Settings

THREE = """
[[channel]]
name = "acme"
url_env = "ACME_URL"
groups = ["Acme"]
severity = "critical"

[[channel]]
name = "bolt"
url_env = "BOLT_URL"
groups = ["Bolt"]
when = "week"

[[channel]]
name = "team"
url_env = "TEAM_URL"
quiet = true
"""
TARGETS = ["a1.example,Acme,Ann", "a2.example,Acme,", "b1.example,Bolt,Bea", "b2.example,Bolt,", "none.example,,"]
NAMES = [line.partition(",")[0] for line in TARGETS]


class Team:
    """Looks as the sensor does, with the channels of a file; `posts` are what each place was sent, by its name."""

    def __init__(self, folder: Path, hook: Webhook) -> None:
        self.folder, self.hook, self.looks = folder, hook, Looks()
        self.write(THREE)
        for name in ("acme", "bolt", "team", "late"):
            os.environ[f"{name.upper()}_URL"] = hook.url(name)

    def write(self, text: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "channels.toml").write_text(text)

    def look(self, now: dt.datetime, urls: str = "") -> Look:
        return self.looks(urls, now)

    def sent(self) -> dict[str, list[dict[str, Any]]]:
        """Return what has come since the last call, by channel."""
        found: dict[str, list[dict[str, Any]]] = {}
        for post in self.hook.posts:
            found.setdefault(post["path"].strip("/"), []).append(post)
        self.hook.posts.clear()
        return found

    def titles(self) -> dict[str, list[str]]:
        """Return the same, what stands behind the day in each title."""
        return {name: [post["title"].partition(": ")[2] for post in posts] for name, posts in self.sent().items()}


def evaluated(day: dt.date, *flags: dict[str, Any], answered: Sequence[str] = NAMES) -> None:
    """Write a day's tables as publishing does, $0.50 spent."""
    root = Settings.from_env().root
    write_rows(root, "backlinks_summary", day, [row for name in answered for row in answers(name, 1, 100)])
    unflagged = [{"target": name, "metric": "spam_score", "value": 1.0} for name in answered]
    write_rows(root, "backlinks_changes", day, [*flags, *unflagged])
    write_rows(root, "backlinks_flags", day, flags)
    costs = {"calls": 10, "answers": 10, "cost_usd": 0.5, "charged_without_answer": 0}
    write_rows(root, "api_costs", day, [costs])


@pytest.fixture
def hook() -> Iterator[Webhook]:
    with webhook() as server:
        yield server


@pytest.fixture
def team(
    clean_environment: Path, hook: Webhook, write_targets: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Team:
    write_targets(*TARGETS, header="target,group,owner")
    for name in ("ACME", "BOLT", "TEAM", "LATE"):
        monkeypatch.setenv(f"{name}_URL", "")
    return Team(clean_environment, hook)
